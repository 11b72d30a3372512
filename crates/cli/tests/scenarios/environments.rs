//! `quire env`: environments that are kept here, and which one a run has.

use quire_testkit::{Ended, Turn};
use serde_json::Value;

use crate::scene::Scene;

fn scene() -> Scene {
    Scene::where_model_says([Turn::say("Nothing to do; no tests were run.")])
}

impl Scene {
    /// `quire env … --from -` with a recipe on standard input.
    fn env_from(&self, args: &[&str], recipe: &str) -> Ended {
        let args = ["env"].iter().chain(args).chain(&["--from", "-"]).copied();
        self.call(args).stdin(recipe).run()
    }

    /// `quire env show … --json`.
    fn env_shown(&self, args: &[&str]) -> Value {
        let args = ["env", "show", "--json"].iter().chain(args).copied();
        serde_json::from_str(&self.quire(args).expect_code(0).stdout).unwrap()
    }
}

/// Name and version of the environment that a run had, and a variable `WHO` of it.
fn had(scene: &Scene, args: &[&str]) -> String {
    scene.quire(["run", "Go on."].iter().chain(args).copied()).expect_code(0);
    let newest = scene.quire(["task", "list", "--json", "--limit", "1"]).json();
    let log = scene.log(&newest[0]["task"].to_string());
    let submitted = &log.bodies("submitted")[0]["request"]["environment"];
    let who = submitted["variables"]["WHO"].as_str().unwrap_or("-");
    format!("{}@{} {who}", submitted["name"].as_str().unwrap(), submitted["version"])
}

#[test]
fn a_run_has_the_environment_that_is_named_or_the_recipe_or_the_stored_default() {
    let scene = scene();
    assert_eq!(had(&scene, &[]), "default@1 -");
    let recipe = "[variables]\nWHO = \"stored\"\n";
    let made = scene.env_from(&["create", "web", "--repo"], recipe).expect_code(0);
    assert!(made.stderr.contains("made web@1, the default of "), "{}", made.stderr);
    scene.env_from(&["create", "other"], "variables.WHO = 'other'").expect_code(0);
    assert_eq!(had(&scene, &[]), "web@1 stored");
    assert_eq!(had(&scene, &["--env", "other"]), "other@1 other");
    let own = "name = \"own\"\n[variables]\nWHO = \"recipe\"\n";
    scene.repository.write(".quire/environment.toml", own);
    assert_eq!(had(&scene, &[]), "own@1 recipe");
    assert_eq!(had(&scene, &["--env", "web"]), "web@1 stored");
    assert_eq!(had(&scene, &["--env", "own"]), "own@1 recipe");

    let none = scene.quire(["run", "Go on.", "--env", "wbe"]).expect_code(2);
    assert!(none.stderr.contains("no environment `wbe`: there are `other`, `web`"), "{none:?}");
    let shown = scene.env_shown(&[]);
    assert_eq!(shown["origins"]["variables.WHO"], ".quire/environment.toml:3:1");
    assert_eq!(shown["origins"]["setup"], "default");
    assert_eq!(scene.env_shown(&["web"])["origins"]["variables.WHO"], "web@1:2:1");
    let listed: Vec<Value> = scene.quire(["env", "list", "--json"]).expect_code(0).json();
    let names: Vec<&str> = listed.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["other", "web", "own"]);
}

