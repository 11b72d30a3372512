//! What may get better is asked again; what will not is told at once, by its kind.

#![allow(clippy::unwrap_used, reason = "a scenario fails by a panic")]

mod stage;

use std::time::Duration;

use quire_domain::model::ModelError;
use quire_domain::transcript::StopReason;
use quire_models::play::{Fault, Turn};

use stage::{DIALECTS, Stage, user};

fn fails(fault: Fault) -> Turn {
    Turn::say("at last").after(fault)
}

fn status(status: u16) -> Fault {
    Fault { status: Some(status), ..Fault::default() }
}

#[tokio::test]
async fn errors_that_pass_are_waited_out_with_growing_pauses() {
    for dialect in DIALECTS {
        for code in [408, 409, 429, 500, 502, 503, 504, 529] {
            let stage = Stage::turns([fails(Fault { times: 3, ..status(code) })]).await;
            let reply = stage.ask(dialect, &[user("go")]).await.unwrap();
            assert_eq!(reply.text(), "at last");
            let pauses: Vec<u128> = stage.pace.slept().iter().map(Duration::as_millis).collect();
            let busy = if matches!(code, 429 | 503 | 529) { 4 } else { 1 };
            assert_eq!(pauses, [375, 750, 1500].map(|ms| ms * busy), "{dialect} {code}");
            assert!(stage.ears.heard()[0].starts_with(&format!("retry:HTTP {code}")));
        }
    }
}

#[tokio::test]
async fn after_five_tries_the_model_is_unavailable_and_says_what_it_met() {
    let fault = Fault { times: 99, message: Some("overloaded, sorry".to_owned()), ..status(503) };
    let stage = Stage::turns([fails(fault)]).await;
    let error = stage.ask("demo", &[user("go")]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Scripted did not answer after 5 tries: HTTP 503: overloaded, sorry"
    );
    assert_eq!(stage.server.requests().len(), 5);
}

#[tokio::test]
async fn a_provider_that_says_how_long_to_wait_is_believed() {
    let with = |seconds: Option<&str>, millis: Option<&str>| Fault {
        retry_after: seconds.map(str::to_owned),
        retry_after_ms: millis.map(str::to_owned),
        ..status(429)
    };
    let cases = [
        (with(Some("7"), None), 7_000),
        (with(None, Some("40")), 40),
        // The skipping clock starts at midnight.
        (with(Some("Fri, 16 May 2025 00:00:09 GMT"), None), 9_000),
    ];
    for (fault, millis) in cases {
        let stage = Stage::turns([fails(fault)]).await;
        stage.ask("chat", &[user("go")]).await.unwrap();
        let slept: u128 = stage.pace.slept().iter().map(Duration::as_millis).sum();
        assert!((millis..millis + 250).contains(&slept), "{slept} for {millis}");
    }
}

#[tokio::test]
async fn a_wait_longer_than_the_bound_is_not_waited() {
    let fault = Fault { retry_after: Some("7200".to_owned()), ..status(429) };
    let stage = Stage::turns([fails(fault)]).await;
    let error = stage.ask("demo", &[user("go")]).await.unwrap_err();
    assert!(error.to_string().contains("asks to wait 7200 s"), "{error}");
    assert_eq!(stage.pace.slept(), []);
}

#[tokio::test]
async fn streams_that_are_cut_silent_or_garbled_are_asked_again() {
    let faults = [
        Fault { cut_after: Some(0), ..Fault::default() },
        Fault { cut_after: Some(150), ..Fault::default() },
        Fault { end_after: Some(150), ..Fault::default() },
        Fault { malformed: true, ..Fault::default() },
        Fault { idle_ms: Some(60_000), ..Fault::default() },
    ];
    for dialect in DIALECTS {
        for fault in &faults {
            let mut stage = Stage::turns([fails(fault.clone())]).await;
            stage.settings.idle_timeout = Duration::from_millis(200);
            let reply = stage.ask(dialect, &[user("go")]).await.unwrap();
            assert_eq!(reply.text(), "at last", "{dialect} {fault:?}");
            assert_eq!(stage.server.requests().len(), 2, "{dialect} {fault:?}");
            assert!(stage.ears.heard().iter().any(|heard| heard.starts_with("retry:")));
        }
    }
}

#[tokio::test]
async fn a_slow_machine_may_take_its_time_before_the_first_word() {
    let file = r#"{
        "id": "slow", "title": "Slow", "dialect": "chat", "base_url": "http://127.0.0.1:1/v1",
        "key_optional": true, "any_model": true, "first_wait_s": 20
    }"#;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("slow.json"), file).unwrap();
    let catalogue = quire_models::Catalogue::load(Some(dir.path())).unwrap();
    let stage = Stage::turns([Turn { delay_ms: 400, ..Turn::say("there") }]).await;
    let mut settings = stage.settings.clone();
    settings.idle_timeout = Duration::from_millis(100);
    settings.base_urls.insert("slow".to_owned(), stage.server.url());
    let resolved = catalogue.resolve(Some("slow/any"), &settings).await.unwrap();
    let model = quire_models::connect(resolved, &settings);
    let reply = stage::ask(model.as_ref(), &[user("go")], &stage.ears).await.unwrap();
    assert_eq!((reply.text().as_str(), stage.server.asked()), ("there", 1));
}

