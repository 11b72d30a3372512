//! What is not committed becomes one commit, and the checkout is left as it was.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use quire_git::{Captured, Checkout, GitError, Mirror, RepoPath};
use support::{Repo, Stage};

async fn capture(stage: &Stage) -> (Checkout, Mirror, Captured) {
    let checkout = stage.git.inspect(&stage.repo.path).await.unwrap();
    let mirror = stage.git.mirror_checkout(&checkout).await.unwrap();
    let captured = stage.git.capture(&checkout, &mirror).await.unwrap();
    (checkout, mirror, captured)
}

/// The tree of a commit, as `mode path` lines.
fn files(mirror: &Mirror, captured: &Captured) -> Vec<String> {
    let repo = Repo { path: captured.repository(mirror).repository().git_dir().to_owned() };
    let text =
        repo.git(["ls-tree", "-r", "-z", "--format=%(objectmode) %(path)", captured.base.as_str()]);
    text.split('\0').filter(|l| !l.is_empty()).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_same_files_give_the_same_commit_and_nothing_is_touched() {
    let stage = Stage::new();
    stage.repo.write(".gitignore", "target/\n");
    stage.repo.commit_all("ignore");
    stage.repo.write("target/big", "ignored");
    stage.repo.write("a.txt", "changed\n");
    stage.repo.write("new/file", "new\n");
    std::fs::remove_file(stage.repo.path.join("src/main.rs")).unwrap();
    let before = stage.repo.fingerprint();
    let (checkout, mirror, captured) = capture(&stage).await;
    assert_eq!(captured.uncommitted, 3);
    assert_eq!(captured.head, checkout.head);
    assert_ne!(captured.base, checkout.head);
    let (_, _, again) = capture(&stage).await;
    assert_eq!(again.base, captured.base);
    assert_eq!(stage.repo.fingerprint(), before);
    assert_eq!(files(&mirror, &captured), ["100644 .gitignore", "100644 a.txt", "100644 new/file"]);
    let repository = captured.repository(&mirror);
    let info = stage.git.commit_info(repository.repository(), &captured.base).await.unwrap();
    let head = stage.git.commit_info(mirror.repository(), &captured.head).await.unwrap();
    assert_eq!(info.parents, std::slice::from_ref(&captured.head));
    assert_eq!(info.authored_at, head.committed_at);
    assert_eq!(info.subject, "Uncommitted work");
}

#[tokio::test]
async fn what_is_staged_and_what_is_not_are_both_taken() {
    let stage = Stage::new();
    stage.repo.write("staged", "staged only\n");
    stage.repo.write("both", "staged\n");
    stage.repo.write("later", "intent\n");
    stage.repo.git(["add", "staged", "both"]);
    stage.repo.git(["add", "-N", "later"]);
    stage.repo.write("both", "then changed\n");
    stage.repo.git(["rm", "-q", "--cached", "a.txt"]);
    let (_, mirror, captured) = capture(&stage).await;
    let repository = captured.repository(&mirror);
    for (path, content) in [
        ("staged", "staged only\n"),
        ("both", "then changed\n"),
        ("later", "intent\n"),
        ("a.txt", "one\ntwo\nthree\n"),
    ] {
        let file = stage
            .git
            .read_file(repository.repository(), &captured.base, &RepoPath::new(path), 1000)
            .await
            .unwrap();
        assert_eq!(file.unwrap().0, content, "{path}");
    }
}

#[tokio::test]
async fn odd_names_links_and_modes_survive() {
    let stage = Stage::new();
    let long = "x".repeat(255);
    let names: [&[u8]; 5] =
        [b"new\nline", b"\xff\xfe", "ünï — \u{202e}".as_bytes(), b" -leading", long.as_bytes()];
    for name in names {
        stage.repo.write(std::ffi::OsStr::from_bytes(name), "x");
    }
    std::os::unix::fs::symlink("/etc/shadow", stage.repo.path.join("out")).unwrap();
    std::os::unix::fs::symlink("../../..", stage.repo.path.join("up")).unwrap();
    stage.repo.write("run", "#!/bin/sh\n");
    let run = stage.repo.path.join("run");
    std::fs::set_permissions(run, std::fs::Permissions::from_mode(0o755)).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        stage.repo.path.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let (_, mirror, captured) = capture(&stage).await;
    assert_eq!(captured.uncommitted, 8, "a pipe is no file");
    let layer = stage.layer(captured.repository(&mirror), &captured.base).await;
    for name in names {
        assert!(layer.path.join(std::ffi::OsStr::from_bytes(name)).exists());
    }
    let link = std::fs::read_link(layer.path.join("out")).unwrap();
    assert_eq!(link, std::path::Path::new("/etc/shadow"));
    let mode = std::fs::metadata(layer.path.join("run")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111);
}

#[tokio::test]
async fn a_submodule_stays_at_its_commit_and_a_nested_repository_is_left_out() {
    let stage = Stage::new();
    let lib = Repo { path: stage.path("lib") };
    std::fs::create_dir(&lib.path).unwrap();
    lib.git(["init", "-q"]);
    lib.write("l", "l");
    lib.commit_all("lib");
    stage.repo.git(["submodule", "--quiet", "add", lib.path.to_str().unwrap(), "vendor/lib"]);
    stage.repo.commit_all("submodule");
    stage.repo.write("vendor/lib/l", "dirty");
    let nested = Repo { path: stage.repo.path.join("nested") };
    std::fs::create_dir(&nested.path).unwrap();
    nested.git(["init", "-q"]);
    nested.write("n", "n");
    let (checkout, mirror, captured) = capture(&stage).await;
    assert_eq!(checkout.submodules, [RepoPath::new("vendor/lib")]);
    assert_eq!(captured.nested, [RepoPath::new("nested/")]);
    assert_eq!((captured.base.clone(), captured.uncommitted), (captured.head.clone(), 0));
    let layer = stage.layer(captured.repository(&mirror), &captured.base).await;
    assert_eq!(layer.manifest.submodules, ["vendor/lib"]);
    assert_eq!(std::fs::read_dir(layer.path.join("vendor/lib")).unwrap().count(), 0);
    let inside = stage.inside(captured.repository(&mirror), &captured.base).await;
    assert_eq!(inside.repo.git(["status", "--porcelain"]), "");
}

#[tokio::test]
async fn pointers_of_lfs_are_noticed() {
    let stage = Stage::new();
    stage.repo.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    stage.repo.write(
        "x.bin",
        format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n",
            "a".repeat(64)
        ),
    );
    stage.repo.commit_all("lfs");
    let (checkout, mirror, captured) = capture(&stage).await;
    assert!(checkout.uses_lfs);
    assert_eq!(
        stage.layer(captured.repository(&mirror), &captured.base).await.manifest.lfs_pointers,
        1
    );
}

