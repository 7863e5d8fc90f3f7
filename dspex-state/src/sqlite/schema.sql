-- Format 1. Times are milliseconds since 1970 in UTC; JSON is text; keys of sessions are the 16 bytes of a ULID.

CREATE TABLE session (
    key BLOB PRIMARY KEY CHECK (length(key) = 16),
    id TEXT NOT NULL UNIQUE,
    -- {"unlimited"} or a length in milliseconds with how it is counted.
    lifetime TEXT NOT NULL,
    temporary INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    settings TEXT NOT NULL,
    max_variables INTEGER,
    max_bytes INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    -- The last batch of writes to its variables.
    revision INTEGER NOT NULL DEFAULT 0,
    -- Changes up to this revision may be gone.
    floor INTEGER NOT NULL DEFAULT 0,
    -- What its variables hold now.
    variables INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    -- What the changes since the last look hold, and how many there are.
    log_bytes INTEGER NOT NULL DEFAULT 0,
    log_changes INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX session_expiry ON session (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE variable (
    session BLOB NOT NULL REFERENCES session ON DELETE CASCADE,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    spec_version INTEGER NOT NULL,
    -- The change that set the value, which holds it.
    version INTEGER NOT NULL,
    place INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (session, name)
) STRICT, WITHOUT ROWID;

-- The log of writes: what watches read, what histories are, and what the variables hold.
CREATE TABLE change (
    session BLOB NOT NULL REFERENCES session ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    type TEXT,
    form TEXT,
    -- Null where the variable was deleted, or where the value is kept in memory.
    data BLOB,
    bytes INTEGER NOT NULL,
    at INTEGER NOT NULL,
    author TEXT,
    -- The earlier change of the variable.
    earlier_revision INTEGER,
    earlier_place INTEGER,
    PRIMARY KEY (session, revision, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE instance (
    session BLOB NOT NULL REFERENCES session ON DELETE CASCADE,
    id TEXT NOT NULL,
    class TEXT NOT NULL,
    fingerprint TEXT,
    spec TEXT NOT NULL,
    bindings TEXT NOT NULL,
    PRIMARY KEY (session, id)
) STRICT, WITHOUT ROWID;
