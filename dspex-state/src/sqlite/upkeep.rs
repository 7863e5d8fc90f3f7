//! Copies, and the search for damage.

use std::path::Path;

use rusqlite::Connection;

use super::error::Doing;
use super::open;
use crate::store::StoreError;

/// Writes a copy of a store into a new file.
pub(super) fn backup(store: &Path, to: &Path) -> Result<(), StoreError> {
    let failed =
        |source: std::io::Error| StoreError::Unavailable { doing: "write the copy", source: source.into() };
    let Some(text) = to.to_str() else {
        return Err(failed(std::io::Error::other("the path is not UTF-8")));
    };
    if to.exists() {
        return Err(failed(std::io::Error::other(format!("{text} is there already"))));
    }
    // Under another name until it is whole, so that a copy that was interrupted is not taken for one.
    let partial = to.with_extension("partial");
    let _ = std::fs::remove_file(&partial);
    let connection = open::reader(store)?;
    // A copy is a write, though not to the store.
    connection.pragma_update(None, "query_only", false).doing("write the copy")?;
    connection.execute("VACUUM INTO ?1", [partial.to_string_lossy()]).doing("write the copy")?;
    let durable = || {
        std::fs::File::open(&partial)?.sync_all()?;
        std::fs::rename(&partial, to)?;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()
    };
    durable().map_err(failed)
}

/// What should find nothing, and what it means if it does.
const INVARIANTS: &[(&str, &str)] = &[
    (
        "SELECT hex(session) || ' ' || name FROM variable v WHERE NOT EXISTS (SELECT 1 FROM change c
             WHERE c.session = v.session AND c.revision = v.version AND c.place = v.place AND c.name = v.name)",
        "a variable without its value",
    ),
    (
        "SELECT id FROM session s WHERE variables <> (SELECT count(*) FROM variable v WHERE v.session = s.key)
             OR bytes <> (SELECT coalesce(sum(bytes), 0) FROM variable v WHERE v.session = s.key)",
        "a session whose counts are off",
    ),
    (
        "SELECT id FROM session s WHERE revision - floor <>
             (SELECT count(DISTINCT revision) FROM change c WHERE c.session = s.key AND c.revision > s.floor)",
        "a session with a hole in its log",
    ),
];

/// Looks for damage; a line for each.
pub(super) fn check(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let texts = |sql: &str| -> Result<Vec<String>, StoreError> {
        let mut statement = connection.prepare(sql).doing("look for damage")?;
        let rows = statement.query_map([], |row| row.get(0)).doing("look for damage")?;
        rows.collect::<Result<_, _>>().doing("look for damage")
    };
    let mut found: Vec<String> =
        texts("PRAGMA quick_check")?.into_iter().filter(|line| line != "ok").collect();
    let orphans: i64 = connection
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
        .doing("look for damage")?;
    if orphans > 0 {
        found.push(format!("{orphans} rows of sessions that are not there"));
    }
    for (sql, what) in INVARIANTS {
        found.extend(texts(sql)?.into_iter().map(|which| format!("{what}: {which}")));
    }
    Ok(found)
}
