//! dspex-runtime

pub mod lm;
pub mod testing;
pub mod wire;
