//! Who comes in, and what those are told who do not.
#![allow(clippy::unwrap_used, reason = "for tests")]

mod stage;

use reqwest::Method;
use stage::{Stage, told};

#[tokio::test]
async fn nobody_comes_in_without_a_token_and_every_refusal_is_a_problem() {
    let stage = Stage::new().await;
    let answer = stage.bare(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(stage.get("/readyz").await.0, 200);

    let answer = stage.bare(Method::GET, "/api/v1/me").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert!(answer.headers().contains_key("www-authenticate"));
    let (status, problem) = told(answer).await;
    assert_eq!((status, problem["type"].as_str()), (401, Some("/problems/not-signed-in")));
    let wrong = stage.bare(Method::GET, "/api/v1/me").bearer_auth("quire_wrong");
    assert_eq!(told(wrong.send().await.unwrap()).await.0, 401);

    let (status, me) = stage.get("/api/v1/me").await;
    assert_eq!((status, me["teams"][0]["role"].as_str()), (200, Some("admin")));
    let (status, problem) = stage.get("/api/v1/nowhere").await;
    assert_eq!((status, problem["type"].as_str()), (404, Some("/problems/not-found")));
    let (status, problem) = stage.post("/api/v1/me", serde_json::json!({})).await;
    assert_eq!((status, problem["type"].as_str()), (405, Some("/problems/no-such-method")));
}