#[tokio::test]
async fn what_is_no_usable_checkout_is_said_plainly() {
    let stage = Stage::empty();
    let error = stage.git.inspect(&stage.repo.path).await.unwrap_err();
    assert!(matches!(error, GitError::NoCommits { .. }), "{error}");
    let error = stage.git.inspect(stage.dir.path()).await.unwrap_err();
    assert!(matches!(error, GitError::NotARepository { .. }), "{error}");
    let bare = Repo { path: stage.path("bare") };
    std::fs::create_dir(&bare.path).unwrap();
    bare.git(["init", "-q", "--bare"]);
    let error = stage.git.inspect(&bare.path).await.unwrap_err();
    assert!(matches!(error, GitError::Bare { .. }), "{error}");
    let error = stage.git.inspect(&stage.path("nowhere")).await.unwrap_err();
    assert!(matches!(error, GitError::Io { .. }), "{error}");

    let stage = Stage::new();
    stage.repo.git(["checkout", "-q", "-b", "other"]);
    stage.repo.write("a.txt", "other\n");
    stage.repo.commit_all("other");
    stage.repo.git(["checkout", "-q", "trunk"]);
    stage.repo.write("a.txt", "trunk\n");
    stage.repo.commit_all("trunk");
    assert!(!stage.repo.try_git(["merge", "-q", "other"]).0);
    let error = stage.git.inspect(&stage.repo.path).await.unwrap_err();
    assert!(error.to_string().starts_with("`a.txt` has merge conflicts"), "{error}");
}

