//! A checkout that is partly somebody else's is refused, unless the person told git to trust it.
//! Only root can make one: run by anybody else, these tests say nothing.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::os::unix::fs::lchown;
use std::path::Path;

use quire_git::{Git, GitConfig, GitError, PersonSettings};
use support::{Repo, Stage};

const SOMEBODY: u32 = 4242;

fn give(path: &Path) {
    lchown(path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
}

fn trust(stage: &Stage, text: &str) {
    std::fs::create_dir_all(stage.path("home")).unwrap();
    std::fs::write(stage.path("home/.gitconfig"), text).unwrap();
}

/// The same, begun by `sudo`.
fn called_by(stage: &Stage, uid: u32) -> Git {
    Git::new(GitConfig {
        git: "git".into(),
        data_dir: stage.path("data"),
        path_env: std::env::var_os("PATH").unwrap(),
        person: PersonSettings { sudo_uid: Some(uid), ..PersonSettings::default() },
    })
    .unwrap()
}

#[tokio::test]
async fn every_part_of_a_checkout_that_is_somebody_elses_is_reason_to_refuse_it() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for part in ["", ".git", "linked", "linked/.git", ".git/worktrees/linked"] {
        let stage = Stage::new();
        stage.repo.git(["worktree", "add", "-q", "--detach", "linked"]);
        let asked = if part.contains("linked") { "linked/." } else { "src" };
        let asked = stage.repo.path.join(asked);
        stage.git.inspect(&asked).await.unwrap();
        give(&stage.repo.path.join(part));
        let error = stage.git.inspect(&asked).await.unwrap_err();
        let GitError::Foreign { path, owner, .. } = &error else { panic!("{part}: {error}") };
        assert_eq!((path, *owner), (&stage.repo.path.join(part).components().collect(), SOMEBODY));
    }
    // The linked working tree is one's own, what it shares is not.
    let stage = Stage::new();
    stage.repo.git(["worktree", "add", "-q", "--detach", "../linked"]);
    give(&stage.repo.path.join(".git"));
    let error = stage.git.inspect(&stage.path("linked")).await.unwrap_err();
    assert!(matches!(error, GitError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn a_directory_of_somebody_elses_does_not_lead_to_a_repository_of_ones_own() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let stage = Stage::new();
    let trap = stage.path("it's a trap");
    for link in [false, true] {
        std::fs::create_dir(&trap).unwrap();
        let named = stage.repo.path.join(".git");
        if link {
            std::os::unix::fs::symlink(&named, trap.join(".git")).unwrap();
        } else {
            std::fs::write(trap.join(".git"), format!("gitdir: {}\n", named.display())).unwrap();
        }
        give(&trap.join(".git"));
        // Their file in one's own directory, as in /tmp, is enough.
        let error = stage.git.inspect(&trap).await.unwrap_err().to_string();
        let remedy = trap.display().to_string().replace('\'', r"'\''");
        assert_eq!(
            error,
            format!(
                "`{}/.git` belongs to user {SOMEBODY}, not to you: what its settings and files name \
                 would be read as yours. If you trust it, run: git config --global --add \
                 safe.directory '{remedy}'",
                trap.display()
            )
        );
        // Git itself agrees, and the remedy is one.
        let refused = std::process::Command::new("git")
            .args(["status"])
            .current_dir(&trap)
            .env("HOME", "/nonexistent")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&refused.stderr).contains("dubious ownership"));
        std::fs::create_dir_all(stage.path("home")).unwrap();
        let done = std::process::Command::new("sh")
            .args(["-c", error.split_once("run: ").unwrap().1])
            .env("HOME", stage.path("home"))
            .status();
        assert!(done.unwrap().success());
        stage.git.inspect(&trap).await.unwrap();
        std::fs::remove_file(stage.path("home/.gitconfig")).unwrap();
        std::fs::remove_dir_all(&trap).unwrap();
    }
}

#[tokio::test]
async fn what_the_person_trusts_is_opened_and_what_the_checkout_says_of_itself_does_not_count() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let stage = Stage::new();
    let path = stage.repo.path.canonicalize().unwrap();
    stage.repo.git(["config", "safe.directory", "*"]);
    give(&stage.repo.path.join(".git"));
    give(&stage.repo.path);
    for (text, trusted) in [
        (String::new(), false),
        ("[safe]\n\tdirectory = /elsewhere\n".to_owned(), false),
        (format!("[safe]\n\tdirectory = {}\n", path.display()), true),
        (format!("[safe]\n\tdirectory = {}\n\tdirectory =\n", path.display()), false),
        (format!("[safe]\n\tdirectory = {}/*\n", path.parent().unwrap().display()), true),
        ("[safe]\n\tdirectory = *\n".to_owned(), true),
        ("[safe]\n\tdirectory = ~/../repo\n".to_owned(), true),
        ("[safe\n".to_owned(), false),
    ] {
        trust(&stage, &text);
        let looked = stage.git.inspect(&stage.repo.path).await;
        assert_eq!(looked.is_ok(), trusted, "{text}: {looked:?}");
    }
}

#[tokio::test]
async fn a_pipe_or_a_device_where_a_file_is_expected_keeps_nobody() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let stage = Stage::new();
    let trap = stage.path("trap");
    std::fs::create_dir(&trap).unwrap();
    let pipe = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();
    pipe(&trap.join(".git"));
    let soon = std::time::Duration::from_secs(20);
    let looked = tokio::time::timeout(soon, stage.git.inspect(&trap)).await.unwrap();
    assert!(matches!(looked, Err(GitError::NotARepository { .. })), "{looked:?}");
    std::fs::remove_file(trap.join(".git")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", trap.join(".git")).unwrap();
    let looked = tokio::time::timeout(soon, stage.git.inspect(&trap)).await.unwrap();
    assert!(matches!(looked, Err(GitError::NotARepository { .. })), "{looked:?}");
    pipe(&stage.repo.path.join(".git/commondir"));
    let looked = tokio::time::timeout(soon, stage.git.inspect(&stage.repo.path)).await.unwrap();
    assert!(matches!(looked, Err(GitError::Io { .. })), "{looked:?}");
}

#[tokio::test]
async fn root_by_sudo_works_in_the_checkouts_of_who_called_it_and_in_no_others() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let stage = Stage::new();
    for part in ["", ".git"] {
        give(&stage.repo.path.join(part));
    }
    stage.repo.write("new", "new\n");
    let git = called_by(&stage, SOMEBODY);
    let checkout = git.inspect(&stage.repo.path).await.unwrap();
    let mirror = git.mirror_checkout(&checkout).await.unwrap();
    assert_eq!(git.capture(&checkout, &mirror).await.unwrap().uncommitted, 1);
    let error = called_by(&stage, SOMEBODY + 1).inspect(&stage.repo.path).await.unwrap_err();
    assert!(matches!(error, GitError::Foreign { .. }), "{error}");
    let own = Repo { path: stage.path("own") };
    std::fs::create_dir(&own.path).unwrap();
    own.git(["init", "-q"]);
    own.commit_all("first");
    git.inspect(&own.path).await.unwrap();
}
