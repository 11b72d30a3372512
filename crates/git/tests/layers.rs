//! Layers under strain: several at once, killed in the middle, evicted.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::process::{Command, Stdio};
use std::time::Duration;

use quire_domain::ids::CommitId;
use quire_git::{CacheWord, GitError, LayerTimes};
use support::{Stage, git_in};

#[tokio::test]
async fn of_several_that_need_one_layer_one_builds_it() {
    let stage = Stage::new();
    for n in 0..300 {
        stage.repo.write(format!("d/{n}"), n.to_string());
    }
    let commit = stage.repo.commit_all("many");
    let mirror = stage.mirror().await;
    let mut builders = Vec::new();
    for _ in 0..6 {
        // Each with a handle of its own, as in a process of its own.
        let (git, mirror, commit) = (git_in(stage.dir.path()), mirror.clone(), commit.clone());
        builders.push(tokio::spawn(async move {
            git.checkout_layer(&(&mirror).into(), &commit, LayerTimes::Commit).await.unwrap()
        }));
    }
    let mut layers = Vec::new();
    for builder in builders {
        layers.push(builder.await.unwrap());
    }
    let misses = layers.iter().filter(|l| matches!(l.cache, CacheWord::Miss { .. })).count();
    assert_eq!(misses, 1);
    assert!(layers.iter().all(|layer| layer.path == layers[0].path));
}

#[tokio::test]
async fn several_runs_in_one_checkout_get_along() {
    let stage = Stage::new();
    stage.repo.write("a.txt", "dirty\n");
    let mut runs = Vec::new();
    for _ in 0..6 {
        let (git, path) = (git_in(stage.dir.path()), stage.repo.path.clone());
        runs.push(tokio::spawn(async move {
            let checkout = git.inspect(&path).await.unwrap();
            let mirror = git.mirror_checkout(&checkout).await.unwrap();
            let captured = git.capture(&checkout, &mirror).await.unwrap();
            let repository = captured.repository(&mirror);
            git.checkout_layer(&repository, &captured.base, LayerTimes::Commit).await.unwrap();
            captured.base
        }));
    }
    let mut bases = Vec::new();
    for run in runs {
        bases.push(run.await.unwrap());
    }
    assert!(bases.iter().all(|base| *base == bases[0]));
}

#[tokio::test]
async fn a_process_killed_while_it_builds_leaves_nothing_that_passes_for_a_layer() {
    const NAME: &str = "a_process_killed_while_it_builds_leaves_nothing_that_passes_for_a_layer";
    if let Some(dir) = std::env::var_os("QUIRE_TEST_BUILDS_IN") {
        // The process that is killed.
        let dir = std::path::PathBuf::from(dir);
        let git = git_in(&dir);
        let checkout = git.inspect(&dir.join("repo")).await.unwrap();
        let mirror = git.mirror_checkout(&checkout).await.unwrap();
        git.checkout_layer(&(&mirror).into(), &checkout.head, LayerTimes::Commit).await.unwrap();
        return;
    }
    let stage = Stage::new();
    for n in 0..2000 {
        stage.repo.write(format!("d{}/{n}", n / 100), n.to_string());
    }
    let commit = stage.repo.commit_all("many");
    let mut killed = 0;
    for round in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([NAME, "--exact"])
            .env("QUIRE_TEST_BUILDS_IN", stage.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(5 + round * 12));
        killed += u32::from(child.try_wait().unwrap().is_none());
        // It may have come to its end by itself.
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert!(killed > 0);
    stage.git.sweep().await.unwrap();
    let mirror = stage.mirror().await;
    let layer = stage.layer(&mirror, &commit).await;
    assert_eq!(layer.manifest.files, 2002);
    for n in 0..2000 {
        let path = layer.path.join(format!("d{}/{n}", n / 100));
        assert_eq!(std::fs::read_to_string(path).unwrap(), n.to_string());
    }
    stage.git.sweep().await.unwrap();
    let half = std::fs::read_dir(stage.path("data/layers"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("half-"))
        .count();
    assert_eq!(half, 0);
}

#[tokio::test]
async fn layers_used_longest_ago_go_first_and_held_ones_stay() {
    let stage = Stage::new();
    let mut commits: Vec<CommitId> = vec![stage.repo.head()];
    for n in 0..3 {
        // Everything differs, so that nothing is shared and each has its own bytes.
        stage.repo.write("a.txt", "x".repeat(10_000 + n));
        stage.repo.write("src/main.rs", "y".repeat(10_000 + n));
        commits.push(stage.repo.commit_all("next"));
    }
    let mirror = stage.mirror().await;
    let mut keys = Vec::new();
    let mut held = Vec::new();
    for (n, commit) in commits.iter().enumerate() {
        let layer = stage.layer(&mirror, commit).await;
        keys.push(layer.key.clone());
        let used = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + n as u64);
        let mark = layer.path.parent().unwrap().join("held");
        std::fs::File::options().write(true).open(mark).unwrap().set_modified(used).unwrap();
        if n == 1 {
            held.push(layer);
        }
    }
    let evicted = stage.git.evict(u64::MAX, &[]).await.unwrap();
    assert_eq!(evicted.layers, 0);
    let evicted = stage.git.evict(0, &keys[2..3]).await.unwrap();
    assert_eq!(evicted.layers, 2);
    let is_there = |key: &str| stage.path("data/layers").join(key).exists();
    let there: Vec<bool> = keys.iter().map(|key| is_there(key)).collect();
    assert_eq!(there, [false, true, true, false]);
    drop(held);
    assert_eq!(stage.git.evict(0, &[]).await.unwrap().layers, 2);
}