#[test]
fn model_budget_and_minutes_are_the_flags_then_the_environments_then_the_configurations() {
    let scene = scene();
    let recipe = "model = \"scripted/demo\"\n[budget]\ntokens = 700000\n[limits]\nminutes = 7\n";
    scene.repository.write(".quire/environment.toml", recipe);
    let asked = |args: &[&str]| {
        let call = scene.call(["run", "Go on.", "--json"].iter().chain(args).copied());
        let call = call.env("QUIRE_BUDGET", "30c").env("QUIRE_MINUTES", "3");
        let ended = call.env("QUIRE_MODEL", "scripted/nobody").run().expect_code(0);
        ended.bodies("submitted")[0]["request"]["budget"].clone()
    };
    let own = asked(&[]);
    assert_eq!((&own["tokens"], &own["wall_ms"]), (&700_000.into(), &420_000.into()));
    let flag = asked(&["--budget", "9000t"]);
    assert_eq!((&flag["tokens"], &flag["wall_ms"]), (&9_000.into(), &420_000.into()));
    let shown = scene.call(["env", "show", "--json"]).env("QUIRE_MINUTES", "3").run();
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["origins"]["limits.minutes"], ".quire/environment.toml:5:1");
    scene.repository.write(".quire/environment.toml", "model = \"scripted/demo\"\n");
    let configured = asked(&[]);
    assert_eq!((&configured["model_calls"], &configured["wall_ms"]), (&30.into(), &180_000.into()));
    let shown = scene.call(["env", "show", "--json"]).env("QUIRE_MINUTES", "3").run();
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["origins"]["limits.minutes"], "QUIRE_MINUTES");
}

#[test]
fn each_edit_is_a_version_and_one_that_came_between_is_kept_apart() {
    let scene = scene();
    scene.env_from(&["create", "web"], "variables.WHO = '1'").expect_code(0);
    let taken = scene.env_from(&["create", "web"], "").expect_code(2);
    assert!(taken.stderr.contains("`quire env edit web`"), "{}", taken.stderr);
    scene.env_from(&["edit", "web"], "variables.WHO = '2'").expect_code(0);
    let same = scene.env_from(&["edit", "web"], "variables.WHO = '2'").expect_code(0);
    assert!(same.stderr.contains("nothing changed"), "{}", same.stderr);
    let late = scene.env_from(&["edit", "web", "--based-on", "1"], "variables.WHO = '3'");
    assert!(late.expect_code(1).stderr.contains("is at version 2"));
    let history = scene.quire(["env", "history", "web", "--json"]).expect_code(0).json();
    let recipes: Vec<&str> = history.iter().map(|one| one["recipe"].as_str().unwrap()).collect();
    assert_eq!(recipes, ["variables.WHO = '2'", "variables.WHO = '1'"]);
    let first = scene.quire(["env", "show", "web", "--version", "1", "--recipe"]).expect_code(0);
    assert_eq!(first.stdout, "variables.WHO = '1'\n");
    let third = scene.quire(["env", "show", "web", "--version", "3"]).expect_code(2);
    assert!(third.stderr.contains("it has 1 to 2"), "{}", third.stderr);

    // Another edit, while the editor of this one is open.
    let quire = std::env::var("QUIRE_BINARY").unwrap_or(env!("CARGO_BIN_EXE_quire").to_owned());
    let editor = format!(
        "printf 'variables.WHO = \"between\"' | '{quire}' env edit web --from - && \
         printf 'variables.WHO = \"mine\"' >"
    );
    let lost = scene.call(["env", "edit", "web"]).env("EDITOR", editor).run().expect_code(1);
    assert!(lost.stderr.contains("is at version 3"), "{}", lost.stderr);
    let file = lost.stderr.rsplit("what you wrote is in ").next().unwrap().trim();
    assert_eq!(std::fs::read_to_string(file).unwrap(), "variables.WHO = \"mine\"");

    scene.quire(["env", "delete", "web"]).expect_code(0);
    scene.quire(["env", "show", "web"]).expect_code(2);
    scene.quire(["env", "delete", "web"]).expect_code(2);
}

