//! The snapshot that is compiled into this crate.
//!
//! `table.rs` is generated (see [`builtin_table`](crate::builtin_table)) from the files under `schemas/`. Each class
//! stays a text of its own, so that a look-up parses one small document and not all of DSPy.

mod table;

pub(crate) use table::{ALIASES, CLASSES, DSPY, FUNCTIONS, INDEX};

/// The document of a class by its public name.
pub(crate) fn document(name: &str) -> Option<&'static str> {
    find(CLASSES, name)
}

/// The public name of a class that is exported, or defined, elsewhere too.
pub(crate) fn alias(path: &str) -> Option<&'static str> {
    find(ALIASES, path)
}

fn find(table: &[(&str, &'static str)], key: &str) -> Option<&'static str> {
    table.binary_search_by_key(&key, |(name, _)| name).ok().map(|position| table[position].1)
}
