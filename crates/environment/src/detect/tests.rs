//! What lock files call for, told as repositories.

use std::path::Path;

use super::managers::MANAGERS;
use super::{Detection, Place, Verdict, detect, in_use, lock_files, shown};
use crate::host::{CheckoutFacts, HostFacts, HostView};

/// A repository of these files, with their text, in a base with these programs.
struct Repository {
    files: Vec<(String, String)>,
    shown: Vec<&'static str>,
    home: Vec<(&'static str, &'static [&'static str])>,
    lacks: Vec<&'static str>,
}

fn repository(files: &[(&str, &str)]) -> Repository {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    Repository { files: files.collect(), shown: vec![], home: vec![], lacks: vec![] }
}

impl Repository {
    fn detect(&self) -> Detection {
        let mut paths: Vec<String> = self.files.iter().map(|(path, _)| path.clone()).collect();
        paths.sort();
        let text = |path: &str| {
            let found = self.files.iter().find(|(other, _)| other == path);
            found.map(|(_, text)| text.clone())
        };
        let home = |directory: &str| {
            let found = self.home.iter().find(|(other, _)| *other == directory);
            found.map_or(Vec::new(), |(_, names)| names.iter().map(|&n| n.to_owned()).collect())
        };
        detect(&Place {
            paths: &paths,
            checkout: &|path| self.shown.contains(&path),
            home: &home,
            has_program: &|program| !self.lacks.contains(&program),
            read: &text,
        })
    }

    fn first(&self) -> String {
        self.detect().lines().remove(0)
    }

    fn managers(&self) -> Vec<&'static str> {
        self.detect().found.iter().map(|found| found.manager).collect()
    }
}

const NPM: (&str, &str) = ("package-lock.json", "{\"packages\":{\"node_modules/a\":{}}}");
const CRATES: &str = "[[package]]\nname = \"mine\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"a\"\n\
    version = \"1.0.0\"\nsource = \"registry+x\"\n\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n\
    source = \"git+https://git.example/x/bee.git?rev=1#123\"\n";

#[test]
fn a_lock_file_in_the_root_says_what_is_run_and_how_to_change_it() {
    let found = repository(&[NPM, ("src/a.js", ""), ("docs/package-lock.json", "")]).detect();
    assert_eq!(found.script().as_deref(), Some("npm ci --no-audit --no-fund"));
    assert_eq!(
        found.lines(),
        [
            "setup: `npm ci`, as there is package-lock.json",
            "to change this: `setup = \"…\"` in .quire/environment.toml, or `setup = \"\"` for \
             nothing"
        ]
    );
    assert!(repository(&[("README", "")]).detect().lines().is_empty());
}

#[test]
fn what_the_checkout_brings_along_is_not_installed_again() {
    let mut node = repository(&[NPM]);
    node.shown = vec!["node_modules"];
    assert_eq!(node.first(), "nothing to set up for npm: node_modules is there");
    assert_eq!(node.detect().script(), None);
    let vendored = repository(&[("go.sum", "a v1 h1:b"), ("vendor/modules.txt", "")]).detect();
    assert_eq!(vendored.found[0].verdict, Verdict::Shown("vendor/modules.txt".to_owned()));
    // What is in a cache has to be installed from there.
    let offline = repository(&[("yarn.lock", "resolved x"), (".yarn/cache/a.zip", "")]).detect();
    assert!(matches!(offline.found[0].verdict, Verdict::Run { .. }));
}

#[test]
fn directories_that_only_share_a_name_with_one_of_packages_do_not_count() {
    for files in [
        [("go.sum", "a v1 h1:b"), ("vendor/notes.md", "")],
        [("requirements.txt", "flask"), ("env/production.yaml", "")],
        [("Cargo.lock", CRATES), ("vendor/zlib/zlib.c", "")],
    ] {
        assert!(repository(&files).detect().script().is_some(), "{files:?}");
    }
}

#[test]
fn a_cache_of_the_home_counts_where_it_has_every_package_of_the_lock_file() {
    let mut rust = repository(&[("Cargo.lock", CRATES)]);
    rust.home = vec![
        (".cargo/registry/cache", &["index-1"]),
        (".cargo/registry/cache/index-1", &["a-1.0.0.crate"]),
        (".cargo/git/checkouts", &["bee-0123"]),
    ];
    assert_eq!(rust.first(), "nothing to set up for cargo: your ~/.cargo is shown and has it");
    rust.home.pop();
    assert_eq!(
        rust.first(),
        "setup: `cargo fetch --locked`, as there is Cargo.lock and your cache lacks b 2.0.0"
    );
    let sums = "example.org/Upper v1.0.0 h1:x\nexample.org/Upper v1.0.0/go.mod h1:x\n";
    let mut go = repository(&[("go.sum", sums)]);
    assert!(go.detect().script().is_some());
    let module = "go/pkg/mod/cache/download/example.org/!upper/@v";
    go.home = vec![("go/pkg/mod/cache/download", &["example.org"]), (module, &["v1.0.0.zip"])];
    assert_eq!(go.detect().found[0].verdict, Verdict::Cached("go/pkg/mod"));
}

#[test]
fn a_lock_file_without_a_package_calls_for_nothing() {
    for (file, text) in [
        ("Cargo.lock", "[[package]]\nname = \"mine\"\nversion = \"0.1.0\"\n"),
        ("package-lock.json", "{\"name\":\"a\",\"lockfileVersion\":3,\"packages\":{\"\":{}}}"),
        ("requirements.txt", "# nothing yet\n\n"),
        ("poetry.lock", "package = []\n"),
        ("uv.lock", "version = 1\n[[package]]\nname = \"a\"\nsource = { virtual = \".\" }\n"),
        ("yarn.lock", "# THIS IS AN AUTOGENERATED FILE.\n# yarn lockfile v1\n\n\n"),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n\nimporters:\n\n  .: {}\n"),
        ("bun.lock", "{\n  \"lockfileVersion\": 1,\n  \"packages\": {\n  }\n}\n"),
    ] {
        assert_eq!(repository(&[(file, text)]).detect().found[0].verdict, Verdict::Empty, "{file}");
    }
}

#[test]
fn one_manager_of_an_ecosystem_is_taken_and_several_ecosystems_are_all_set_up() {
    let pnpm = ("pnpm-lock.yaml", "lockfileVersion: 9\n\npackages:\n  a: {}\n");
    let mut both = repository(&[NPM, pnpm, ("requirements.txt", "flask==3\n")]);
    assert_eq!(both.managers(), ["pnpm", "pip"]);
    assert!(both.detect().script().unwrap().contains('\n'));
    // What the base lacks is told, and the other one taken.
    both.lacks = vec!["pnpm"];
    assert_eq!(both.managers(), ["pnpm", "npm", "pip"]);
    assert!(both.first().contains("add `npm i -g pnpm` to `setup`"), "{}", both.first());
    assert!(both.detect().script().unwrap().starts_with("npm ci"));
}

#[test]
fn a_python_library_without_a_lock_file_is_installed_and_settings_of_tools_are_no_library() {
    let library = ("pyproject.toml", "[project]\nname = \"mean\"\ndependencies = [\"numpy\"]\n");
    let found = repository(&[library]);
    assert_eq!(
        found.first(),
        "setup: `pip install -e '.[dev,test,tests]'`, as there is pyproject.toml"
    );
    let locked = repository(&[library, ("uv.lock", "source = { registry = \"x\" }\n")]);
    assert_eq!(locked.managers(), ["uv"]);
    let tools = ("pyproject.toml", "[tool.ruff]\nline-length = 99\n");
    let below = repository(&[tools, ("front/package-lock.json", NPM.1)]);
    assert_eq!(below.managers(), ["npm"], "what is one level below counts");
    // A change of tools' settings alone makes nobody who has a lock file install again.
    let paths = ["a/pyproject.toml", "a/uv.lock", "b/pyproject.toml"].map(str::to_owned);
    assert_eq!(lock_files(&paths, &[]).unwrap(), ["a/uv.lock", "b/pyproject.toml"]);
}

#[test]
fn without_one_in_the_root_those_one_level_below_count() {
    let found = repository(&[
        ("back end/requirements.txt", "flask\n"),
        ("docs/requirements.txt", "sphinx\n"),
        ("front/package-lock.json", NPM.1),
        ("a/b/Cargo.lock", CRATES),
    ])
    .detect();
    let script = found.script().unwrap();
    assert!(script.starts_with("(cd -- 'back end' && { python3 -m venv"), "{script}");
    assert!(script.ends_with("(cd -- 'front' && { npm ci --no-audit --no-fund\n})"), "{script}");
    assert!(!script.contains("docs"), "{script}");
}

#[test]
fn a_program_that_the_base_lacks_is_named() {
    let mut ruby = repository(&[("Gemfile.lock", "GEM\n  specs:\n    rake (13)\n")]);
    ruby.lacks = vec!["ruby"];
    assert!(ruby.first().contains("there is no `ruby` in the base"), "{}", ruby.first());
    assert_eq!(ruby.detect().script(), None);
}

#[test]
fn a_wrapper_of_the_repository_brings_its_manager_along() {
    let mut java = repository(&[("pom.xml", "<project/>"), ("mvnw", "#!/bin/sh")]);
    java.lacks = vec!["mvn"];
    assert!(java.detect().script().unwrap().contains("./mvnw"));
    java.lacks = vec!["mvn", "java"];
    assert!(java.first().contains("no `java`"), "{}", java.first());
}

#[test]
fn a_directory_can_steer_neither_the_shell_nor_the_log() {
    let found = repository(&[("a'; touch x; '\n\x1b[2J/Cargo.lock", CRATES)]).detect();
    let script = found.script().unwrap();
    assert!(script.starts_with("(cd -- 'a'\\''; touch x; '\\''\n\x1b[2J' && {"), "{script:?}");
    assert!(found.lines().iter().all(|line| !line.contains(['\n', '\x1b'])));
}

#[test]
fn there_are_never_more_than_a_few_steps_and_few_files_are_read() {
    let names: Vec<String> = (0..5_000).map(|n| format!("d{n:04}/Cargo.lock")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, CRATES)).collect();
    let found = repository(&files).detect();
    assert_eq!((found.found.len(), found.more), (8, true));
    assert!(found.lines()[8].starts_with("more than 8 lock files"));
}

