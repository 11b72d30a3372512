//! A change comes onto a checkout in which files have other names by now, on either side: what
//! lies there afterwards is what `git merge` leaves.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::Path;

use quire_git::{ApplyReport, ConflictKind, OnConflict};
use support::changed::{Changed, names};
use support::{Repo, Stage};

const POEM: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.repo.write("poem.txt", POEM);
    stage.repo.write("old/x.rs", POEM.replace("one", "x"));
    stage.repo.write("old/y.rs", POEM.replace("one", "y"));
    stage.repo.commit_all("more");
    stage
}

fn rename(repo: &Repo, from: &str, to: &str) {
    let to = repo.path.join(to);
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::rename(repo.path.join(from), to).unwrap();
}

/// Every file with its content and mode, git's own aside.
fn files(repo: &Path) -> Vec<(String, Vec<u8>, bool)> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = Vec::new();
    let mut dirs = vec![repo.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap().flatten() {
            let path = entry.path();
            let meta = entry.metadata().unwrap();
            if entry.file_name() == ".git" {
            } else if meta.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(repo).unwrap().display().to_string();
                let executable = meta.permissions().mode() & 0o100 != 0;
                let content = match std::fs::read_link(&path) {
                    Ok(target) => target.into_os_string().into_encoded_bytes(),
                    Err(_) => std::fs::read(&path).unwrap(),
                };
                found.push((name, content, executable));
            }
        }
    }
    found.sort();
    found
}

/// What `git merge` leaves of the same two sides, in a clone of the checkout.
fn by_git_merge(changed: &Changed) -> (bool, Vec<(String, Vec<u8>, bool)>) {
    let clone = Repo { path: changed.stage.path("merged") };
    assert!(
        std::process::Command::new("cp")
            .arg("-a")
            .args([&changed.stage.repo.path, &clone.path])
            .status()
            .unwrap()
            .success()
    );
    let results = changed.store.repository().git_dir().display().to_string();
    clone.git(["fetch", "-q", &results, "refs/quire/attempts/attempt-1:attempt"]);
    clone.git(["checkout", "-q", "-b", "yours"]);
    clone.commit_all("yours");
    let (clean, _) = clone.try_git(["merge", "-q", "--no-edit", "attempt"]);
    let mut found = files(&clone.path);
    // A merge names its own side by what is checked out.
    for (_, content, _) in &mut found {
        if let Ok(text) = std::str::from_utf8(content) {
            *content = text.replace("<<<<<<< HEAD", "<<<<<<< yours").into_bytes();
        }
    }
    (clean, found)
}

/// Applies, and holds the outcome against that of `git merge`.
async fn applies_as_git_merges(changed: &Changed) -> quire_git::Applied {
    let (clean, expected) = by_git_merge(changed);
    let index = std::fs::read(changed.stage.repo.path.join(".git/index")).unwrap();
    let report = changed.apply(OnConflict::WriteMarkers).await;
    let ApplyReport::Applied(applied) = report else { panic!("{report:?}") };
    assert_eq!(applied.conflicts.is_empty(), clean, "{:?}", applied.conflicts);
    assert_eq!(files(&changed.stage.repo.path), expected);
    assert_eq!(std::fs::read(changed.stage.repo.path.join(".git/index")).unwrap(), index);
    assert!(!changed.stage.repo.path.join(".git/quire-apply").exists());
    applied
}

#[tokio::test]
async fn an_edit_here_follows_a_file_that_the_attempt_renamed() {
    let changed = Changed::by(stage(), |inside| {
        rename(&inside.repo, "poem.txt", "verse/poem \u{e4}\n.txt");
        inside.repo.write("verse/poem \u{e4}\n.txt", POEM.replace("ten", "TEN"));
    })
    .await;
    changed.stage.repo.write("poem.txt", POEM.replace("one", "ONE"));
    let applied = applies_as_git_merges(&changed).await;
    assert_eq!(names(&applied.deleted), ["poem.txt"]);
    assert_eq!(applied.merged.len(), 1);
    let text = changed.stage.repo.read("verse/poem \u{e4}\n.txt");
    assert_eq!(text, POEM.replace("one", "ONE").replace("ten", "TEN"));
}

#[tokio::test]
async fn an_edit_of_the_attempt_follows_a_file_that_was_renamed_here() {
    for staged in [false, true] {
        let changed = Changed::by(stage(), |inside| {
            inside.repo.write("poem.txt", POEM.replace("ten", "TEN"));
        })
        .await;
        let repo = &changed.stage.repo;
        rename(repo, "poem.txt", "verse.txt");
        repo.write("verse.txt", POEM.replace("one", "ONE"));
        if staged {
            repo.git(["add", "-A"]);
        }
        let applied = applies_as_git_merges(&changed).await;
        assert_eq!(names(&applied.merged), ["verse.txt"]);
        assert!(applied.deleted.is_empty() && applied.written.is_empty());
        let text = changed.stage.repo.read("verse.txt");
        assert_eq!(text, POEM.replace("one", "ONE").replace("ten", "TEN"));
        assert!(!changed.stage.repo.path.join("poem.txt").exists());
        assert_eq!(changed.apply(OnConflict::Refuse).await, ApplyReport::AlreadyApplied);
    }
}

