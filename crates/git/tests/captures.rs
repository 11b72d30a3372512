//! What was not committed is read by the tasks that begin with it, and by no other.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use quire_domain::ids::CommitId;
use quire_git::{Captured, Mirror, RepoPath};
use support::{Inside, Repo, Stage, git_in, task};

async fn capture(stage: &Stage, repo: &Repo) -> (Mirror, Captured) {
    let checkout = stage.git.inspect(&repo.path).await.unwrap();
    let mirror = stage.git.mirror_checkout(&checkout).await.unwrap();
    let captured = stage.git.capture(&checkout, &mirror).await.unwrap();
    (mirror, captured)
}

/// Whether git inside can read an object by its name.
fn reads(inside: &Inside, oid: &str) -> bool {
    inside.repo.try_git(["cat-file", "-e", oid]).0
}

fn stores(stage: &Stage) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(stage.path("data/captures")).unwrap();
    listing.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn an_uncommitted_file_is_read_by_its_task_alone() {
    let stage = Stage::new();
    let clean = stage.repo.head();
    stage.repo.write("notes.txt", "the token is 1234\n");
    let (mirror, captured) = capture(&stage, &stage.repo).await;
    let blob = stage.repo.git(["hash-object", "notes.txt"]);

    let mine = stage.inside(captured.repository(&mirror), &captured.base).await;
    assert_eq!(mine.repo.git(["cat-file", "-p", &blob]), "the token is 1234");
    assert_eq!(mine.repo.git(["status", "--porcelain"]), "");
    assert_eq!(mine.repo.git(["log", "--format=%s"]), "Uncommitted work\nfirst");

    let other = stage.inside(&mirror, &clean).await;
    assert!(reads(&other, clean.as_str()));
    assert!(!reads(&other, &blob) && !reads(&other, captured.base.as_str()));
    let all = other.repo.git(["cat-file", "--batch-all-objects", "--batch-check"]);
    assert!(!all.contains(&blob), "{all}");

    // Of another state of the same checkout, and of the same one by other means.
    stage.repo.write("notes.txt", "harmless\n");
    let (_, second) = capture(&stage, &stage.repo).await;
    let other = stage.inside(second.repository(&mirror), &second.base).await;
    assert!(!reads(&other, &blob) && reads(&other, second.base.as_str()));
    let again = stage.git.task_repository(&mirror.key, &captured.base).await.unwrap();
    assert!(reads(&stage.inside(again, &captured.base).await, &blob));
}

#[tokio::test]
async fn a_change_on_top_of_uncommitted_work_comes_back_and_stays_readable_by_name() {
    let stage = Stage::new();
    stage.repo.write("notes.txt", "mine\n");
    let (mirror, captured) = capture(&stage, &stage.repo).await;
    let inside = stage.inside(captured.repository(&mirror), &captured.base).await;
    inside.repo.write("notes.txt", "mine\nand theirs\n");
    let head = inside.repo.commit_all("more");
    let store = stage.results(captured.repository(&mirror)).await;
    let pack = inside.export(&head);
    let received = stage.receive(&store, &captured.base, head.as_str(), pack).await.unwrap();
    assert!(received.base_is_ancestor);
    assert_eq!(received.diff_stat.to_string(), "1 file, +1 −0");
    drop(captured);

    // As another process meets it later: a follow-up, a rerun, a reading.
    let base = CommitId::parse(&inside.repo.git(["rev-parse", "HEAD~1"])).unwrap();
    let later = git_in(stage.dir.path());
    let repository = later.task_repository(&mirror.key, &base).await.unwrap();
    let store = later.results(task(), &repository).await.unwrap();
    let diff = later.diff_unified(store.repository(), &base, &head, &[], 9999).await.unwrap();
    assert!(diff.text.ends_with(b" mine\n+and theirs\n"));
    assert!(!later.pack(store.repository(), &base, &head).await.unwrap().is_empty());
    let dirty =
        later.read_file(repository.repository(), &base, &RepoPath::new("notes.txt"), 100).await;
    assert_eq!(&dirty.unwrap().unwrap().0[..], b"mine\n");
}

#[tokio::test]
async fn what_was_staged_stashed_or_thrown_away_does_not_come_along_with_the_history() {
    for packed in [false, true] {
        let stage = Stage::new();
        let repo = &stage.repo;
        repo.write("thrown", "an amended secret\n");
        repo.commit_all("a commit that is thrown away");
        let thrown = repo.git(["rev-parse", "HEAD:thrown"]);
        repo.git(["reset", "-q", "--hard", "HEAD~1"]);
        if packed {
            // What nothing reaches goes into a pack of its own.
            repo.git(["reflog", "expire", "--expire=now", "--all"]);
            repo.git(["gc", "-q", "--cruft", "--prune=never"]);
        }
        repo.write("stashed", "a stashed secret\n");
        repo.git(["stash", "-q", "-u"]);
        let stashed = repo.git(["rev-parse", "stash^3:stashed"]);
        repo.write("staged", "a staged secret\n");
        repo.git(["add", "staged"]);
        let staged = repo.git(["rev-parse", ":staged"]);
        let (mirror, captured) = capture(&stage, repo).await;
        assert!(reads(&stage.inside(captured.repository(&mirror), &captured.base).await, &staged));
        let other = stage.inside(&mirror, &captured.head).await;
        for secret in [&thrown, &stashed, &staged] {
            assert!(!reads(&other, secret), "{packed} {secret}");
        }
        assert_eq!(other.repo.git(["fsck", "--full", "--strict", "--no-reflogs"]), "");
    }
}

