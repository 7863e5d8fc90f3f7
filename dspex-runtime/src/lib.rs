//! dspex-runtime
pub mod pool;
