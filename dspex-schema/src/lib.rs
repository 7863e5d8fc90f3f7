//! dspex-schema
