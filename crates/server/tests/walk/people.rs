//! Whoever may come to the door: a token or a cookie each, and nothing else.

use std::collections::BTreeSet;

use quire_domain::access::{Limits, Right, Role, TeamName, UserName};
use quire_domain::ids::{TaskId, TeamId, UserId};
use quire_domain::time::{Clock, Timestamp};
use quire_server::access::secrets::{hash, mint};
use quire_store::{NewToken, NewUser, Session};
use reqwest::RequestBuilder;

use crate::stage::{Stage, SystemClock};

const DAY: u64 = 24 * 60 * 60 * 1000;

/// How somebody says who they are.
#[derive(Clone)]
pub enum Sent {
    Nothing,
    Token(String),
    Cookie(String),
}

impl Sent {
    pub fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Nothing => request,
            Self::Token(token) => request.bearer_auth(token),
            Self::Cookie(cookie) => request.header("cookie", format!("quire_session={cookie}")),
        }
    }
}

/// Who has signed in, in the order of the columns of the table.
pub const COLUMNS: [&str; 7] =
    ["viewer", "member", "admin", "other member", "other admin", "server", "narrow"];

/// Everybody, and the team whose things they are after.
pub struct People {
    pub team: TeamId,
    pub author: UserId,
    /// As [`COLUMNS`] names them, with who they are.
    pub known: Vec<(Sent, UserId)>,
    /// Who is nobody: without anything, with a token that ran out or was revoked.
    pub strangers: Vec<(&'static str, Sent)>,
    /// A browser of an administrator of the team.
    pub browser: Sent,
}

impl People {
    pub async fn come(stage: &Stage) -> Self {
        let store = &stage.parts.store;
        let now = SystemClock.now();
        let team = store.add_team(&TeamName::parse("shop").unwrap(), now).await.unwrap().id;
        let other = store.add_team(&TeamName::parse("other").unwrap(), now).await.unwrap().id;
        let mut known = Vec::new();
        let mut users = Vec::new();
        for (name, place) in [
            ("vic", Some((team, Role::Viewer))),
            ("mel", Some((team, Role::Member))),
            ("ada", Some((team, Role::Admin))),
            ("oma", Some((other, Role::Member))),
            ("eve", Some((other, Role::Admin))),
            ("root", None),
        ] {
            let user = user(stage, name, place.is_none()).await;
            if let Some((team, role)) = place {
                store.set_member(team, user, role, now).await.unwrap();
            }
            known.push((token(stage, user, Limits::default(), None).await.0, user));
            users.push(user);
        }
        let admin = users[2];
        let only = Some(BTreeSet::from([Right::ReadTasks]));
        let narrow = token(stage, admin, Limits { rights: only, team: None }, None).await.0;
        known.push((narrow, admin));
        let expired = token(stage, admin, Limits::default(), Some(Timestamp(2))).await.0;
        let (revoked, id) = token(stage, admin, Limits::default(), None).await;
        store.revoke_token(id, now).await.unwrap();
        let wrong = Sent::Token(mint("quire_").unwrap().reveal().clone());
        let strangers = vec![
            ("nobody", Sent::Nothing),
            ("expired", expired),
            ("revoked", revoked),
            ("made up", wrong),
        ];
        let browses = user(stage, "bea", false).await;
        store.set_member(team, browses, Role::Admin, now).await.unwrap();
        let browser = session(stage, browses).await.0;
        Self { team, author: users[1], known, strangers, browser }
    }
}

/// Somebody of this name, in no team.
pub async fn user(stage: &Stage, name: &str, admin: bool) -> UserId {
    let name = UserName::parse(name).unwrap();
    let now = SystemClock.now();
    let new = NewUser { name, email: None, admin, password: None, identity: None, now };
    stage.parts.store.add_user(new).await.unwrap().id
}

async fn token(
    stage: &Stage,
    owner: UserId,
    limits: Limits,
    expires_at: Option<Timestamp>,
) -> (Sent, quire_domain::ids::TokenId) {
    let token = mint("quire_").unwrap().reveal().clone();
    let (hash, name) = (hash(&token), "key".to_owned());
    let now = Timestamp(1);
    let new = NewToken { hash, owner, name, service: false, limits, expires_at, now };
    let made = stage.parts.store.add_token(new).await.unwrap();
    (Sent::Token(token), made.id)
}

/// A browser that signed in, and what lists call it.
pub async fn session(stage: &Stage, owner: UserId) -> (Sent, String) {
    let cookie = mint("").unwrap().reveal().clone();
    let now = SystemClock.now();
    let session = Session {
        hash: hash(&cookie),
        owner,
        csrf: "csrf".to_owned(),
        created_at: now,
        seen_at: now,
        expires_at: now.plus_millis(DAY),
        agent: "browser".to_owned(),
    };
    stage.parts.store.add_session(&session, "password").await.unwrap();
    (Sent::Cookie(cookie), session.name())
}

/// What opens a task to who has the link.
pub async fn link(stage: &Stage, people: &People, task: TaskId) -> Sent {
    let secret = mint("quire_share_").unwrap().reveal().clone();
    let now = SystemClock.now();
    let until = now.plus_millis(DAY);
    let store = &stage.parts.store;
    store.add_share_link(&hash(&secret), task, people.author, until, now).await.unwrap();
    Sent::Token(secret)
}
