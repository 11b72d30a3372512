//! What is written: listed, frozen, stacked, folded and lost.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod stage;

use std::path::PathBuf;

use quire_domain::sandbox::{
    Changes, OverlayMount, Sandbox, SandboxBackend as _, SandboxError, SandboxUser, Upper,
};
use stage::{Stage, create, sh};

async fn changes(sandbox: &dyn Sandbox, since: Option<&Changes>) -> Changes {
    sandbox.changes("work", since.map(|last| last.mark), 100).await.unwrap()
}

#[tokio::test]
async fn changes_are_what_was_written_and_removed_since_the_last_time() {
    let stage = Stage::new().await;
    let files = [("keep", "k"), ("edit", "e"), ("gone", "g"), ("old/a", "1"), ("old/b/c", "2")];
    let layer = stage.layer("layer", &files);
    let sandbox = create(&stage, stage.spec("changes", vec![layer])).await;
    assert_eq!(changes(&*sandbox, None).await.paths, [""; 0]);
    sh(&sandbox, "echo x >> edit; rm gone; rm -r old; mkdir -p new/dir; echo n > new/dir/n").await;
    let first = changes(&*sandbox, None).await;
    assert_eq!(first.paths, ["edit", "gone", "new/dir/n", "old/a", "old/b/c"]);
    assert!(!first.more && first.used.files > 4);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let second = changes(&*sandbox, Some(&first)).await;
    assert_eq!(second.paths, [""; 0]);
    sh(&sandbox, "echo y >> edit; mv new moved; mkdir old; echo again > old/a").await;
    let third = changes(&*sandbox, Some(&second)).await;
    assert_eq!(third.paths, ["edit", "moved/dir/n", "new/dir/n", "old/a"]);
    let limited = sandbox.changes("work", None, 2).await.unwrap();
    assert_eq!((limited.paths.len(), limited.more), (2, true));
}

#[tokio::test]
async fn odd_names_and_links_are_listed_and_not_followed() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("odd", vec![stage.layer("l", &[("x", "")])])).await;
    sh(
        &sandbox,
        r"touch $'new\nline' $'bad\xff' $'esc\e[2J'; ln -s / out; ln -s /etc/passwd p; mkfifo f",
    )
    .await;
    let listed = changes(&*sandbox, None).await.paths;
    assert_eq!(listed, ["bad\u{fffd}", "esc\u{1b}[2J", "f", "new\nline", "out", "p"]);
}

#[tokio::test]
async fn a_frozen_upper_is_a_layer_whose_files_the_next_sandbox_can_write() {
    let stage = Stage::new().await;
    let layer = stage.layer("layer", &[("base", "b\n"), ("gone", "g\n")]);
    let mut setup = stage.spec("setup", vec![layer.clone()]);
    setup.user = SandboxUser::SetupRoot;
    let sandbox = create(&stage, setup).await;
    assert_eq!(sh(&sandbox, "id -u; echo s > made; chmod 600 made; rm gone; mkdir -m 700 d; echo d > d/f; echo h > ~/h").await, "0\n");
    let mut frozen = sandbox.freeze().await.unwrap();
    assert_eq!(frozen.keys().collect::<Vec<_>>(), ["home", "var", "work"]);
    let (work, home) = (frozen.remove("work").unwrap(), frozen.remove("home").unwrap());
    for round in ["one", "two"] {
        let mut spec = stage.spec(round, vec![work.clone(), layer.clone()]);
        spec.overlays.push(OverlayMount {
            target: spec.home.clone(),
            lowers: vec![home.clone()],
            name: "home".to_owned(),
        });
        let sandbox = create(&stage, spec).await;
        assert_eq!(
            sh(&sandbox, "id -u; ls; cat ~/h; echo more >> made; echo more >> d/f; echo x >> base; echo y >> ~/h; cat made d/f base ~/h; stat -c %U made base d").await,
            "1000\nbase\nd\nmade\nh\ns\nmore\nd\nmore\nb\nx\nh\ny\nquire\nquire\nquire\n"
        );
    }
}

