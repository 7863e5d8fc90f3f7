//! The snapshots that are compiled into this crate.
//!
//! The tables are generated (see [`builtin_table`](crate::builtin_table)) from the files under `schemas/`. Each class
//! stays a text of its own, so that a look-up parses one small document and not all of DSPy.

#[cfg(feature = "dspy-3-2")]
mod dspy_3_2;
#[cfg(feature = "dspy-3-3")]
mod dspy_3_3;
mod table;

pub(crate) use table::SNAPSHOT as PINNED;

/// A snapshot as texts.
#[derive(Debug)]
pub(crate) struct Builtin {
    /// The release of DSPy that was introspected.
    pub(crate) dspy: &'static str,
    /// The index.
    pub(crate) index: &'static str,
    /// The documents of the functions, if there are any.
    pub(crate) functions: Option<&'static str>,
    /// The documents of the classes by name, sorted.
    pub(crate) classes: &'static [(&'static str, &'static str)],
    /// Other paths of the classes, sorted.
    pub(crate) aliases: &'static [(&'static str, &'static str)],
}

/// All of them, the newest first.
pub(crate) static ALL: &[&Builtin] = &[
    &PINNED,
    #[cfg(feature = "dspy-3-3")]
    &dspy_3_3::SNAPSHOT,
    #[cfg(feature = "dspy-3-2")]
    &dspy_3_2::SNAPSHOT,
];

impl Builtin {
    /// Reads the index.
    pub(crate) fn index(&self) -> crate::Result<crate::Index> {
        crate::Index::parse(self.index, &format!("the built-in index of DSPy {}", self.dspy))
    }

    /// The document of a class by its public name.
    pub(crate) fn document(&self, name: &str) -> Option<&'static str> {
        find(self.classes, name)
    }

    /// The public name of a class that is exported, or defined, elsewhere too.
    pub(crate) fn alias(&self, path: &str) -> Option<&'static str> {
        find(self.aliases, path)
    }
}

fn find(table: &'static [(&str, &'static str)], key: &str) -> Option<&'static str> {
    table.binary_search_by_key(&key, |(name, _)| name).ok().map(|position| table[position].1)
}
