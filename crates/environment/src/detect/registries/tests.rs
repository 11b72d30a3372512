//! Where `packages` leads, told as machines.

use std::collections::BTreeMap;

use super::families::Question;
use super::{Answer, Registries, Sources, questions, registries};

/// A base with these files, whose tools answer this.
#[derive(Default)]
struct Base {
    managers: Vec<&'static str>,
    variables: Vec<(&'static str, &'static str)>,
    files: Vec<(&'static str, &'static str)>,
    answers: Vec<(&'static str, &'static str)>,
    listed: Vec<&'static str>,
}

fn every_question() -> Vec<Question> {
    questions(&[], &|_| true)
}

impl Base {
    fn registries(&self) -> Registries {
        let set = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let answer = |&(says, text): &(&str, &str)| Answer {
            question: *every_question().iter().find(|question| question.says == says).unwrap(),
            text: text.to_owned(),
        };
        let answers: Vec<Answer> = self.answers.iter().map(answer).collect();
        let listed: Vec<_> = self.listed.iter().map(|rule| rule.parse().unwrap()).collect();
        let names = |directory: &str| {
            let below = self.files.iter().filter_map(|(path, _)| {
                path.strip_prefix(directory)?.strip_prefix('/')?.split('/').next()
            });
            below.map(str::to_owned).collect()
        };
        registries(&Sources {
            managers: &self.managers,
            variables: &self.variables.iter().map(set).collect::<BTreeMap<_, _>>(),
            has_program: &|_| true,
            read: &|path| {
                let found = self.files.iter().find(|(other, _)| *other == path);
                found.map(|(_, text)| (*text).to_owned())
            },
            list: &names,
            answers: &answers,
            listed: &listed,
        })
    }

    fn rules(&self) -> Vec<String> {
        self.registries().rules.iter().map(ToString::to_string).collect()
    }
}

#[test]
fn hosts_are_those_that_files_variables_tools_and_the_administrator_name() {
    let base = Base {
        managers: vec!["npm", "pip"],
        variables: vec![(
            "PIP_EXTRA_INDEX_URL",
            "https://one.example/x https://two.example:8443/y",
        )],
        files: vec![(
            "~/.npmrc",
            "@corp:registry=https://scoped.example/npm/\n; https://no.example\n",
        )],
        answers: vec![(
            "npm config get registry",
            "npm warn see https://help.example\nhttps://plain.example/\n",
        )],
        listed: vec!["listed.example GET"],
    };
    assert_eq!(
        base.rules(),
        [
            "listed.example GET",
            "one.example",
            "plain.example",
            "scoped.example",
            "two.example:8443"
        ]
    );
    let found = base.registries();
    assert_eq!(found.notes, Vec::<String>::new());
    assert_eq!(found.origins[2], "plain.example: npm, `npm config get registry`");
}

#[test]
fn only_the_managers_in_use_count_and_those_that_are_not_known_are_told() {
    let base = Base {
        managers: vec!["cargo"],
        variables: vec![("PIP_INDEX_URL", "https://pip.example")],
        ..Base::default()
    };
    assert!(base.rules().is_empty());
    let notes = base.registries().notes;
    assert!(notes.len() == 1 && notes[0].starts_with("where cargo fetches from"), "{notes:?}");
    assert!(notes[0].contains("`[egress] packages`"));
}

#[test]
fn every_form_of_configuration_is_read() {
    for (managers, path, text, expected) in [
        (
            "pip",
            "/etc/pip.conf",
            "[global]\nindex-url = https://a.example/simple\nextra-index-url =\n    \
             https://b.example/simple\n    https://c.example\ntrusted-host = d.example\ncert = /x\n",
            vec!["a.example", "b.example", "c.example"],
        ),
        (
            "uv",
            "~/.config/uv/uv.toml",
            "extra-index-url = [\n  \"https://a.example\",\n]\n[[index]]\nname = \"b\"\nurl = \"https://b.example/simple\"\n",
            vec!["a.example", "b.example"],
        ),
        (
            "yarn",
            "~/.yarnrc.yml",
            "npmRegistryServer: \"https://a.example\"\nnpmScopes:\n  corp:\n    npmRegistryServer: https://b.example\n",
            vec!["a.example", "b.example"],
        ),
        ("yarn", "~/.yarnrc", "registry \"https://a.example\"\n", vec!["a.example"]),
        (
            "cargo",
            "~/.cargo/config.toml",
            "[source.x]\nregistry = \"sparse+https://a.example/index/\"\n[registries]\ncorp = 1\n[registries.b]\nindex = 'https://b.example/git'\n[http]\nproxy = \"http://no.example\"\n",
            vec!["a.example", "b.example"],
        ),
        (
            "cargo",
            "~/.cargo/registry/index/index-0123/config.json",
            "{\"dl\": \"https://dl.example/crates\", \"api\": \"https://api.example\"}",
            vec!["api.example", "dl.example"],
        ),
        (
            "go",
            "~/.config/go/env",
            "GOPROXY=https://a.example|https://b.example,direct\nGOFLAGS=-mod=mod\n",
            vec!["a.example", "b.example"],
        ),
        (
            "bundler",
            "~/.gemrc",
            ":sources:\n- https://a.example/\n# - https://no.example\n",
            vec!["a.example"],
        ),
        (
            "maven",
            "~/.m2/settings.xml",
            "<settings xmlns=\"http://ns.example/1\"><!-- <url>https://no.example</url> -->\
             <mirrors><mirror><url>https://a.example/m2</url></mirror></mirrors></settings>",
            vec!["a.example"],
        ),
        (
            "dotnet",
            "~/.nuget/NuGet/NuGet.Config",
            "<configuration><packageSources><add key=\"x\" value=\"https://a.example/v3/index.json\" />\
             </packageSources></configuration>",
            vec!["a.example"],
        ),
        (
            "npm",
            "/etc/apt/sources.list",
            "# deb http://no.example x\ndeb [arch=amd64 signed-by=/x] http://a.example/debian x main\n",
            vec!["a.example"],
        ),
        (
            "npm",
            "/etc/apt/sources.list.d/b.sources",
            "Types: deb\n# http://no.example\nURIs: http://a.example/debian\n http://b.example/debian\nSuites: x\n\n\
             Types: deb\nEnabled: no\nURIs: http://no.example\n",
            vec!["a.example", "b.example"],
        ),
    ] {
        let base = Base { managers: vec![managers], files: vec![(path, text)], ..Base::default() };
        assert_eq!(base.rules(), expected, "{path}");
    }
}

