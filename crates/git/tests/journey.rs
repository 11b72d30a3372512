//! The whole way: a checkout is looked at and captured, a layer is made, a change comes back.

mod support;

use quire_git::{AttemptGit, CacheWord, ChangeStatus, LayerTimes, RepoPath};
use support::Stage;

#[tokio::test]
async fn a_change_made_inside_comes_back_as_commits_and_a_diff() {
    let stage = Stage::new();
    let checkout = stage.git.inspect(&stage.repo.path.join("src")).await.unwrap();
    assert_eq!(checkout.top_level, stage.repo.path.canonicalize().unwrap());
    assert_eq!(checkout.branch.as_deref(), Some("trunk"));
    assert_eq!(checkout.head, stage.repo.head());
    assert!(checkout.status.is_clean());

    let mirror = stage.git.mirror_checkout(&checkout).await.unwrap();
    let captured = stage.git.capture(&checkout, &mirror).await.unwrap();
    assert_eq!((&captured.base, captured.uncommitted), (&checkout.head, 0));

    let inside = stage.inside(&mirror, &captured.base).await;
    assert_eq!(inside.repo.git(["status", "--porcelain"]), "");
    assert_eq!(inside.repo.git(["log", "--oneline", "--all"]).lines().count(), 1);
    inside.repo.write("a.txt", "one\n2\nthree\n");
    inside.repo.write("new.bin", [0, 1, 2]);
    std::fs::remove_file(inside.repo.path.join("src/main.rs")).unwrap();
    let head = inside.repo.commit_all("second\n\nwith a body");

    let store = stage.results(&mirror).await;
    let received =
        stage.receive(&store, &captured.base, &inside.head(), inside.export(&head)).await.unwrap();
    assert_eq!(received.head, head);
    assert!(received.base_is_ancestor);
    assert_eq!(received.diff_stat.to_string(), "3 files, +1 −2");
    assert_eq!(received.commits.len(), 1);
    assert_eq!(received.commits[0].subject, "second");
    assert_eq!(received.commits[0].body, "with a body");
    assert_eq!(received.commits[0].author, "Ada <ada@example.org>");
    let changed: Vec<_> =
        received.changed.iter().map(|c| (c.path.to_string(), c.status, c.binary)).collect();
    assert_eq!(
        changed,
        [
            ("a.txt".to_owned(), ChangeStatus::Modified, false),
            ("new.bin".to_owned(), ChangeStatus::Added, true),
            ("src/main.rs".to_owned(), ChangeStatus::Deleted, false),
        ]
    );

    let repository = store.repository();
    let paths = [RepoPath::new("a.txt")];
    let diff =
        stage.git.diff_unified(repository, &captured.base, &head, &paths, 1 << 20).await.unwrap();
    let text = String::from_utf8(diff.text).unwrap();
    assert!(text.contains("-two\n+2\n") && !text.contains("main.rs"), "{text}");
    let cut = stage.git.diff_unified(repository, &captured.base, &head, &[], 40).await.unwrap();
    assert!(cut.cut && cut.text.len() == 40);

    let file = stage.git.read_file(repository, &head, &RepoPath::new("a.txt"), 100).await.unwrap();
    assert_eq!(&file.unwrap().0[..], b"one\n2\nthree\n");
    let gone = RepoPath::new("src/main.rs");
    assert_eq!(stage.git.read_file(repository, &head, &gone, 100).await.unwrap(), None);
    assert_eq!(stage.git.received(&store, "attempt-1").await.unwrap(), Some(head.clone()));
    let common = stage.git.merge_base(repository, &captured.base, &head).await.unwrap();
    assert_eq!(common.as_ref(), Some(&captured.base));
}

#[tokio::test]
async fn nothing_done_is_received_as_nothing() {
    let stage = Stage::new();
    let mirror = stage.mirror().await;
    let base = stage.repo.head();
    let inside = stage.inside(&mirror, &base).await;
    let store = stage.results(&mirror).await;
    let received =
        stage.receive(&store, &base, &inside.head(), inside.export(&base)).await.unwrap();
    assert_eq!((received.head, received.commits.len(), received.changed.len()), (base, 0, 0));
}

#[tokio::test]
async fn a_second_start_on_the_same_commit_hits_the_cache() {
    let stage = Stage::new();
    let mirror = stage.mirror().await;
    let first = stage.layer(&mirror, &stage.repo.head()).await;
    assert!(matches!(first.cache, CacheWord::Miss { .. }), "{:?}", first.cache);
    let second = stage.layer(&mirror, &stage.repo.head()).await;
    assert_eq!(second.cache, CacheWord::Hit);
    assert_eq!((&second.path, &second.manifest), (&first.path, &first.manifest));
    assert_eq!(second.manifest.files, 2);
}