#[tokio::test]
async fn a_layer_of_an_earlier_boot_that_was_not_settled_is_built_again() {
    let stage = Stage::new();
    let mirror = stage.mirror().await;
    let layer = stage.layer(&mirror, &stage.repo.head()).await;
    let manifest = layer.path.parent().unwrap().join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace(&layer.manifest.boot_id, "earlier")).unwrap();
    // As the machine's crash may leave it.
    std::fs::write(layer.path.join("a.txt"), "").unwrap();
    drop(layer);
    let layer = stage.layer(&mirror, &stage.repo.head()).await;
    assert!(matches!(layer.cache, CacheWord::Miss { .. }));
    assert_eq!(std::fs::read(layer.path.join("a.txt")).unwrap(), b"one\ntwo\nthree\n");
}

#[tokio::test]
async fn a_tree_that_names_a_path_twice_makes_no_layer() {
    let stage = Stage::new();
    // A link and a directory of one name: written one after the other, it would lead out.
    let outside = stage.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(stage.path("target"), outside.to_str().unwrap()).unwrap();
    let link = stage.repo.git(["hash-object", "-w", stage.path("target").to_str().unwrap()]);
    let blob = stage.repo.git(["rev-parse", "HEAD:a.txt"]);
    let tree = |text: String| {
        let mut child = stage
            .repo
            .command()
            .args(["hash-object", "-t", "tree", "-w", "--stdin", "--literally"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut bytes = Vec::new();
        for line in text.lines() {
            let (head, oid) = line.split_once('\t').unwrap();
            bytes.extend_from_slice(head.as_bytes());
            bytes.push(0);
            for at in (0..40).step_by(2) {
                bytes.push(u8::from_str_radix(&oid[at..at + 2], 16).unwrap());
            }
        }
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let below = tree(format!("100644 x\t{blob}"));
    let root = tree(format!("120000 a\t{link}\n40000 a\t{below}"));
    let commit = stage.repo.git(["commit-tree", "-m", "x", "-p", "HEAD", &root]);
    stage.repo.git(["update-ref", "refs/heads/bad", &commit]);
    let mirror = stage.mirror().await;
    let commit = CommitId::parse(&commit).unwrap();
    let result = stage.git.checkout_layer(&(&mirror).into(), &commit, LayerTimes::Commit).await;
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    if let Ok(layer) = &result {
        // git dropped one of the two.
        assert!(!layer.path.join("a/x").exists() || !layer.path.join("a").is_symlink());
    } else {
        assert!(matches!(result, Err(GitError::Malformed { .. } | GitError::Failed { .. })));
    }
}

#[tokio::test]
async fn what_was_stored_by_name_is_met_again() {
    let stage = Stage::new();
    let mirror = stage.mirror().await;
    let layer = stage.layer(&mirror, &stage.repo.head()).await;
    assert_eq!(stage.git.mirror_by_key(&mirror.key).await.unwrap(), mirror);
    let again = stage.git.layer_by_key(&layer.key).await.unwrap().unwrap();
    assert_eq!((again.path, again.cache), (layer.path, CacheWord::Hit));
    assert!(stage.git.layer_by_key("../mirrors").await.unwrap().is_none());
    let error = stage.git.mirror_by_key("../../x").await.unwrap_err();
    assert!(matches!(error, GitError::NotARepository { .. }), "{error}");
    assert!(stage.git.is_branch(&mirror, "trunk") && !stage.git.is_branch(&mirror, "runk"));

    stage.repo.write(".gitignore", "target/\n/build\n");
    stage.repo.write("target/x", "x");
    stage.repo.write("src/y", "y");
    let checkout = stage.git.inspect(&stage.repo.path).await.unwrap();
    let asked = ["target", "src", "build", "none"].map(str::to_owned).to_vec();
    assert_eq!(stage.git.ignored_among(&checkout, asked).await.unwrap(), ["target", "build"]);
}

#[tokio::test]
async fn a_received_change_goes_into_another_repository_as_a_pack() {
    let stage = Stage::new();
    let mirror = stage.mirror().await;
    let base = stage.repo.head();
    let inside = stage.inside(&mirror, &base).await;
    inside.repo.write("new", "new\n");
    let head = inside.repo.commit_all("second");
    let store = stage.results(&mirror).await;
    stage.receive(&store, &base, head.as_str(), inside.export(&head)).await.unwrap();
    let pack = stage.git.pack(store.repository(), &base, &head).await.unwrap();
    let mut child = stage
        .repo
        .command()
        .args(["index-pack", "--stdin", "--fix-thin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &pack).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(stage.repo.git(["show", &format!("{head}:new")]), "new");
}
