//! What a hostile sandbox may hand in: nothing of it runs on the host, leaves its place, or
//! costs more than it may.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use quire_domain::ids::CommitId;
use quire_git::{GitError, Mirror, ReceiveLimits, Received, RepoPath, ResultStore};
use support::{Inside, Repo, Stage};

/// A stage, what stands in for its sandbox, and its results.
struct Scene {
    stage: Stage,
    mirror: Mirror,
    inside: Inside,
    store: ResultStore,
}

impl Scene {
    async fn new() -> Self {
        let stage = Stage::new();
        let mirror = stage.mirror().await;
        let inside = stage.inside(&mirror, &stage.repo.head()).await;
        let store = stage.results(&mirror).await;
        Self { stage, mirror, inside, store }
    }

    fn repo(&self) -> &Repo {
        &self.inside.repo
    }

    /// Receives everything that `head` reaches.
    async fn receive(&self, head: &CommitId) -> Result<Received, GitError> {
        let pack = self.inside.export(head);
        self.stage.receive(&self.store, &self.inside.base, head.as_str(), pack).await
    }

    /// Writes an object that git itself would refuse to.
    fn write_object(&self, kind: &str, content: &[u8]) -> String {
        let mut child = self
            .repo()
            .command()
            .args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(content).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn write_tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut content = Vec::new();
        for (mode, name, oid) in entries {
            content.extend_from_slice(mode.as_bytes());
            content.push(b' ');
            content.extend_from_slice(name);
            content.push(0);
            for at in (0..oid.len()).step_by(2) {
                content.push(u8::from_str_radix(&oid[at..at + 2], 16).unwrap());
            }
        }
        self.write_object("tree", &content)
    }

    fn commit(&self, tree: &str) -> CommitId {
        let text = format!(
            "tree {tree}\nparent {}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n",
            self.inside.base
        );
        CommitId::parse(&self.write_object("commit", text.as_bytes())).unwrap()
    }

