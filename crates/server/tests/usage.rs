//! What was used and what may be used: read by whom it concerns, set by who administers.

#![allow(clippy::unwrap_used, reason = "for tests")]

mod stage;

use quire_domain::access::{Owner, Role, TeamName, UserName};
use quire_domain::budget::MicroDollars;
use quire_domain::quota::Day;
use quire_domain::time::{Clock, Timestamp};
use quire_store::{NewTask, NewUser, UsageRow, UsageSum};
use reqwest::Method;
use serde_json::{Value, json};
use stage::{Stage, SystemClock, told};

/// Somebody of a team with a token of their own, who used a model today.
async fn user_of(stage: &Stage, name: &str, team: &str) {
    let (store, now) = (&stage.parts.store, SystemClock.now());
    let new = NewUser {
        name: UserName::parse(name).unwrap(),
        email: None,
        admin: false,
        password: None,
        identity: None,
        now,
    };
    let user = store.add_user(new).await.unwrap().id;
    let team = store.add_team(&TeamName::parse(team).unwrap(), now).await.unwrap().id;
    store.set_member(team, user, Role::Member, now).await.unwrap();
    let request = json!({ "mode": "ask", "prompt": "why", "model": "m", "attempts": 1 });
    let new = NewTask {
        repository: format!("/src/{name}"),
        title: "why".to_owned(),
        request: serde_json::from_value(request).unwrap(),
        origin: None,
        idempotency_key: None,
        owner: Owner { team, author: user },
        offered: false,
        now,
    };
    let attempt = store.submit(new).await.unwrap().attempts[0].id;
    let epoch = store.claim(attempt, "w", now, 60_000).await.unwrap().epoch;
    let cost = MicroDollars(7);
    let sum = UsageSum { calls: 1, input_tokens: 10, cost, ..UsageSum::default() };
    let row = UsageRow { model: "a/large".to_owned(), day: Day::of(now), sum };
    store.write_usage(attempt, epoch, &[row]).await.unwrap();
}

#[tokio::test]
async fn usage_is_seen_by_its_teams_and_quotas_are_set_by_who_administers() {
    let stage = Stage::new().await;
    user_of(&stage, "ada", "shop").await;
    user_of(&stage, "eve", "other").await;

    let (status, all) = stage.get("/api/v1/usage?by=person").await;
    assert_eq!((status, all["lines"].as_array().unwrap().len()), (200, 2), "{all}");
    let (_, one) = stage.get("/api/v1/usage?by=repository&team=shop").await;
    assert_eq!(one["lines"][0]["key"], "/src/ada");
    assert_eq!(one["lines"][0]["micro_dollars"], 7);
    let (_, none) = stage.get("/api/v1/usage?month=1970-01").await;
    assert_eq!(none, json!({ "month": "1970-01", "lines": [] }));
    assert_eq!(stage.get("/api/v1/usage?month=soon").await.0, 400);
    assert_eq!(stage.get("/api/v1/usage?team=nobody").await.0, 404);

    let put = |path: &str, body: Value| {
        let asked = stage.ask(Method::PUT, path).json(&body).send();
        async { asked.await.unwrap().status().as_u16() }
    };
    let limit = json!({ "month_micro_dollars": 5_000_000, "at_once": 2 });
    assert_eq!(put("/api/v1/quotas/teams/shop", limit.clone()).await, 204);
    assert_eq!(put("/api/v1/quotas/users/ada", limit.clone()).await, 204);
    assert_eq!(put("/api/v1/quotas/server", json!({ "month_tokens": 1 })).await, 204);
    assert_eq!(put("/api/v1/quotas/server", json!({ "month_tokens": u64::MAX })).await, 400);
    assert_eq!(put("/api/v1/quotas/server", json!({ "months": 1 })).await, 400);
    assert_eq!(put("/api/v1/quotas/teams/nobody", limit.clone()).await, 404);
    let (_, quotas) = stage.get("/api/v1/quotas").await;
    let quotas = quotas["quotas"].as_array().unwrap().clone();
    assert_eq!(quotas.len(), 3, "{quotas:?}");
    let shop = quotas.iter().find(|one| one["name"] == "shop").unwrap();
    assert_eq!((&shop["quota"], &shop["used_micro_dollars"]), (&limit, &json!(7)));
    assert!(Timestamp(shop["resets_at"].as_u64().unwrap()) > SystemClock.now());
    assert_eq!(put("/api/v1/quotas/server", json!({})).await, 204);
    assert_eq!(stage.get("/api/v1/quotas").await.1["quotas"].as_array().unwrap().len(), 2);
    let told = told(stage.bare(Method::GET, "/api/v1/usage").send().await.unwrap()).await;
    assert_eq!(told.0, 401);
}
