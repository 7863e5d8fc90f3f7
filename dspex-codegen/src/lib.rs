//! Turns the schema model of dspex into the Rust items that a typed call is made of.
//!
//! This is the only place that writes `Inputs`, `Outputs` and the implementation of `Module`, whoever asks for them,
//! so that the same class gives the same code everywhere. Generating cannot fail: whoever calls has
//! checked the names and types before.
//!
//! Every path in the generated code starts at one root, [`Root`], and reaches third-party crates through its
//! `__private` module; a user's crate needs no other dependency.

mod bindings;
mod docs;
mod expression;
mod ident;
mod method;
mod module;
mod root;
mod schema;
mod shared;
mod signature;
mod types;

pub use bindings::{Bindings, Reach, classes_in_schemas, reach};
pub use docs::rustdoc;
pub use expression::{Setter, expression};
pub use method::Method;
pub use module::{ExtraOutput, Field, Module, Transform};
pub use root::Root;
pub use schema::{Record, RecordField, SchemaTypes, types_from_schema};
pub use shared::{Shared, SignatureItems};
pub use signature::{Choice, TextFields, TextOwner, is_identifier, text_fields};
pub use types::rust_type;