#[tokio::test]
async fn a_reply_that_stays_unreadable_is_an_error_of_its_own() {
    let stage =
        Stage::turns([fails(Fault { times: 99, malformed: true, ..Fault::default() })]).await;
    let error = stage.ask("demo", &[user("go")]).await.unwrap_err();
    assert!(matches!(error, ModelError::Unreadable { .. }), "{error:?}");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_replaced_and_the_rest_is_kept() {
    for dialect in DIALECTS {
        let stage = Stage::turns([fails(Fault { invalid_utf8: true, ..Fault::default() })]).await;
        let reply = stage.ask(dialect, &[user("go")]).await.unwrap();
        assert!(reply.text().ends_with("at last"), "{dialect}: {:?}", reply.text());
        assert!(stage.ears.of("text:").contains('\u{fffd}'), "{dialect}");
        assert_eq!(stage.server.requests().len(), 1);
    }
}

#[tokio::test]
async fn errors_that_stay_are_told_at_once_by_their_kind() {
    let kind = |error: &ModelError| match error {
        ModelError::Unavailable { .. } => "unavailable",
        ModelError::BadKey { .. } => "bad key",
        ModelError::NoSuchModel { .. } => "no such model",
        ModelError::ContextTooLong { .. } => "too long",
        ModelError::QuotaExceeded { .. } => "quota",
        ModelError::Rejected { .. } => "rejected",
        ModelError::Unreadable { .. } => "unreadable",
        ModelError::ComeBack { .. } => "come back",
        ModelError::Held { .. } | ModelError::Declined { .. } => "not the provider's",
    };
    // Codes and words as the providers send them.
    let cases = [
        (401, "invalid_api_key", "Incorrect API key provided: sk-1.", "bad key"),
        (401, "authentication_error", "invalid x-api-key", "bad key"),
        (403, "permission_error", "Your key may not use this resource.", "bad key"),
        (
            404,
            "model_not_found",
            "The model `gpt-0` does not exist or you do not have access",
            "no such model",
        ),
        (404, "not_found_error", "model: claude-zero", "no such model"),
        (404, "", "model 'llama0' not found", "no such model"),
        (400, "", "foo/bar is not a valid model ID", "no such model"),
        (
            400,
            "context_length_exceeded",
            "Your input exceeds the context window of this model.",
            "too long",
        ),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 215000 tokens > 200000 maximum",
            "too long",
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
            "too long",
        ),
        (400, "", "This model's maximum context length is 32768 tokens.", "too long"),
        (
            400,
            "exceed_context_size_error",
            "the request exceeds the available context size",
            "too long",
        ),
        (413, "request_too_large", "Request exceeds the maximum size", "too long"),
        (
            429,
            "insufficient_quota",
            "You exceeded your current quota, please check your plan",
            "quota",
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the API.",
            "quota",
        ),
        (402, "", "Insufficient Balance", "quota"),
        (400, "invalid_request_error", "Unknown parameter: 'foo'.", "rejected"),
        (422, "", "Input should be a valid string", "rejected"),
    ];
    for dialect in DIALECTS {
        for (code, word, message, expected) in cases {
            let fault = Fault {
                times: 99,
                code: Some(word.to_owned()),
                message: Some(message.to_owned()),
                ..status(code)
            };
            let stage = Stage::turns([fails(fault)]).await;
            let error = stage.ask(dialect, &[user("go")]).await.unwrap_err();
            assert_eq!(kind(&error), expected, "{dialect} {code} {message}: {error}");
            assert!(error.to_string().contains(message), "its words are kept: {error}");
            assert_eq!(stage.server.requests().len(), 1, "{dialect} {code} {message}");
        }
    }
}

#[tokio::test]
async fn a_busy_provider_that_speaks_of_tokens_is_asked_again() {
    let fault = Fault {
        code: Some("rate_limit_exceeded".to_owned()),
        message: Some("Rate limit reached on tokens per min (TPM): Limit 30000".to_owned()),
        ..status(429)
    };
    let stage = Stage::turns([fails(fault)]).await;
    assert_eq!(stage.ask("demo", &[user("go")]).await.unwrap().text(), "at last");
}

#[tokio::test]
async fn an_input_that_a_filter_stops_is_a_refusal_with_the_providers_words() {
    let words = "The response was filtered due to the prompt triggering the content policy.";
    let fault = Fault {
        code: Some("content_filter".to_owned()),
        message: Some(words.to_owned()),
        ..status(400)
    };
    let stage = Stage::turns([fails(fault)]).await;
    let reply = stage.ask("chat", &[user("go")]).await.unwrap();
    assert_eq!(reply.stop, StopReason::Refused { words: words.to_owned() });
}

#[tokio::test]
async fn nobody_at_the_address_is_unavailable_with_the_reason() {
    let (settings, _) = stage::settings("http://127.0.0.1:9/v1");
    let model = stage::scripted("demo", &settings).await;
    let error =
        stage::ask(model.as_ref(), &[user("go")], &stage::Ears::default()).await.unwrap_err();
    assert!(error.to_string().contains("cannot connect"), "{error}");
}

#[tokio::test]
async fn a_cancelled_request_leaves_the_gateway_free() {
    let mut stage = Stage::turns([Turn { delay_ms: 60_000, ..Turn::say("late") }]).await;
    stage.settings.limits.insert(
        "scripted".to_owned(),
        quire_models::gateway::Limits { concurrent: Some(1), ..Default::default() },
    );
    let model = stage.model("demo").await;
    let items = [user("go")];
    let waiting = stage::ask(model.as_ref(), &items, &stage.ears);
    tokio::time::timeout(Duration::from_millis(100), waiting).await.unwrap_err();
    // The only seat is free again: the next one gets as far as the server's delay, too.
    let waiting = stage::ask(model.as_ref(), &items, &stage.ears);
    tokio::time::timeout(Duration::from_millis(200), waiting).await.unwrap_err();
    let connected = async {
        while stage.server.asked() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), connected).await.unwrap();
}