#[tokio::test]
async fn a_rename_that_was_committed_here_meanwhile_is_followed() {
    let changed = Changed::by(stage(), |inside| {
        inside.repo.write("poem.txt", POEM.replace("ten", "TEN"));
        inside.repo.write("new.txt", "new\n");
    })
    .await;
    rename(&changed.stage.repo, "poem.txt", "verse.txt");
    changed.stage.repo.commit_all("renamed");
    let applied = applies_as_git_merges(&changed).await;
    assert_eq!(names(&applied.written), ["new.txt", "verse.txt"]);
}

#[tokio::test]
async fn one_new_name_on_both_sides_is_no_conflict() {
    let changed = Changed::by(stage(), |inside| {
        rename(&inside.repo, "poem.txt", "verse.txt");
        inside.repo.write("verse.txt", POEM.replace("ten", "TEN"));
    })
    .await;
    rename(&changed.stage.repo, "poem.txt", "verse.txt");
    changed.stage.repo.write("verse.txt", POEM.replace("one", "ONE"));
    let applied = applies_as_git_merges(&changed).await;
    assert_eq!(names(&applied.merged), ["verse.txt"]);
}

#[tokio::test]
async fn two_new_names_are_told_and_touch_nothing_unless_asked_for() {
    let changed = Changed::by(stage(), |inside| {
        rename(&inside.repo, "poem.txt", "theirs.txt");
        inside.repo.write("fine.txt", "fine\n");
    })
    .await;
    rename(&changed.stage.repo, "poem.txt", "ours.txt");
    assert_eq!(changed.refused().await, [("poem.txt".to_owned(), ConflictKind::Names)]);
    let applied = applies_as_git_merges(&changed).await;
    assert_eq!(applied.conflicts.len(), 1);
    assert_eq!(changed.stage.repo.read("theirs.txt"), POEM);
    assert_eq!(changed.stage.repo.read("ours.txt"), POEM);
}

#[tokio::test]
async fn renamed_on_one_side_and_deleted_on_the_other_is_told() {
    let changed = Changed::by(stage(), |inside| {
        rename(&inside.repo, "poem.txt", "theirs.txt");
        inside.repo.write("theirs.txt", POEM.replace("ten", "TEN"));
    })
    .await;
    std::fs::remove_file(changed.stage.repo.path.join("poem.txt")).unwrap();
    assert_eq!(changed.refused().await, [("theirs.txt".to_owned(), ConflictKind::GoneHere)]);
    applies_as_git_merges(&changed).await;

    let changed = Changed::by(stage(), |inside| {
        std::fs::remove_file(inside.repo.path.join("poem.txt")).unwrap();
    })
    .await;
    rename(&changed.stage.repo, "poem.txt", "ours.txt");
    changed.stage.repo.write("ours.txt", POEM.replace("ten", "TEN"));
    changed.stage.repo.write("a.txt", "mine\n");
    assert_eq!(changed.refused().await, [("ours.txt".to_owned(), ConflictKind::ChangedHere)]);
}

#[tokio::test]
async fn a_new_file_in_a_directory_that_was_renamed_here_is_told() {
    let changed = Changed::by(stage(), |inside| {
        inside.repo.write("old/z.rs", "mod z;\n");
        inside.repo.write("old/x.rs", POEM.replace("one", "x").replace("ten", "TEN"));
    })
    .await;
    rename(&changed.stage.repo, "old", "young");
    assert_eq!(changed.refused().await, [("young/z.rs".to_owned(), ConflictKind::Directory)]);
    applies_as_git_merges(&changed).await;
    assert_eq!(changed.stage.repo.read("young/z.rs"), "mod z;\n");
}

#[tokio::test]
async fn two_files_that_get_one_name_are_told_and_both_are_kept() {
    let changed = Changed::by(stage(), |inside| {
        rename(&inside.repo, "old/x.rs", "both.rs");
    })
    .await;
    rename(&changed.stage.repo, "old/y.rs", "both.rs");
    let conflicts = changed.refused().await;
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    applies_as_git_merges(&changed).await;
    let text = changed.stage.repo.read("both.rs");
    assert!(
        text.contains("<<<<<<< yours") && text.contains("\nx\n") && text.contains("\ny\n"),
        "{text}"
    );
}

