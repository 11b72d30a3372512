//! What others have written, as recipes.

use proptest::prelude::*;
use quire_domain::environment::{BaseSpec, Environment, Limits, SetupSpec};

use super::node::Value;
use super::{Import, import, json};
use crate::recipe;

fn devcontainer(text: &str) -> Import {
    import(".devcontainer/devcontainer.json", text).unwrap()
}

fn copilot(text: &str) -> Import {
    import(".github/workflows/copilot-setup-steps.yml", text).unwrap()
}

fn environment(import: &Import) -> Environment {
    let defaults = recipe::default_environment(false, Limits::default());
    recipe::read(&import.recipe, "imported", defaults).unwrap().environment
}

fn setup(import: &Import) -> String {
    match environment(import).setup {
        SetupSpec::Script(script) => script,
        other => panic!("{other:?}"),
    }
}

/// Runs a setup script as setup is run, in a directory of its own; gives what it printed and what
/// it announced.
fn run(script: &str) -> (String, String) {
    let place = tempfile::tempdir().unwrap();
    let announced = place.path().join("env");
    std::fs::create_dir_all(place.path().join("repo/a b")).unwrap();
    std::fs::write(&announced, "").unwrap();
    let output = std::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(place.path().join("repo"))
        .env("QUIRE_ENV", &announced)
        .env("NPM_TOKEN", "stored")
        .env("OTHER", "stored too")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{script}\n{}", text(&output.stderr));
    (text(&output.stdout), std::fs::read_to_string(announced).unwrap())
}

const DEVCONTAINER: &str = r#"// For details see the documentation.
{
    "$schema": "https://schema.example/devcontainer",
    "name": "Node.js & Postgres",
    "image": "registry.example/devcontainers/javascript-node:20",
    "features": {
        "registry.example/features/docker-in-docker:2": {},
        "registry.example/features/python:1": { "version": "3.11", },
    },
    /* Ports of the app. */
    "forwardPorts": [3000, 5432],
    "containerEnv": { "CI": "1", "URL": "http://127.0.0.1:3000/a//b", "GIT_AUTHOR_NAME": "x" },
    "remoteEnv": { "PATH": "${containerEnv:PATH}:/opt/bin", "HOST": "${localEnv:HOST}", "GONE": null },
    "secrets": { "NPM_TOKEN": { "description": "for the private registry" } },
    "postCreateCommand": { "deps": "npm ci", "db": ["bash", "-c", "echo 'it is' \"$0\"", "a b"] },
    "onCreateCommand": "cd /tmp && echo first in ${containerWorkspaceFolder}",
    "updateContentCommand": "echo npm install",
    "postStartCommand": "npm start",
    "remoteUser": "node",
    "unheardOf": true,
}
"#;

#[test]
fn a_devcontainer_becomes_a_recipe_and_a_list_of_what_is_left() {
    let import = devcontainer(DEVCONTAINER);
    insta::assert_snapshot!(import.recipe);
    let found = environment(&import);
    let image = "registry.example/devcontainers/javascript-node:20".to_owned();
    assert_eq!(found.base, BaseSpec::Image { reference: image });
    assert_eq!(found.secrets, ["NPM_TOKEN"]);
    assert_eq!(found.maintenance.as_deref().map(|text| text.contains("npm install")), Some(true));
}

#[test]
fn every_key_of_a_devcontainer_is_in_the_recipe_or_in_the_list() {
    let import = devcontainer(DEVCONTAINER);
    for key in [
        "docker-in-docker",
        "python:1 (version: 3.11)",
        "forwardPorts: 3000, 5432",
        "containerEnv.GIT_AUTHOR_NAME",
        "remoteEnv.PATH",
        "remoteEnv.HOST",
        "remoteEnv.GONE",
        "postStartCommand",
        "remoteUser: node",
        "unheardOf",
    ] {
        assert!(import.left.iter().any(|left| left.what.contains(key)), "{key}: {:?}", import.left);
    }
    assert_eq!(import.left.len(), 10, "{:#?}", import.left);
    let ports = import.left.iter().find(|left| left.what.starts_with("forwardPorts")).unwrap();
    assert_eq!((ports.at.line, ports.at.column), (11, 5));
    assert!(ports.to_string().starts_with("line 11: `forwardPorts: 3000, 5432`: no port"));
}

#[test]
fn commands_of_a_devcontainer_run_in_their_order_and_each_from_the_repository() {
    let script = setup(&devcontainer(DEVCONTAINER)).replace("npm ci", "echo second in $PWD");
    let (printed, _) = run(&script);
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].starts_with("first in /") && lines[0].ends_with("/repo"), "{printed}");
    assert_eq!(lines[1], "npm install");
    assert!(lines[2].starts_with("second in /") && lines[2].ends_with("/repo"), "{printed}");
    assert_eq!(lines[3], "it is a b");
}

