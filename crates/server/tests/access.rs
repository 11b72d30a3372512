//! Signing in, what a session and a token may, and what they may not.
#![allow(clippy::unwrap_used, reason = "for tests")]

mod stage;

use std::sync::Arc;

use quire_domain::access::{LOCAL_USER, Role, TeamName, UserName};
use quire_domain::ids::{TeamId, UserId};
use quire_domain::secret::Secret;
use quire_domain::time::{Clock, Timestamp};
use quire_server::Settings;
use quire_server::access::{local, password::Passwords};
use quire_store::NewUser;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use stage::{Stage, Still, SystemClock, told};

const PASSWORD: &str = "correct horse battery";

async fn person(stage: &Stage, name: &str, team: &str, role: Role) -> (UserId, TeamId) {
    let store = &stage.parts.store;
    let now = Timestamp(1);
    let hash = Passwords::default().hash(Secret::new(PASSWORD.to_owned())).await.unwrap();
    let name = UserName::parse(name).unwrap();
    let new =
        NewUser { name, email: None, admin: false, password: Some(hash), identity: None, now };
    let user = store.add_user(new).await.unwrap().id;
    let name = TeamName::parse(team).unwrap();
    let team = match store.team_by_name(&name).await {
        Ok(team) => team.id,
        Err(_) => store.add_team(&name, now).await.unwrap().id,
    };
    store.set_member(team, user, role, now).await.unwrap();
    (user, team)
}

async fn sign_in(stage: &Stage, body: Value) -> Response {
    stage.bare(Method::POST, "/api/v1/sign-in").json(&body).send().await.unwrap()
}

