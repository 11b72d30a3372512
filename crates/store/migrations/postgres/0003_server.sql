-- Who may see what, what it costs, and what has to leave the machine. Times are milliseconds since
-- 1970, ids 16 bytes, as before.

-- People who may sign in, and services. The first row is who uses a machine alone.
CREATE TABLE users (
    id           BYTEA NOT NULL PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL UNIQUE, -- what they type to sign in
    email        TEXT COLLATE "C",
    password     TEXT COLLATE "C", -- argon2id, in its PHC form; NULL: none
    oidc_issuer  TEXT COLLATE "C",
    oidc_subject TEXT COLLATE "C",
    admin        BIGINT NOT NULL DEFAULT 0, -- 1: of the whole installation
    created_at   BIGINT NOT NULL,
    disabled_at  BIGINT,
    UNIQUE (oidc_issuer, oidc_subject)
);
CREATE TABLE teams (
    id         BYTEA NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);
CREATE TABLE members (
    team     BYTEA NOT NULL REFERENCES teams (id),
    member   BYTEA NOT NULL REFERENCES users (id),
    role     TEXT COLLATE "C" NOT NULL, -- admin, member, viewer
    added_at BIGINT NOT NULL,
    PRIMARY KEY (team, member)
);
CREATE INDEX members_by_member ON members (member);
INSERT INTO users (id, name, admin, created_at)
    VALUES ('\x00000000000070008000000000000001', 'local', 1, 0);
INSERT INTO teams (id, name, created_at) VALUES ('\x00000000000070008000000000000002', 'local', 0);
INSERT INTO members (team, member, role, added_at)
    VALUES ('\x00000000000070008000000000000002', '\x00000000000070008000000000000001', 'admin', 0);

-- Bearer tokens: shown once, kept as a hash.
CREATE TABLE tokens (
    id         BYTEA NOT NULL PRIMARY KEY,
    hash       BYTEA NOT NULL UNIQUE, -- SHA-256
    owner      BYTEA NOT NULL REFERENCES users (id),
    team       BYTEA REFERENCES teams (id), -- NULL: all teams of the owner
    name       TEXT COLLATE "C" NOT NULL,
    service    BIGINT NOT NULL DEFAULT 0, -- 1: of a service, not of a person
    scopes     TEXT COLLATE "C" NOT NULL, -- JSON
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    used_at    BIGINT,
    revoked_at BIGINT
);
CREATE INDEX tokens_by_owner ON tokens (owner);

