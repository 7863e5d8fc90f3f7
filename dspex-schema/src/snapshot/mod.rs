//! Snapshots as files: splitting a dump into them, embedding them, and comparing two of them.

mod compare;
mod dump;
mod json_schema;
mod table;
mod verify;
mod write;

pub use compare::{ClassDifference, Difference, MemberChange, compare, compare_catalogs};
pub use dump::Dump;
pub use table::builtin_table;
pub use verify::verify;
pub use write::Changes;
