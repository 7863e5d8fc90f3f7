-- Format 1 of a store in PostgreSQL. A change to it is a new format, with statements that lead there from the one before.
--
-- JSON is kept as text: jsonb knows neither \u0000 nor the difference of 1 and 1.0. Text is ordered by code points, as it is
-- everywhere else. All moments are of this server's clock.

CREATE TABLE store (format integer NOT NULL);

-- Microseconds since 1970.
CREATE FUNCTION micros(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE
    RETURN floor(extract(epoch FROM at) * 1000000)::bigint;

-- Whether a session's time is not over.
CREATE FUNCTION lives(expires_at timestamptz, leased_until timestamptz) RETURNS boolean LANGUAGE sql VOLATILE
    RETURN (expires_at IS NULL OR expires_at > clock_timestamp())
        AND (leased_until IS NULL OR leased_until > clock_timestamp());

CREATE TABLE session (
    key text COLLATE "C" PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    revision bigint NOT NULL DEFAULT 0,
    -- All changes after this revision are kept, and some of those before it for histories.
    floor bigint NOT NULL DEFAULT 0,
    -- How many bytes the changes after the floor take, and since when there are some.
    log_bytes bigint NOT NULL DEFAULT 0,
    log_since timestamptz,
    lifetime text NOT NULL,
    -- The lifetime, where it slides.
    sliding interval,
    temporary boolean NOT NULL,
    metadata text NOT NULL,
    settings text NOT NULL,
    quotas text NOT NULL,
    variables bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    -- A temporary session belongs to a process, which renews it.
    owner text,
    leased_until timestamptz
);
CREATE INDEX session_expires_at ON session (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX session_leased_until ON session (leased_until) WHERE leased_until IS NOT NULL;

CREATE TABLE variable (
    session text COLLATE "C" NOT NULL REFERENCES session ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    spec text NOT NULL,
    spec_version bigint NOT NULL,
    type text NOT NULL,
    form text,
    data bytea NOT NULL,
    bytes bigint NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (session, name)
);

CREATE TABLE change (
    session text COLLATE "C" NOT NULL REFERENCES session ON DELETE CASCADE,
    revision bigint NOT NULL,
    place integer NOT NULL,
    name text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    -- What the variable holds since then; nothing if it was deleted.
    type text,
    form text,
    data bytea,
    bytes bigint NOT NULL,
    at timestamptz NOT NULL,
    author text,
    -- Tells the writer whose connection broke at the end whether it is there.
    mark bigint NOT NULL,
    PRIMARY KEY (session, revision, place)
);
CREATE INDEX change_name ON change (session, name, revision DESC, place DESC);

-- Numbers hardly shrink, and looking for a way costs more than their way to the disk.
ALTER TABLE variable ALTER COLUMN data SET STORAGE EXTERNAL;
ALTER TABLE change ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE instance (
    session text COLLATE "C" NOT NULL REFERENCES session ON DELETE CASCADE,
    id text COLLATE "C" NOT NULL,
    class text NOT NULL,
    fingerprint text,
    spec text NOT NULL,
    bindings text NOT NULL,
    PRIMARY KEY (session, id)
);

INSERT INTO store (format) VALUES (1);
