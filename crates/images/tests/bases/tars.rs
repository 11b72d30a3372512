//! Tars as bases: everything that the unpacker has to understand, keep, leave out or refuse.

use quire_images::LackKind::{Accounts, Certificates, Git, Places, Shell};
use quire_images::{ImageError, Limits, TooLarge};

use crate::layers::{Head, Tar, busybox, gzip, header};
use crate::scene::{Scene, settings};

async fn written(
    scene: &Scene,
    name: &str,
    tar: Vec<u8>,
) -> Result<quire_images::Base, ImageError> {
    let path = scene.path(name);
    std::fs::write(&path, tar).unwrap();
    scene.tar(&path).await
}

#[tokio::test]
async fn a_tar_is_a_base_whose_files_owners_modes_and_times_are_kept() {
    let Some(tar) = busybox() else { return };
    let scene = Scene::new().await;
    let head = Head { mode: 0o4751, owner: (101, 102), ..Head::default() };
    let long = format!("deep/{}/{}", "a".repeat(90), "b".repeat(90));
    let tar = tar
        .entry("usr/bin/tool", &head, b"#!/bin/sh\n")
        .file(&long, "long\n")
        .hard("deep/hard", &long)
        .symlink("abs", "/etc/passwd")
        .symlink("up", "../../../../etc/passwd")
        .entry("pipe", &Head { kind: b'6', ..Head::default() }, b"")
        .entry("closed/", &Head { kind: b'5', mode: 0o500, mtime: 1_000, ..Head::default() }, b"")
        .file("closed/in", "in\n")
        .file(b"odd \xff\n'name", "odd\n")
        .extended(&[("path", "\u{fc}ml\u{e4}ut".as_bytes()), ("mtime", b"1234.5")])
        .file("x", "pax\n")
        .file("empty", "");
    let base = written(&scene, "a b.tar", gzip(&tar.end())).await.unwrap();
    assert_eq!(base.layers.len(), 1);
    let said = scene
        .root_sh(
            &base,
            "stat -c '%a %u %g %Y' /usr/bin/tool; cat /deep/hard /abs /up; stat -c '%F %h' \
             /pipe /deep/hard; stat -c '%a %Y' /closed; cat /closed/in /odd*; cat /\u{fc}*; \
             stat -c '%Y %s' /\u{fc}* /empty",
        )
        .await;
    let owner = if scene.has_ids().await { "4751 101 102" } else { "751 0 0" };
    let passwd = "root:x:0:0:root:/root:/bin/sh\n";
    assert_eq!(
        said,
        format!(
            "{owner} 1600000000\nlong\n{passwd}{passwd}fifo 1\nregular file 2\n500 1000\nin\nodd\n\
             pax\n1234 4\n1600000000 0\n"
        )
    );
    let again = scene.tar(&scene.path("a b.tar")).await.unwrap();
    assert_eq!((again.identity, again.layers), (base.identity.clone(), base.layers.clone()));
    assert!(base.identity.starts_with("sha256:"));
    assert_eq!(scene.kept("unpacking"), [""; 0]);
}

#[tokio::test]
async fn all_forms_of_holes_are_read_and_take_no_room() {
    let Some(tar) = busybox() else { return };
    let scene = Scene::new().await;
    // The old GNU form: a table in the header.
    let mut old = header(b"old", &Head { kind: b'S', ..Head::default() }, 3);
    old[386..397].copy_from_slice(b"00000010000");
    old[398..409].copy_from_slice(b"00000000003");
    old[483..494].copy_from_slice(b"00000020000");
    let map: &[u8] = b"4096,3";
    let tar = tar
        .raw(old, b"abc")
        .extended(&[
            ("GNU.sparse.map", map),
            ("GNU.sparse.size", b"8192"),
            ("GNU.sparse.name", b"map"),
        ])
        .file("GNUSparseFile.0/map", "abc");
    let mut listed = b"1\n4096\n3\n".to_vec();
    listed.resize(512, 0);
    listed.extend_from_slice(b"abc");
    let tar = tar
        .extended(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"one"),
            ("GNU.sparse.realsize", b"8192"),
        ])
        .file("GNUSparseFile.0/one", listed);
    let base = written(&scene, "t.tar", tar.end()).await.unwrap();
    let script = "for f in old map one; do stat -c '%s' /$f; cat /$f | busybox tr -d '\\0'; echo; done; \
                  ls /GNU* 2>&1";
    let told = scene.root_sh(&base, script).await;
    assert!(told.starts_with("8192\nabc\n8192\nabc\n8192\nabc\n"), "{told}");
    assert!(told.contains("No such file"), "{told}");
}