#[test]
fn what_tools_say_of_a_closed_network_names_where_they_would_have_gone() {
    let base = Base {
        managers: vec!["cargo", "maven"],
        answers: vec![
            (
                "cargo info",
                "error: download of config.json failed\n  failed to download from \
                 `https://index.example/config.json`\nhelp: https://help.example\n",
            ),
            (
                "mvn --offline",
                "could not be resolved: Cannot access corp (https://m2.example/maven2) in offline \
                 mode and\n[Help 1] http://help.example\n",
            ),
        ],
        ..Base::default()
    };
    assert_eq!(base.rules(), ["index.example", "m2.example"]);
}

#[test]
fn credentials_stay_where_they_are_and_are_told() {
    let base = Base {
        managers: vec!["npm", "pip"],
        variables: vec![("PIP_INDEX_URL", "https://ada:canary1@pip.example/simple")],
        files: vec![(
            "~/.npmrc",
            "registry=https://npm.example\n//npm.example/:_authToken=canary2\n",
        )],
        ..Base::default()
    };
    let found = base.registries();
    assert_eq!(base.rules(), ["npm.example", "pip.example"]);
    assert!(!format!("{found:?}").contains("canary"), "{found:?}");
    assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
    assert!(found.notes.iter().all(|note| note.contains("[[credentials]]")));
    assert!(found.notes.iter().any(|note| note.contains("rule = \"pip.example\"")));
}

#[test]
fn an_address_or_a_pattern_becomes_no_rule() {
    for url in
        ["http://10.0.0.7:8081/x", "https://[::1]/", "https://${HOST}/", "https://*.example/"]
    {
        let base = Base {
            managers: vec!["pip"],
            files: vec![("/etc/pip.conf", &*format!("index-url = {url}").leak())],
            ..Base::default()
        };
        assert!(base.rules().is_empty(), "{url}");
        assert!(!base.registries().notes.is_empty(), "{url}");
    }
}

#[test]
fn garbage_is_bounded_and_breaks_nothing() {
    let long = "registry=https://a.example\n".repeat(50_000);
    let many: Vec<String> = (0..500).map(|n| format!("registry=https://h{n}.example")).collect();
    let many = many.join("\n");
    for text in [
        &*long,
        &*many,
        "registry",
        "registry=://",
        "=\n:\n://",
        "registry=https://ä.example\u{0}x",
    ] {
        let text: &'static str = text.to_owned().leak();
        let base =
            Base { managers: vec!["npm"], files: vec![("~/.npmrc", text)], ..Base::default() };
        assert!(base.rules().len() <= 100);
    }
}

#[test]
fn where_detection_found_nothing_every_manager_of_the_base_is_in_use() {
    let asked: Vec<&str> =
        questions(&[], &|program| program == "npm").iter().map(|question| question.says).collect();
    assert_eq!(asked, ["npm config get registry"]);
    assert!(questions(&["go"], &|_| true).iter().all(|question| question.argv[0] == "go"));
}

#[test]
fn the_tools_of_this_machine_answer_with_the_network_closed() {
    let home = tempfile::tempdir().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let has = |program: &str| std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    let closed = |argv: &[&str]| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net"]).args(argv).current_dir("/");
        command.env("HOME", home.path()).env("CARGO_HOME", home.path()).env("CARGO_NET_RETRY", "0");
        command.output()
    };
    if !closed(&["true"]).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no network namespace can be made here");
        return;
    }
    for question in questions(&[], &has) {
        // Shims of version managers stand for programs that need not be there.
        let version = closed(&[question.argv[0], "--version"]).unwrap();
        if !version.status.success() || !["npm", "python3", "cargo"].contains(&question.argv[0]) {
            continue;
        }
        let output = closed(question.argv).unwrap();
        let text = format!(
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let found = question.take.of(&text);
        let pip = question.argv[0] == "python3" && text.contains("No module named 'pip");
        assert!(!found.is_empty() || pip, "{}: {text}", question.says);
    }
}
