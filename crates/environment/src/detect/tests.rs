//! What lock files call for, told as repositories.

use super::managers::MANAGERS;
use super::{Found, Place, Verdict, detect, lock_files, script};

/// A repository of these files, with their text, in a base with these programs.
struct Repository {
    files: Vec<(&'static str, &'static str)>,
    shown: Vec<&'static str>,
    home: Vec<&'static str>,
    lacks: Vec<&'static str>,
}

fn repository(files: &[(&'static str, &'static str)]) -> Repository {
    Repository { files: files.to_vec(), shown: vec![], home: vec![], lacks: vec![] }
}

impl Repository {
    fn detect(&self) -> Vec<Found> {
        let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        let mut paths = owned(&self.files.iter().map(|(path, _)| *path).collect::<Vec<_>>());
        paths.sort();
        let text = |path: &str| {
            let found = self.files.iter().find(|(other, _)| *other == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        detect(&Place {
            paths: &paths,
            shown: &owned(&self.shown),
            home: &owned(&self.home),
            has_program: &|program| !self.lacks.contains(&program),
            read: &text,
        })
    }

    fn lines(&self) -> Vec<String> {
        self.detect().iter().map(ToString::to_string).collect()
    }
}

const NPM: (&str, &str) = ("package-lock.json", "{\"packages\":{\"node_modules/a\":{}}}");

#[test]
fn a_lock_file_in_the_root_says_what_is_run() {
    let found = repository(&[NPM, ("src/a.js", ""), ("docs/package-lock.json", "")]).detect();
    assert_eq!(script(&found).as_deref(), Some("npm ci --no-audit --no-fund"));
    assert_eq!(
        found[0].to_string(),
        "setup: `npm ci --no-audit --no-fund`, as there is package-lock.json"
    );
}

#[test]
fn what_the_checkout_or_the_home_brings_along_is_not_installed_again() {
    let mut node = repository(&[NPM]);
    node.shown = vec!["node_modules"];
    assert_eq!(node.lines(), ["nothing to set up for npm: node_modules is shown"]);
    let mut rust = repository(&[("Cargo.lock", "source = \"registry+x\"")]);
    rust.home = vec![".cargo/registry"];
    assert_eq!(rust.lines(), ["nothing to set up for cargo: ~/.cargo/registry is shown"]);
    let vendored = repository(&[("go.sum", "a h1:b"), ("vendor/modules.txt", "")]);
    assert_eq!(vendored.detect()[0].verdict, Verdict::Shown("vendor".to_owned()));
    assert_eq!(script(&node.detect()), None);
}

#[test]
fn a_lock_file_without_a_package_calls_for_nothing() {
    for (file, text) in [
        ("Cargo.lock", "[[package]]\nname = \"mine\"\nversion = \"0.1.0\"\n"),
        ("package-lock.json", "{\"name\":\"a\",\"lockfileVersion\":3,\"packages\":{\"\":{}}}"),
        ("requirements.txt", "# nothing yet\n\n"),
        ("poetry.lock", "package = []\n"),
    ] {
        assert_eq!(repository(&[(file, text)]).detect()[0].verdict, Verdict::Empty, "{file}");
    }
}

#[test]
fn one_manager_of_an_ecosystem_is_taken_and_several_ecosystems_are_all_set_up() {
    let pnpm = ("pnpm-lock.yaml", "lockfileVersion: 9\n\npackages:\n  a: {}\n");
    let found = repository(&[NPM, pnpm, ("requirements.txt", "flask==3\n")]).detect();
    let managers: Vec<_> = found.iter().map(|found| found.manager).collect();
    assert_eq!(managers, ["pnpm", "pip"]);
    assert!(script(&found).unwrap().contains('\n'));
}

#[test]
fn without_one_in_the_root_those_one_level_below_count() {
    let found = repository(&[
        ("back end/requirements.txt", "flask\n"),
        ("front/package-lock.json", NPM.1),
        ("a/b/Cargo.lock", "source = \"registry+x\""),
    ])
    .detect();
    let script = script(&found).unwrap();
    assert!(script.starts_with("(cd 'back end' && python3 -m venv"), "{script}");
    assert!(script.ends_with("(cd 'front' && npm ci --no-audit --no-fund)"), "{script}");
}

#[test]
fn a_program_that_the_base_lacks_is_named() {
    let mut ruby = repository(&[("Gemfile.lock", "GEM\n  specs:\n    rake (13)\n")]);
    ruby.lacks = vec!["bundle"];
    assert!(ruby.lines()[0].contains("has no `bundle`"), "{:?}", ruby.lines());
    assert_eq!(script(&ruby.detect()), None);
}

#[test]
fn a_directory_cannot_steer_the_shell() {
    let found = repository(&[("a'; touch x; '/Cargo.lock", "source = \"git+x\"")]).detect();
    assert_eq!(script(&found).unwrap(), r"(cd 'a'\''; touch x; '\''' && cargo fetch --locked)");
}

#[test]
fn there_are_never_more_than_a_few_steps() {
    let names: Vec<String> = (0..50).map(|n| format!("d{n:02}/Cargo.lock")).collect();
    let files: Vec<(&'static str, &'static str)> =
        names.iter().map(|name| (&*name.clone().leak(), "source = \"git+x\"")).collect();
    assert_eq!(repository(&files).detect().len(), 8);
}

#[test]
fn the_files_of_the_key_are_those_that_are_named_or_recognised() {
    let paths: Vec<String> =
        ["Cargo.lock", "a/package-lock.json", "b/tools.lock", "c.rs"].map(str::to_owned).to_vec();
    let all = lock_files(&paths, &[]).unwrap();
    assert_eq!(all, ["Cargo.lock", "a/package-lock.json"]);
    assert_eq!(lock_files(&paths, &["*/*.lock".to_owned()]).unwrap(), ["b/tools.lock"]);
    assert!(lock_files(&paths, &["[".to_owned()]).is_err());
}

#[test]
fn every_manager_of_the_table_is_whole() {
    for manager in MANAGERS {
        assert!(!manager.lock_files.is_empty() && !manager.programs.is_empty(), "{}", manager.name);
        assert!(manager.script().ends_with(manager.command));
    }
}
