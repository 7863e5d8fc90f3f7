//! dspex-runtime
