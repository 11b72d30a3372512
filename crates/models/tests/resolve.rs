//! From what a person typed and set to one model, or to a message that says what to do.

#![allow(clippy::unwrap_used, reason = "a scenario fails by a panic")]

mod stage;

use std::collections::BTreeMap;

use quire_domain::budget::{MicroDollars, Usage};
use quire_domain::secret::Secret;
use quire_models::catalogue::Dialect;
use quire_models::play::{PlayOptions, Script, Turn, serve};
use quire_models::{Catalogue, CatalogueError, ResolveError, Settings};

fn with(variables: &[(&str, &str)]) -> Settings {
    let secret = |value: &&str| Secret::new((*value).to_owned());
    Settings {
        variables: variables.iter().map(|(n, v)| ((*n).to_owned(), secret(v))).collect(),
        ..Settings::default()
    }
}

fn catalogue() -> Catalogue {
    Catalogue::load(None).unwrap()
}

/// No local server is looked for on the usual ports of the machine that runs the tests.
fn without_local() -> Catalogue {
    let dir = tempfile::tempdir().unwrap();
    for id in ["ollama", "lmstudio", "llamacpp", "vllm"] {
        let file = format!(
            r#"{{"id":"{id}","title":"{id}","dialect":"chat","base_url":"http://127.0.0.1:9/v1",
                "key_optional":true,"any_model":true,"local_port":9}}"#
        );
        std::fs::write(dir.path().join(format!("{id}.json")), file).unwrap();
    }
    Catalogue::load(Some(dir.path())).unwrap()
}

#[tokio::test]
async fn a_model_is_found_by_its_full_name_or_its_own() {
    let settings = with(&[("OPENAI_API_KEY", "sk-1"), ("ANTHROPIC_API_KEY", "sk-2")]);
    let cases = [
        ("openai/gpt-6.1-sol", "openai/gpt-6.1-sol", Dialect::Responses),
        ("gpt-6.1-sol", "openai/gpt-6.1-sol", Dialect::Responses),
        ("claude-opus-5-5", "anthropic/claude-opus-5-5", Dialect::Messages),
        ("anthropic", "anthropic/claude-opus-5-5", Dialect::Messages),
        ("ollama/qwen3:8b", "ollama/qwen3:8b", Dialect::Chat),
    ];
    for (name, expected, dialect) in cases {
        let model = catalogue().resolve(Some(name), &settings).await.unwrap();
        assert_eq!((model.info.name.as_str(), model.dialect), (expected, dialect), "{name}");
        assert!(!model.info.scripted);
    }
}

#[tokio::test]
async fn without_a_name_the_first_provider_with_a_key_is_taken_and_it_says_why() {
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Variables<'_>, &str, &str); 3] = [
        (&[("OPENAI_API_KEY", "a"), ("ANTHROPIC_API_KEY", "b")], "openai", "OPENAI_API_KEY is set"),
        (&[("ANTHROPIC_API_KEY", "b")], "anthropic", "ANTHROPIC_API_KEY is set"),
        (
            &[("OPENAI_API_KEY", "  "), ("OPENROUTER_API_KEY", "c")],
            "openrouter",
            "OPENROUTER_API_KEY is set",
        ),
    ];
    for (variables, provider, why) in cases {
        let model = catalogue().resolve(None, &with(variables)).await.unwrap();
        assert_eq!(
            (model.provider.as_str(), model.chosen_because.as_deref()),
            (provider, Some(why))
        );
    }
}