#[tokio::test]
async fn a_commit_that_was_thrown_away_and_taken_back_is_whole_in_the_mirror() {
    let stage = Stage::new();
    let repo = &stage.repo;
    repo.write("deep/file", "taken back\n");
    let back = repo.commit_all("back");
    repo.git(["reset", "-q", "--hard", "HEAD~1"]);
    repo.git(["reflog", "expire", "--expire=now", "--all"]);
    repo.git(["gc", "-q", "--cruft", "--prune=never"]);
    // It lies among what is unreachable until git packs it anew.
    repo.git(["reset", "-q", "--hard", back.as_str()]);
    repo.write("a.txt", "later\n");
    repo.commit_all("on top");
    let (mirror, captured) = capture(&stage, repo).await;
    let inside = stage.inside(&mirror, &captured.base).await;
    assert_eq!(inside.repo.git(["show", "HEAD~1:deep/file"]), "taken back");
    assert_eq!(inside.repo.git(["fsck", "--full", "--strict", "--no-dangling"]), "");
}

#[tokio::test]
async fn a_history_that_is_broken_elsewhere_is_mirrored_as_far_as_head_reaches() {
    let stage = Stage::new();
    let repo = &stage.repo;
    repo.git(["checkout", "-q", "-b", "broken"]);
    let lost = repo.commit_all("lost");
    repo.commit_all("on top of what is lost");
    repo.git(["checkout", "-q", "trunk"]);
    let (dir, file) = lost.as_str().split_at(2);
    std::fs::remove_file(repo.path.join(".git/objects").join(dir).join(file)).unwrap();
    let (mirror, captured) = capture(&stage, repo).await;
    let inside = stage.inside(&mirror, &captured.base).await;
    assert_eq!(inside.repo.git(["log", "--format=%s"]), "first");
}

#[tokio::test]
async fn captures_of_two_clones_that_are_alike_lie_apart() {
    let stage = Stage::new();
    stage.repo.git(["clone", "-q", ".", "../clone"]);
    let clone = Repo { path: stage.path("clone") };
    for repo in [&stage.repo, &clone] {
        repo.write("same", "same\n");
    }
    let (first, one) = capture(&stage, &stage.repo).await;
    let (second, two) = capture(&stage, &clone).await;
    assert_eq!(one.base, two.base);
    assert_ne!(first.key, second.key);
    assert_eq!(stores(&stage).len(), 2);
}

#[tokio::test]
async fn a_capture_that_the_machine_may_have_lost_is_made_again() {
    let stage = Stage::new();
    stage.repo.write("new", "new\n");
    tokio::time::sleep(Duration::from_millis(150)).await;
    let (mirror, captured) = capture(&stage, &stage.repo).await;
    let [store] = stores(&stage).try_into().unwrap();
    let blob = stage.repo.git(["hash-object", "new"]);
    let (dir, file) = blob.split_at(2);
    let object = store.join("objects").join(dir).join(file);
    std::fs::remove_file(&object).unwrap();
    std::fs::write(store.join("boot"), "another boot").unwrap();
    // Held as it is, it is as good as a new one would be while it is read.
    let (_, held) = capture(&stage, &stage.repo).await;
    assert!(!object.exists());
    drop((captured, held));
    let (_, again) = capture(&stage, &stage.repo).await;
    assert!(reads(&stage.inside(again.repository(&mirror), &again.base).await, &blob));
    assert_eq!(stores(&stage).len(), 1);
}

#[tokio::test]
async fn a_capture_that_no_task_needs_goes_and_others_stay() {
    let stage = Stage::new();
    let mut captures = Vec::new();
    for n in 0..4 {
        stage.repo.write("new", n.to_string());
        captures.push(capture(&stage, &stage.repo).await);
    }
    let key = captures[0].0.key.clone();
    let bases: Vec<CommitId> = captures.iter().map(|(_, one)| one.base.clone()).collect();
    let old = SystemTime::now() - Duration::from_hours(2);
    for store in stores(&stage).into_iter().filter(|s| !s.ends_with(format!("{key}-{}", bases[3])))
    {
        let held = std::fs::File::options().write(true).open(store.join("held")).unwrap();
        held.set_modified(old).unwrap();
    }
    // One that a task began with, one that is held, one that is old, one that is young.
    let held = captures.swap_remove(1);
    drop(captures);
    stage.git.prune_captures(vec![(key.clone(), bases[0].clone())]).await.unwrap();
    let mut left: Vec<String> = stores(&stage)
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    left.sort();
    let mut expected = [0, 1, 3].map(|n: usize| format!("{key}-{}", bases[n]));
    expected.sort();
    assert_eq!(left, expected);
    drop(held);

    // Of one whose process was killed while it captured.
    let half = stage.path("data/captures/half-left");
    std::fs::create_dir_all(half.join("objects/12")).unwrap();
    std::fs::write(half.join("held"), "").unwrap();
    stage.git.sweep().await.unwrap();
    assert_eq!(stores(&stage).len(), 3);

    // What went is captured anew.
    stage.repo.write("new", "2");
    let (mirror, again) = capture(&stage, &stage.repo).await;
    assert_eq!(again.base, bases[2]);
    assert!(reads(&stage.inside(again.repository(&mirror), &again.base).await, bases[2].as_str()));
}
