//! schema-gen
