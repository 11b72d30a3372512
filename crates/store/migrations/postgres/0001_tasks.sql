-- What `migrations/sqlite/` has under this number, for Postgres: BYTEA for BLOB, BIGINT for
-- INTEGER, and texts that are compared byte by byte.

-- What a person asked for. `state`, `state_word`, `mode`, `turns` and `updated_at` are a reading of
-- the newest turn and its attempts, kept for lists and written in the same transaction as they.
CREATE TABLE tasks (
    number      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- what people type; never given twice
    id          BYTEA NOT NULL UNIQUE, -- 16 bytes
    title       TEXT COLLATE "C" NOT NULL,
    repository  TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL, -- milliseconds since 1970, as all times
    archived_at BIGINT,
    inputs      BIGINT NOT NULL DEFAULT 0, -- the number of the newest input
    turns       BIGINT NOT NULL,
    mode        TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL, -- JSON
    state_word  TEXT COLLATE "C" NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE INDEX tasks_by_state ON tasks (state_word, number) WHERE archived_at IS NULL;
CREATE INDEX tasks_by_repository ON tasks (repository, number) WHERE archived_at IS NULL;
CREATE INDEX tasks_listed ON tasks (number) WHERE archived_at IS NULL;
CREATE INDEX tasks_archived ON tasks (number) WHERE archived_at IS NOT NULL;

CREATE TABLE turns (
    id              BYTEA NOT NULL PRIMARY KEY,
    task            BYTEA NOT NULL REFERENCES tasks (id),
    ordinal         BIGINT NOT NULL,
    request         TEXT COLLATE "C" NOT NULL, -- JSON
    origin          TEXT COLLATE "C", -- opaque
    continues       BYTEA,
    chosen          BYTEA,
    idempotency_key TEXT COLLATE "C" UNIQUE,
    created_at      BIGINT NOT NULL,
    UNIQUE (task, ordinal)
);

CREATE TABLE attempts (
    id          BYTEA NOT NULL PRIMARY KEY,
    turn        BYTEA NOT NULL REFERENCES turns (id),
    task        BYTEA NOT NULL REFERENCES tasks (id),
    ordinal     BIGINT NOT NULL,
    state       TEXT COLLATE "C" NOT NULL, -- JSON
    epoch       BIGINT NOT NULL,
    worker      TEXT COLLATE "C",
    lease_until BIGINT, -- NULL where nobody holds it
    losses      BIGINT NOT NULL, -- how often a lease ran out or was taken over
    applied     BIGINT NOT NULL, -- the newest input that was applied
    open        BIGINT NOT NULL, -- 0 once it ended
    spent       TEXT COLLATE "C" NOT NULL, -- JSON
    result      TEXT COLLATE "C", -- JSON
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    UNIQUE (turn, ordinal)
);
ALTER TABLE turns ADD FOREIGN KEY (continues) REFERENCES attempts (id);
ALTER TABLE turns ADD FOREIGN KEY (chosen) REFERENCES attempts (id) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX attempts_open ON attempts (created_at) WHERE open = 1;

CREATE TABLE inputs (
    task    BYTEA NOT NULL REFERENCES tasks (id),
    number  BIGINT NOT NULL, -- from 1 in each task
    turn    BYTEA NOT NULL REFERENCES turns (id),
    attempt BYTEA REFERENCES attempts (id), -- NULL: all of the turn
    kind    TEXT COLLATE "C" NOT NULL, -- JSON
    at      BIGINT NOT NULL,
    PRIMARY KEY (task, number)
);
CREATE INDEX inputs_by_turn ON inputs (turn, number);

-- Where a text begins in another, as SQLite has it; 0 if nowhere.
CREATE FUNCTION instr(text, text) RETURNS BIGINT
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CAST(strpos($1, $2) AS BIGINT);
-- A part of a text, by numbers as they are bound.
CREATE FUNCTION substr(text, BIGINT, BIGINT) RETURNS TEXT
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN substr($1, CAST($2 AS INTEGER), CAST($3 AS INTEGER));
