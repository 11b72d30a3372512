//! What each route answers to whom. A route of the API's description that is not here fails the
//! walk.

/// The status of who may, as [`Row::who`] has it.
const MAY: u16 = 0;

/// A request and what comes of it.
pub struct Row {
    /// As the description has it: `GET /api/v1/me`.
    pub route: &'static str,
    /// What is sent behind the path, with its `?`.
    pub query: &'static str,
    /// JSON; `""` for none.
    pub body: &'static str,
    /// Statuses, in the order of [`crate::people::COLUMNS`].
    pub who: [u16; 7],
    /// The status of who may.
    pub done: u16,
}

impl Row {
    /// What somebody of this column is answered.
    pub fn status(&self, column: usize) -> u16 {
        if self.may(column) { self.done } else { self.who[column] }
    }

    /// Whether they may.
    pub fn may(&self, column: usize) -> bool {
        self.public() || self.who[column] == MAY
    }

    /// Whether nobody has to sign in for it.
    pub fn public(&self) -> bool {
        self.who == PUBLIC
    }

    const fn with(mut self, body: &'static str) -> Self {
        self.body = body;
        self
    }

    const fn query(mut self, query: &'static str) -> Self {
        self.query = query;
        self
    }
}

const fn row(route: &'static str, who: [u16; 7], done: u16) -> Row {
    Row { route, query: "", body: "", who, done }
}

// In each: viewer, member and admin of the team; member and admin of another one; who administers
// the server; a token of the admin for reading tasks alone.

/// Nobody signs in: the last status tells it from [`ANYBODY`].
const PUBLIC: [u16; 7] = [MAY, MAY, MAY, MAY, MAY, MAY, 1];
const ANYBODY: [u16; 7] = [MAY; 7];
/// What is one's own: not for a token that is limited.
const OWN: [u16; 7] = [MAY, MAY, MAY, MAY, MAY, MAY, 403];
const READ: [u16; 7] = [MAY, MAY, MAY, 404, 404, 403, MAY];
/// Reading what is of one's own teams, whichever they are.
const READ_MINE: [u16; 7] = [MAY, MAY, MAY, MAY, MAY, 403, MAY];
const WRITE: [u16; 7] = [403, MAY, MAY, 404, 404, 403, 403];
const READ_ENVIRONMENT: [u16; 7] = [MAY, MAY, MAY, 404, 404, 403, 403];
const MANAGE: [u16; 7] = [403, 403, MAY, 403, 404, 403, 403];
/// Who is in a team: who administers the server decides about that as well.
const MEMBERS: [u16; 7] = [403, 403, MAY, 404, 404, MAY, 403];
const AUDIT_MINE: [u16; 7] = [403, 403, MAY, 403, MAY, MAY, 403];
const AUDIT: [u16; 7] = [403, 403, MAY, 403, 404, MAY, 403];
const USAGE: [u16; 7] = [MAY, MAY, MAY, 404, 404, MAY, 403];
const SERVER: [u16; 7] = [403, 403, 403, 403, 403, MAY, 403];

const SHOP: &str = "?team=shop";
const PUSH: &str = "?team=shop&base=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
    &head=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// All of them. `%` in a body is the number of the request, for names that are new.
