//! The API's description: committed, complete, and what the server keeps to.
#![allow(clippy::unwrap_used, reason = "for tests")]

mod stage;

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use stage::Stage;

fn document() -> Value {
    serde_json::to_value(quire_server::openapi()).unwrap()
}

#[test]
fn the_committed_description_is_the_one_of_the_code() {
    let committed: Value =
        serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    assert!(
        committed == document(),
        "write it again: cargo run -p quire-server --example openapi > docs/openapi.json"
    );
}

#[test]
fn every_operation_says_what_it_does_and_which_problems_it_answers() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let named = format!("{method} {path}");
            let said = ["summary", "description"].iter().any(|key| operation[key].is_string());
            assert!(said, "{named} says nothing of itself");
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{named}: {id} twice");
            let problems = |(status, answer): (&String, &Value)| {
                (status.starts_with('4') || status.starts_with("default"))
                    && answer["content"]["application/problem+json"].is_object()
                    || answer["$ref"].is_string()
            };
            let answers = operation["responses"].as_object().unwrap();
            let open = ["/api/v1/server", "/api/v1/sign-in"].contains(&path.as_str());
            let public = open || !path.starts_with("/api/v1/");
            assert!(public || answers.iter().any(problems), "{named} has no problem: {answers:?}");
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(name.chars().all(char::is_alphanumeric), "{name} is no clean name");
        assert!(schema["description"].is_string(), "{name} is not described");
    }
}

#[tokio::test]
async fn every_described_route_is_there_and_no_other_method_is() {
    let stage = Stage::new().await;
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let mut asked = path.clone();
        while let (Some(open), Some(close)) = (asked.find('{'), asked.find('}')) {
            asked.replace_range(open..=close, "7");
        }
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let described = item.get(method.as_str().to_lowercase()).is_some();
            // Nobody asks: what is described is refused or answered, what is not has no such method.
            let answer = stage.bare(method.clone(), &asked).json(&json!({})).send().await.unwrap();
            assert_eq!(answer.status() != 405, described, "{method} {path}: {}", answer.status());
            assert!(answer.status() != 500, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_raised_budget_is_held_to_the_bounds_of_the_first() {
    let stage = Stage::new().await;
    let new = json!({ "repository": "/src/shop", "mode": "ask", "prompt": "why" });
    let (status, task) = stage.post("/api/v1/tasks", new).await;
    assert_eq!(status, 201, "{task}");
    let path = format!("/api/v1/tasks/{}/inputs", task["task"]);
    for budget in [json!({ "tokens": 0 }), json!({ "cost": u64::MAX }), json!({ "model_calls": 0 })]
    {
        let (status, problem) =
            stage.post(&path, json!({ "input": "raise_budget", "budget": budget })).await;
        assert_eq!(
            (status, problem["type"].as_str()),
            (400, Some("/problems/invalid")),
            "{budget}"
        );
    }
}
