//! What a recipe says, and what is refused.

use quire_domain::budget::MicroDollars;
use quire_domain::environment::{BaseSpec, Environment, Limits, SetupSpec};
use quire_domain::network::NetworkPolicy;

use super::{Position, RECIPE_PATH, default_environment, read, words};

fn recipe(text: &str) -> Environment {
    read(text, RECIPE_PATH, default_environment(false, Limits::default())).unwrap().environment
}

fn error(text: &str) -> String {
    let defaults = default_environment(false, Limits::default());
    read(text, RECIPE_PATH, defaults).unwrap_err().to_string()
}

/// Every key, as the documentation shows it.
const WHOLE: &str = r#"
name = "web"
image = "registry.example/library/node:20"
setup = """
npm ci
npx playwright install
"""
maintenance = "npm ci"
secrets = ["NPM_TOKEN"]
model = "openai/large"

[variables]
CI = "1"

[network]
setup = "packages"
agent = ["packages", "*.example.org GET,HEAD /v1"]

[[credentials]]
rule = "registry.example.org GET"
header = "Authorization"
value = "Bearer ${REGISTRY_TOKEN}"
agent = true

[[services]]
name = "postgres"
command = "postgres -D /tmp/db"
ready = "pg_isready"
ready_within_s = 30

[[checks]]
command = "npm test"

[[checks]]
name = "lint"
command = "npm run lint"
clean = true
timeout_s = 300

[limits]
memory_mib = 4096
cpus = 1.5
processes = 1024
disk_mib = 10240
tmp_mib = 1024
files = 100000
minutes = 90
idle_minutes = 10
network_mib = 500

[snapshot]
lock_files = ["package-lock.json", "tools/*.lock"]
lifetime_hours = 1.5
timeout_minutes = 20

[budget]
dollars = 2.5
tokens = 1000000
model_calls = 50

[instructions]
fallbacks = ["CLAUDE.md"]
"#;

#[test]
fn every_key_of_a_recipe_is_carried_over() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&recipe(WHOLE)).unwrap());
}

#[test]
fn the_published_schema_is_the_one_that_is_read_by() {
    let published = include_str!("../../../../docs/environment.schema.json");
    let published: serde_json::Value = serde_json::from_str(published).unwrap();
    assert!(
        published == words::schema(),
        "docs/environment.schema.json must be:\n{}",
        serde_json::to_string_pretty(&words::schema()).unwrap()
    );
}

#[test]
fn an_empty_setup_is_none_and_a_missing_one_is_left_to_lock_files() {
    assert_eq!(recipe("").setup, SetupSpec::Auto);
    assert_eq!(recipe("setup = ' '").setup, SetupSpec::None);
    assert_eq!(recipe("setup = 'make'").setup, SetupSpec::Script("make".to_owned()));
}

#[test]
fn each_kind_of_base_is_read_and_two_are_refused() {
    assert_eq!(recipe("base = 'bare'").base, BaseSpec::Host { bare: true });
    assert_eq!(recipe("tar = '/a.tar'").base, BaseSpec::Tar { path: "/a.tar".to_owned() });
    let directory = BaseSpec::Directory { path: "/srv/root".to_owned() };
    assert_eq!(recipe("directory = '/srv/root'").base, directory);
    let two = error("base = 'host'\nimage = 'debian:12'");
    assert!(two.starts_with(".quire/environment.toml:2:1: `image` and `base` both"), "{two}");
    assert!(error("base = 'debian'").contains("name an `image`"));
    assert!(error("directory = 'root'").contains("absolute"));
}

#[test]
fn an_unknown_key_is_an_error_with_its_place_and_the_nearest_known_one() {
    for (text, place, hint) in [
        ("name = 'a'\nseutp = 'x'", ":2:1: ", "did you mean `setup`?"),
        (
            "[[checks]]\ncommand = 'a'\ncomand = 'b'",
            ":3:1: ",
            "in `checks[0]`: did you mean `command`?",
        ),
        ("[limits]\nmemory = 5", ":2:1: ", "did you mean `memory_mib`?"),
        ("limits = { qqq = 1 }", ":1:12: ", "there are `"),
    ] {
        let error = error(text);
        assert!(error.contains(place) && error.contains(hint), "{error}");
    }
}

