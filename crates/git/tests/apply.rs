//! A change comes onto a person's checkout: all of it, joined with theirs, or not at all.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::os::unix::fs::PermissionsExt;

use quire_git::{ApplyReport, ConflictKind, OnConflict};
use support::Stage;
use support::changed::{Changed, names};

#[tokio::test]
async fn files_deletions_modes_links_and_binaries_arrive_and_a_repeat_changes_nothing() {
    let changed = Changed::by(Stage::new(), |inside| {
        let repo = &inside.repo;
        repo.write("a.txt", "one\n2\nthree\n");
        repo.write("dir/new.bin", [0, 159, 146, 150]);
        repo.write("dir/run.sh", "#!/bin/sh\n");
        let run = repo.path.join("dir/run.sh");
        std::fs::set_permissions(run, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", repo.path.join("link")).unwrap();
        std::fs::remove_file(repo.path.join("src/main.rs")).unwrap();
        repo.write("odd\nname\u{1b}", "x");
    })
    .await;
    let head_before = changed.stage.repo.head();
    let report = changed.apply(OnConflict::Refuse).await;
    let ApplyReport::Applied(applied) = report else { panic!("{report:?}") };
    assert_eq!(names(&applied.deleted), ["src/main.rs"]);
    assert_eq!(applied.written.len(), 5);
    let repo = &changed.stage.repo;
    assert_eq!(repo.read("a.txt"), "one\n2\nthree\n");
    assert_eq!(std::fs::read(repo.path.join("dir/new.bin")).unwrap(), [0, 159, 146, 150]);
    let mode = std::fs::metadata(repo.path.join("dir/run.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111);
    assert_eq!(
        std::fs::read_link(repo.path.join("link")).unwrap(),
        std::path::Path::new("/etc/passwd")
    );
    assert!(!repo.path.join("src").exists(), "an empty directory stayed");
    assert_eq!(repo.read("odd\nname\u{1b}"), "x");
    assert_eq!(repo.head(), head_before);
    assert_eq!(repo.git(["diff", "--cached", "--name-only"]), "");
    assert!(!repo.path.join(".git/quire-apply").exists());
    // The whole of it is what the attempt committed.
    repo.git(["add", "-A"]);
    let tree = repo.git(["write-tree"]);
    let theirs = changed
        .stage
        .git
        .changes(changed.store.repository(), &changed.base, &changed.head, 100)
        .await
        .unwrap();
    let inside_tree = changed.stage.repo.git(["diff-tree", "-r", "--name-only", "HEAD", &tree]);
    assert_eq!(inside_tree.lines().count(), theirs.0.len());
    assert_eq!(changed.apply(OnConflict::Refuse).await, ApplyReport::AlreadyApplied);
}

#[tokio::test]
async fn edits_of_other_lines_are_joined_and_uncommitted_work_stays() {
    let stage = Stage::new();
    stage.repo.write("a.txt", "zero\none\ntwo\nthree\n");
    stage.repo.write("untracked.txt", "mine\n");
    let changed = Changed::by(stage, |inside| {
        assert_eq!(inside.repo.read("untracked.txt"), "mine\n");
        inside.repo.write("a.txt", "zero\none\ntwo\nthree\nfour\n");
    })
    .await;
    changed.stage.repo.write("a.txt", "ZERO\none\ntwo\nthree\n");
    let report = changed.apply(OnConflict::Refuse).await;
    let ApplyReport::Applied(applied) = report else { panic!("{report:?}") };
    assert_eq!(names(&applied.merged), ["a.txt"]);
    assert_eq!(changed.stage.repo.read("a.txt"), "ZERO\none\ntwo\nthree\nfour\n");
    assert_eq!(changed.stage.repo.read("untracked.txt"), "mine\n");
}

#[tokio::test]
async fn a_conflict_refuses_the_whole_and_touches_nothing() {
    let changed = Changed::by(Stage::new(), |inside| {
        inside.repo.write("a.txt", "one\ntheirs\nthree\n");
        inside.repo.write("new.txt", "theirs\n");
        inside.repo.write("fine.txt", "fine\n");
        std::fs::remove_file(inside.repo.path.join("src/main.rs")).unwrap();
    })
    .await;
    changed.stage.repo.write("a.txt", "one\nours\nthree\n");
    changed.stage.repo.write("new.txt", "ours\n");
    changed.stage.repo.write("src/main.rs", "fn main() { ours() }\n");
    assert_eq!(
        changed.refused().await,
        [
            ("a.txt".to_owned(), ConflictKind::Lines),
            ("new.txt".to_owned(), ConflictKind::InTheWay),
            ("src/main.rs".to_owned(), ConflictKind::ChangedHere),
        ]
    );
    assert!(!changed.stage.repo.path.join("fine.txt").exists());
}

#[tokio::test]
async fn markers_are_written_only_when_asked_for() {
    let changed = Changed::by(Stage::new(), |inside| {
        inside.repo.write("a.txt", "one\ntheirs\nthree\n");
        inside.repo.write("fine.txt", "fine\n");
    })
    .await;
    changed.stage.repo.write("a.txt", "one\nours\nthree\n");
    let report = changed.apply(OnConflict::WriteMarkers).await;
    let ApplyReport::Applied(applied) = report else { panic!("{report:?}") };
    assert_eq!(applied.conflicts.len(), 1);
    assert_eq!(names(&applied.written), ["fine.txt"]);
    let text = changed.stage.repo.read("a.txt");
    assert!(text.contains("<<<<<<< yours\nours\n=======\ntheirs\n>>>>>>> attempt\n"), "{text}");
}

#[tokio::test]
async fn a_directory_that_is_a_link_here_leads_nowhere() {
    let changed = Changed::by(Stage::new(), |inside| inside.repo.write("out/x", "theirs")).await;
    let elsewhere = changed.stage.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, changed.stage.repo.path.join("out")).unwrap();
    assert_eq!(changed.refused().await, [("out/x".to_owned(), ConflictKind::Kind)]);
    assert_eq!(std::fs::read_dir(elsewhere).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_becomes_a_directory_and_a_directory_a_file() {
    let stage = Stage::new();
    stage.repo.write("d/one", "1");
    stage.repo.commit_all("more");
    let changed = Changed::by(stage, |inside| {
        let path = &inside.repo.path;
        std::fs::remove_file(path.join("a.txt")).unwrap();
        inside.repo.write("a.txt/b", "now below");
        std::fs::remove_dir_all(path.join("d")).unwrap();
        inside.repo.write("d", "now a file");
    })
    .await;
    let report = changed.apply(OnConflict::Refuse).await;
    assert!(matches!(report, ApplyReport::Applied(_)), "{report:?}");
    assert_eq!(changed.stage.repo.read("a.txt/b"), "now below");
    assert_eq!(changed.stage.repo.read("d"), "now a file");
    assert_eq!(changed.apply(OnConflict::Refuse).await, ApplyReport::AlreadyApplied);
}

#[tokio::test]
async fn line_endings_of_the_checkout_are_kept() {
    let stage = Stage::new();
    stage.repo.git(["config", "core.autocrlf", "true"]);
    std::fs::remove_file(stage.repo.path.join("a.txt")).unwrap();
    stage.repo.git(["checkout", "a.txt"]);
    assert_eq!(stage.repo.read("a.txt"), "one\r\ntwo\r\nthree\r\n");
    let changed = Changed::by(stage, |inside| inside.repo.write("a.txt", "one\n2\nthree\n")).await;
    let report = changed.apply(OnConflict::Refuse).await;
    assert!(matches!(report, ApplyReport::Applied(_)), "{report:?}");
    assert_eq!(changed.stage.repo.read("a.txt"), "one\r\n2\r\nthree\r\n");
}