#[test]
fn a_devcontainer_that_is_built_says_what_to_do() {
    let import =
        devcontainer(r#"{ "build": { "dockerfile": "Dockerfile" }, "postCreateCommand": "" }"#);
    assert!(import.left[0].to_string().contains("name it as `image`"), "{:?}", import.left);
    assert_eq!(environment(&import).setup, SetupSpec::Auto);
    let wrong = devcontainer(r#"{ "image": "a b", "name": "///" }"#);
    assert_eq!(wrong.left.len(), 2, "{:?}", wrong.left);
}

const COPILOT: &str = r#"name: "Copilot Setup Steps"
on:
  workflow_dispatch:
env:
  CI: true
  NODE_VERSION: 1.10
permissions: { contents: read }
jobs:
  copilot-setup-steps:
    runs-on: ubuntu-latest
    timeout-minutes: 45
    env: &shared
      NPM_TOKEN: ${{ secrets.NPM_TOKEN }}
      TOKEN: ${{ secrets.OTHER }}
    services:
      postgres: { image: "postgres:16" }
    steps:
      - uses: actions/checkout@v4
        with: { submodules: true }
      - name: Set up Node
        uses: actions/setup-node@v4
        with:
          node-version: "20"
          cache: npm
      - name: Install
        run: |
          # as it is locked
          cd "a b"
          echo install in "$PWD"
          echo "TOOL=x" >> "$GITHUB_ENV"
          echo "$GITHUB_WORKSPACE/bin" >> "$GITHUB_PATH"
      - run: echo "still in $PWD and $UNSET_ANYWHERE"
        env:
          TOKEN: pre-${{ secrets.NPM_TOKEN }}-it's
      - name: In a directory
        working-directory: a b
        run: echo "$TOKEN" in "${PWD##*/}"
        env: { TOKEN: "${{ secrets.NPM_TOKEN }} & more" }
      - run: echo "$TOKEN"
      - name: Quoted
        run: echo '${{ secrets.NPM_TOKEN }}'
      - name: May fail
        continue-on-error: true
        run: exit 3
      - name: Never
        if: github.event_name == 'push'
        run: rm -rf /
      - name: Matrix
        run: echo ${{ matrix.os }}
      - shell: pwsh
        run: Get-Date
      - uses: corp/special-action@v1
"#;

#[test]
fn setup_steps_become_a_recipe_and_a_list_of_what_is_left() {
    let import = copilot(COPILOT);
    insta::assert_snapshot!(import.recipe);
    let found = environment(&import);
    assert_eq!(found.secrets, ["NPM_TOKEN", "OTHER"]);
    assert_eq!(found.variables["NODE_VERSION"], "1.10");
    assert_eq!(found.snapshot.timeout_s, 45 * 60);
}

#[test]
fn setup_steps_run_each_by_itself_and_announce_what_they_announced() {
    let (printed, announced) = run(&setup(&copilot(COPILOT)));
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].starts_with("install in /") && lines[0].ends_with("/repo/a b"), "{printed}");
    assert!(lines[1].ends_with("/repo and "), "{printed}");
    assert_eq!(lines[2], "stored & more in a b");
    assert_eq!(lines[3..], ["stored too"], "{printed}");
    assert!(
        announced.starts_with("TOOL=x\nPATH=/") && announced.contains("/repo/bin:"),
        "{announced}"
    );
}