-- Browsers that signed in, and links that sign one in.
CREATE TABLE sessions (
    hash       BYTEA NOT NULL PRIMARY KEY, -- SHA-256 of what the cookie holds
    owner      BYTEA NOT NULL REFERENCES users (id),
    csrf       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    agent      TEXT COLLATE "C" NOT NULL DEFAULT '' -- what the browser calls itself
);
CREATE INDEX sessions_by_owner ON sessions (owner);
CREATE TABLE sign_in_links (
    hash       BYTEA NOT NULL PRIMARY KEY,
    owner      BYTEA NOT NULL REFERENCES users (id),
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
-- Failed sign-ins, by name and by address.
CREATE TABLE sign_in_failures (
    subject      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    failures     BIGINT NOT NULL,
    last_at      BIGINT NOT NULL,
    locked_until BIGINT NOT NULL
);
CREATE TABLE share_links (
    hash       BYTEA NOT NULL PRIMARY KEY,
    id         BYTEA NOT NULL UNIQUE,
    task       BYTEA NOT NULL REFERENCES tasks (id),
    author     BYTEA NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX share_links_by_task ON share_links (task);

-- What people and tokens did. Only ever appended.
CREATE TABLE audit (
    number  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   BYTEA, -- NULL: nobody who signed in
    token   BYTEA, -- the token it came with, if any
    team    BYTEA,
    action  TEXT COLLATE "C" NOT NULL, -- e.g. task.submit
    subject TEXT COLLATE "C" NOT NULL, -- e.g. task 42
    detail  TEXT COLLATE "C" NOT NULL, -- JSON
    address TEXT COLLATE "C" NOT NULL -- where it came from
);
CREATE INDEX audit_by_actor ON audit (actor, number);
CREATE INDEX audit_by_team ON audit (team, number);

-- Repositories that a team may name.
CREATE TABLE repositories (
    id         BYTEA NOT NULL PRIMARY KEY,
    team       BYTEA NOT NULL REFERENCES teams (id),
    name       TEXT COLLATE "C" NOT NULL,
    place      TEXT COLLATE "C" NOT NULL, -- an address, or a path on the server
    pushed     BIGINT NOT NULL DEFAULT 0, -- 1: people push to it, it has no other home
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX repositories_by_name ON repositories (team, name) WHERE deleted_at IS NULL;
-- What people sent as the base of a task: commits that no branch names.
CREATE TABLE pushes (
    id          BYTEA NOT NULL PRIMARY KEY,
    team        BYTEA NOT NULL,
    author      BYTEA NOT NULL,
    repository  BYTEA NOT NULL REFERENCES repositories (id),
    mirror      TEXT COLLATE "C" NOT NULL, -- its key
    base        TEXT COLLATE "C" NOT NULL, -- a commit
    head        TEXT COLLATE "C" NOT NULL, -- the commit that was checked out
    branch      TEXT COLLATE "C",
    uncommitted BIGINT NOT NULL, -- files of uncommitted work in the base
    created_at  BIGINT NOT NULL
);
CREATE INDEX pushes_by_author ON pushes (author, created_at);

-- Whose a task is. What was there before belongs to who used the machine alone.
ALTER TABLE tasks ADD COLUMN team BYTEA NOT NULL DEFAULT '\x00000000000070008000000000000002';
ALTER TABLE tasks ADD COLUMN author BYTEA NOT NULL DEFAULT '\x00000000000070008000000000000001';
-- Rises over all tasks with each change of one: what a viewer of the whole has seen so far.
ALTER TABLE tasks ADD COLUMN changed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN forked_from BYTEA; -- the attempt, where it was made from one
CREATE INDEX tasks_by_change ON tasks (changed);
CREATE INDEX tasks_by_team ON tasks (team, number) WHERE archived_at IS NULL;
CREATE INDEX tasks_by_team_state ON tasks (team, state_word, number) WHERE archived_at IS NULL;
CREATE INDEX tasks_by_author ON tasks (author, number) WHERE archived_at IS NULL;
-- All that can be asked for together, in the order of lists.
CREATE INDEX tasks_any ON tasks (number, archived_at, state_word, team, author, repository, title);
CREATE TABLE counters (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('changed', 0);

-- 0: whoever made it works on it (`quire run`). 1: it waits for a worker of a server. 2: one took it,
-- or it stands still after one did.
ALTER TABLE attempts ADD COLUMN offered BIGINT NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN not_before BIGINT NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;
-- What was said to all of the turn up to this input was before this attempt: it was added by a retry.
ALTER TABLE attempts ADD COLUMN hears_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN team BYTEA NOT NULL DEFAULT '\x00000000000070008000000000000002';
ALTER TABLE attempts ADD COLUMN author BYTEA NOT NULL DEFAULT '\x00000000000070008000000000000001';
CREATE INDEX attempts_offered ON attempts (author, team, priority DESC, created_at, ordinal, id)
    WHERE offered = 1;
CREATE INDEX attempts_held ON attempts (lease_until) WHERE lease_until IS NOT NULL;

-- What may be at work or be spent, by whom: 'server', or the id of a team or a user in hex.
CREATE TABLE quotas (
    subject    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    quota      TEXT COLLATE "C" NOT NULL, -- JSON
    updated_at BIGINT NOT NULL
);
CREATE TABLE usage (
    attempt       BYTEA NOT NULL REFERENCES attempts (id),
    model         TEXT COLLATE "C" NOT NULL,
    day           BIGINT NOT NULL, -- days since 1970, UTC
    team          BYTEA NOT NULL,
    author        BYTEA NOT NULL,
    calls         BIGINT NOT NULL,
    input_tokens  BIGINT NOT NULL, -- cached ones included
    cached_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    micro_dollars BIGINT NOT NULL,
    unpriced      BIGINT NOT NULL DEFAULT 0, -- calls whose price is not known
    PRIMARY KEY (attempt, model, day)
);
CREATE INDEX usage_by_team ON usage (team, day);
CREATE INDEX usage_by_author ON usage (author, day);

-- What has to leave: written with what it is about, taken by a pump, done when it was delivered.
CREATE TABLE outbox (
    number     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       TEXT COLLATE "C" NOT NULL, -- e.g. task.ended
    dedupe     TEXT COLLATE "C" UNIQUE,
    team       BYTEA NOT NULL,
    subject    BYTEA, -- the task
    body       TEXT COLLATE "C" NOT NULL, -- JSON
    created_at BIGINT NOT NULL,
    done_at    BIGINT -- when its deliveries were made out
);
CREATE INDEX outbox_open ON outbox (number) WHERE done_at IS NULL;
CREATE TABLE subscriptions (
    id         BYTEA NOT NULL PRIMARY KEY,
    team       BYTEA NOT NULL REFERENCES teams (id),
    owner      BYTEA NOT NULL REFERENCES users (id),
    channel    TEXT COLLATE "C" NOT NULL, -- webhook, email
    target     TEXT COLLATE "C" NOT NULL, -- an address
    kinds      TEXT COLLATE "C" NOT NULL, -- JSON: which kinds of what happens
    secret     BYTEA, -- sealed: what webhooks are signed with
    nonce      BYTEA,
    key_id     TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX subscriptions_by_team ON subscriptions (team) WHERE deleted_at IS NULL;
CREATE TABLE deliveries (
    id           BYTEA NOT NULL PRIMARY KEY,
    outbox       BIGINT NOT NULL REFERENCES outbox (number),
    subscription BYTEA NOT NULL REFERENCES subscriptions (id),
    state        TEXT COLLATE "C" NOT NULL, -- waiting, delivered, given_up
    tries        BIGINT NOT NULL,
    due_at       BIGINT NOT NULL,
    status       BIGINT, -- of the last answer
    detail       TEXT COLLATE "C" NOT NULL DEFAULT '', -- what went wrong, at most 1 KiB
    updated_at   BIGINT NOT NULL,
    UNIQUE (outbox, subscription)
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state = 'waiting';
CREATE INDEX deliveries_by_subscription ON deliveries (subscription, updated_at);

-- Shares of what providers let us use, lent to workers.
CREATE TABLE provider_windows (
    provider     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    closed_until BIGINT NOT NULL, -- nobody calls it before
    reason       TEXT COLLATE "C" NOT NULL
);
