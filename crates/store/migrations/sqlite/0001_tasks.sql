-- What a person asked for. `state`, `state_word`, `mode`, `turns` and `updated_at` are a reading of
-- the newest turn and its attempts, kept for lists and written in the same transaction as they.
CREATE TABLE tasks (
    number      INTEGER PRIMARY KEY AUTOINCREMENT, -- what people type; never given twice
    id          BLOB    NOT NULL UNIQUE,           -- 16 bytes
    title       TEXT    NOT NULL,
    repository  TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,                  -- milliseconds since 1970, as all times
    archived_at INTEGER,
    inputs      INTEGER NOT NULL DEFAULT 0,        -- the number of the newest input
    turns       INTEGER NOT NULL,
    mode        TEXT    NOT NULL,
    state       TEXT    NOT NULL,                  -- JSON
    state_word  TEXT    NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX tasks_by_state ON tasks (state_word, number) WHERE archived_at IS NULL;
CREATE INDEX tasks_by_repository ON tasks (repository, number) WHERE archived_at IS NULL;
CREATE INDEX tasks_listed ON tasks (number) WHERE archived_at IS NULL;
CREATE INDEX tasks_archived ON tasks (number) WHERE archived_at IS NOT NULL;

CREATE TABLE turns (
    id              BLOB    NOT NULL PRIMARY KEY,
    task            BLOB    NOT NULL REFERENCES tasks (id),
    ordinal         INTEGER NOT NULL,
    request         TEXT    NOT NULL,              -- JSON
    origin          TEXT,                          -- opaque
    continues       BLOB    REFERENCES attempts (id),
    chosen          BLOB    REFERENCES attempts (id) DEFERRABLE INITIALLY DEFERRED,
    idempotency_key TEXT    UNIQUE,
    created_at      INTEGER NOT NULL,
    UNIQUE (task, ordinal)
) STRICT;

CREATE TABLE attempts (
    id          BLOB    NOT NULL PRIMARY KEY,
    turn        BLOB    NOT NULL REFERENCES turns (id),
    task        BLOB    NOT NULL REFERENCES tasks (id),
    ordinal     INTEGER NOT NULL,
    state       TEXT    NOT NULL,                  -- JSON
    epoch       INTEGER NOT NULL,
    worker      TEXT,
    lease_until INTEGER,                           -- NULL where nobody holds it
    losses      INTEGER NOT NULL,                  -- how often a lease ran out or was taken over
    applied     INTEGER NOT NULL,                  -- the newest input that was applied
    open        INTEGER NOT NULL,                  -- 0 once it ended
    spent       TEXT    NOT NULL,                  -- JSON
    result      TEXT,                              -- JSON
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (turn, ordinal)
) STRICT;
CREATE INDEX attempts_open ON attempts (created_at) WHERE open = 1;

CREATE TABLE inputs (
    task    BLOB    NOT NULL REFERENCES tasks (id),
    number  INTEGER NOT NULL,                      -- from 1 in each task
    turn    BLOB    NOT NULL REFERENCES turns (id),
    attempt BLOB    REFERENCES attempts (id),      -- NULL: all of the turn
    kind    TEXT    NOT NULL,                      -- JSON
    at      INTEGER NOT NULL,
    PRIMARY KEY (task, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX inputs_by_turn ON inputs (turn, number);