#[tokio::test]
async fn a_detached_head_and_a_linked_working_tree_are_checkouts_like_any_other() {
    let stage = Stage::new();
    stage.repo.git(["worktree", "add", "-q", "--detach", "../linked"]);
    let linked = stage.path("linked");
    std::fs::write(linked.join("new"), "x").unwrap();
    let checkout = stage.git.inspect(&linked).await.unwrap();
    assert_eq!((checkout.branch.as_deref(), checkout.status.dirty_count()), (None, 1));
    let mirror = stage.git.mirror_checkout(&checkout).await.unwrap();
    assert_eq!(mirror, stage.mirror().await, "one repository has one mirror");
    let captured = stage.git.capture(&checkout, &mirror).await.unwrap();
    assert_eq!(captured.uncommitted, 1);
}

#[tokio::test]
async fn new_commits_and_branches_reach_the_mirror_and_a_gone_one_does_no_harm() {
    let stage = Stage::new();
    stage.mirror().await;
    stage.repo.git(["tag", "v1"]);
    for n in 0..150 {
        stage.repo.write(format!("f{n}"), n.to_string());
    }
    stage.repo.commit_all("many");
    stage.repo.git(["branch", "side"]);
    stage.mirror().await;
    stage.repo.git(["checkout", "-q", "--detach"]);
    stage.repo.write("a.txt", "detached\n");
    stage.repo.commit_all("detached");
    stage.repo.git(["branch", "-D", "-q", "side"]);
    stage.repo.git(["reflog", "expire", "--expire=now", "--all"]);
    stage.repo.git(["gc", "-q", "--prune=now"]);
    let mirror = stage.mirror().await;
    let bare = Repo { path: mirror.repository().git_dir().to_owned() };
    assert_eq!(
        bare.git(["for-each-ref", "--format=%(refname)"]).lines().collect::<Vec<_>>(),
        ["refs/heads/trunk", "refs/tags/v1"]
    );
    bare.git(["fsck", "--strict", "--no-dangling"]);
    bare.git(["rev-list", "--objects", "--quiet", stage.repo.head().as_str()]);
    let named = stage.git.resolve(mirror.repository(), "v1").await.unwrap();
    assert_eq!(named.as_str(), stage.repo.git(["rev-parse", "v1"]));
    for bad in ["--all", "", "a..b", "x y", "-q"] {
        let error = stage.git.resolve(mirror.repository(), bad).await.unwrap_err();
        assert!(matches!(error, GitError::BadRef { .. }), "{bad}: {error}");
    }
    let error = stage.git.resolve(mirror.repository(), "nope").await.unwrap_err();
    assert!(matches!(error, GitError::NoSuchRef { .. }), "{error}");
}

#[tokio::test]
async fn a_commit_that_no_branch_names_is_brought_on_request() {
    let stage = Stage::new();
    let mirror = stage.mirror().await;
    stage.repo.write("a.txt", "lost\n");
    let lost = stage.repo.commit_all("lost");
    stage.repo.git(["reset", "-q", "--hard", "HEAD~1"]);
    let checkout = stage.git.inspect(&stage.repo.path).await.unwrap();
    let named = stage.git.resolve_in_checkout(&checkout, "HEAD@{1}").await.unwrap();
    assert_eq!(named, lost);
    stage.git.fetch_commit(&mirror, &checkout, &lost).await.unwrap();
    assert_eq!(stage.git.commit_info(mirror.repository(), &lost).await.unwrap().subject, "lost");
}

