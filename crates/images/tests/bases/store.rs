//! What is kept: evicted when it is too much, never what is in use, and whole after a crash.

use std::path::PathBuf;

use quire_domain::sandbox::{Layer, SandboxBackend as _};
use quire_images::ImageError;

use crate::layers::{Tar, busybox};
use crate::pulls::noise;
use crate::registry::{Image, Played};
use crate::scene::{Scene, settings};

#[tokio::test]
async fn the_least_recently_used_goes_first_and_never_what_is_held() {
    let registry = Played::new(|_, _| None).await;
    let mut small = settings();
    small.limits.kept_bytes = 250_000;
    let scene = Scene::with(small).await;
    let mut bases = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let tar = Tar::default().file(name, noise(100_000)).end();
        let name = registry.hold(name, "1", &Image::of(&[tar]));
        bases.push(scene.image(&name).await.unwrap());
        // Times of files are only as fine as the kernel's clock tick.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let layers: Vec<_> = bases.iter().map(|base| base.layers[0].path.clone()).collect();
    // All held: too much is kept rather than what is in use taken away.
    let evicted = scene.images.evict(&[], &scene.backend).await.unwrap();
    assert_eq!((evicted.layers, evicted.kept_bytes > 400_000), (0, true));
    let [a, b, c, d]: [_; 4] = bases.try_into().unwrap();
    drop((a, b, d));
    // `a` is what a kept upper stands on, `c` is held; `b` was used before `d`.
    let evicted = scene.images.evict(&layers[..1], &scene.backend).await.unwrap();
    let there: Vec<bool> = layers.iter().map(|layer| layer.exists()).collect();
    assert_eq!((evicted.layers, there), (2, vec![true, false, true, false]));
    drop(c);
    let name = format!("{}/b:1", registry.host);
    let again = scene.image(&name).await.unwrap();
    assert!(again.layers[0].path.exists());
}

#[tokio::test]
async fn what_is_held_of_one_image_does_not_keep_another_on_the_same_ground() {
    let registry = Played::new(|_, _| None).await;
    let mut none = settings();
    none.limits.kept_bytes = 0;
    let scene = Scene::with(none).await;
    let ground = Tar::default().file("ground", "x").end();
    let mut bases = Vec::new();
    for name in ["a", "b"] {
        let top = Tar::default().file(name, "x").end();
        let name = registry.hold(name, "1", &Image::of(&[ground.clone(), top]));
        bases.push(scene.image(&name).await.unwrap().layers);
    }
    let evicted = scene.images.evict(&paths(&bases[0][..1]), &scene.backend).await.unwrap();
    let there = |at: usize| bases[at].iter().map(|layer| layer.path.exists()).collect::<Vec<_>>();
    assert_eq!((evicted.layers, there(0), there(1)), (1, vec![true, true], vec![false, true]));
}

fn paths(layers: &[Layer]) -> Vec<PathBuf> {
    layers.iter().map(|layer| layer.path.clone()).collect()
}

#[tokio::test]
async fn a_layer_that_nothing_is_known_of_any_more_is_made_anew() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|_, _| None).await;
    let scene = Scene::new().await;
    let name = registry.hold("x", "1", &Image::of(&[tar.end()]));
    let base = scene.image(&name).await.unwrap();
    let chain = scene.kept("layers").pop().unwrap();
    std::fs::write(scene.path("images/layers").join(&chain).join("layer.json"), "{\"blob").unwrap();
    for record in scene.kept("records") {
        std::fs::write(scene.path("images/records").join(record), "garbage").unwrap();
    }
    let again = scene.image(&name).await.unwrap();
    assert_eq!(again.layers, base.layers);
    assert_eq!(scene.root_sh(&again, "cat /etc/passwd").await, "root:x:0:0:root:/root:/bin/sh\n");
    scene.images.evict(&[], &scene.backend).await.unwrap();
    assert!(scene.kept("trash").is_empty());
}

#[tokio::test]
async fn what_a_crash_left_is_neither_used_nor_kept() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|_, _| None).await;
    let scene = Scene::new().await;
    let name = registry.hold("x", "1", &Image::of(&[tar.end()]));
    let base = scene.image(&name).await.unwrap();
    let chain = scene.kept("layers").pop().unwrap();
    // As if it had died in the middle of unpacking, and of moving.
    scene.backend.discard(&scene.path("images/layers").join(&chain)).await.unwrap();
    let half = scene.path("images/unpacking").join(&chain);
    std::fs::create_dir_all(half.join("layer/upper/bin")).unwrap();
    std::fs::write(half.join("layer/upper/bin/planted"), "x").unwrap();
    std::fs::write(half.with_extension("boot"), "another boot").unwrap();
    let again = scene.image(&name).await.unwrap();
    assert_eq!(again.layers, base.layers);
    assert_eq!(
        scene
            .root_sh(&again, "ls /bin/planted 2>&1 | wc -l; cat /etc/passwd")
            .await
            .lines()
            .count(),
        2
    );
    std::fs::create_dir_all(scene.path("images/unpacking/left/layer/upper")).unwrap();
    scene.images.evict(&[], &scene.backend).await.unwrap();
    assert_eq!(scene.kept("unpacking"), [""; 0]);
}

#[tokio::test]
async fn a_layer_that_says_it_is_anothers_is_refused_and_does_not_stand_in_for_it() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|_, _| None).await;
    let scene = Scene::new().await;
    let honest = tar.end();
    let evil = Tar::default().program("bin/sh", b"#!/evil").end();
    let true_image = Image::of(std::slice::from_ref(&honest));
    // The manifest has the evil layer, the configuration the honest one's digest.
    let mut liar = Image::of(std::slice::from_ref(&evil));
    let swap = |text: &[u8], from: &[u8], to: &[u8]| {
        let digest = |bytes| quire_images::Digest::of(bytes).to_string();
        String::from_utf8(text.to_vec()).unwrap().replace(&digest(from), &digest(to)).into_bytes()
    };
    let config = swap(&liar.config, &evil, &honest);
    liar.manifest = swap(&liar.manifest, &liar.config, &config);
    liar.config = config;
    let refused = scene.image(&registry.hold("liar", "1", &liar)).await.unwrap_err();
    assert!(matches!(refused, ImageError::Lied { .. }), "{refused:?}");
    assert_eq!(scene.kept("layers"), [""; 0]);
    let base = scene.image(&registry.hold("true", "1", &true_image)).await.unwrap();
    assert_eq!(scene.root_sh(&base, "ls /bin/busybox").await, "/bin/busybox\n");
}