    /// A pack of these objects and nothing else.
    fn pack_of(&self, oids: &[&str]) -> Vec<u8> {
        let mut child = self
            .repo()
            .command()
            .args(["pack-objects", "--stdout", "-q"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(oids.join("\n").as_bytes()).unwrap();
        child.stdin = None;
        child.wait_with_output().unwrap().stdout
    }

    fn store_is_empty(&self) -> bool {
        let pack = self.store.repository().objects_dir().join("pack");
        std::fs::read_dir(pack).unwrap().count() == 0
            && !self.store.repository().git_dir().join("refs/quire").exists()
    }
}

#[tokio::test]
async fn nothing_that_a_task_configures_runs_on_the_host() {
    let scene = Scene::new().await;
    let (repo, canary) = (scene.repo(), scene.stage.path("canary"));
    let touch = format!("touch {}; cat", canary.display());
    repo.write(".gitattributes", "* filter=x diff=x merge=x\n");
    repo.write(".gitmodules", "[submodule \"m\"]\n\tpath = m\n\turl = ../m\n");
    repo.write("a.txt", "changed\n");
    repo.write("b.txt", "new\n");
    let head = repo.commit_all("with attributes");
    for name in [
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "filter.x.clean",
        "filter.x.smudge",
        "filter.x.process",
        "diff.x.textconv",
        "diff.x.command",
        "diff.external",
        "merge.x.driver",
        "uploadpack.packObjectsHook",
        "alias.diff-tree",
    ] {
        repo.git(["config", name, &touch]);
    }
    repo.git(["config", "core.hooksPath", repo.path.join("hooks").to_str().unwrap()]);
    repo.git(["config", "include.path", canary.to_str().unwrap()]);
    let received = scene.receive(&head).await.unwrap();
    let git = &scene.stage.git;
    let (store, base) = (scene.store.repository(), &scene.inside.base);
    let diff = git.diff_unified(store, base, &head, &[], 1 << 20).await.unwrap();
    assert!(String::from_utf8(diff.text).unwrap().contains("+changed"));
    assert_eq!(received.changed.len(), 4);
    let checkout = git.inspect(&scene.stage.repo.path).await.unwrap();
    git.apply(&checkout, &scene.store, base, &head, quire_git::OnConflict::Refuse).await.unwrap();
    // A layer of the result, as a check would have it: no filter is known there either.
    assert!(!canary.exists());
    repo.git(["status"]);
    assert!(canary.exists(), "the trap itself does not work");
}

#[tokio::test]
async fn a_link_is_read_as_its_text_and_odd_names_stay_names() {
    let scene = Scene::new().await;
    let repo = scene.repo();
    std::os::unix::fs::symlink("/etc/passwd", repo.path.join("README.md")).unwrap();
    let names: [&[u8]; 4] = [b"new\nline", b"\x1b]0;t\x07", b"\xff\xfe", &[b'x'; 255]];
    for name in names {
        repo.write(std::ffi::OsStr::from_bytes(name), "x\n");
    }
    let head = repo.commit_all("odd");
    let received = scene.receive(&head).await.unwrap();
    assert_eq!(received.changed.len(), 5);
    for change in &received.changed {
        let shown = change.path.to_string();
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
    let git = &scene.stage.git;
    let store = scene.store.repository();
    let link = git.read_file(store, &head, &RepoPath::new("README.md"), 100).await.unwrap();
    assert_eq!(&link.unwrap().0[..], b"/etc/passwd");
    for name in names {
        let file = git.read_file(store, &head, &RepoPath::new(name), 100).await.unwrap();
        assert_eq!(&file.unwrap().0[..], b"x\n");
        let paths = [RepoPath::new(name)];
        let diff = git.diff_unified(store, &scene.inside.base, &head, &paths, 9999).await.unwrap();
        assert!(diff.text.ends_with(b"+x\n"), "{}", String::from_utf8_lossy(&diff.text));
    }
    for bad in ["../../etc/passwd", "/etc/passwd", ".git/config", "a.txt\n"] {
        let file = git.read_file(store, &head, &RepoPath::new(bad), 100).await.unwrap();
        assert_eq!(file, None, "{bad}");
    }
}

#[tokio::test]
async fn trees_that_reach_for_git_or_for_the_outside_are_refused() {
    let scene = Scene::new().await;
    let blob = scene.write_object("blob", b"x");
    let url = scene.write_object("blob", b"[submodule \"m\"]\n\tpath = m\n\turl = -u./payload\n");
    let names: [&[u8]; 8] =
        [b".git", b".GIT", b"..", b".", b"a/b", b"GIT~1", ".g\u{200c}it".as_bytes(), b""];
    let mut trees: Vec<(String, String)> = names
        .iter()
        .map(|name| {
            let shown = String::from_utf8_lossy(name).into_owned();
            (shown, scene.write_tree(&[("100644", name, &blob)]))
        })
        .collect();
    trees.push(("link".to_owned(), scene.write_tree(&[("120000", b".gitmodules", &blob)])));
    trees.push(("url".to_owned(), scene.write_tree(&[("100644", b".gitmodules", &url)])));
    trees.push((
        "twice".to_owned(),
        scene.write_tree(&[("120000", b"a", &blob), ("100644", b"a", &blob)]),
    ));
    for (name, tree) in trees {
        let head = scene.commit(&tree);
        let pack = scene.pack_of(&[head.as_str(), &tree, &blob, &url]);
        let result =
            scene.stage.receive(&scene.store, &scene.inside.base, head.as_str(), pack).await;
        assert!(matches!(result, Err(GitError::Refused { .. })), "{name}: {result:?}");
        assert!(scene.store_is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_pack_that_lacks_something_or_is_none_is_refused() {
    let scene = Scene::new().await;
    scene.repo().write("a.txt", "changed\n");
    let head = scene.repo().commit_all("second");
    let whole = scene.inside.export(&head);
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    let mut counted = whole.clone();
    counted[11] += 1;
    let commit_only = scene.pack_of(&[head.as_str()]);
    let cases: [(&str, Vec<u8>); 6] = [
        ("empty", Vec::new()),
        ("no pack", b"GIF89a and so on".to_vec()),
        ("cut", whole[..whole.len() - 30].to_vec()),
        ("damaged", damaged),
        ("counted", counted),
        ("lacking", commit_only),
    ];
    for (name, pack) in cases {
        let result =
            scene.stage.receive(&scene.store, &scene.inside.base, head.as_str(), pack).await;
        assert!(matches!(result, Err(GitError::Refused { .. })), "{name}: {result:?}");
        assert!(scene.store_is_empty(), "{name}");
    }
    let tree = scene.repo().git(["rev-parse", "HEAD^{tree}"]);
    let other = "1".repeat(40);
    for text in ["", "HEAD", "--all", "1234", &"g".repeat(40), &format!("{head} x"), &tree, &other]
    {
        let result = scene.stage.receive(&scene.store, &scene.inside.base, text, whole.clone());
        let result = result.await;
        assert!(matches!(result, Err(GitError::Refused { .. })), "{text}: {result:?}");
    }
    assert!(scene.store_is_empty());
    let received = scene.receive(&head).await.unwrap();
    assert_eq!(received.head, head);
}

#[tokio::test]
async fn results_stay_out_of_the_mirror() {
    let scene = Scene::new().await;
    scene.repo().write("secret.txt", "of this task\n");
    let head = scene.repo().commit_all("second");
    scene.receive(&head).await.unwrap();
    let git = &scene.stage.git;
    let error = git.resolve(scene.mirror.repository(), head.as_str()).await.unwrap_err();
    assert!(matches!(error, GitError::NoSuchRef { .. }), "{error}");
    assert_eq!(git.resolve(scene.store.repository(), head.as_str()).await.unwrap(), head);
}

#[tokio::test]
async fn rewritten_history_is_seen() {
    let scene = Scene::new().await;
    scene.repo().git(["checkout", "-q", "--orphan", "fresh"]);
    let head = scene.repo().commit_all("all anew");
    let received = scene.receive(&head).await.unwrap();
    assert!(!received.base_is_ancestor);
    assert_eq!(received.changed.len(), 0);
}

#[tokio::test]
async fn a_great_blob_in_a_small_pack_costs_no_more_than_it_may() {
    let scene = Scene::new().await;
    let big = scene.stage.path("big");
    std::fs::File::create(&big).unwrap().set_len(600 << 20).unwrap();
    let blob = scene.repo().git([
        "-c",
        "core.bigFileThreshold=1m",
        "-c",
        "core.compression=1",
        "hash-object",
        "-w",
        "--no-filters",
        big.to_str().unwrap(),
    ]);
    let tree = scene.write_tree(&[("100644", b"big", &blob)]);
    let head = scene.commit(&tree);
    let pack = scene.pack_of(&[head.as_str(), &tree, &blob]);
    assert!(pack.len() < 4 << 20);
    let limits = ReceiveLimits { cpu_seconds: 1, ..ReceiveLimits::default() };
    let start = Instant::now();
    let result = scene
        .stage
        .git
        .receive(&scene.store, &scene.inside.base, head.as_str(), "x", pack.as_slice(), &limits)
        .await;
    assert!(matches!(result, Err(GitError::OverLimit { .. })), "{result:?}");
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(scene.store_is_empty());
    let quarantine = scene.stage.path("data/quarantine");
    let left = std::fs::read_dir(quarantine).unwrap().count();
    assert_eq!(left, 0, "something was left behind");
}

#[tokio::test]
async fn a_pack_over_its_limits_is_cut_off() {
    let scene = Scene::new().await;
    for n in 0..200_u32 {
        let bytes: Vec<u8> = (0..500_u32)
            .flat_map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(n * 977)).to_be_bytes())
            .collect();
        scene.repo().write(format!("f{n}"), bytes);
    }
    let head = scene.repo().commit_all("many");
    let pack = scene.inside.export(&head);
    let defaults = ReceiveLimits::default();
    for limits in [
        ReceiveLimits { pack_bytes: 10_000, ..defaults },
        ReceiveLimits { objects: 50, ..defaults },
        ReceiveLimits { changed_files: 50, ..defaults },
        ReceiveLimits { commits: 0, ..defaults },
    ] {
        let result = scene
            .stage
            .git
            .receive(&scene.store, &scene.inside.base, head.as_str(), "x", &pack[..], &limits)
            .await;
        assert!(matches!(result, Err(GitError::OverLimit { .. })), "{limits:?}: {result:?}");
        assert!(scene.store_is_empty());
    }
}

#[tokio::test]
async fn a_tree_of_trees_with_more_files_than_there_are_atoms_is_given_up_on() {
    let scene = Scene::new().await;
    let blob = scene.write_object("blob", b"x");
    let mut mode = "100644";
    let mut child = blob.clone();
    let mut oids = vec![blob];
    for _ in 0..12 {
        let names: Vec<String> = (0..100).map(|n| format!("{n:03}")).collect();
        let entries: Vec<(&str, &[u8], &str)> =
            names.iter().map(|name| (mode, name.as_bytes(), child.as_str())).collect();
        child = scene.write_tree(&entries);
        oids.push(child.clone());
        mode = "40000";
    }
    let head = scene.commit(&child);
    oids.push(head.as_str().to_owned());
    let pack = scene.pack_of(&oids.iter().map(String::as_str).collect::<Vec<_>>());
    let start = Instant::now();
    let result = scene.stage.receive(&scene.store, &scene.inside.base, head.as_str(), pack).await;
    let refused = matches!(result, Err(GitError::OverLimit { .. } | GitError::Refused { .. }));
    assert!(refused, "{result:?}");
    assert!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
    assert!(scene.store_is_empty());
}

#[tokio::test]
async fn a_sandbox_that_stops_sending_is_given_up_on() {
    let scene = Scene::new().await;
    scene.repo().write("a.txt", "changed\n");
    let head = scene.repo().commit_all("second");
    let pack = scene.inside.export(&head);
    let limits = ReceiveLimits { timeout: Duration::from_millis(300), ..ReceiveLimits::default() };
    for sent in [0, 20] {
        let (mut sender, receiver) = tokio::io::duplex(1 << 16);
        tokio::io::AsyncWriteExt::write_all(&mut sender, &pack[..sent]).await.unwrap();
        let result = scene
            .stage
            .git
            .receive(&scene.store, &scene.inside.base, head.as_str(), "x", receiver, &limits)
            .await;
        assert!(matches!(result, Err(GitError::Timeout { .. })), "{sent}: {result:?}");
        drop(sender);
    }
}

#[tokio::test]
async fn a_submodule_whose_address_is_a_program_starts_nothing_on_its_way_out_and_into_a_checkout()
{
    let scene = Scene::new().await;
    let (repo, canary) = (scene.repo(), scene.stage.path("canary"));
    let program = format!("ext::sh -c touch% {}", canary.display());
    repo.write(
        ".gitmodules",
        format!("[submodule \"m\"]\n\tpath = m\n\turl = {program}\n\tupdate = checkout\n"),
    );
    let named = format!("160000,{},m", scene.inside.base);
    repo.git(["update-index", "--add", "--cacheinfo", &named]);
    repo.git(["add", ".gitmodules"]);
    repo.git(["commit", "-q", "-m", "a submodule"]);
    let head = repo.head();
    repo.git(["config", "submodule.m.url", &program]);
    repo.git(["config", "submodule.recurse", "true"]);
    repo.git(["config", "fetch.recurseSubmodules", "true"]);
    repo.git(["config", "remote.origin.url", &program]);
    repo.git(["config", "remote.origin.promisor", "true"]);
    repo.git(["config", "protocol.ext.allow", "always"]);
    let included = scene.stage.path("included");
    let settings = format!("[core]\n\tfsmonitor = touch {}\n", canary.display());
    std::fs::write(&included, settings).unwrap();
    repo.git(["config", "include.path", included.to_str().unwrap()]);
    let received = scene.receive(&head).await.unwrap();
    assert_eq!(received.changed.len(), 2);
    let (git, person) = (&scene.stage.git, &scene.stage.repo);
    let (store, base) = (scene.store.repository(), &scene.inside.base);
    let diff = git.diff_unified(store, base, &head, &[], 1 << 20).await.unwrap();
    assert!(String::from_utf8(diff.text).unwrap().contains(&program));
    let checkout = git.inspect(&person.path).await.unwrap();
    git.apply(&checkout, &scene.store, base, &head, quire_git::OnConflict::Refuse).await.unwrap();
    // And once more as the start of another task.
    person.git(["update-index", "--add", "--cacheinfo", &named]);
    let checkout = git.inspect(&person.path).await.unwrap();
    let mirror = git.mirror_checkout(&checkout).await.unwrap();
    let captured = git.capture(&checkout, &mirror).await.unwrap();
    scene.stage.layer(captured.repository(&mirror), &captured.base).await;
    assert!(!canary.exists());
    let trap = ["-c", "protocol.ext.allow=always", "submodule", "update", "--init"];
    let _ = person.try_git(trap);
    assert!(canary.exists(), "the trap itself does not work");
}

#[tokio::test]
async fn objects_of_another_task_or_of_the_host_are_not_had_by_naming_them() {
    let scene = Scene::new().await;
    let (git, person) = (&scene.stage.git, &scene.stage.repo);
    // Another task began with these, and one of the person's repositories holds those.
    person.write("notes.txt", "uncommitted\n");
    let checkout = git.inspect(&person.path).await.unwrap();
    let captured = git.capture(&checkout, &scene.mirror).await.unwrap();
    let uncommitted = person.git(["hash-object", "notes.txt"]);
    let elsewhere = Repo { path: scene.stage.path("elsewhere") };
    std::fs::create_dir(&elsewhere.path).unwrap();
    elsewhere.git(["init", "-q"]);
    elsewhere.write("private", "of the host\n");
    elsewhere.commit_all("private");
    let private = elsewhere.git(["rev-parse", "HEAD:private"]);
    let private_tree = elsewhere.git(["rev-parse", "HEAD^{tree}"]);

    // An alternate that leads there is a line of a file inside; no pack can carry it.
    let alternates = scene.repo().path.join(".git/objects/info/alternates");
    let line = format!("{}\n", elsewhere.path.join(".git/objects").display());
    let mut text = std::fs::read_to_string(&alternates).unwrap();
    text.push_str(&line);
    std::fs::write(&alternates, text).unwrap();
    for (name, tree) in [
        ("a file of a capture", scene.write_tree(&[("100644", b"stolen", &uncommitted)])),
        ("a file of the host", scene.write_tree(&[("100644", b"stolen", &private)])),
        ("a tree of the host", scene.write_tree(&[("40000", b"stolen", &private_tree)])),
        ("a tree of the host as its own", private_tree.clone()),
    ] {
        let head = scene.commit(&tree);
        let mut carried = vec![head.as_str()];
        if tree != private_tree {
            carried.push(&tree);
        }
        let pack = scene.pack_of(&carried);
        let result = scene.stage.receive(&scene.store, &scene.inside.base, head.as_str(), pack);
        let result = result.await;
        assert!(matches!(result, Err(GitError::Refused { .. })), "{name}: {result:?}");
        assert!(scene.store_is_empty(), "{name}");
    }
    // Its commit as a parent, or as the head itself, is not had either.
    let parent = format!(
        "tree {}\nparent {}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n",
        scene.repo().git(["rev-parse", "HEAD^{tree}"]),
        captured.base,
    );
    let on_top = CommitId::parse(&scene.write_object("commit", parent.as_bytes())).unwrap();
    let pack = scene.pack_of(&[on_top.as_str()]);
    for head in [&on_top, &captured.base] {
        let result =
            scene.stage.receive(&scene.store, &scene.inside.base, head.as_str(), pack.clone());
        let result = result.await;
        assert!(matches!(result, Err(GitError::Refused { .. })), "{head}: {result:?}");
        assert!(scene.store_is_empty());
    }
}
