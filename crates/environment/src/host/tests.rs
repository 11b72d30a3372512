//! What is shown of homes and checkouts made for it, and what is not.

use super::*;

fn home_with(paths: &[&str]) -> tempfile::TempDir {
    let parent = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    std::fs::create_dir_all(&parent).unwrap();
    let home = tempfile::Builder::new().prefix("home").tempdir_in(parent).unwrap();
    for path in paths {
        std::fs::create_dir_all(home.path().join(path)).unwrap();
    }
    home
}

#[test]
fn toolchains_are_taken_and_credentials_are_not() {
    let home = home_with(&[".cargo/bin", ".cargo/registry", ".ssh", ".aws", "bin"]);
    let facts = HostFacts {
        home: Some(home.path().to_owned()),
        path: vec![
            home.path().join("bin"),
            home.path().join(".ssh"),
            home.path().to_owned(),
            PathBuf::from("/usr/bin"),
            PathBuf::from("/mnt/elsewhere"),
        ],
        ..HostFacts::default()
    };
    let view = HostView::of(&facts, None);
    let binds: Vec<_> = view.binds.iter().map(|bind| bind.target.clone()).collect();
    assert_eq!(binds, [home.path().join(".cargo/bin"), home.path().join("bin")]);
    let mut lowers = view.overlays.iter().flat_map(|overlay| &overlay.lowers);
    assert!(lowers.all(|layer| layer.owner == LayerOwner::Person), "nobody takes them over");
    let overlays: Vec<_> = view.overlays.iter().map(|o| o.target.clone()).collect();
    assert_eq!(overlays, [home.path().join(".cargo/registry")]);
    let path = &view.env["PATH"];
    assert!(path.starts_with(&format!("{}:/usr/bin:", home.path().join("bin").display())));
    assert!(!path.contains(".ssh") && !path.contains("/mnt"), "{path}");
}

#[test]
fn a_variable_that_points_at_what_is_not_shown_is_left_out() {
    let home = home_with(&[".cargo/bin", "private"]);
    let set = |name: &str, value: String| (name.to_owned(), value);
    let facts = HostFacts {
        home: Some(home.path().to_owned()),
        variables: BTreeMap::from([
            set("CARGO_HOME", home.path().join(".cargo").display().to_string()),
            set("GOPATH", home.path().join("private").display().to_string()),
            set("JAVA_HOME", "/usr/lib/jvm/x".to_owned()),
        ]),
        ..HostFacts::default()
    };
    let env = HostView::of(&facts, None).env;
    assert!(env.contains_key("CARGO_HOME") && env.contains_key("JAVA_HOME"));
    assert!(!env.contains_key("GOPATH"));
}

#[test]
fn a_home_may_lie_wherever_people_have_theirs() {
    let place = tempfile::Builder::new().prefix("home-").tempdir_in("/var/tmp").unwrap();
    let home = place.path().join("alice");
    std::fs::create_dir_all(home.join(".cargo/bin")).unwrap();
    let view = HostView::of(&HostFacts { home: Some(home.clone()), ..HostFacts::default() }, None);
    assert_eq!(view.home, home);
    assert_eq!(view.binds.len(), 1, "{:?}", view.binds);
    for system in ["/var", "/var/lib", "/usr/bin", "/", "/etc"] {
        let facts = HostFacts { home: Some(system.into()), ..HostFacts::default() };
        let view = HostView::of(&facts, None);
        assert_eq!(view.home, Path::new(BARE_HOME), "{system}");
    }
}

#[test]
fn a_program_on_the_path_is_shown_with_what_it_stands_on() {
    let home = home_with(&[
        ".npm-global/bin",
        ".npm-global/lib/node_modules",
        ".npm-global/etc",
        "envs/tools/bin",
        "envs/tools/lib",
        "bin",
        "lib",
        ".aws",
        ".sly/bin",
    ]);
    let at = |name: &str| home.path().join(name);
    std::fs::write(at("envs/tools/pyvenv.cfg"), "").unwrap();
    std::os::unix::fs::symlink(at(".aws"), at(".sly/lib")).unwrap();
    let path = [".npm-global/bin", "envs/tools/bin", "bin", ".sly/bin"].map(at).to_vec();
    let facts = HostFacts { home: Some(at("")), path, ..HostFacts::default() };
    let view = HostView::of(&facts, None);
    let binds: Vec<_> = view.binds.iter().map(|bind| bind.target.clone()).collect();
    let shown = [".npm-global/lib", ".npm-global/bin", "envs/tools", "bin", ".sly/bin"];
    assert_eq!(binds, shown.map(at));
    assert!(view.env["PATH"].contains("/envs/tools/bin:"), "{}", view.env["PATH"]);
}

#[test]
fn an_activated_environment_of_the_checkout_is_on_the_path_and_writable() {
    let home = home_with(&["project/.venv/bin"]);
    let root = home.path().join("project");
    let venv = root.join(".venv");
    let facts = HostFacts {
        home: Some(home.path().to_owned()),
        path: vec![venv.join("bin"), PathBuf::from("/usr/bin")],
        variables: BTreeMap::from([("VIRTUAL_ENV".to_owned(), venv.display().to_string())]),
        ..HostFacts::default()
    };
    let checkout = CheckoutFacts { root, ignored: vec![".venv".to_owned()] };
    let view = HostView::of(&facts, Some(&checkout));
    assert!(view.binds.is_empty(), "{:?}", view.binds);
    assert_eq!(view.overlays[0].target, venv);
    assert_eq!(view.env["VIRTUAL_ENV"], venv.display().to_string());
    assert!(view.env["PATH"].starts_with(&format!("{}:", venv.join("bin").display())));
}

#[test]
fn toolchains_that_a_variable_has_moved_are_found() {
    let home = home_with(&["bin"]);
    let data = home_with(&["cargo/bin", "cargo/registry", "rustup/toolchains"]);
    let data_path = data.path().canonicalize().unwrap();
    let at = |name: &str| data_path.join(name);
    let set = |name: &str, value: PathBuf| (name.to_owned(), value.display().to_string());
    let facts = HostFacts {
        home: Some(home.path().to_owned()),
        path: vec![at("cargo/bin")],
        variables: BTreeMap::from([
            set("CARGO_HOME", at("cargo")),
            set("RUSTUP_HOME", at("rustup")),
            set("GOPATH", at("nothing")),
        ]),
        ..HostFacts::default()
    };
    let view = HostView::of(&facts, None);
    let binds: Vec<_> = view.binds.iter().map(|bind| bind.target.clone()).collect();
    assert_eq!(binds, [at("cargo/bin"), at("rustup/toolchains")]);
    assert_eq!(view.overlays[0].target, at("cargo/registry"));
    assert!(view.env["PATH"].starts_with(&at("cargo/bin").display().to_string()));
    assert!(view.env.contains_key("CARGO_HOME") && view.env.contains_key("RUSTUP_HOME"));
    assert!(!view.env.contains_key("GOPATH"), "nothing of it is there");
}

#[test]
fn a_bare_view_takes_nothing() {
    let view = HostView::bare(&HostFacts::default());
    assert!(view.binds.is_empty() && view.overlays.is_empty() && view.notes.is_empty());
    assert_eq!(view.home, Path::new("/home/quire"));
}
