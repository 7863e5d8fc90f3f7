//! dspex-macros