#[test]
fn the_editor_opens_again_with_the_fault_on_top() {
    let scene = scene();
    scene.env_from(&["create", "web"], "setup = 'true'\n").expect_code(0);
    // The first time it makes a mistake, the second time it sees the fault and mends it.
    let editor = "f() { if grep -q '^#! web:2:1: there is no key .modle.' \"$1\"; \
                  then sed -i s/modle/model/ \"$1\"; else echo \"modle = 'a/b'\" >> \"$1\"; fi; }; f";
    let edited = scene.call(["env", "edit", "web"]).env("VISUAL", editor).run().expect_code(0);
    assert!(edited.stderr.contains("did you mean `model`?"), "{}", edited.stderr);
    let recipe = scene.quire(["env", "show", "web", "--recipe"]).expect_code(0).stdout;
    assert_eq!(recipe, "setup = 'true'\nmodel = 'a/b'\n");

    let stuck = "f() { echo 'modle = 1' > \"$1\"; }; f";
    let ended = scene.call(["env", "edit", "web"]).env("EDITOR", stuck).run().expect_code(2);
    assert!(ended.stderr.contains("what you wrote is in "), "{}", ended.stderr);
    scene.call(["env", "edit", "web"]).env("EDITOR", "false").run().expect_code(1);
    let nobody = scene.quire(["env", "edit", "web"]).expect_code(2);
    assert!(nobody.stderr.contains("--from FILE"), "{}", nobody.stderr);
    let unchanged = scene.call(["env", "edit", "web"]).env("EDITOR", "true").run().expect_code(0);
    assert!(unchanged.stderr.contains("stays at version 2"), "{}", unchanged.stderr);
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_place() {
    let scene = scene();
    for (name, recipe, said) in [
        ("web", "modle = 1", "web:1:1: there is no key `modle`: did you mean `model`?"),
        ("web", "\nname = 'api'", "web:2:1: it calls itself `api`"),
        ("a b", "", "a name has 1 to 60"),
        ("-x", "", ""),
    ] {
        let ended = scene.env_from(&["create", name], recipe).expect_code(2);
        assert!(ended.stderr.contains(said), "{name}: {}", ended.stderr);
    }
    let args = ["env", "create", "web", "--from"];
    for from in ["missing.toml", ".", "/dev/null"] {
        scene.quire(args.iter().chain(&[from]).copied()).expect_code(2);
    }
    let long = "#".repeat(300 << 10);
    let ended = scene.env_from(&["create", "web"], &long).expect_code(2);
    assert!(ended.stderr.contains("longer than"), "{}", ended.stderr);
    let ended = scene.call(["env", "create", "web", "--from", "-"]).stdin([0xff, 0xfe]).run();
    assert!(ended.expect_code(2).stderr.contains("not UTF-8"));
    let empty = scene.env_from(&["create", "web"], "\n").expect_code(2);
    assert!(empty.stderr.contains("is empty"), "{}", empty.stderr);
    let listed = scene.quire(["env", "list"]).expect_code(0);
    assert!(listed.stderr.contains("no environment is kept here"), "{}", listed.stderr);
}

#[test]
fn what_another_tool_wrote_down_is_imported_and_never_over_a_recipe_that_is_there() {
    let scene = scene();
    let none = scene.quire(["env", "import"]).expect_code(2);
    assert!(none.stderr.contains(".devcontainer/devcontainer.json"), "{}", none.stderr);
    let text =
        "{ \"containerEnv\": { \"CI\": \"1\", \"HOME\": \"/x\" }, \"forwardPorts\": [3000] }";
    scene.repository.write(".devcontainer/devcontainer.json", text);
    let printed = scene.quire(["env", "import"]).expect_code(0);
    assert!(printed.stdout.contains("CI"), "{}", printed.stdout);
    for left in ["forwardPorts", "containerEnv.HOME"] {
        assert!(printed.stderr.contains(left), "{}", printed.stderr);
    }
    scene.quire(["env", "import", "--write"]).expect_code(0);
    assert_eq!(scene.env_shown(&[])["environment"]["variables"]["CI"], "1");
    let again = scene.quire(["env", "import", "--write"]).expect_code(2);
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    scene.quire(["env", "import", "--write", "--force"]).expect_code(0);
    let json = scene.quire(["env", "import", "--json"]).expect_code(0).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(!json["left"].as_array().unwrap().is_empty(), "{json}");
    scene.quire(["env", "import", "missing.json"]).expect_code(2);
}
