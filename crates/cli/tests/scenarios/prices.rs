//! Budgets of money, and models whose price nobody knows.

use quire_testkit::Turn;

use crate::scene::Scene;

#[test]
fn a_money_budget_for_a_model_without_a_price_is_warned_of_and_tokens_are_counted() {
    let scene = Scene::where_model_says([Turn::say("Nothing to do; no tests were run.")]);
    let models = scene.stage.home().join(".config/quire/models");
    std::fs::create_dir_all(&models).unwrap();
    let url = scene.stage.model_url().unwrap();
    let provider = serde_json::json!({
        "id": "acme", "title": "Acme", "dialect": "responses", "base_url": url,
        "key_optional": true, "default_model": "plain",
        "models": [{ "name": "plain", "window_tokens": 200_000, "max_output_tokens": 8_000 }],
    });
    std::fs::write(models.join("acme.json"), provider.to_string()).unwrap();
    let run = |more: &[&str]| {
        let words = ["ask", "Why?", "--model", "acme/plain"];
        scene.quire(words.iter().chain(more).copied()).expect_code(0)
    };
    let warned = run(&["--budget", "1.00"]);
    assert!(warned.stderr.contains("never stops"), "{}", warned.stderr);
    let json = run(&["--budget", "1.00", "--json"]);
    let notes = json.bodies("base_captured")[0]["notes"].to_string();
    assert!(notes.contains("never stops") && notes.contains("acme/plain"), "{notes}");
    assert!(json.bodies("finished")[0]["spent"]["usage"]["input_tokens"].as_u64().unwrap() > 0);
    for fits in [&["--budget", "500000t"][..], &["--budget", "40c"], &[]] {
        assert!(!run(fits).stderr.contains("never stops"), "{fits:?}");
    }
}