#[tokio::test]
async fn a_shallow_clone_is_mirrored_as_far_as_it_goes() {
    let stage = Stage::new();
    for n in 0..3 {
        stage.repo.write("a.txt", n.to_string());
        stage.repo.commit_all("more");
    }
    let url = format!("file://{}", stage.repo.path.display());
    stage.repo.git(["clone", "-q", "--depth=2", &url, "../shallow"]);
    let checkout = stage.git.inspect(&stage.path("shallow")).await.unwrap();
    let mirror = stage.git.mirror_checkout(&checkout).await.unwrap();
    let inside = stage.inside(&mirror, &checkout.head).await;
    assert_eq!(inside.repo.git(["log", "--oneline"]).lines().count(), 2);
}

#[tokio::test]
async fn names_of_64_digits_work_like_those_of_40() {
    let mut stage = Stage::empty();
    stage.repo = Repo { path: stage.path("long") };
    std::fs::create_dir(&stage.repo.path).unwrap();
    stage.repo.git(["init", "-q", "--object-format=sha256"]);
    stage.repo.write("a", "a");
    stage.repo.commit_all("first");
    stage.repo.write("b", "b");
    let (_, mirror, captured) = capture(&stage).await;
    assert_eq!(captured.base.as_str().len(), 64);
    let inside = stage.inside(captured.repository(&mirror), &captured.base).await;
    assert_eq!(inside.repo.git(["status", "--porcelain"]), "");
    inside.repo.write("c", "c");
    let head = inside.repo.commit_all("more");
    let store = stage.results(captured.repository(&mirror)).await;
    let received =
        stage.receive(&store, &captured.base, head.as_str(), inside.export(&head)).await.unwrap();
    assert_eq!(received.changed.len(), 1);
}

#[tokio::test]
async fn a_remote_is_mirrored_with_its_own_default_branch() {
    let stage = Stage::new();
    stage.repo.git(["tag", "v1"]);
    stage.repo.git(["checkout", "-q", "-b", "side"]);
    stage.repo.write("a.txt", "side\n");
    let side = stage.repo.commit_all("side");
    stage.repo.git(["checkout", "-q", "trunk"]);
    let url = format!("file://{}", stage.repo.path.display());
    let head = stage.git.mirror_url(&url, None).await.unwrap();
    assert_eq!((head.branch.as_deref(), &head.commit), (Some("trunk"), &stage.repo.head()));
    let named = stage.git.mirror_url(&url, Some("side")).await.unwrap();
    assert_eq!((named.branch.as_deref(), &named.commit), (Some("side"), &side));
    let bare = Repo { path: head.mirror.repository().git_dir().to_owned() };
    assert_eq!(
        bare.git(["for-each-ref", "--format=%(refname)"]).lines().collect::<Vec<_>>(),
        [
            "refs/heads/trunk",
            "refs/remotes/origin/side",
            "refs/remotes/origin/trunk",
            "refs/tags/v1"
        ]
    );
    let error = stage.git.mirror_url(&url, Some("gone")).await.unwrap_err();
    assert!(matches!(error, GitError::NoSuchRef { .. }), "{error}");
    let error = stage.git.mirror_url("file:///nowhere/x", None).await.unwrap_err();
    assert!(matches!(error, GitError::Failed { .. }), "{error}");
    let empty = Stage::empty();
    let url = format!("file://{}", empty.repo.path.display());
    let error = empty.git.mirror_url(&url, None).await.unwrap_err();
    assert!(matches!(error, GitError::NoCommits { .. }), "{error}");
}