#[test]
fn the_files_of_the_key_are_those_that_are_named_or_recognised() {
    let paths = [
        "Cargo.lock",
        "a/package-lock.json",
        "b/tools.lock",
        "c.rs",
        "gradle/libs.versions.toml",
        "notes.txt",
        "requirements/base.txt",
        "requirements-dev.txt",
    ]
    .map(str::to_owned);
    let all = lock_files(&paths, &[]).unwrap();
    assert_eq!(all, [&paths[..2], &paths[4..5], &paths[6..]].concat());
    assert_eq!(lock_files(&paths, &["*/*.lock".to_owned()]).unwrap(), ["b/tools.lock"]);
    assert!(lock_files(&paths, &["[".to_owned()]).is_err());
}

#[test]
fn every_command_of_the_table_is_one_that_bash_reads_in_a_directory_as_well() {
    for manager in MANAGERS {
        let path = format!("a b/{}", manager.lock_files[0]);
        let text = manager.names_packages.first().copied().unwrap_or("x");
        let found = repository(&[(path.as_str(), text)]).detect();
        let script = found.script().unwrap_or_else(|| panic!("{}", manager.name));
        let bash = std::process::Command::new("bash").args(["-n", "-c", &script]).output().unwrap();
        let error = String::from_utf8_lossy(&bash.stderr);
        assert!(bash.status.success() && error.is_empty(), "{}: {error}", manager.name);
        assert!(manager.programs.len() <= 2 && !manager.says.is_empty());
    }
}

