-- The logs: where each ends, and which epoch may append to it.
CREATE TABLE logs (
    id      INTEGER PRIMARY KEY,
    attempt BLOB    NOT NULL UNIQUE, -- 16 bytes
    epoch   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,        -- 0 for an empty log
    hash    BLOB    NOT NULL         -- 32 bytes; zeros for an empty log
) STRICT;

-- The entries. `place` is (log's id << 32) + seq: one tree holds each log together and in order,
-- and an entry costs one insert.
CREATE TABLE events (
    place     INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,      -- milliseconds since 1970
    epoch     INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    body      TEXT    NOT NULL,      -- JSON, as it was hashed
    prev_hash BLOB    NOT NULL,
    hash      BLOB    NOT NULL
) STRICT;