#[test]
fn malformed_files_are_errors_with_their_place() {
    for (path, text, expected) in [
        ("a.json", "{\n  \"name\": 'x'\n}", "a.json:2:11: a value is expected here"),
        ("a.json", "{ \"a\": 1, \"a\": 2 }", "a.json:1:11: `a` stands here twice"),
        ("a.json", "{ \"a\": tru }", "a.json:1:8: this is no value"),
        ("a.json", "{ \"a\": \"x\n\" }", "a.json:1:8: this string has no end"),
        ("a.json", "{} x", "a.json:1:4: there is more"),
        ("a.json", "/* {}", "a.json:1:1: this comment has no end"),
        ("a.json", "[1]", "a.json:1:1: a table of keys"),
        ("a.json", "", "a.json:1:1: ends before"),
        ("a.yml", "jobs:\n  a: [1\n", "a.yml:"),
        ("a.yml", "jobs:\n  a: {}\n  b: {}\n", "a.yml:2:3: there is no job `copilot-setup-steps`"),
        ("a.yml", "jobs: *x\n", "a.yml:1:"),
        ("a.yml", "", "a.yml: is empty"),
        ("a.yml", "a: 1\na: 2\n", "a.yml:2:1: `a` stands here twice"),
        ("a.toml", "", "a.toml: is neither"),
    ] {
        let error = import(path, text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn what_is_huge_or_grows_is_refused() {
    let deep = "[".repeat(100_000);
    let above = |(below, above): (&str, &str)| {
        format!("{above}: &{above} [{}]", vec![format!("*{below}"); 9].join(","))
    };
    let mut lines = vec!["a: &a [1,1,1,1,1,1,1,1,1]".to_owned()];
    lines.extend(["ab", "bc", "cd", "de", "ef", "fg"].map(|pair| above(pair.split_at(1))));
    let bomb = lines.join("\n");
    for (path, text) in [
        ("a.json", deep.clone()),
        ("a.yml", deep),
        ("a.yml", "a: ".to_owned() + &"{b: ".repeat(5_000)),
        ("a.yml", bomb),
        ("a.json", format!("[{}]", "1,".repeat(30_000))),
        ("a.json", " ".repeat(super::MOST_BYTES + 1)),
    ] {
        assert!(import(path, &text).is_err(), "{path}: {}…", &text[..20]);
    }
}

/// Text in which what is special to JSON, YAML, TOML and shells is common.
fn text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        "\"",
        "'",
        "\\",
        "\n",
        "\r",
        "\t",
        "#",
        "${{ secrets.A }}",
        "${",
        "}",
        "'''",
        "\"\"\"",
        "\u{0}",
        "\u{1b}",
        "\u{7f}",
        " ",
        "a",
        "é",
        "🦀",
        "[",
        "=",
        "// ",
        "/*",
        ",",
        ":",
    ]);
    prop::collection::vec(special, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_a_devcontainer_says_the_recipe_can_be_read(name in text(), image in text(),
        command in text(), words in prop::collection::vec(text(), 0..4), key in text(), value in text())
    {
        let document = serde_json::json!({ "name": name, "image": image, "onCreateCommand": command,
            "postCreateCommand": words, "containerEnv": { key.clone(): value, "PLAIN": "x" },
            format!("x{key}"): key });
        let import = devcontainer(&document.to_string());
        prop_assert_eq!(&environment(&import).variables["PLAIN"], "x");
        if command.contains('\0') {
            prop_assert!(import.left.iter().any(|left| left.why.contains("NUL")));
        } else if !command.trim().is_empty() && !command.contains("${") && !command.contains('\r') {
            prop_assert!(setup(&import).contains(command.trim_end()), "{}", import.recipe);
        }
    }

    #[test]
    fn whatever_setup_steps_say_the_recipe_can_be_read(name in text(), command in text(), value in text())
    {
        // JSON is YAML.
        let step = serde_json::json!({ "name": name, "run": command, "env": { "A": value } });
        let document = serde_json::json!({ "jobs": { "a": { "env": { "B": value }, "steps": [step] } } });
        if let Ok(import) = import("a.yml", &document.to_string()) {
            environment(&import);
        }
    }

    #[test]
    fn json_with_comments_reads_as_json_does_without_them(parts in prop::collection::vec(text(), 0..6)) {
        let plain = serde_json::json!({ "a": parts, "b": [1.5, true, null, {}], "c": { "d": "//x" } });
        let mut commented = String::from("// é \"\n");
        let mut inside = false;
        let mut before = ' ';
        for c in plain.to_string().chars() {
            if c == '"' && before != '\\' {
                inside = !inside;
            }
            // An even number of backslashes before a quote escapes none.
            before = if c == '\\' && before == '\\' { ' ' } else { c };
            if !inside && (c == ']' || c == '}') && !commented.ends_with(['[', '{']) {
                commented.push_str(" , // \"\n");
            }
            commented.push(c);
            if !inside && ",[{:".contains(c) && c != '[' && c != '{' {
                commented.push_str("/* } \" ] */");
            }
        }
        let read = json::read(&commented).unwrap_or_else(|error| panic!("{error:?}: {commented}"));
        let Value::List(items) = &read.get("a").unwrap().value else { panic!("{read:?}") };
        let texts: Vec<&str> = items.iter().map(|item| item.text().unwrap()).collect();
        prop_assert_eq!(texts, parts);
    }

    #[test]
    fn garbage_never_panics(text in ".{0,200}") {
        for path in ["a.json", "a.yml"] {
            let _ = import(path, &text);
        }
    }
}