#[test]
fn a_wrong_value_is_an_error_with_its_place() {
    for (text, expected) in [
        ("name = 5", ":1:8: invalid type"),
        ("name = ", ":1:8: "),
        ("\n[limits]\ncpus = 0.01", ":3:1: `limits.cpus` must lie in"),
        ("[limits]\nmemory_mib = 1", ":2:1: `limits.memory_mib` must lie in"),
        ("[variables]\nGIT_DIR = 'x'", ":2:1: `variables.GIT_DIR` would steer git"),
        ("secrets = ['A', '1B']", ":1:17: `secrets[1]` is no name"),
        ("[network]\nagent = 'open'", ":2:1: `network.agent` is `off`"),
        ("[network]\nagent = ['10.0.0.1']", ":2:10: `network.agent[0]` : `10.0.0.1`: addresses"),
        ("[network]\nagent = 5", ":2:9: expected `off`, `packages`, `on` or a list of rules"),
        ("[[services]]\nname = 'A'\ncommand = 'x'", ":2:1: `services[0].name` must have"),
        ("[[checks]]\ncommand = ' '", ":2:1: `checks[0].command` is empty"),
        ("[snapshot]\nlock_files = ['../x']", ":2:15: `snapshot.lock_files[0]` must be"),
        ("[snapshot]\nlock_files = ['a', '[b']", ":2:20: `snapshot.lock_files[1]` is no glob"),
        ("secrets = ['QUIRE_ENV']", ":1:12: `secrets[0]` would take the place"),
        ("secrets = ['A', 'PATH']", ":1:17: `secrets[1]` would take the place"),
        ("\nsetup = \"a\\u0000\"", ":2:1: `setup` has a NUL"),
        ("image = \"debian\\u0000\"", ":1:1: `image` is no image"),
        ("maintenance = \"\\u0000\"", ":1:1: `maintenance` has a NUL"),
        ("[variables]\nA = \"\\u0000\"", ":2:1: `variables.A` has a NUL"),
        ("[[checks]]\ncommand = \"a\\u0000\"", ":2:1: `checks[0].command` has a NUL"),
        (
            "[[services]]\nname = 'a'\ncommand = 'x'\nready = \"\\u0000\"",
            ":4:1: `services[0].ready` has a NUL",
        ),
        (
            "[network]\nagent = ['https://a.example/x']",
            "name the host alone, without scheme or path",
        ),
        ("[budget]\ntokens = 0", ":1:2: `budget` of nothing"),
    ] {
        let error = error(text);
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn a_credential_names_its_secret_and_never_holds_it() {
    let with = |header: &str, value: &str| {
        error(&format!("[[credentials]]\nrule = 'a.b'\nheader = '{header}'\nvalue = '{value}'"))
    };
    assert!(with("Authorization", "Bearer abc").contains("names no secret"));
    assert!(with("Host", "${A}").contains("belongs to the connection"));
    assert!(with("Bad Header", "${A}").contains("no name of a header"));
    assert!(with("X-Token", "${a b}").contains("no name of a variable"));
}

#[test]
fn rules_are_sorted_and_packages_may_stand_among_them() {
    let policy = |text: &str| recipe(&format!("[network]\nagent = {text}")).network.agent;
    assert_eq!(policy("[]"), NetworkPolicy::Off);
    assert_eq!(policy("'packages'"), NetworkPolicy::Packages(Vec::new()));
    let rules = vec!["a.org".parse().unwrap(), "b.org".parse().unwrap()];
    assert_eq!(policy("['b.org', 'a.org', 'b.org']"), NetworkPolicy::Rules(rules));
}

#[test]
fn a_budget_comes_to_micro_dollars() {
    let budget = recipe("[budget]\ndollars = 0.25").budget.unwrap();
    assert_eq!(budget.cost, Some(MicroDollars(250_000)));
    assert_eq!(recipe("[budget]").budget, None);
}

#[test]
fn where_each_key_stands_is_known() {
    let defaults = default_environment(false, Limits::default());
    let read = read("name = 'a'\n\n[limits]\n  cpus = 1", "env", defaults).unwrap();
    assert_eq!(read.written["name"], Position { line: 1, column: 1 });
    assert_eq!(read.written["limits.cpus"], Position { line: 4, column: 3 });
}

#[test]
fn a_recipe_that_is_too_long_is_refused() {
    let long = format!("# {}", "x".repeat(super::MOST_BYTES));
    assert!(error(&long).contains("longer than"));
}

#[test]
fn variables_of_the_sandbox_are_refused_and_a_path_must_lead_to_programs() {
    for name in ["HOME", "SHELL", "TMPDIR", "USER", "LOGNAME", "QUIRE_MODEL"] {
        let error = error(&format!("[variables]\nA = 'x'\n{name} = '/x'"));
        let expected = format!(":3:1: `variables.{name}` is what the sandbox itself says");
        assert!(error.contains(&expected), "{error}");
    }
    for path in ["", "nonsense", "/usr/bin:", "$PATH:/usr/bin", "/usr/bin:.", "/opt/bin"] {
        let error = error(&format!("[variables]\nPATH = '{path}'"));
        assert!(error.contains(":2:1: `variables.PATH` "), "{path}: {error}");
    }
    assert_eq!(
        recipe("[variables]\nPATH = '/opt/x:/usr/bin/'").variables["PATH"],
        "/opt/x:/usr/bin/"
    );
}
