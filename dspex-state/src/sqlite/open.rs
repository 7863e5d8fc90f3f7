//! Opening a store's file: what it is, who has it, and how its connections are set.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{Doing, corrupt, located};
use crate::store::StoreError;

/// "dspx", which SQLite keeps in the file's header.
const APPLICATION: i32 = 0x6473_7078;
/// The format of `schema.sql`.
const FORMAT: u32 = 1;
/// Earlier ones can damage a file when its log is reset (SQLite's release notes of 3.51.3).
const OLDEST_SQLITE: i32 = 3_051_003;

/// SQLite's size of a page, in bytes.
const PAGE: u64 = 4096;

/// How a file is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// A write that was answered survives the loss of power.
    Full,
    /// Nothing outlives the process.
    None,
}

/// The connection that writes, with the schema in place.
pub(super) fn writer(
    path: &Path,
    durability: Durability,
    max_bytes: Option<u64>,
) -> Result<Connection, StoreError> {
    let at = |error| located(error, path);
    if rusqlite::version_number() < OLDEST_SQLITE {
        let source = format!("SQLite {} is older than 3.51.3, which can lose writes", rusqlite::version());
        return Err(StoreError::Unavailable { doing: "begin", source: source.into() });
    }
    inspect(path)?;
    let connection = Connection::open(path).doing("open its file").map_err(at)?;
    // Before anything else, so that the file is known as ours whenever its making is interrupted. SQLite is asked, and not the
    // header that was looked at: it may just have taken back what an interrupted making left there.
    if is_empty(&connection).map_err(at)? {
        connection.pragma_update(None, "application_id", APPLICATION).doing("make its file").map_err(at)?;
    }
    configure(&connection, durability).map_err(at)?;
    complete(&connection, path).map_err(at)?;
    if let Some(bytes) = max_bytes {
        let pages = i64::try_from(bytes / PAGE).unwrap_or(i64::MAX);
        // Where the file is larger already, SQLite keeps its size as the limit.
        connection.pragma_update(None, "max_page_count", pages).doing("limit its file").map_err(at)?;
    }
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        steady(&connection)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.execute_batch(
            "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
        )?;
        Ok(connection)
    };
    open().doing("open its file for reading").map_err(|error| located(error, path))
}

/// Whether SQLite has nothing in the file.
fn is_empty(connection: &Connection) -> Result<bool, StoreError> {
    let pages: i64 =
        connection.pragma_query_value(None, "page_count", |row| row.get(0)).doing("read its header")?;
    Ok(pages == 0)
}

/// Refuses a file that is not ours, before SQLite touches it. One that is new or empty is to become ours.
fn inspect(path: &Path) -> Result<(), StoreError> {
    let foreign =
        |reason: &str| Err(StoreError::Foreign { path: path.to_owned(), reason: reason.to_owned() });
    let mut header = Vec::new();
    match File::open(path).and_then(|file| file.take(100).read_to_end(&mut header)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(StoreError::Unavailable { doing: "read its file", source: source.into() }),
        Ok(0) => return Ok(()),
        Ok(_) => {}
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return foreign("it is no database of SQLite");
    }
    match header.get(68..72) {
        Some(application) if application == APPLICATION.to_be_bytes() => Ok(()),
        Some(_) => foreign("it is a database of another program"),
        None => {
            Err(StoreError::Corrupt { path: path.to_owned(), reason: "its header is cut off".to_owned() })
        }
    }
}

/// Plans each statement once. Else SQLite plans it anew whenever a parameter changes that its planner has looked at, such as the
/// time that the partial index on `expires_at` might be for: on every read, which costs more than the read.
fn steady(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

fn configure(connection: &Connection, durability: Durability) -> Result<(), StoreError> {
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::None => "OFF",
    };
    connection.set_prepared_statement_cache_capacity(64);
    let configure = || {
        steady(connection)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = ON;
             PRAGMA wal_autocheckpoint = 1000; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
        ))?;
        // On macOS a plain sync leaves the data in the drive's cache.
        if cfg!(target_os = "macos") && durability == Durability::Full {
            connection.execute_batch("PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;")?;
        }
        Ok(())
    };
    configure().doing("set up its file")
}

/// Makes the tables if they are not there yet, and else looks whether they are those that we know.
fn complete(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let format: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).doing("read its header")?;
    let format = u32::try_from(format).map_err(corrupt)?;
    if format > FORMAT {
        return Err(StoreError::Newer { place: path.display().to_string(), found: format, known: FORMAT });
    }
    if format == 0 {
        let schema = include_str!("schema.sql");
        let create = format!("BEGIN IMMEDIATE; PRAGMA user_version = {FORMAT}; {schema} COMMIT;");
        return connection.execute_batch(&create).doing("make its tables");
    }
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .doing("read its tables")?;
    if tables != ["change", "instance", "session", "variable"] {
        return Err(corrupt(format!("its tables are {tables:?}")));
    }
    Ok(())
}
