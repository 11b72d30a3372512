//! Files of a sandbox: read and changed from outside, through its own view.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod stage;

use std::path::Path;

use quire_domain::path::WorkspacePath;
use quire_domain::sandbox::{FileChange, FileError, Sandbox, SandboxBackend as _};
use stage::{Stage, create, sh};

const TREE: &str = "/workspace/tree";

fn write(path: &str, content: &str) -> FileChange {
    let path = WorkspacePath::parse(path).unwrap();
    FileChange::Write { path, moved_from: None, content: content.as_bytes().to_vec().into() }
}

fn remove(path: &str) -> FileChange {
    FileChange::Remove { path: WorkspacePath::parse(path).unwrap() }
}

async fn text(sandbox: &dyn Sandbox, path: &str) -> String {
    let bytes = sandbox.read_file(&Path::new(TREE).join(path), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_file_is_read_as_the_sandbox_sees_it() {
    let stage = Stage::new().await;
    let layer = stage.layer("layer", &[("a.txt", "hello")]);
    let sandbox = create(&stage, stage.spec("read", vec![layer])).await;
    sh(
        &sandbox,
        "ln -s /etc/passwd link; ln -s a.txt near; mkfifo pipe; mkdir dir; truncate -s 3G big",
    )
    .await;
    assert_eq!(text(&*sandbox, "a.txt").await, "hello");
    assert_eq!(text(&*sandbox, "near").await, "hello");
    // A link to the host's file leads to the sandbox's own.
    assert!(text(&*sandbox, "link").await.contains("quire:x:1000"));
    let read = async |path: &str| sandbox.read_file(&Path::new(TREE).join(path), 1000).await;
    assert!(matches!(read("pipe").await, Err(FileError::NotAFile(_))));
    assert!(matches!(read("dir").await, Err(FileError::NotAFile(_))));
    assert!(matches!(read("none").await, Err(FileError::NotFound(_))));
    assert!(matches!(read("big").await, Err(FileError::TooLarge { bytes: 3_221_225_472, .. })));
    assert!(matches!(
        sandbox.read_file(Path::new("/dev/zero"), 1000).await,
        Err(FileError::NotAFile(_))
    ));
    assert!(matches!(
        sandbox.read_file(Path::new("/proc/1/environ"), 1000).await,
        Err(FileError::Denied { .. })
    ));
}

#[tokio::test]
async fn a_file_that_is_swapped_for_a_link_while_it_is_read_never_shows_the_hosts() {
    let stage = Stage::new().await;
    std::fs::write(stage.path("canary"), "the host's own").unwrap();
    let sandbox = create(&stage, stage.spec("swap", vec![])).await;
    let script = "while :; do mv d x; mv l d; mv d l; mv x d; done";
    sh(&sandbox, &format!("mkdir d; echo inside > d/f; ln -s {} l", stage.dir.path().display()))
        .await;
    let _swapping = sandbox.start(stage::bash(script)).await.unwrap();
    for _ in 0..300 {
        for path in ["d/f", "d/canary", "l/canary"] {
            if let Ok(bytes) = sandbox.read_file(&Path::new(TREE).join(path), 1000).await {
                assert_eq!(&bytes[..], b"inside\n");
            }
        }
    }
}

#[tokio::test]
async fn files_are_changed_together_and_keep_their_modes() {
    let stage = Stage::new().await;
    let layer = stage.layer("layer", &[("run.sh", "old"), ("gone.txt", "x"), ("same", "s")]);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(layer.path.join("run.sh"), mode).unwrap();
    let sandbox = create(&stage, stage.spec("change", vec![layer])).await;
    let changes = vec![write("run.sh", "new"), write("deep/er/file", "made"), remove("gone.txt")];
    sandbox.change_files(Path::new(TREE), changes).await.unwrap();
    assert_eq!(
        sh(
            &sandbox,
            "stat -c '%A %n' run.sh deep/er/file; cat run.sh deep/er/file; find . -type f | sort"
        )
        .await,
        "-rwxr-xr-x run.sh\n-rw-r--r-- deep/er/file\nnewmade./deep/er/file\n./run.sh\n./same\n"
    );
}

#[tokio::test]
async fn a_file_that_is_moved_keeps_the_mode_it_had() {
    let stage = Stage::new().await;
    let layer = stage.layer("layer", &[("run.sh", "old"), ("secret", "s"), ("plain", "p")]);
    let sandbox = create(&stage, stage.spec("move", vec![layer])).await;
    sh(&sandbox, "chmod 755 run.sh; chmod 4700 plain; chmod 600 secret; ln -s run.sh soft").await;
    let moved = |from: &str, to: &str| {
        let FileChange::Write { path, content, .. } = write(to, "moved") else { unreachable!() };
        let moved_from = Some(WorkspacePath::parse(from).unwrap());
        [remove(from), FileChange::Write { path, moved_from, content }]
    };
    let changes = [
        moved("run.sh", "bin/deep/run \u{e4}.sh"),
        // Onto one that is there: as `mv` would.
        moved("secret", "plain"),
        moved("soft", "hard"),
    ];
    sandbox.change_files(Path::new(TREE), changes.concat()).await.unwrap();
    assert_eq!(
        sh(&sandbox, "find . -type f -printf '%m %p\\n' | sort; find . -type l; cat plain").await,
        "600 ./plain\n755 ./bin/deep/run \u{e4}.sh\n755 ./hard\nmoved"
    );
    // A source that is not there any more says nothing, and the change is refused as a whole.
    let gone = moved("none", "other").to_vec();
    assert!(sandbox.change_files(Path::new(TREE), gone).await.is_err());
    assert_eq!(sh(&sandbox, "ls other 2>/dev/null").await, "");
}

#[tokio::test]
async fn one_change_that_fails_leaves_every_file_as_it_was() {
    let stage = Stage::new().await;
    let layer = stage.layer("layer", &[("a", "one"), ("b", "two"), ("dir/c", "three")]);
    let sandbox = create(&stage, stage.spec("fail", vec![layer])).await;
    let before = sh(&sandbox, "find . | sort; cat a b dir/c").await;
    for last in [remove("nothing"), write("dir", "a directory"), write("a/b/c", "below a file")] {
        let changes = vec![write("a", "ONE"), remove("b"), write("new/x", "y"), last];
        sandbox.change_files(Path::new(TREE), changes).await.unwrap_err();
        assert_eq!(sh(&sandbox, "find . | sort; cat a b dir/c").await, before);
    }
    // What stops half-way, after some were exchanged: a directory that takes no new name.
    sh(&sandbox, "mkdir shut; echo s > shut/s; chmod 555 shut").await;
    let before = sh(&sandbox, "find . | sort; cat a b dir/c").await;
    let changes = vec![write("a", "ONE"), remove("b"), write("new/x", "y"), remove("shut/s")];
    let failed = sandbox.change_files(Path::new(TREE), changes).await.unwrap_err();
    assert!(
        matches!(&failed, FileError::Denied { path, .. } if path.ends_with("shut/s")),
        "{failed}"
    );
    assert_eq!(sh(&sandbox, "find . | sort; cat a b dir/c").await, before);
}

#[tokio::test]
async fn a_link_is_written_through_and_removed_as_itself() {
    let stage = Stage::new().await;
    let layer = stage.layer("layer", &[("real", "old")]);
    let sandbox = create(&stage, stage.spec("links", vec![layer])).await;
    sh(&sandbox, "ln -s real soft; ln -s /usr/bin/env out").await;
    sandbox.change_files(Path::new(TREE), vec![write("soft", "new")]).await.unwrap();
    assert_eq!(sh(&sandbox, "readlink soft; cat real").await, "real\nnew");
    sandbox.change_files(Path::new(TREE), vec![remove("soft")]).await.unwrap();
    let denied = sandbox.change_files(Path::new(TREE), vec![write("out", "x")]).await;
    assert!(matches!(denied, Err(FileError::Denied { .. })), "{denied:?}");
    assert_eq!(sh(&sandbox, "ls; cat real").await, "out\nreal\nnew");
}

#[tokio::test]
async fn a_change_that_was_cut_short_is_taken_back_by_the_next() {
    let stage = Stage::new().await;
    let layer = stage.layer("layer", &[("a", "one"), ("b", "two"), ("c", "three")]);
    let sandbox = create(&stage, stage.spec("cut", vec![layer])).await;
    // As a process that died after its second exchange leaves it: `a` exchanged, `b` moved away,
    // `n` put in place, `c` prepared only.
    let script = r"
        j=/var/lib/quire-journal/begun
        cp a .old-a; echo -n ONE > a; mv b .old-b; mkdir new; echo -n N > new/n; echo -n C > .new-c
        { printf '1\0%s\0' $PWD/new
          printf '%s\0%s\0%s\0replace\0' $PWD/a $PWD/.old-a $(stat -c %i a)
          printf '%s\0%s\0000\0remove\0' $PWD/b $PWD/.old-b
          printf '%s\0%s\0%s\0create\0' $PWD/new/n $PWD/new/.n $(stat -c %i new/n)
          printf '%s\0%s\0%s\0replace\0' $PWD/c $PWD/.new-c $(stat -c %i .new-c)
        } > $j";
    sh(&sandbox, script).await;
    sandbox.change_files(Path::new(TREE), vec![write("d", "four")]).await.unwrap();
    assert_eq!(sh(&sandbox, "ls -A; cat a b c d").await, "a\nb\nc\nd\nonetwothreefour");
    assert_eq!(sh(&sandbox, "ls -A /var/lib/quire-journal").await, "");
}

#[tokio::test]
async fn a_sandbox_killed_at_any_moment_of_a_change_shows_all_of_it_or_none() {
    let stage = Stage::new().await;
    let layer = stage.layer("layer", &[("a", "old"), ("b", "old"), ("c", "old")]);
    for round in 0..12 {
        let spec = stage.spec("killed", vec![layer.clone()]);
        let sandbox = create(&stage, spec.clone()).await;
        let changes = vec![write("a", "new"), write("b", "new"), remove("c"), write("d/e", "new")];
        let changing = sandbox.change_files(Path::new(TREE), changes);
        let _ = tokio::time::timeout(std::time::Duration::from_micros(round * 400), changing).await;
        sandbox.end().await.unwrap();
        drop(sandbox);
        let sandbox = create(&stage, spec).await;
        sandbox.change_files(Path::new(TREE), vec![write("z", "")]).await.unwrap();
        let seen = sh(&sandbox, "cat a b; ls -A | tr '\\n' ' '").await;
        assert!(["oldolda b c z ", "newnewa b d z "].contains(&seen.as_str()), "{round}: {seen}");
        sandbox.end().await.unwrap();
        stage.backend.discard(&stage.path("upper-killed")).await.unwrap();
    }
}