#[tokio::test]
async fn with_nothing_set_the_message_names_what_to_set() {
    let error = without_local().resolve(None, &Settings::default()).await.unwrap_err();
    let text = error.to_string();
    for word in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ollama on port 9", "--model"] {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[tokio::test]
async fn a_local_server_on_its_usual_port_is_found_and_its_first_model_taken() {
    let server = serve(Script::of([Turn::say("x")]), stage::loopback(), PlayOptions::default());
    let server = server.await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = format!(
        r#"{{"id":"ollama","title":"Ollama","dialect":"chat","base_url":"{}",
            "key_optional":true,"any_model":true,"free":true,"local_port":11434}}"#,
        server.url()
    );
    std::fs::write(dir.path().join("ollama.json"), file).unwrap();
    let catalogue = Catalogue::load(Some(dir.path())).unwrap();
    let settings =
        Settings { probe_timeout: std::time::Duration::from_secs(5), ..Settings::default() };
    let model = catalogue.resolve(None, &settings).await.unwrap();
    assert_eq!(model.info.name, "ollama/demo");
    assert_eq!(model.info.price.unwrap().cost(Usage { input_tokens: 9, ..Usage::default() }).0, 0);
    assert!(model.chosen_because.unwrap().starts_with("Ollama answers at http://127.0.0.1:"));
}

#[tokio::test]
async fn a_servers_own_word_on_its_window_is_taken() {
    let list = r#"{"data":[
        {"id":"nomic-embed-text","max_model_len":512},
        {"id":"qwen","max_model_len":40960},
        {"id":"small","meta":{"n_ctx":4096}},
        {"id":"silent"}
    ]}"#;
    let url = stage::raw_server(move |_| {
        stage::Raw::Whole("application/json", vec![list.as_bytes().to_vec()])
    })
    .await;
    let settings = Settings {
        probe_timeout: std::time::Duration::from_secs(5),
        ..Settings::with_base_url("vllm", &url)
    };
    let cases = [
        ("vllm/qwen", 40_960, 8_000),
        ("vllm/small", 4_096, 1_024),
        ("vllm/silent", 32_000, 8_000),
    ];
    for (name, window, output) in cases {
        let info = catalogue().resolve(Some(name), &settings).await.unwrap().info;
        assert_eq!((info.window_tokens, info.max_output_tokens), (window, output), "{name}");
    }
    let usual = catalogue().resolve(Some("vllm"), &settings).await.unwrap();
    assert_eq!(usual.info.name, "vllm/qwen", "the first that converses");
}