#[tokio::test]
async fn a_folded_sandbox_goes_on_where_it_was() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("fold", vec![stage.layer("l", &[("x", "")])])).await;
    sh(&sandbox, "echo w > w; echo h > ~/h; mkdir /tmp/t; echo t > /tmp/t/f; ln -s t/f /tmp/l; chmod 700 /tmp/t; touch /dev/shm/s").await;
    let guests = || sandbox_processes(&stage);
    assert_eq!(guests(), 1);
    // Something in shared memory would be lost.
    sandbox.fold().await.unwrap();
    // Who answered may not be buried yet.
    assert!(guests() >= 1);
    sh(&sandbox, "rm /dev/shm/s; (sleep 1 >/dev/null 2>&1 &)").await;
    sandbox.fold().await.unwrap();
    assert!(guests() > 1, "something runs");
    sh(&sandbox, "pkill sleep; sleep 0.1").await;
    sandbox.fold().await.unwrap();
    assert_eq!(guests(), 0);
    assert_eq!(changes(&*sandbox, None).await.paths, ["w"]);
    assert_eq!(
        sh(&sandbox, "cat w ~/h /tmp/l; stat -c %a /tmp/t; ls -A /var/lib").await,
        "w\nh\nt\n700\nquire-journal\n"
    );
    assert_eq!(guests(), 1);
}

/// Processes below the zygote.
fn sandbox_processes(stage: &Stage) -> usize {
    below(stage.zygote_id)
}

fn below(pid: u32) -> usize {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(path).unwrap_or_default();
    children.split_whitespace().map(|child| count_guests(child.parse().unwrap())).sum()
}

/// A guest and what is below it; stems and buds, which stand ready, do not count.
fn count_guests(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let inside = status
        .lines()
        .any(|line| line.starts_with("NSpid:") && line.split_whitespace().count() > 2);
    let bud = status.lines().any(|line| line.starts_with("Name:") && line.ends_with("quire-bud"));
    usize::from(inside && !bud) + below(pid)
}

#[tokio::test]
async fn an_upper_of_another_boot_is_refused() {
    let stage = Stage::new().await;
    let spec = stage.spec("stale", vec![]);
    create(&stage, spec.clone()).await.end().await.unwrap();
    let mark = stage.path("upper-stale.boot");
    assert!(mark.exists());
    std::fs::write(&mark, "another boot").unwrap();
    let refused = stage.backend_create(spec.clone()).await.map(drop);
    assert!(matches!(refused, Err(SandboxError::UpperStale { .. })), "{refused:?}");
    stage.backend.discard(&stage.path("upper-stale")).await.unwrap();
    let frozen = create(&stage, spec.clone()).await.freeze_until_restart().await.unwrap();
    assert!(frozen["work"].path.is_dir());
    assert_ne!(std::fs::read_to_string(&mark).unwrap(), "", "nothing was synced");
    create(&stage, spec.clone()).await.freeze().await.unwrap();
    // Synced: whatever boot comes next may go on.
    assert_eq!(std::fs::read_to_string(&mark).unwrap(), "");
    create(&stage, spec).await;
}

#[tokio::test]
async fn an_upper_in_memory_has_its_limits_and_leaves_nothing() {
    let stage = Stage::new().await;
    let mut spec = stage.spec("memory", vec![stage.layer("l", &[("x", "")])]);
    spec.upper = Upper::Memory;
    spec.limits.disk_bytes = 8 << 20;
    spec.limits.inodes = 500;
    let sandbox = create(&stage, spec).await;
    let told = sh(&sandbox, "echo a > a; head -c 20M /dev/zero > big; stat -c %s big; rm big; for i in $(seq 600); do echo > f$i; done 2>&1 | tail -1").await;
    assert!(told.contains("No space left on device"), "{told}");
    assert!(changes(&*sandbox, None).await.paths.contains(&"a".to_owned()));
    sandbox.fold().await.unwrap();
    assert_eq!(sh(&sandbox, "cat a").await, "a\n");
}

