//! Introspects DSPy and your own Python modules, and writes the schema that dspex checks Rust code against.
//!
//! The **library** is for build scripts. [`configure()`] verifies a schema directory, hands it to the macros, and writes
//! typed bindings of its classes and functions for `dspex::include_bindings!()`:
//!
//! ```no_run
//! fn main() -> Result<(), schema_gen::Error> {
//!     schema_gen::configure().schema_dir("dspy-schema").compile()
//! }
//! ```
//!
//! It needs no Python and, without the feature `cli`, none of the runtime. The **binary** `schema-gen` makes the
//! directory, and needs that feature:
//!
//! ```text
//! cargo install schema-gen --features cli
//! schema-gen dump --module dspy --out dspy-schema
//! schema-gen dump --module my_team.rag --python-path python --out dspy-schema
//! ```
//!
//! Introspection runs in the same pool of Python workers that programs use, so the schema describes exactly the DSPy
//! that will answer.

mod build;
#[cfg(feature = "cli")]
mod coverage;
mod error;
#[cfg(feature = "cli")]
mod introspection;

pub use build::{Config, configure};
#[cfg(feature = "cli")]
pub use coverage::{Coverage, Drift, Status};
pub use error::Error;
#[cfg(feature = "cli")]
pub use introspection::Introspection;
