-- Recipes that are kept here and not in a repository. What a version says never changes.
CREATE TABLE environments (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner      TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    repository TEXT COLLATE "C", -- whose default it is, as in `tasks`
    version    BIGINT NOT NULL, -- the newest
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX environments_by_name ON environments (owner, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX environments_by_repository ON environments (owner, repository)
    WHERE deleted_at IS NULL AND repository IS NOT NULL;

CREATE TABLE environment_versions (
    environment BIGINT NOT NULL REFERENCES environments (id),
    version     BIGINT NOT NULL, -- from 1
    recipe      TEXT COLLATE "C" NOT NULL, -- TOML, as a person wrote it
    author      TEXT COLLATE "C" NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (environment, version)
);

-- Encrypted; the key is not in this file. Versions go on counting when one is deleted, so that a
-- snapshot's key never meets an old version with another value.
CREATE TABLE secrets (
    owner       TEXT COLLATE "C" NOT NULL,
    repository  TEXT COLLATE "C" NOT NULL, -- '' for an environment that is kept here
    environment TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    version     BIGINT NOT NULL,
    key_id      TEXT COLLATE "C" NOT NULL,
    nonce       BYTEA NOT NULL, -- 12 bytes
    sealed      BYTEA, -- NULL once deleted
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (owner, repository, environment, name)
);
