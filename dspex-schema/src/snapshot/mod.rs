//! Snapshots as files: splitting a dump into them, embedding them, and comparing two of them.

mod compare;
mod dump;
mod table;
mod write;

pub use compare::{ClassDifference, Difference, MemberChange, compare};
pub use dump::Dump;
pub use table::builtin_table;
pub use write::Changes;
