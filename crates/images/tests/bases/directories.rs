//! Directories as bases: used where they lie, and never written.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use quire_domain::sandbox::SandboxUser;
use quire_images::ImageError;

use crate::scene::Scene;

#[tokio::test]
async fn a_directory_is_a_base_that_nothing_writes_to() {
    let Ok(busybox) = fs::read("/bin/busybox") else {
        eprintln!("skipped: busybox-static is not installed");
        return;
    };
    let scene = Scene::new().await;
    let root = scene.path("my root");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("bin/busybox"), busybox).unwrap();
    fs::set_permissions(root.join("bin/busybox"), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["sh", "cat", "stat", "id", "ls"] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    fs::write(root.join("etc/os-release"), "ID=own\n").unwrap();
    let base = scene.directory(&root).await.unwrap();
    assert!(base.identity.starts_with("directory:"));
    let script =
        "stat -c '%u' /etc/os-release; echo changed > /etc/os-release; cat /etc/os-release";
    assert_eq!(scene.root_sh(&base, script).await, "0\nchanged\n");
    let script = "id -u; cat /etc/os-release; echo x > /etc/os-release";
    let said = scene.sh(&base, SandboxUser::Agent, script).await;
    assert!(said.starts_with("1000\nID=own\n"), "{said}");
    assert_eq!(fs::read_to_string(root.join("etc/os-release")).unwrap(), "ID=own\n");
    let began = std::time::Instant::now();
    assert_eq!(scene.directory(&root).await.unwrap().identity, base.identity);
    eprintln!("again: {:?}", began.elapsed());
    fs::write(root.join("etc/os-release"), "ID=other\n").unwrap();
    assert_ne!(scene.directory(&root).await.unwrap().identity, base.identity);
}

#[tokio::test]
async fn a_directory_that_cannot_be_a_base_is_refused_with_the_reason() {
    let scene = Scene::new().await;
    fs::write(scene.path("file"), "").unwrap();
    let empty = scene.path("empty");
    fs::create_dir(&empty).unwrap();
    for (path, why) in [
        (std::path::PathBuf::from("/"), "`host`"),
        (scene.path("file"), "no directory"),
        (scene.path("none"), "No such file"),
        (scene.dir.path().to_owned(), "data directory"),
        (std::path::PathBuf::from("here"), "whole path"),
    ] {
        let refused = scene.directory(&path).await.unwrap_err();
        assert!(matches!(refused, ImageError::Path { .. }), "{refused:?}");
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let base = scene.directory(&empty).await.unwrap();
    assert!(base.check_before_setup().is_err());
}
