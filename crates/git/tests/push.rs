//! What a person has on one machine is the base of a task on another, and the result comes back.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use quire_domain::ids::CommitId;
use quire_git::{ApplyReport, BranchReport, GitError, OnConflict, PushLimits, ReceiveLimits};
use support::{Stage, git_in, task};
use tokio::io::AsyncReadExt;

async fn bytes(file: std::fs::File) -> Vec<u8> {
    let mut bytes = Vec::new();
    tokio::fs::File::from_std(file).read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn uncommitted_work_is_the_base_of_a_task_elsewhere_and_its_change_comes_back() {
    let here = Stage::new();
    let first = here.repo.head();
    // The server knows the repository as it was before two more commits, and before the work.
    let server = git_in(here.dir.path().join("server").as_path());
    let url = format!("file://{}", here.repo.path.display());
    let remote = server.mirror_url(&url, None).await.unwrap();
    here.repo.write("b.txt", "second\n");
    here.repo.commit_all("never published");
    here.repo.write("a.txt", "one\ntwo changed\nthree\n");
    here.repo.write("new ünï.txt", "untracked\n");
    let checkout = here.git.inspect(&here.repo.path).await.unwrap();
    let mirror = here.git.mirror_checkout(&checkout).await.unwrap();
    let captured = here.git.capture(&checkout, &mirror).await.unwrap();
    let repository = captured.repository(&mirror);

    let asked = here.git.sampled_history(repository.repository(), &captured.base).await.unwrap();
    assert_eq!(asked.len(), 3);
    let had = server.has_commits(remote.mirror.repository(), &asked).await.unwrap();
    assert_eq!(had, std::slice::from_ref(&first));
    let wanted = std::slice::from_ref(&captured.base);
    let limit = 64 << 20;
    let (file, length) =
        here.git.write_pack(repository.repository(), wanted, &had, limit).await.unwrap();
    let pack = bytes(file).await;
    assert_eq!(pack.len() as u64, length);

    // Cut short, or of something else: refused, and nothing of it is kept.
    let limits = PushLimits::default();
    let half = &pack[..pack.len() / 2];
    let cut = server.receive_base(&remote.mirror, &captured.base, &had, half, &limits).await;
    assert!(matches!(cut, Err(GitError::Refused { .. })), "{cut:?}");
    let other = CommitId::parse(&"a".repeat(40)).unwrap();
    let wrong = server.receive_base(&remote.mirror, &other, &had, pack.as_slice(), &limits).await;
    assert!(matches!(wrong, Err(GitError::Refused { .. })), "{wrong:?}");
    assert!(!server.has_base(&remote.mirror, &captured.base).await.unwrap());
    let long = PushLimits { pack_bytes: 100, ..limits };
    let long =
        server.receive_base(&remote.mirror, &captured.base, &had, pack.as_slice(), &long).await;
    assert!(matches!(long, Err(GitError::OverLimit { .. })), "{long:?}");

    for _ in 0..2 {
        // Sent twice, as after a lost answer, it is the same.
        server
            .receive_base(&remote.mirror, &captured.base, &had, pack.as_slice(), &limits)
            .await
            .unwrap();
    }
    assert!(server.has_base(&remote.mirror, &captured.base).await.unwrap());
    let known = server.has_commits(remote.mirror.repository(), wanted).await.unwrap();
    assert!(known.is_empty(), "what was pushed is not in what others read");

    // The task there: its change is taken as any.
    let pushed = server.task_repository(&remote.mirror.key, &captured.base).await.unwrap();
    let there = Stage { git: server.clone(), ..Stage::empty() };
    let inside = there.inside(pushed.clone(), &captured.base).await;
    assert_eq!(inside.repo.read("new ünï.txt"), "untracked\n");
    inside.repo.write("a.txt", "ONE\ntwo changed\nthree\n");
    let head = inside.repo.commit_all("by the agent");
    let store = server.results(task(), &pushed).await.unwrap();
    server
        .receive(
            &store,
            &captured.base,
            head.as_str(),
            "a",
            &*inside.export(&head),
            &ReceiveLimits::default(),
        )
        .await
        .unwrap();

    // Back here, where only what the server was told of is known.
    let wanted = [captured.base.clone(), head.clone()];
    let (file, _) = server.write_pack(store.repository(), &wanted, &had, limit).await.unwrap();
    let back = here.git.results(task(), &(&mirror).into()).await.unwrap();
    let limits = ReceiveLimits::default();
    let pack = bytes(file).await;
    here.git
        .bring_change(&back, (&captured.base, &head), &had, pack.as_slice(), &limits)
        .await
        .unwrap();
    let applied = here.git.apply(&checkout, &back, &captured.base, &head, OnConflict::Refuse).await;
    assert!(matches!(applied, Ok(ApplyReport::Applied(_))), "{applied:?}");
    assert_eq!(here.repo.read("a.txt"), "ONE\ntwo changed\nthree\n");

    // As a branch: made once, never moved.
    let branch = |name| here.git.make_branch(&checkout, &back, &head, name);
    assert_eq!(branch("quire/42").await.unwrap(), BranchReport::Made);
    assert_eq!(branch("quire/42").await.unwrap(), BranchReport::AlreadyThere);
    assert!(matches!(branch("trunk").await.unwrap(), BranchReport::Taken(_)));
    assert!(matches!(branch("-f").await, Err(GitError::BadRef { .. })));
    assert_eq!(here.repo.git(["show", "quire/42:a.txt"]), "ONE\ntwo changed\nthree");
    assert!(here.git.switch_to(&checkout, "quire/42").await.is_err(), "uncommitted work stays");
    assert_eq!(here.repo.git(["branch", "--show-current"]), "trunk");
    let tree = here.path("a tree");
    here.git.add_worktree(&checkout, "quire/42", &tree).await.unwrap();
    assert_eq!(std::fs::read_to_string(tree.join("b.txt")).unwrap(), "second\n");
}

#[tokio::test]
async fn a_repository_without_another_home_takes_history_and_bases() {
    let here = Stage::new();
    let server = git_in(here.dir.path().join("server").as_path());
    let home = server.homeless_mirror("0190", false).await.unwrap();
    let mirror = here.mirror().await;
    let head = here.repo.head();
    let limits = PushLimits::default();
    let wanted = std::slice::from_ref(&head);
    let (file, _) = here.git.write_pack(mirror.repository(), wanted, &[], 1 << 20).await.unwrap();
    let pack = bytes(file).await;
    server.receive_history(&home, &head, &[], pack.as_slice(), &limits).await.unwrap();
    let again = server.homeless_mirror("0190", false).await.unwrap();
    assert_eq!(again, home);
    assert!(server.has_base(&home, &head).await.unwrap());
    let resolved = server.resolve(home.repository(), head.as_str()).await.unwrap();
    assert_eq!(resolved, head);
}
