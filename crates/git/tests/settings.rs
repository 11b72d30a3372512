//! The settings of a checkout are remembered, and never older than the files they are in.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use quire_git::{Git, GitConfig, PersonSettings};
use support::Stage;

/// Git as the product finds it: by its whole path.
fn git_of(stage: &Stage) -> Git {
    let path = std::env::var_os("PATH").unwrap();
    let program = std::env::split_paths(&path).map(|dir| dir.join("git")).find(|git| git.is_file());
    let person = PersonSettings { home: Some(stage.path("home")), ..PersonSettings::default() };
    std::fs::create_dir_all(stage.path("home")).unwrap();
    let data_dir = stage.path("data");
    Git::new(GitConfig { git: program.unwrap(), data_dir, path_env: path, person }).unwrap()
}

async fn name(git: &Git, at: &Path) -> Option<String> {
    git.inspect(at).await.unwrap().settings.get("user.name").cloned()
}

fn kept(stage: &Stage) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(stage.path("data/settings")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// What was written a moment ago is not remembered.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(150)).await;
}

#[tokio::test]
async fn what_is_remembered_is_as_new_as_the_files() {
    let stage = Stage::new();
    let (git, at) = (git_of(&stage), stage.repo.path.clone());
    stage.repo.git(["config", "user.name", "Ada"]);
    assert_eq!(name(&git, &at).await.as_deref(), Some("Ada"));
    assert!(kept(&stage).is_empty(), "the file is too new");
    a_while().await;
    for _ in 0..2 {
        assert_eq!(name(&git, &at).await.as_deref(), Some("Ada"));
        assert_eq!(kept(&stage).len(), 1);
    }
    // The file itself, one that was not there, and one of this working tree alone.
    stage.repo.git(["config", "user.name", "Bob"]);
    assert_eq!(name(&git, &at).await.as_deref(), Some("Bob"));
    stage.repo.git(["config", "--unset", "user.name"]);
    a_while().await;
    assert_eq!(name(&git, &at).await, None);
    std::fs::write(stage.path("home/.gitconfig"), "[user]\nname = Cleo\n").unwrap();
    assert_eq!(name(&git, &at).await.as_deref(), Some("Cleo"));
    a_while().await;
    assert_eq!(name(&git, &at).await.as_deref(), Some("Cleo"));
    stage.repo.git(["config", "extensions.worktreeConfig", "true"]);
    stage.repo.git(["config", "--worktree", "user.name", "Dora"]);
    assert_eq!(name(&git, &at).await.as_deref(), Some("Dora"));
}

#[tokio::test]
async fn settings_that_lie_in_other_files_are_asked_for_each_time() {
    let stage = Stage::new();
    let (git, at) = (git_of(&stage), stage.repo.path.clone());
    std::fs::write(stage.path("more"), "[user]\nname = Ada\n").unwrap();
    stage.repo.git(["config", "include.path", stage.path("more").to_str().unwrap()]);
    a_while().await;
    assert_eq!(name(&git, &at).await.as_deref(), Some("Ada"));
    assert!(kept(&stage).is_empty());
    std::fs::write(stage.path("more"), "[user]\nname = Bob\n").unwrap();
    assert_eq!(name(&git, &at).await.as_deref(), Some("Bob"));
}

#[tokio::test]
async fn nothing_that_may_hold_a_credential_is_kept() {
    let stage = Stage::new();
    let (git, at) = (git_of(&stage), stage.repo.path.clone());
    stage.repo.git(["config", "remote.origin.url", "https://canary-7f@example.org/a"]);
    stage.repo.git(["config", "http.extraHeader", "Authorization: canary-7f"]);
    stage.repo.git(["config", "user.name", "Ada"]);
    a_while().await;
    let checkout = git.inspect(&at).await.unwrap();
    assert_eq!(checkout.settings.get("remote.origin.url"), None);
    let text = std::fs::read_to_string(&kept(&stage)[0]).unwrap();
    assert!(text.contains("Ada") && !text.contains("canary"), "{text}");
}

#[tokio::test]
async fn a_damaged_memory_is_read_anew() {
    let stage = Stage::new();
    let (git, at) = (git_of(&stage), stage.repo.path.clone());
    stage.repo.git(["config", "user.name", "Ada"]);
    a_while().await;
    name(&git, &at).await;
    for damage in ["", "{", "{\"form\":99,\"stamps\":[],\"settings\":{\"user.name\":\"Eve\"}}"] {
        std::fs::write(&kept(&stage)[0], damage).unwrap();
        assert_eq!(name(&git, &at).await.as_deref(), Some("Ada"));
    }
}
