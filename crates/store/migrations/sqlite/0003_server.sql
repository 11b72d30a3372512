-- Who may see what, what it costs, and what has to leave the machine. Times are milliseconds since
-- 1970, ids 16 bytes, as before.

-- People who may sign in, and services. The first row is who uses a machine alone.
CREATE TABLE users (
    id           BLOB    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,          -- what they type to sign in
    email        TEXT,
    password     TEXT,                             -- argon2id, in its PHC form; NULL: none
    oidc_issuer  TEXT,
    oidc_subject TEXT,
    admin        INTEGER NOT NULL DEFAULT 0,       -- 1: of the whole installation
    created_at   INTEGER NOT NULL,
    disabled_at  INTEGER,
    UNIQUE (oidc_issuer, oidc_subject)
) STRICT;
CREATE TABLE teams (
    id         BLOB    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE members (
    team     BLOB    NOT NULL REFERENCES teams (id),
    member   BLOB    NOT NULL REFERENCES users (id),
    role     TEXT    NOT NULL,                     -- admin, member, viewer
    added_at INTEGER NOT NULL,
    PRIMARY KEY (team, member)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_member ON members (member);
INSERT INTO users (id, name, admin, created_at)
    VALUES (x'00000000000070008000000000000001', 'local', 1, 0);
INSERT INTO teams (id, name, created_at) VALUES (x'00000000000070008000000000000002', 'local', 0);
INSERT INTO members (team, member, role, added_at)
    VALUES (x'00000000000070008000000000000002', x'00000000000070008000000000000001', 'admin', 0);

-- Bearer tokens: shown once, kept as a hash.
CREATE TABLE tokens (
    id         BLOB    NOT NULL PRIMARY KEY,
    hash       BLOB    NOT NULL UNIQUE,            -- SHA-256
    owner      BLOB    NOT NULL REFERENCES users (id),
    team       BLOB    REFERENCES teams (id),      -- NULL: all teams of the owner
    name       TEXT    NOT NULL,
    service    INTEGER NOT NULL DEFAULT 0,         -- 1: of a service, not of a person
    scopes     TEXT    NOT NULL,                   -- JSON
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    used_at    INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX tokens_by_owner ON tokens (owner);

-- Browsers that signed in, and links that sign one in.
CREATE TABLE sessions (
    hash       BLOB    NOT NULL PRIMARY KEY,       -- SHA-256 of what the cookie holds
    owner      BLOB    NOT NULL REFERENCES users (id),
    csrf       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    agent      TEXT    NOT NULL DEFAULT ''         -- what the browser calls itself
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_owner ON sessions (owner);
CREATE TABLE sign_in_links (
    hash       BLOB    NOT NULL PRIMARY KEY,
    owner      BLOB    NOT NULL REFERENCES users (id),
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;
-- Failed sign-ins, by name and by address.
CREATE TABLE sign_in_failures (
    subject      TEXT    NOT NULL PRIMARY KEY,
    failures     INTEGER NOT NULL,
    last_at      INTEGER NOT NULL,
    locked_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE share_links (
    hash       BLOB    NOT NULL PRIMARY KEY,
    id         BLOB    NOT NULL UNIQUE,
    task       BLOB    NOT NULL REFERENCES tasks (id),
    author     BLOB    NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX share_links_by_task ON share_links (task);

-- What people and tokens did. Only ever appended.
CREATE TABLE audit (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    actor   BLOB,                                  -- NULL: nobody who signed in
    token   BLOB,                                  -- the token it came with, if any
    team    BLOB,
    action  TEXT    NOT NULL,                      -- e.g. task.submit
    subject TEXT    NOT NULL,                      -- e.g. task 42
    detail  TEXT    NOT NULL,                      -- JSON
    address TEXT    NOT NULL                       -- where it came from
) STRICT;
CREATE INDEX audit_by_actor ON audit (actor, number);
CREATE INDEX audit_by_team ON audit (team, number);

-- Repositories that a team may name.
CREATE TABLE repositories (
    id         BLOB    NOT NULL PRIMARY KEY,
    team       BLOB    NOT NULL REFERENCES teams (id),
    name       TEXT    NOT NULL,
    place      TEXT    NOT NULL,                   -- an address, or a path on the server
    pushed     INTEGER NOT NULL DEFAULT 0,         -- 1: people push to it, it has no other home
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX repositories_by_name ON repositories (team, name) WHERE deleted_at IS NULL;
-- What people sent as the base of a task: commits that no branch names.
CREATE TABLE pushes (
    id          BLOB    NOT NULL PRIMARY KEY,
    team        BLOB    NOT NULL,
    author      BLOB    NOT NULL,
    repository  BLOB    NOT NULL REFERENCES repositories (id),
    mirror      TEXT    NOT NULL,                  -- its key
    base        TEXT    NOT NULL,                  -- a commit
    head        TEXT    NOT NULL,                  -- the commit that was checked out
    branch      TEXT,
    uncommitted INTEGER NOT NULL,                  -- files of uncommitted work in the base
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX pushes_by_author ON pushes (author, created_at);

-- Whose a task is. What was there before belongs to who used the machine alone.
ALTER TABLE tasks ADD COLUMN team BLOB NOT NULL DEFAULT x'00000000000070008000000000000002';
ALTER TABLE tasks ADD COLUMN author BLOB NOT NULL DEFAULT x'00000000000070008000000000000001';
-- Rises over all tasks with each change of one: what a viewer of the whole has seen so far.
ALTER TABLE tasks ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN forked_from BLOB; -- the attempt, where it was made from one
CREATE INDEX tasks_by_change ON tasks (changed);
CREATE INDEX tasks_by_team ON tasks (team, number) WHERE archived_at IS NULL;
CREATE INDEX tasks_by_team_state ON tasks (team, state_word, number) WHERE archived_at IS NULL;
CREATE INDEX tasks_by_author ON tasks (author, number) WHERE archived_at IS NULL;
-- All that can be asked for together, in the order of lists.
CREATE INDEX tasks_any ON tasks (number, archived_at, state_word, team, author, repository, title);
CREATE TABLE counters (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('changed', 0);

-- 0: whoever made it works on it (`quire run`). 1: it waits for a worker of a server. 2: one took it,
-- or it stands still after one did.
ALTER TABLE attempts ADD COLUMN offered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
-- What was said to all of the turn up to this input was before this attempt: it was added by a retry.
ALTER TABLE attempts ADD COLUMN hears_after INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN team BLOB NOT NULL DEFAULT x'00000000000070008000000000000002';
ALTER TABLE attempts ADD COLUMN author BLOB NOT NULL DEFAULT x'00000000000070008000000000000001';
CREATE INDEX attempts_offered ON attempts (author, team, priority DESC, created_at, ordinal, id)
    WHERE offered = 1;
CREATE INDEX attempts_held ON attempts (lease_until) WHERE lease_until IS NOT NULL;

-- What may be at work or be spent, by whom: 'server', or the id of a team or a user in hex.
CREATE TABLE quotas (
    subject    TEXT    NOT NULL PRIMARY KEY,
    quota      TEXT    NOT NULL,                   -- JSON
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE usage (
    attempt       BLOB    NOT NULL REFERENCES attempts (id),
    model         TEXT    NOT NULL,
    day           INTEGER NOT NULL,                -- days since 1970, UTC
    team          BLOB    NOT NULL,
    author        BLOB    NOT NULL,
    calls         INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,                -- cached ones included
    cached_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    micro_dollars INTEGER NOT NULL,
    unpriced      INTEGER NOT NULL DEFAULT 0,      -- calls whose price is not known
    PRIMARY KEY (attempt, model, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_by_team ON usage (team, day);
CREATE INDEX usage_by_author ON usage (author, day);

-- What has to leave: written with what it is about, taken by a pump, done when it was delivered.
CREATE TABLE outbox (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL,                   -- e.g. task.ended
    dedupe     TEXT    UNIQUE,
    team       BLOB    NOT NULL,
    subject    BLOB,                               -- the task
    body       TEXT    NOT NULL,                   -- JSON
    created_at INTEGER NOT NULL,
    done_at    INTEGER                             -- when its deliveries were made out
) STRICT;
CREATE INDEX outbox_open ON outbox (number) WHERE done_at IS NULL;
CREATE TABLE subscriptions (
    id         BLOB    NOT NULL PRIMARY KEY,
    team       BLOB    NOT NULL REFERENCES teams (id),
    owner      BLOB    NOT NULL REFERENCES users (id),
    channel    TEXT    NOT NULL,                   -- webhook, email
    target     TEXT    NOT NULL,                   -- an address
    kinds      TEXT    NOT NULL,                   -- JSON: which kinds of what happens
    secret     BLOB,                               -- sealed: what webhooks are signed with
    nonce      BLOB,
    key_id     TEXT,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE INDEX subscriptions_by_team ON subscriptions (team) WHERE deleted_at IS NULL;
CREATE TABLE deliveries (
    id           BLOB    NOT NULL PRIMARY KEY,
    outbox       INTEGER NOT NULL REFERENCES outbox (number),
    subscription BLOB    NOT NULL REFERENCES subscriptions (id),
    state        TEXT    NOT NULL,                 -- waiting, delivered, given_up
    tries        INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    status       INTEGER,                          -- of the last answer
    detail       TEXT    NOT NULL DEFAULT '',      -- what went wrong, at most 1 KiB
    updated_at   INTEGER NOT NULL,
    UNIQUE (outbox, subscription)
) STRICT;
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state = 'waiting';
CREATE INDEX deliveries_by_subscription ON deliveries (subscription, updated_at);

-- Shares of what providers let us use, lent to workers.
CREATE TABLE provider_windows (
    provider     TEXT    NOT NULL PRIMARY KEY,
    closed_until INTEGER NOT NULL,                 -- nobody calls it before
    reason       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
