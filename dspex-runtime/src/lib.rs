//! dspex-runtime

pub mod lm;
pub mod wire;