#[tokio::test]
async fn a_tree_of_someone_else_runs_none_of_its_programs_and_ones_own_runs_only_filters() {
    let stage = Stage::new();
    let canary = stage.path("canary");
    let touch = format!("touch {}; cat", canary.display());
    for name in [
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "diff.external",
        "core.alternateRefsCommand",
        "gpg.program",
        "credential.helper",
        "uploadpack.packObjectsHook",
    ] {
        stage.repo.git(["config", name, &touch]);
    }
    stage.repo.write(".git/hooks/post-index-change", format!("#!/bin/sh\n{touch}\n"));
    stage.repo.write(".git/hooks/reference-transaction", format!("#!/bin/sh\n{touch}\n"));
    for hook in ["post-index-change", "reference-transaction"] {
        let path = stage.repo.path.join(".git/hooks").join(hook);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    stage.repo.write("a.txt", "dirty\n");
    capture(&stage).await;
    assert!(!canary.exists());
    stage.repo.git(["status"]);
    assert!(canary.exists(), "the trap itself does not work");
    std::fs::remove_file(&canary).unwrap();

    if !rustix::process::geteuid().is_root() {
        return;
    }
    // A name with `=` must be disarmed like any other.
    for name in ["x", "a=b"] {
        stage.repo.git(["config", &format!("filter.{name}.clean"), &touch]);
        stage.repo.git(["config", &format!("filter.{name}.required"), "true"]);
    }
    stage.repo.write(".gitattributes", "* filter=x\na.txt filter=a=b\n");
    std::os::unix::fs::lchown(stage.repo.path.join(".git"), Some(4242), Some(4242)).unwrap();
    let trusted = format!("[safe]\n\tdirectory = {}\n", stage.repo.path.display());
    std::fs::create_dir_all(stage.path("home")).unwrap();
    std::fs::write(stage.path("home/.gitconfig"), trusted).unwrap();
    stage.repo.write("a.txt", "dirtier\n");
    capture(&stage).await;
    assert!(!canary.exists());
    stage.repo.git([
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
        "add",
        "a.txt",
    ]);
    assert!(canary.exists(), "the trap itself does not work");
}

#[tokio::test]
async fn uncommitted_files_that_did_not_change_are_not_read_again() {
    let stage = Stage::new();
    stage.repo.write("a.txt", "dirty\n");
    stage.repo.write("empty", "");
    stage.repo.write("new", "new\n");
    std::fs::remove_file(stage.repo.path.join("src/main.rs")).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    let (_, mirror, first) = capture(&stage).await;
    let captures = mirror.repository().git_dir().join("quire/captures");
    assert_eq!(std::fs::read_dir(&captures).unwrap().count(), 1);
    // The second would fail if it wrote an object.
    let objects = mirror.objects_dir();
    let aside = objects.with_file_name("aside");
    std::fs::rename(&objects, &aside).unwrap();
    let (_, _, again) = capture(&stage).await;
    std::fs::rename(&aside, &objects).unwrap();
    assert_eq!(again.base, first.base);
    assert_eq!(
        again.source_times().await.unwrap().digest,
        first.source_times().await.unwrap().digest
    );
    stage.repo.write("a.txt", "dirts\n");
    let (_, _, other) = capture(&stage).await;
    assert_ne!(other.base, first.base);
    stage.repo.git(["config", "core.autocrlf", "input"]);
    stage.repo.write("a.txt", "dirty\n");
    let (_, _, back) = capture(&stage).await;
    assert_eq!(back.base, first.base);
}

/// Root writes where nobody may: run by root this says nothing.
#[tokio::test]
async fn a_checkout_that_is_read_only_with_its_index_is_captured() {
    let stage = Stage::new();
    stage.repo.write("new.txt", "new\n");
    let index = stage.repo.path.join(".git/index");
    std::fs::set_permissions(&index, std::fs::Permissions::from_mode(0o444)).unwrap();
    for directory in ["", ".git"] {
        let path = stage.repo.path.join(directory);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o555)).unwrap();
    }
    let (_, _, captured) = capture(&stage).await;
    for directory in ["", ".git"] {
        let path = stage.repo.path.join(directory);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    assert_eq!(captured.uncommitted, 1);
}
