//! dspex-codegen