#[tokio::test]
async fn a_near_commit_shares_the_files_that_did_not_change_and_leaves_them_as_they_are() {
    use std::os::unix::fs::MetadataExt;
    let stage = Stage::new();
    let mirror = stage.mirror().await;
    let first = stage.layer(&mirror, &stage.repo.head()).await;
    let before = std::fs::metadata(first.path.join("src/main.rs")).unwrap();
    stage.repo.write("a.txt", "changed\n");
    stage.repo.commit_all("second");
    let mirror = stage.mirror().await;
    let second = stage.layer(&mirror, &stage.repo.head()).await;
    let CacheWord::Miss { why } = &second.cache else { panic!("a hit") };
    assert!(why.contains("1 of 2 files were written"), "{why}");
    let after = std::fs::metadata(second.path.join("src/main.rs")).unwrap();
    assert_eq!((before.ino(), before.mtime()), (after.ino(), after.mtime()));
    assert_eq!(std::fs::read(first.path.join("a.txt")).unwrap(), b"one\ntwo\nthree\n");
    assert_eq!(std::fs::read(second.path.join("a.txt")).unwrap(), b"changed\n");
    let inside = stage.inside(&mirror, &stage.repo.head()).await;
    assert_eq!(inside.repo.git(["status", "--porcelain"]), "");
}

#[tokio::test]
async fn the_index_of_a_layer_is_good_without_reading_a_file() {
    let stage = Stage::new();
    stage.repo.write("empty", "");
    std::os::unix::fs::symlink("a.txt", stage.repo.path.join("link")).unwrap();
    stage.repo.commit_all("more");
    let mirror = stage.mirror().await;
    let layer = stage.layer(&mirror, &stage.repo.head()).await;
    let top = stage.path("top");
    let base = stage.repo.head();
    let attempt = AttemptGit { base: &base, branch: None, hooks_from: None, author: ("A", "a@b") };
    stage.git.attempt_git_dir(&top, &(&mirror).into(), &attempt).await.unwrap();
    // As an overlay would show it, but for the owner: one that is not ours is accepted when git
    // is told not to look.
    let shown = support::Repo { path: layer.path.clone() };
    let mut command = shown.command();
    command
        .args(["-c", "core.checkStat=minimal", "-c", "core.trustCtime=false"])
        .args(["diff-files", "--name-only"])
        .env("GIT_DIR", top.join(".git"))
        .env("GIT_WORK_TREE", &layer.path)
        .env("GIT_INDEX_FILE", layer.path.join(".git/index"));
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let listing = shown
        .command()
        .args(["ls-files", "--debug"])
        .env("GIT_DIR", top.join(".git"))
        .env("GIT_INDEX_FILE", layer.path.join(".git/index"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&listing.stdout);
    assert_eq!(text.matches("uid: 1000\tgid: 1000").count(), 4, "{text}");
}

#[tokio::test]
async fn files_carry_the_times_of_the_checkout_where_build_directories_are_shown() {
    use std::os::unix::fs::MetadataExt;
    let stage = Stage::new();
    let old = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    let touch = |name: &str| {
        let path = stage.repo.path.join(name);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    };
    touch("a.txt");
    stage.repo.write("dirty.txt", "new");
    touch("dirty.txt");
    let checkout = stage.git.inspect(&stage.repo.path).await.unwrap();
    let mirror = stage.git.mirror_checkout(&checkout).await.unwrap();
    let captured = stage.git.capture(&checkout, &mirror).await.unwrap();
    let times = captured.source_times().await.unwrap();
    let layer = stage
        .git
        .checkout_layer(&captured.repository(&mirror), &captured.base, LayerTimes::Checkout(&times))
        .await
        .unwrap();
    for name in ["a.txt", "dirty.txt"] {
        let meta = std::fs::metadata(layer.path.join(name)).unwrap();
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_000_000_000, 123_456_789), "{name}");
    }
    let real = std::fs::metadata(stage.repo.path.join("src/main.rs")).unwrap();
    let shown = std::fs::metadata(layer.path.join("src/main.rs")).unwrap();
    assert_eq!((real.mtime(), real.mtime_nsec()), (shown.mtime(), shown.mtime_nsec()));
    // At another commit a file that is not the checkout's is new.
    let layer = stage
        .git
        .checkout_layer(&(&mirror).into(), &captured.head, LayerTimes::Checkout(&times))
        .await
        .unwrap();
    assert!(!layer.path.join("dirty.txt").exists());
}

#[tokio::test]
async fn a_change_to_a_shallow_clone_comes_back_too() {
    let stage = Stage::new();
    stage.repo.write("a.txt", "later\n");
    stage.repo.commit_all("later");
    let url = format!("file://{}", stage.repo.path.display());
    stage.repo.git(["clone", "-q", "--depth=1", &url, "../shallow"]);
    let checkout = stage.git.inspect(&stage.path("shallow")).await.unwrap();
    let mirror = stage.git.mirror_checkout(&checkout).await.unwrap();
    let captured = stage.git.capture(&checkout, &mirror).await.unwrap();
    let inside = stage.inside(&mirror, &captured.base).await;
    inside.repo.write("a.txt", "mine\n");
    let head = inside.repo.commit_all("mine");
    let store = stage.results(&mirror).await;
    let received =
        stage.receive(&store, &captured.base, &inside.head(), inside.export(&head)).await.unwrap();
    assert!(received.base_is_ancestor);
    assert_eq!(received.commits.len(), 1);
}