#[test]
fn what_a_host_shows_is_looked_up_where_it_lies() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let home = tempfile::Builder::new().prefix("home").tempdir_in(target).unwrap();
    let root = home.path().join("project");
    let cache = home.path().join(".cargo/registry/cache/index-1");
    for directory in [&cache, &root.join("node_modules/a"), &root.join("secret")] {
        std::fs::create_dir_all(directory).unwrap();
    }
    std::fs::write(cache.join("a-1.0.0.crate"), "").unwrap();
    let facts = HostFacts { home: Some(home.path().to_owned()), ..HostFacts::default() };
    let checkout = CheckoutFacts { root: root.clone(), ignored: vec!["node_modules".to_owned()] };
    let view = HostView::of(&facts, Some(&checkout));
    assert!(shown::in_checkout(&view, &root, "node_modules/a"));
    assert!(!shown::in_checkout(&view, &root, "node_modules/b"));
    assert!(!shown::in_checkout(&view, &root, "secret"), "it is not shown");
    assert_eq!(shown::in_home(&view, ".cargo/registry/cache/index-1"), ["a-1.0.0.crate"]);
    assert!(shown::in_home(&view, "project").is_empty(), "it is not shown");
    assert!(shown::in_home(&HostView::bare(&facts), ".cargo/registry").is_empty());
}

#[test]
fn managers_in_use_are_those_with_a_lock_file_near_the_root() {
    let paths = ["a/b/go.sum", "back/Cargo.lock", "docs/x.md", "package-lock.json"];
    assert_eq!(in_use(&paths.map(str::to_owned)), ["npm", "cargo"]);
}