#[tokio::test]
async fn a_provider_named_alone_that_does_not_answer_says_where_it_was_looked_for() {
    let settings = Settings::with_base_url("ollama", "http://127.0.0.1:9");
    let error = catalogue().resolve(Some("ollama"), &settings).await.unwrap_err();
    assert!(
        error.to_string().contains("Ollama lists no model at http://127.0.0.1:9/v1"),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_met_with_those_that_come_close() {
    let settings = with(&[("OPENAI_API_KEY", "sk-1")]);
    for name in ["gpt-6.1-sool", "openai/gpt-6.1-sool", "openai/", "claude-opus-9"] {
        let error = catalogue().resolve(Some(name), &settings).await.unwrap_err();
        assert!(matches!(error, ResolveError::UnknownModel { .. }), "{name}: {error:?}");
    }
    let error = catalogue().resolve(Some("gpt-6.1-sool"), &settings).await.unwrap_err();
    assert!(error.to_string().contains("did you mean openai/gpt-6.1-sol"), "{error}");
}

#[tokio::test]
async fn a_model_without_its_key_says_which_variable_to_set() {
    let error = catalogue().resolve(Some("claude-opus-5-5"), &Settings::default()).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "Anthropic needs a key for `claude-opus-5-5`: set ANTHROPIC_API_KEY"
    );
}

#[tokio::test]
async fn an_address_of_ones_own_may_have_models_that_nobody_listed_and_no_price_is_made_up() {
    let settings = with(&[("OPENAI_BASE_URL", "http://10.0.0.5:8000"), ("OPENAI_API_KEY", "k")]);
    for name in ["openai/my-finetune", "my-finetune"] {
        let model = catalogue().resolve(Some(name), &settings).await.unwrap();
        assert_eq!(model.info.name, "openai/my-finetune");
        assert_eq!(model.base_url, "http://10.0.0.5:8000/v1");
        assert_eq!(model.info.price, None);
        assert_eq!(model.info.window_tokens, 128_000);
    }
    let known = catalogue().resolve(Some("gpt-6.1-sol"), &settings).await.unwrap();
    assert_eq!(known.info.price, None, "another address may charge otherwise");
    // No key is needed there.
    let settings = with(&[("OPENAI_BASE_URL", "http://10.0.0.5:8000")]);
    assert!(catalogue().resolve(Some("openai/x"), &settings).await.is_ok());
}

#[tokio::test]
async fn the_catalogues_own_address_changes_nothing() {
    let settings =
        with(&[("OPENAI_BASE_URL", "https://api.openai.com/v1/"), ("OPENAI_API_KEY", "k")]);
    let model = catalogue().resolve(Some("gpt-6.1-sol"), &settings).await.unwrap();
    assert!(!model.custom_base_url && model.info.price.is_some());
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_repeating_a_password() {
    let settings = with(&[("OPENAI_BASE_URL", "ftp://files.example"), ("OPENAI_API_KEY", "k")]);
    let error = catalogue().resolve(Some("gpt-6.1-sol"), &settings).await.unwrap_err();
    assert!(error.to_string().contains("neither http nor https"), "{error}");
}

#[tokio::test]
async fn a_scripted_model_says_that_it_is_one_and_needs_an_address() {
    let error = catalogue().resolve(Some("scripted/demo"), &Settings::default()).await.unwrap_err();
    assert!(error.to_string().contains("QUIRE_SCRIPTED_URL"), "{error}");
    let settings = Settings::with_base_url("scripted", "http://127.0.0.1:7/r/1/fix/v1");
    let model = catalogue().resolve(Some("scripted/demo"), &settings).await.unwrap();
    assert!(model.info.scripted && model.info.price.is_some());
    assert_eq!(model.base_url, "http://127.0.0.1:7/r/1/fix/v1");
}

#[test]
fn a_persons_files_add_providers_and_replace_those_built_in() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    file("a.json", r#"{"id":"mine","title":"Mine","dialect":"chat","base_url":"http://h/v1"}"#);
    file("b.json", r#"{"id":"openai","title":"Proxy","dialect":"chat","base_url":"http://p/v1"}"#);
    file("note.txt", "not a provider");
    let catalogue = Catalogue::load(Some(dir.path())).unwrap();
    assert_eq!(catalogue.provider("mine").unwrap().title, "Mine");
    assert_eq!(catalogue.provider("openai").unwrap().title, "Proxy");
    file("c.json", r#"{"id":"bad","titel":"typo"}"#);
    let error = Catalogue::load(Some(dir.path())).unwrap_err();
    assert!(
        matches!(&error, CatalogueError::Malformed { origin, .. } if origin.ends_with("c.json"))
    );
    assert!(Catalogue::load(Some(&dir.path().join("missing"))).is_ok());
}

#[test]
fn every_price_in_the_catalogue_is_dated_and_sourced_and_in_order() {
    let mut prices = BTreeMap::new();
    for provider in catalogue().providers() {
        for model in &provider.models {
            if let Some(price) = &model.price {
                let date: Vec<&str> = price.as_of.split('-').collect();
                assert_eq!(date.iter().map(|part| part.len()).collect::<Vec<_>>(), [4, 2, 2]);
                assert!(price.source.starts_with("https://"), "{}", model.name);
                assert!(price.cached_input <= price.input && price.input < price.output);
                prices.insert(model.name.clone(), price.clone());
            }
            assert!(model.abilities.max_output_tokens < model.abilities.window_tokens);
        }
    }
    let usage = Usage {
        input_tokens: 1_000_000,
        cached_input_tokens: 600_000,
        output_tokens: 100_000,
        ..Usage::default()
    };
    let cost = prices["codex-mini-latest"].cost(usage);
    assert_eq!((cost, cost.to_string().as_str()), (MicroDollars(1_425_000), "$1.425"));
}