/// A browser's cookie and its token for changes.
async fn browser(stage: &Stage, name: &str) -> (String, String) {
    let answer = sign_in(stage, json!({ "name": name, "password": PASSWORD })).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let (status, told) = told(answer).await;
    assert_eq!(status, 200, "{told}");
    (cookie, told["csrf"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_password_becomes_a_cookie_that_only_pages_of_ours_change_things_with() {
    let stage = Stage::new().await;
    person(&stage, "ada", "shop", Role::Member).await;
    let answer = sign_in(&stage, json!({ "name": "Ada", "password": PASSWORD })).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    for part in ["quire_session=", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let (cookie, csrf) = browser(&stage, "ada").await;
    let with = |method, path: &str| stage.bare(method, path).header("cookie", cookie.clone());
    let (status, me) = told(with(Method::GET, "/api/v1/me").send().await.unwrap()).await;
    assert_eq!(
        (status, me["name"].as_str(), me["csrf"].as_str()),
        (200, Some("ada"), Some(&*csrf))
    );

    let path = "/api/v1/me/tokens";
    let body = json!({ "name": "laptop" });
    let bare = with(Method::POST, path).json(&body).send().await.unwrap();
    assert_eq!(bare.status(), 403, "without the token for changes");
    let right = || with(Method::POST, path).json(&body).header("x-quire-csrf", &csrf);
    let other = right().header("origin", "https://evil.example").send().await.unwrap();
    assert_eq!(other.status(), 403, "from a page of another origin");
    let cross = right().header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(cross.status(), 403, "from another site");
    let own = right().header("origin", format!("http://{}", stage.address)).send().await.unwrap();
    assert_eq!(own.status(), 201);

    let out = with(Method::POST, "/api/v1/sign-out").header("x-quire-csrf", &csrf);
    let out = out.send().await.unwrap();
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(with(Method::GET, "/api/v1/me").send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_form_of_another_site_signs_nobody_in() {
    let stage = Stage::new().await;
    person(&stage, "ada", "shop", Role::Member).await;
    let body = json!({ "name": "ada", "password": PASSWORD });
    let post = || stage.bare(Method::POST, "/api/v1/sign-in");
    let form = post().header("content-type", "text/plain").body(body.to_string());
    assert_eq!(form.send().await.unwrap().status(), 415);
    let other = post().json(&body).header("origin", "https://evil.example");
    assert_eq!(other.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn guessing_is_locked_and_tells_nothing_of_who_there_is() {
    let now = SystemClock.now();
    let stage = Stage::at(Arc::new(Still(now)), Settings::default()).await;
    person(&stage, "ada", "shop", Role::Member).await;
    let mut told_of = Vec::new();
    for name in ["ada", "nobody", "no name!"] {
        let (status, problem) =
            told(sign_in(&stage, json!({ "name": name, "password": "wrong wrong" })).await).await;
        told_of.push((status, problem));
    }
    assert_eq!(told_of[0], told_of[1]);
    assert_eq!(told_of[0], told_of[2]);
    assert_eq!(told_of[0].0, 401);
    let mut statuses = Vec::new();
    let guess = || sign_in(&stage, json!({ "name": "ada", "password": "wrong wrong" }));
    // At once, as who guesses would.
    for answer in futures::future::join_all((0..12).map(|_| guess())).await {
        statuses.push(answer.status().as_u16());
    }
    assert!(statuses.iter().filter(|status| **status == 401).count() <= 4, "{statuses:?}");
    let right = sign_in(&stage, json!({ "name": "ada", "password": PASSWORD })).await;
    assert_eq!(right.status(), 429, "also with the right one, for a while");
    assert!(right.headers().contains_key("retry-after"));
    let rows = stage.get("/api/v1/audit?action=session.refused").await.1;
    assert!(rows["rows"].as_array().unwrap().len() >= 4, "{rows}");
}

#[tokio::test]
async fn a_link_signs_in_once_and_reading_its_page_does_not_use_it() {
    let stage = Stage::new().await;
    let store = &stage.parts.store;
    let now = stage.parts.clock.now();
    let server = format!("http://{}", stage.address);
    let link = local::sign_in_link(store, LOCAL_USER, &server, now).await.unwrap();
    let (page, secret) = link.reveal().split_once('#').unwrap();
    for _ in 0..2 {
        let preview = stage.client.get(page).send().await.unwrap();
        assert_eq!(preview.status(), 200);
        let policy = preview.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    }
    let first = sign_in(&stage, json!({ "link": secret })).await;
    assert_eq!(first.status(), 200);
    let (status, problem) = told(sign_in(&stage, json!({ "link": secret })).await).await;
    assert_eq!(status, 401, "{problem}");
    assert!(!problem.to_string().contains(secret), "a secret is in no answer");
}

#[tokio::test]
async fn a_cookie_that_was_there_before_is_never_taken_over() {
    let stage = Stage::new().await;
    person(&stage, "ada", "shop", Role::Member).await;
    let planted = "quire_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let body = json!({ "name": "ada", "password": PASSWORD });
    let answer = stage.bare(Method::POST, "/api/v1/sign-in").json(&body);
    let answer = answer.header("cookie", planted).send().await.unwrap();
    assert!(!answer.headers()["set-cookie"].to_str().unwrap().starts_with(planted));
    let me = stage.bare(Method::GET, "/api/v1/me").header("cookie", planted);
    assert_eq!(me.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_limited_token_is_not_its_owner_and_does_not_make_itself_one() {
    let stage = Stage::new().await;
    let (_, team) = person(&stage, "ada", "shop", Role::Admin).await;
    let (cookie, csrf) = browser(&stage, "ada").await;
    let make = |body: Value| {
        let post = stage.bare(Method::POST, "/api/v1/me/tokens").json(&body);
        post.header("cookie", cookie.clone()).header("x-quire-csrf", csrf.clone()).send()
    };
    let (status, made) =
        told(make(json!({ "name": "ci", "scopes": ["read_tasks"], "days": 1 })).await.unwrap())
            .await;
    assert_eq!(status, 201, "{made}");
    let limited = made["token"].as_str().unwrap().to_owned();
    let with = |token: &str, method, path: &str| stage.bare(method, path).bearer_auth(token);
    assert_eq!(with(&limited, Method::GET, "/api/v1/tasks").send().await.unwrap().status(), 200);
    for path in ["/api/v1/me/tokens", "/api/v1/me/sessions"] {
        assert_eq!(with(&limited, Method::GET, path).send().await.unwrap().status(), 403, "{path}");
    }
    let more = with(&limited, Method::POST, "/api/v1/me/tokens").json(&json!({ "name": "x" }));
    assert_eq!(more.send().await.unwrap().status(), 403);
    let service = format!("/api/v1/teams/{team}/tokens");
    let more = with(&limited, Method::POST, &service);
    let more = more.json(&json!({ "name": "x", "scopes": ["read_tasks"] })).send().await.unwrap();
    assert_eq!(more.status(), 403);

    // A token without limits makes another, which does not outlive it.
    let (_, made) = told(make(json!({ "name": "all", "days": 1 })).await.unwrap()).await;
    let all = made["token"].as_str().unwrap();
    let next =
        with(all, Method::POST, "/api/v1/me/tokens").json(&json!({ "name": "x", "days": 0 }));
    let (status, next) = told(next.send().await.unwrap()).await;
    assert_eq!(status, 201, "{next}");
    assert_eq!(next["info"]["expires_at"], made["info"]["expires_at"]);

    // A service's token lives on when who made it is gone, with its own rights alone.
    let service = stage.bare(Method::POST, &service).header("cookie", cookie.clone());
    let service = service.header("x-quire-csrf", csrf.clone());
    let service = service.json(&json!({ "name": "bot", "scopes": ["read_tasks"] }));
    let (status, service) = told(service.send().await.unwrap()).await;
    assert_eq!(status, 201, "{service}");
    let bot = service["token"].as_str().unwrap();
    let change = stage.ask(Method::PATCH, "/api/v1/users/ada").json(&json!({ "disabled": true }));
    assert_eq!(change.send().await.unwrap().status(), 200);
    assert_eq!(with(bot, Method::GET, "/api/v1/tasks").send().await.unwrap().status(), 200);
    assert_eq!(with(all, Method::GET, "/api/v1/tasks").send().await.unwrap().status(), 401);
    let cookie = stage.bare(Method::GET, "/api/v1/me").header("cookie", cookie);
    assert_eq!(cookie.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn nobody_makes_themselves_more_than_they_are() {
    let stage = Stage::new().await;
    person(&stage, "ada", "shop", Role::Member).await;
    person(&stage, "eve", "other", Role::Admin).await;
    let (cookie, csrf) = browser(&stage, "eve").await;
    let ask = |method, path: &str, body: Value| {
        let asked = stage.bare(method, path).json(&body).header("cookie", cookie.clone());
        let asked = asked.header("x-quire-csrf", csrf.clone()).send();
        async { asked.await.unwrap().status().as_u16() }
    };
    let admin = json!({ "role": "admin" });
    assert_eq!(ask(Method::PUT, "/api/v1/teams/shop/members/eve", admin.clone()).await, 404);
    assert_eq!(ask(Method::PUT, "/api/v1/teams/other/members/ada", admin).await, 204);
    assert_eq!(ask(Method::PATCH, "/api/v1/users/eve", json!({ "admin": true })).await, 403);
    let smuggled = json!({ "old": PASSWORD, "new": "another password", "admin": true });
    assert_eq!(ask(Method::PUT, "/api/v1/me/password", smuggled).await, 400, "unknown fields");
    assert_eq!(ask(Method::GET, "/api/v1/audit?team=shop", Value::Null).await, 404);
}

#[tokio::test]
async fn the_record_is_exported_by_who_may_read_it() {
    let stage = Stage::new().await;
    person(&stage, "ada", "shop", Role::Member).await;
    assert_eq!(stage.post("/api/v1/teams", json!({ "name": "ops" })).await.0, 201);
    let csv = stage.ask(Method::GET, "/api/v1/audit/export?format=csv").send().await.unwrap();
    assert!(csv.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let csv = csv.text().await.unwrap();
    assert!(csv.contains("\"team.add\",\"team ops\""), "{csv}");
    let lines = stage.ask(Method::GET, "/api/v1/audit/export?action=team.").send().await.unwrap();
    let lines = lines.text().await.unwrap();
    let row: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(
        (row["action"].as_str(), row["address"].as_str()),
        (Some("team.add"), Some("127.0.0.1"))
    );
}
