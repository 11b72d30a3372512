//! What an attempt finds in its git directory, and what of it reaches the mirror: nothing.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use quire_git::{ApplyReport, AttemptGit, GitError, OnConflict};
use support::{Repo, Stage};

fn executable(repo: &Repo, path: &str) {
    let path = repo.path.join(path);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

async fn git_dir(stage: &Stage, branch: Option<&str>) -> Result<Vec<String>, GitError> {
    let checkout = stage.git.inspect(&stage.repo.path).await.unwrap();
    let mirror = stage.git.mirror_checkout(&checkout).await.unwrap();
    let attempt = AttemptGit {
        base: &checkout.head,
        branch,
        hooks_from: Some(&checkout),
        author: ("Ada \"Q\" \\ L\n[x]", "a@example.org"),
    };
    let dir = stage.path("attempt");
    stage.git.attempt_git_dir(&dir, &(&mirror).into(), &attempt).await.map(|written| written.hooks)
}

#[tokio::test]
async fn hooks_are_carried_along_and_samples_are_not() {
    let stage = Stage::new();
    for name in ["pre-commit", "helper.sh", "pre-push.sample", "commit-msg"] {
        stage.repo.write(format!(".git/hooks/{name}"), "#!/bin/sh\n");
    }
    for name in ["pre-commit", "helper.sh", "pre-push.sample"] {
        executable(&stage.repo, &format!(".git/hooks/{name}"));
    }
    assert_eq!(git_dir(&stage, Some("trunk")).await.unwrap(), ["pre-commit"]);
    let hooks = stage.path("attempt/.git/hooks");
    let mut names: Vec<_> =
        std::fs::read_dir(&hooks).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["helper.sh", "pre-commit"]);
}

#[tokio::test]
async fn a_hooks_directory_in_the_tree_stays_where_it_is() {
    let stage = Stage::new();
    stage.repo.write(".husky/_/pre-commit", "#!/bin/sh\n. ./h\n");
    stage.repo.write(".husky/_/h", "true\n");
    stage.repo.write(".husky/_/.gitignore", "*\n");
    executable(&stage.repo, ".husky/_/pre-commit");
    stage.repo.git(["config", "core.hooksPath", ".husky/_"]);
    assert_eq!(git_dir(&stage, None).await.unwrap(), ["pre-commit"]);
    let inside = Repo { path: stage.path("attempt") };
    assert_eq!(inside.git(["config", "core.hooksPath"]), ".husky/_");
    assert_eq!(inside.read(".husky/_/h"), "true\n");
    assert_eq!(inside.read(".git/HEAD").trim(), stage.repo.head().as_str());
}

#[tokio::test]
async fn settings_cannot_be_broken_out_of_and_a_second_try_harms_no_mirror() {
    let stage = Stage::new();
    git_dir(&stage, Some("trunk")).await.unwrap();
    let mirror = stage.mirror().await;
    let refs = mirror.repository().git_dir().join("packed-refs");
    let before = std::fs::read_to_string(&refs).unwrap();
    git_dir(&stage, Some("feature/x")).await.unwrap();
    assert_eq!(std::fs::read_to_string(&refs).unwrap(), before);
    let inside = Repo { path: stage.path("attempt") };
    assert_eq!(inside.git(["config", "user.name"]), "Ada \"Q\" \\ L\n[x]");
    assert_eq!(inside.git(["symbolic-ref", "HEAD"]), "refs/heads/feature/x");
    for bad in ["-x y", "a..b", "../../x", "x.lock", ""] {
        let error = git_dir(&stage, Some(bad)).await.unwrap_err();
        assert!(matches!(error, GitError::BadRef { .. }), "{bad}");
    }
}

#[tokio::test]
async fn what_a_person_ignores_everywhere_is_ignored_inside() {
    let stage = Stage::new();
    std::fs::create_dir_all(stage.path("home/.config/git")).unwrap();
    std::fs::write(stage.path("home/.config/git/ignore"), ".idea/\n").unwrap();
    stage.repo.write(".git/info/exclude", "notes.txt\n");
    stage.repo.write(".idea/x", "x");
    stage.repo.write("notes.txt", "x");
    let checkout = stage.git.inspect(&stage.repo.path).await.unwrap();
    assert!(checkout.status.is_clean(), "{:?}", checkout.status);
    git_dir(&stage, None).await.unwrap();
    let text = std::fs::read_to_string(stage.path("attempt/.git/info/exclude")).unwrap();
    assert_eq!(text, "__pycache__/\n.idea/\n\nnotes.txt\n\n");
}

