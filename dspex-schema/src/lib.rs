//! The model of DSPy's public API that dspex checks Rust code against.
//!
//! A **snapshot** is a directory with one JSON file per class of DSPy and an index of them. It is written by
//! introspecting a real DSPy and is checked in, so that a Rust build needs no Python. This crate reads snapshots
//! ([`Catalog`]), describes what is in them ([`Class`], [`Type`], [`Parameter`]), proposes names
//! ([`closest`]), knows which names a field of a signature may have ([`check_field_name`]), reads signatures written
//! as text ([`signature`]), and writes and compares snapshots
//! ([`Dump`], [`compare`]).
//!
//! It serves procedural macros, build scripts and the runtime alike, and therefore depends on neither `syn` nor
//! an async runtime.
//!
//! ```
//! use dspex_schema::{Catalog, Kind};
//!
//! # #[cfg(feature = "builtin-schema")] {
//! let class = Catalog::builtin().get("dspy.ChainOfThought")?.expect("a class of DSPy");
//! assert_eq!(class.kind, Kind::Module);
//! assert_eq!(class.outputs.extra[0].name, "reasoning");
//! # }
//! # Ok::<(), dspex_schema::Error>(())
//! ```

#[cfg(feature = "builtin-schema")]
mod builtin;
mod catalog;
mod error;
pub mod fingerprint;
mod index;
mod model;
mod names;
pub mod signature;
mod snapshot;
mod suggest;

pub use catalog::Catalog;
pub use error::{Error, Result};
pub use index::{Entry, Index};
pub use model::{
    Call, Class, Default as ParameterDefault, Deprecated, Function, Kind, Method, Outputs, OwnSignature,
    Parameter, Predictor, Program, ProgramField, Reserved, Role, Type,
};
pub use names::{FieldNameProblem, PYTHON_KEYWORDS, Side, check_field_name};
pub use snapshot::{
    Changes, ClassDifference, Difference, Dump, MemberChange, builtin_table, compare, compare_catalogs,
    verify,
};
pub use suggest::{closest, closest_path};

/// The version of the snapshot format that this crate reads and writes.
pub const FORMAT: u32 = 1;
