-- Recipes that are kept here and not in a repository. What a version says never changes.
CREATE TABLE environments (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner      TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    repository TEXT,                               -- whose default it is, as in `tasks`
    version    INTEGER NOT NULL,                   -- the newest
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX environments_by_name ON environments (owner, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX environments_by_repository ON environments (owner, repository)
    WHERE deleted_at IS NULL AND repository IS NOT NULL;

CREATE TABLE environment_versions (
    environment INTEGER NOT NULL REFERENCES environments (id),
    version     INTEGER NOT NULL,                  -- from 1
    recipe      TEXT    NOT NULL,                  -- TOML, as a person wrote it
    author      TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (environment, version)
) STRICT, WITHOUT ROWID;

-- Encrypted; the key is not in this file. Versions go on counting when one is deleted, so that a
-- snapshot's key never meets an old version with another value.
CREATE TABLE secrets (
    owner       TEXT    NOT NULL,
    repository  TEXT    NOT NULL,                  -- '' for an environment that is kept here
    environment TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    key_id      TEXT    NOT NULL,
    nonce       BLOB    NOT NULL,                  -- 12 bytes
    sealed      BLOB,                              -- NULL once deleted
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (owner, repository, environment, name)
) STRICT, WITHOUT ROWID;