#[tokio::test]
async fn the_executable_bit_and_the_content_come_from_the_side_that_changed_them() {
    use std::os::unix::fs::PermissionsExt;
    let changed = Changed::by(stage(), |inside| {
        rename(&inside.repo, "poem.txt", "run.sh");
        let run = inside.repo.path.join("run.sh");
        std::fs::set_permissions(run, std::fs::Permissions::from_mode(0o755)).unwrap();
    })
    .await;
    changed.stage.repo.write("poem.txt", POEM.replace("one", "ONE"));
    applies_as_git_merges(&changed).await;
    let mode = std::fs::metadata(changed.stage.repo.path.join("run.sh")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o111, 0o111);
}

#[tokio::test]
async fn an_ignored_file_in_the_place_of_a_new_name_is_not_overwritten() {
    let changed = Changed::by(stage(), |inside| {
        rename(&inside.repo, "poem.txt", "out.log");
    })
    .await;
    changed.stage.repo.write(".git/info/exclude", "*.log\n");
    changed.stage.repo.write("out.log", "mine\n");
    assert_eq!(changed.refused().await, [("out.log".to_owned(), ConflictKind::InTheWay)]);
    let report = changed.apply(OnConflict::WriteMarkers).await;
    assert!(matches!(report, ApplyReport::Applied(_)), "{report:?}");
    assert!(changed.stage.repo.read("out.log").contains("mine\n"));
}

#[tokio::test]
async fn binary_files_changed_on_both_sides_are_told_and_stay_as_they_are_here() {
    let stage = stage();
    stage.repo.write("image.bin", [0, 1, 2, 3]);
    stage.repo.commit_all("image");
    let changed = Changed::by(stage, |inside| {
        inside.repo.write("image.bin", [0, 9, 9, 9]);
        inside.repo.write("fine.txt", "fine\n");
    })
    .await;
    changed.stage.repo.write("image.bin", [0, 7, 7, 7]);
    assert_eq!(changed.refused().await, [("image.bin".to_owned(), ConflictKind::Binary)]);
    applies_as_git_merges(&changed).await;
    assert_eq!(std::fs::read(changed.stage.repo.path.join("image.bin")).unwrap(), [0, 7, 7, 7]);
}

#[tokio::test]
async fn files_with_carriage_returns_in_the_repository_are_merged_though_git_would_convert_them() {
    let stage = stage();
    stage.repo.write("dos.txt", POEM.replace('\n', "\r\n"));
    stage.repo.commit_all("dos");
    stage.repo.git(["config", "core.autocrlf", "true"]);
    let changed = Changed::by(stage, |inside| {
        inside.repo.write("dos.txt", POEM.replace("ten", "TEN").replace('\n', "\r\n"));
    })
    .await;
    changed.stage.repo.write("dos.txt", POEM.replace("one", "ONE").replace('\n', "\r\n"));
    let report = changed.apply(OnConflict::Refuse).await;
    assert!(matches!(report, ApplyReport::Applied(_)), "{report:?}");
    let expected = POEM.replace("one", "ONE").replace("ten", "TEN").replace('\n', "\r\n");
    assert_eq!(changed.stage.repo.read("dos.txt"), expected);
}

#[tokio::test]
async fn edits_that_git_was_told_to_overlook_are_joined_all_the_same() {
    let changed = Changed::by(stage(), |inside| {
        inside.repo.write("poem.txt", POEM.replace("ten", "TEN"));
    })
    .await;
    changed.stage.repo.git(["update-index", "--assume-unchanged", "poem.txt"]);
    changed.stage.repo.write("poem.txt", POEM.replace("one", "ONE"));
    let report = changed.apply(OnConflict::Refuse).await;
    assert!(matches!(report, ApplyReport::Applied(_)), "{report:?}");
    let expected = POEM.replace("one", "ONE").replace("ten", "TEN");
    assert_eq!(changed.stage.repo.read("poem.txt"), expected);
}

#[tokio::test]
async fn a_directory_that_became_a_link_here_is_captured_and_applied_around() {
    let stage = stage();
    std::fs::remove_dir_all(stage.repo.path.join("old")).unwrap();
    std::os::unix::fs::symlink("/etc", stage.repo.path.join("old")).unwrap();
    let changed = Changed::by(stage, |inside| {
        assert!(inside.repo.path.join("old").is_symlink());
        inside.repo.write("poem.txt", POEM.replace("ten", "TEN"));
    })
    .await;
    let applied = applies_as_git_merges(&changed).await;
    assert_eq!(names(&applied.written), ["poem.txt"]);
}

#[tokio::test]
async fn nothing_of_a_merge_stays_in_the_data_directory() {
    let changed = Changed::by(stage(), |inside| {
        rename(&inside.repo, "poem.txt", "verse.txt");
    })
    .await;
    changed.stage.repo.write("poem.txt", POEM.replace("one", "ONE"));
    let objects = changed.store.repository().objects_dir();
    let before = files(&objects);
    applies_as_git_merges(&changed).await;
    assert_eq!(files(&objects), before);
    let quarantine = changed.stage.path("data/quarantine");
    assert_eq!(std::fs::read_dir(quarantine).unwrap().count(), 0);
}