#[tokio::test]
async fn devices_and_overlay_marks_are_left_out_and_counted() {
    let Some(tar) = busybox() else { return };
    let scene = Scene::new().await;
    let device = Head { kind: b'3', mode: 0o666, ..Head::default() };
    let tar = tar
        .entry("dev-null", &device, b"")
        .entry("bin/cat", &Head { kind: b'4', ..Head::default() }, b"")
        .extended(&[
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.user.mine", b"a\nb"),
            ("SCHILY.xattr.security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ])
        .entry("marked/", &Head { kind: b'5', mode: 0o755, ..Head::default() }, b"");
    let base = written(&scene, "t.tar", tar.end()).await.unwrap();
    let told = base.notes.join("; ");
    assert!(told.contains("2 device nodes were left out"), "{told}");
    assert!(told.contains("2 extended attributes were left out"), "{told}");
    assert_eq!(scene.root_sh(&base, "ls /dev-null 2>&1 | wc -l; echo x | cat").await, "1\nx\n");
}

#[tokio::test]
async fn what_leads_out_or_cannot_be_is_refused_by_the_name_of_the_entry() {
    let scene = Scene::new().await;
    let plain = || Tar::default().file("a", "a");
    let cases: Vec<(Tar, &str)> = vec![
        (plain().file("../b", "b"), "leads upwards"),
        (plain().file("x/../../b", "b"), "leads upwards"),
        (plain().file("a/b", "b"), "`a/b`"),
        (plain().hard("h", "../../../etc/passwd"), "leads upwards"),
        (plain().hard("h", "/etc/shadow"), "`h`"),
        (plain().hard("h", "/"), "root"),
        (plain().dir("d").hard("h", "d"), "directory"),
        (plain().symlink("loop", "loop").file("loop/x", ""), "`loop/x`"),
        (plain().file("d/".repeat(2_000) + "x", ""), "deep"),
        (plain().file("n".repeat(300), ""), "`nnn"),
    ];
    for (index, (tar, why)) in cases.into_iter().enumerate() {
        let refused = written(&scene, &format!("{index}.tar"), tar.end()).await.unwrap_err();
        assert!(matches!(refused, ImageError::Entry { .. }), "{index}: {refused:?}");
        assert!(refused.to_string().contains(why), "{index}: {refused}");
    }
    assert_eq!((scene.kept("layers"), scene.kept("unpacking")), (vec![], vec![]));
}

#[tokio::test]
async fn links_that_lead_out_lead_inside() {
    let Some(tar) = busybox() else { return };
    let scene = Scene::new().await;
    let outside = scene.path("outside");
    std::fs::create_dir(&outside).unwrap();
    let target = outside.to_str().unwrap().to_owned();
    let tar = tar
        .dir(target.trim_start_matches('/'))
        .symlink("out", &target)
        .file("out/planted", "inside\n")
        .symlink("lib", "usr/lib")
        .dir("usr/lib")
        .file("lib/real", "real\n")
        .symlink("etc/passwd-", "/proc/self/environ");
    let base = written(&scene, "t.tar", tar.end()).await.unwrap();
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    let planted = base.layers[0].path.join(target.trim_start_matches('/')).join("planted");
    assert_eq!(std::fs::read_to_string(planted).unwrap(), "inside\n");
    assert_eq!(scene.root_sh(&base, "cat /usr/lib/real").await, "real\n");
}

#[tokio::test]
async fn an_entry_that_comes_twice_is_what_it_was_last() {
    let Some(tar) = busybox() else { return };
    let scene = Scene::new().await;
    let tar = tar
        .file("one", "first, and longer\n")
        .file("one", "second\n")
        .dir("two")
        .file("two/in", "")
        .file("two", "a file now\n")
        .symlink("three", "two")
        .dir("three")
        .file("three/in", "in\n")
        .hard("four", "one")
        .hard("four", "one")
        .file("four", "apart\n");
    let base = written(&scene, "t.tar", tar.end()).await.unwrap();
    let said = scene.root_sh(&base, "cat /one /two /three/in /four").await;
    assert_eq!(said, "second\na file now\nin\napart\n");
}

#[tokio::test]
async fn bombs_end_at_a_limit_and_leave_nothing() {
    let mut narrow = settings();
    narrow.limits = Limits { entries: 200, unpacked_bytes: 64 << 20, ..Limits::default() };
    let scene = Scene::with(narrow).await;
    let mut many = Tar::default();
    for number in 0..300 {
        many = many.file(format!("f{number}"), "");
    }
    let refused = written(&scene, "many.tar", many.gzip()).await.unwrap_err();
    let limit = TooLarge::Entries { limit: 200 };
    assert!(matches!(&refused, ImageError::TooLarge { limit: l, .. } if *l == limit), "{refused}");
    let large = Tar::default().file("zeros", vec![0; 65 << 20]).gzip();
    assert!(large.len() < 1 << 20);
    let refused = written(&scene, "large.tar", large).await.unwrap_err();
    assert!(matches!(refused, ImageError::TooLarge { .. }), "{refused}");
    // A hole of an exabyte is no content and would still be a file.
    let holes = Tar::default()
        .extended(&[("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"1152921504606846976")])
        .file("hole", "x")
        .end();
    let refused = written(&scene, "hole.tar", holes).await.unwrap_err();
    assert!(matches!(refused, ImageError::TooLarge { .. }), "{refused}");
    assert_eq!((scene.kept("layers"), scene.kept("unpacking")), (vec![], vec![]));
}

#[tokio::test]
async fn garbage_is_told_as_what_it_is() {
    let scene = Scene::new().await;
    let whole = Tar::default().file("a", vec![7; 100_000]).gzip();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"not a tar at all, but long enough to be read as one".repeat(20), "no tar"),
        (whole[..whole.len() / 2].to_vec(), "cut off"),
        (b"BZh91AY&SY".repeat(10), "bzip2"),
        (b"\xfd7zXZ\0\0".repeat(10), "xz"),
        (Tar::default().extended(&[("size", b"-1")]).file("a", "").end(), "extended header"),
        (
            Tar::default()
                .raw(header(b"a", &Head { kind: b'L', ..Head::default() }, 1 << 30), b"")
                .end(),
            "too long",
        ),
    ];
    for (index, (bytes, why)) in cases.into_iter().enumerate() {
        let refused = written(&scene, &format!("{index}.tar"), bytes).await.unwrap_err();
        assert!(matches!(refused, ImageError::Malformed { .. }), "{index}: {refused:?}");
        assert!(refused.to_string().contains(why), "{index}: {refused}");
    }
    for (path, why) in
        [("relative.tar", "whole path"), ("/no/such.tar", "No such file"), ("/tmp", "no file")]
    {
        let spec = quire_domain::environment::BaseSpec::Tar { path: path.to_owned() };
        let refused = scene.base(spec).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

#[tokio::test]
async fn what_is_missing_is_said_with_the_line_to_add() {
    let scene = Scene::new().await;
    let empty = written(&scene, "empty.tar", Tar::default().file("a", "a").end()).await.unwrap();
    let kinds: Vec<_> = empty.lacks.iter().map(|lack| lack.kind).collect();
    assert_eq!(kinds, [Shell, Git, Accounts, Certificates]);
    let refused = empty.check_before_setup().unwrap_err().to_string();
    assert!(refused.contains("it has no shell"), "{refused}");
    let mut arm = [0; 64];
    arm[..6].copy_from_slice(b"\x7fELF\x02\x01");
    let machine: u16 = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    arm[18..20].copy_from_slice(&machine.to_le_bytes());
    let other = Tar::default()
        .program("bin/bash", &arm)
        .symlink("bin/sh", "bash")
        .program("usr/bin/apt-get", b"x")
        .file("etc/passwd", "root:x:0:0::/:/bin/sh\n");
    let other = written(&scene, "arm.tar", other.end()).await.unwrap();
    let refused = other.check_before_setup().unwrap_err().to_string();
    assert!(refused.contains("its programs are made for"), "{refused}");
    let git = other.lacks.iter().find(|lack| lack.kind == Git).unwrap();
    let line = "apt-get update && apt-get install -y git";
    let said = format!(
        "add `{line}` to `setup` in .quire/environment.toml, or `RUN {line}` to its Dockerfile"
    );
    assert_eq!(git.remedy, said);
    // A link to nowhere, a file, and a link that leads to a directory.
    let places = Tar::default()
        .symlink("home", "../../gone")
        .file("dev", "x")
        .dir("there")
        .symlink("tmp", "/there");
    let places = written(&scene, "places.tar", places.end()).await.unwrap();
    let lack = places.lacks.iter().find(|lack| lack.kind == Places).unwrap();
    assert_eq!(lack.remedy, "add `RUN rm /dev /home && mkdir /dev /home` to its Dockerfile");
    let saved = Tar::default().file("manifest.json", "[]").dir("blobs").end();
    let saved = written(&scene, "saved.tar", saved).await.unwrap();
    assert!(saved.check_before_setup().unwrap_err().to_string().contains("docker export"));
}
