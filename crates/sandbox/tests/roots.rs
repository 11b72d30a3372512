//! A root made of layers, as an image gives.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod stage;

use std::path::Path;
use std::process::Command;

use quire_domain::sandbox::{Layer, SandboxBase, SandboxUser};
use stage::{Stage, create, sh};

/// A root file system with a shell and a few programs of the host's.
fn image(stage: &Stage) -> Layer {
    let layer = stage.layer(
        "image",
        &[("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"), ("opt/tool", "t\n")],
    );
    for program in ["/bin/bash", "/bin/cat", "/bin/ls", "/usr/bin/id", "/bin/mkdir", "/bin/chown"] {
        let listed = Command::new("ldd").arg(program).output().unwrap().stdout;
        let listed = String::from_utf8(listed).unwrap();
        let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
        for file in libraries.chain([program]) {
            let to = layer.path.join(file.trim_start_matches('/'));
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(file, to).unwrap();
        }
    }
    layer
}

#[tokio::test]
async fn a_root_of_layers_is_written_above_and_frozen_into_another_layer() {
    let stage = Stage::new().await;
    let image = image(&stage);
    let mut spec = stage.spec("setup", vec![]);
    spec.base = SandboxBase::Layers(vec![image.clone()]);
    spec.user = SandboxUser::SetupRoot;
    let sandbox = create(&stage, spec).await;
    let said =
        sh(&sandbox, "id -u; echo new > /opt/new; echo more >> /opt/tool; mkdir /srv; ls /").await;
    assert!(said.starts_with("0\nbin\n") && !said.contains("boot"), "{said}");
    // Done where there are ids, said to be done where there is one alone.
    assert_eq!(sh(&sandbox, "chown -R 5:6 /opt/new && echo given").await, "given\n");
    let frozen = sandbox.freeze().await.unwrap();
    let upper = frozen["root"].clone();
    assert_eq!(upper.path, stage.path("upper-setup/root/upper"));
    let mut spec = stage.spec("agent", vec![]);
    spec.base = SandboxBase::Layers(vec![upper, image.clone()]);
    let sandbox = create(&stage, spec).await;
    let said = sh(&sandbox, "id -un; cat /opt/new /opt/tool; echo w > w; cat w; echo x 2>/dev/null > /opt/x; ls /opt; cd; pwd").await;
    assert_eq!(said, "quire\nnew\nt\nmore\nw\nnew\ntool\n/home/quire\n");
    assert!(!Path::new("/opt/new").exists() && !image.path.join("opt/new").exists());
}