#[tokio::test]
async fn a_bind_shows_what_lies_below_a_closed_directory_and_cannot_be_written() {
    let stage = Stage::new().await;
    let hidden = stage.path("hidden");
    std::fs::create_dir_all(hidden.join("tools")).unwrap();
    std::fs::write(hidden.join("tools/tool"), "#!/bin/sh\necho works\n").unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(hidden.join("tools/tool"), mode(0o755)).unwrap();
    std::fs::set_permissions(&hidden, mode(0o700)).unwrap();
    let mut spec = stage.spec("bind", vec![]);
    for (source, target, optional) in [
        (hidden.join("tools"), PathBuf::from("/home/quire/.tools"), false),
        (hidden.join("none"), PathBuf::from("/home/quire/.none"), true),
    ] {
        spec.binds.push(quire_domain::sandbox::BindMount { source, target, optional });
    }
    let sandbox = create(&stage, spec).await;
    assert_eq!(
        sh(&sandbox, "~/.tools/tool; touch ~/.tools/x 2>&1; ls -A ~").await,
        "works\ntouch: cannot touch '/home/quire/.tools/x': Read-only file system\n.tools\n"
    );
}

#[tokio::test]
async fn what_setup_left_is_opened_and_erased_whatever_its_owner_and_mode() {
    use std::io::Read as _;
    let stage = Stage::new().await;
    let mut spec = stage.spec("closed", vec![]);
    spec.user = SandboxUser::SetupRoot;
    let Upper::Disk(upper) = spec.upper.clone() else { unreachable!() };
    let sandbox = create(&stage, spec).await;
    sh(
        &sandbox,
        "mkdir d; echo closed > d/f; ln -s /etc/passwd d/l; chown 33:33 d/f d; chmod 000 d/f d; \
         ln -s d linked; mkfifo p",
    )
    .await;
    sandbox.freeze_until_restart().await.unwrap();
    let open = |path: &'static [u8]| stage.backend.open_written(&upper, path);
    let mut text = String::new();
    let file = open(b"work/upper/d/f").await.unwrap();
    std::fs::File::from(file).read_to_string(&mut text).unwrap();
    assert_eq!(text, "closed\n");
    let link = open(b"work/upper/d/l").await.unwrap();
    assert_eq!(rustix::fs::readlinkat(&link, c"", Vec::new()).unwrap(), c"/etc/passwd".to_owned());
    open(b"work/upper/p").await.unwrap();
    open(b"").await.unwrap();
    for outside in [&b"work/upper/linked/f"[..], b"work/upper/d/l/x", b"../closed", b"/etc/passwd"]
    {
        assert!(open(outside).await.is_err(), "{}", String::from_utf8_lossy(outside));
    }
    sandbox.end().await.unwrap();
    stage.backend.erase(&upper).await.unwrap();
    assert!(!upper.exists());
    let trash = std::fs::read_dir(stage.path("sandboxes/trash"));
    assert_eq!(trash.map_or(0, Iterator::count), 0, "it went nowhere else");
}

#[tokio::test]
async fn what_is_forfeited_goes_with_the_process_and_what_was_renamed_stays() {
    let stage = Stage::new().await;
    let (lost, kept) = (stage.path("lost"), stage.path("kept"));
    for dir in [&lost, &kept] {
        std::fs::create_dir_all(dir.join("d")).unwrap();
        stage.backend.forfeit(dir).await.unwrap();
    }
    let renamed = stage.path("renamed");
    std::fs::rename(&kept, &renamed).unwrap();
    let Stage { backend, dir, .. } = stage;
    drop(backend);
    // What is made ahead holds the zygote for a moment.
    let gone = async {
        while lost.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.unwrap();
    assert!(renamed.join("d").exists());
    drop(dir);
}