pub const ROWS: &[Row] = &[
    row("GET /healthz", PUBLIC, 200),
    row("GET /readyz", PUBLIC, 200),
    row("GET /metrics", SERVER, 200),
    row("GET /api/v1/server", PUBLIC, 200),
    row("GET /api/v1/sign-in", PUBLIC, 200),
    row("POST /api/v1/sign-in", PUBLIC, 401).with(r#"{"link":"x"}"#),
    // Without a provider there is nowhere to send a browser to; `oidc.rs` has one.
    row("GET /api/v1/sign-in/oidc", PUBLIC, 404),
    row("GET /api/v1/sign-in/oidc/callback", PUBLIC, 404),
    // With a token there is nothing to sign out of.
    row("POST /api/v1/sign-out", ANYBODY, 400),
    row("GET /api/v1/me", ANYBODY, 200),
    row("GET /api/v1/me/sessions", OWN, 200),
    row("DELETE /api/v1/me/sessions", OWN, 204),
    row("DELETE /api/v1/me/sessions/{session}", OWN, 204),
    row("PUT /api/v1/me/password", OWN, 204).with(r#"{"new":"correct horse %"}"#),
    row("GET /api/v1/me/tokens", OWN, 200),
    row("POST /api/v1/me/tokens", OWN, 201).with(r#"{"name":"laptop"}"#),
    row("DELETE /api/v1/tokens/{token}", [404, 404, MAY, 404, 404, 404, 404], 204),
    row("GET /api/v1/tasks", READ_MINE, 200),
    row("GET /api/v1/tasks", READ, 200).query(SHOP),
    row("POST /api/v1/tasks", WRITE, 201)
        .with(r#"{"repository":"src","team":"shop","prompt":"do it"}"#),
    row("GET /api/v1/tasks/{task}", READ, 200),
    row("GET /api/v1/tasks/{task}/events", READ, 200),
    row("GET /api/v1/events", READ_MINE, 200),
    row("POST /api/v1/tasks/{task}/turns", WRITE, 201).with(r#"{"prompt":"more"}"#),
    row("POST /api/v1/tasks/{task}/fork", WRITE, 201).with(r#"{"prompt":"more"}"#),
    row("POST /api/v1/tasks/{task}/retry", WRITE, 201).with(r#"{"attempt":1}"#),
    row("PUT /api/v1/tasks/{task}/choice", WRITE, 204).with(r#"{"attempt":1}"#),
    row("PUT /api/v1/tasks/{task}/archived", WRITE, 204),
    row("DELETE /api/v1/tasks/{task}/archived", WRITE, 204),
    row("POST /api/v1/tasks/{task}/inputs", WRITE, 202).with(r#"{"input":"cancel"}"#),
    row("GET /api/v1/tasks/{task}/links", READ, 200),
    row("POST /api/v1/tasks/{task}/links", WRITE, 201).with("{}"),
    row("DELETE /api/v1/tasks/{task}/links/{link}", WRITE, 204),
    // A link opens it, and nothing else does.
    row("GET /api/v1/shared", [401; 7], 200),
    row("GET /api/v1/attempts/{attempt}", READ, 200),
    row("GET /api/v1/attempts/{attempt}/events", READ, 200),
    row("GET /api/v1/attempts/{attempt}/result", READ, 200),
    row("GET /api/v1/attempts/{attempt}/citations", READ, 200),
    // It never began: what it lacks is told in other words than that it is not there.
    row("GET /api/v1/attempts/{attempt}/change", READ, 404),
    row("GET /api/v1/attempts/{attempt}/diff", READ, 404),
    row("GET /api/v1/attempts/{attempt}/file", READ, 404).query("?path=a"),
    row("GET /api/v1/attempts/{attempt}/pack", READ, 404),
    row("GET /api/v1/attempts/{attempt}/evidence", READ, 200),
    row("GET /api/v1/attempts/{attempt}/outputs/{chunk}", READ, 200),
    row("GET /api/v1/attempts/{attempt}/outputs/{chunk}/lines", READ, 200).query("?from=1&to=1"),
    row("GET /api/v1/attempts/{attempt}/outputs/{chunk}/raw", READ, 200),
    row("GET /api/v1/models", READ_MINE, 200),
    row("GET /api/v1/repositories", READ, 200).query(SHOP),
    row("POST /api/v1/repositories", WRITE, 201).with(r#"{"name":"new%","team":"shop"}"#),
    // A place makes the server read there.
    row("POST /api/v1/repositories", [403, 403, MAY, 404, 404, 403, 403], 201)
        .with(r#"{"name":"at%","team":"shop","place":"https://example.com/x.git"}"#),
    row("DELETE /api/v1/repositories/{name}", MANAGE, 204).query(SHOP),
    row("GET /api/v1/repositories/{name}/branches", WRITE, 200).query(SHOP),
    row("POST /api/v1/repositories/{name}/known", WRITE, 200).query(SHOP).with(r#"{"commits":[]}"#),
    // What is sent is no pack.
    row("POST /api/v1/repositories/{name}/pushes", WRITE, 400).query(PUSH).with("{}"),
    row("GET /api/v1/environments", READ_ENVIRONMENT, 200).query(SHOP),
    row("GET /api/v1/environments/{name}", READ_ENVIRONMENT, 200).query(SHOP),
    row("PUT /api/v1/environments/{name}", MANAGE, 200)
        .query(SHOP)
        .with(r##"{"recipe":"# it","based_on":1}"##),
    row("DELETE /api/v1/environments/{name}", MANAGE, 204).query(SHOP),
    row("GET /api/v1/environments/{name}/versions", READ_ENVIRONMENT, 200).query(SHOP),
    row("GET /api/v1/environments/{name}/versions/{version}", READ_ENVIRONMENT, 200).query(SHOP),
    row("GET /api/v1/environments/{name}/secrets", READ_ENVIRONMENT, 200).query(SHOP),
    row("PUT /api/v1/environments/{name}/secrets/{secret}", MANAGE, 200)
        .query(SHOP)
        .with(r#"{"value":"a value of it"}"#),
    row("DELETE /api/v1/environments/{name}/secrets/{secret}", MANAGE, 204).query(SHOP),
    row("GET /api/v1/subscriptions", MANAGE, 200).query(SHOP),
    row("POST /api/v1/subscriptions", MANAGE, 201)
        .with(r#"{"team":"shop","channel":"webhook","target":"https://example.com/%"}"#),
    row("DELETE /api/v1/subscriptions/{id}", MANAGE, 204),
    row("GET /api/v1/subscriptions/{id}/deliveries", MANAGE, 200),
    row("POST /api/v1/subscriptions/{id}/deliveries/{delivery}/redeliver", MANAGE, 202),
    row("POST /api/v1/subscriptions/{id}/test", MANAGE, 202),
    row("POST /api/v1/subscriptions/{id}/rotate", MANAGE, 200),
    row("GET /api/v1/audit", AUDIT_MINE, 200),
    row("GET /api/v1/audit", AUDIT, 200).query(SHOP),
    row("GET /api/v1/audit/export", AUDIT_MINE, 200),
    row("GET /api/v1/audit/export", AUDIT, 200).query(SHOP),
    row("GET /api/v1/usage", OWN, 200),
    row("GET /api/v1/usage", USAGE, 200).query(SHOP),
    row("GET /api/v1/quotas", OWN, 200),
    row("PUT /api/v1/quotas/server", SERVER, 204).with(r#"{"at_once":9}"#),
    row("PUT /api/v1/quotas/teams/{team}", SERVER, 204).with(r#"{"at_once":9}"#),
    row("PUT /api/v1/quotas/users/{user}", SERVER, 204).with(r#"{"at_once":9}"#),
    row("GET /api/v1/teams", ANYBODY, 200),
    row("POST /api/v1/teams", SERVER, 201).with(r#"{"name":"t%"}"#),
    row("GET /api/v1/teams/{team}/members", [MAY, MAY, MAY, 404, 404, MAY, MAY], 200),
    row("PUT /api/v1/teams/{team}/members/{user}", MEMBERS, 204).with(r#"{"role":"member"}"#),
    row("DELETE /api/v1/teams/{team}/members/{user}", MEMBERS, 204),
    row("GET /api/v1/teams/{team}/tokens", MANAGE, 200),
    row("POST /api/v1/teams/{team}/tokens", MANAGE, 201)
        .with(r#"{"name":"ci","scopes":["read_tasks"]}"#),
    row("GET /api/v1/users", SERVER, 200),
    row("POST /api/v1/users", SERVER, 201).with(r#"{"name":"n%"}"#),
    row("PATCH /api/v1/users/{user}", SERVER, 200).with(r#"{"disabled":true}"#),
    row("POST /api/v1/users/{user}/link", SERVER, 201),
];