/// An edit of a working tree.
#[derive(Debug, Clone)]
enum Edit {
    Write(u8, Vec<u8>),
    Remove(u8),
    Link(u8, String),
    Mode(u8),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let one = prop_oneof![
        (0..12_u8, proptest::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(n, b)| Edit::Write(n, b)),
        (0..12_u8, "([a-c]\n){0,30}").prop_map(|(n, text)| Edit::Write(n, text.into_bytes())),
        (0..12_u8).prop_map(Edit::Remove),
        (0..12_u8, "[a-z./]{1,20}").prop_map(|(n, to)| Edit::Link(n, to)),
        (0..12_u8).prop_map(Edit::Mode),
    ];
    proptest::collection::vec(one, 1..12)
}

/// A few names, some of which are a file in one tree and a directory in another.
fn name(n: u8) -> &'static str {
    ["a", "b/c", "b", "d/e/f", "d/e", "ü", "x y", "new\nline", "-q", "a.txt", "src/main.rs", "*"]
        [usize::from(n) % 12]
}

fn edit(repo: &Repo, edits: &[Edit]) {
    for edit in edits {
        let (Edit::Write(n, _) | Edit::Remove(n) | Edit::Link(n, _) | Edit::Mode(n)) = edit;
        let path = repo.path.join(name(*n));
        let clear = || {
            if path.symlink_metadata().is_ok_and(|m| m.is_dir()) {
                std::fs::remove_dir_all(&path).unwrap();
            } else {
                let _ = std::fs::remove_file(&path);
            }
            // What stands in the way of its directory goes.
            for parent in path.ancestors().skip(1).take_while(|p| *p != repo.path) {
                if parent.symlink_metadata().is_ok_and(|m| !m.is_dir()) {
                    std::fs::remove_file(parent).unwrap();
                }
            }
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        };
        match edit {
            Edit::Write(_, content) => {
                clear();
                std::fs::write(&path, content).unwrap();
            }
            Edit::Remove(_) => clear(),
            Edit::Link(_, to) => {
                clear();
                std::os::unix::fs::symlink(to, &path).unwrap();
            }
            Edit::Mode(_) if path.symlink_metadata().is_ok_and(|m| m.is_file()) => {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            Edit::Mode(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_changed_arrives_as_it_was_made(uncommitted in edits(), change in edits()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stage = Stage::new();
            edit(&stage.repo, &uncommitted);
            let checkout = stage.git.inspect(&stage.repo.path).await.unwrap();
            let mirror = stage.git.mirror_checkout(&checkout).await.unwrap();
            let captured = stage.git.capture(&checkout, &mirror).await.unwrap();
            let (base, repository) = (captured.base.clone(), captured.repository(&mirror));
            let inside = stage.inside(repository.clone(), &base).await;
            prop_assert_eq!(inside.repo.git(["status", "--porcelain"]), "");
            edit(&inside.repo, &change);
            let head = inside.repo.commit_all("change");
            let store = stage.results(repository).await;
            let pack = inside.export(&head);
            let received = stage.receive(&store, &base, head.as_str(), pack).await.unwrap();
            let there = inside.repo.git([
                "diff-tree", "-r", "--no-renames", "-z", "--name-only", base.as_str(), head.as_str(),
            ]);
            let expected: Vec<&str> = there.split('\0').filter(|p| !p.is_empty()).collect();
            let got: Vec<&str> = received.changed.iter().map(|c| c.path.to_str().unwrap()).collect();
            prop_assert_eq!(got, expected);

            let report = stage.git.apply(&checkout, &store, &base, &head, OnConflict::Refuse).await;
            let report = report.unwrap();
            prop_assert!(!matches!(report, ApplyReport::Refused(_)), "{:?}", report);
            stage.repo.git(["add", "-A"]);
            prop_assert_eq!(
                stage.repo.git(["write-tree"]),
                inside.repo.git(["rev-parse", "HEAD^{tree}"])
            );
            Ok(())
        })?;
    }
}
