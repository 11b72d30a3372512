//! A registry that fails, lies, breaks off, dawdles or asks to wait.

use std::time::{Duration, Instant};

use quire_images::{Digest, ImageError, Limits, Progress};

use crate::layers::{Tar, busybox};
use crate::pulls::noise;
use crate::registry::{Image, Packed, Played, Reply, architecture};
use crate::scene::{Scene, settings};

fn an_image() -> Image {
    Image::of(&[Tar::default().file("x", noise(100_000)).end()])
}

#[tokio::test]
async fn what_passes_is_tried_again_and_told() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|asked, _| match asked.before {
        0 => Some(Reply { status: 500, ..Reply::default() }),
        1 => Some(Reply {
            status: 429,
            headers: vec![("Retry-After", "1".to_owned())],
            ..Reply::default()
        }),
        _ => None,
    })
    .await;
    let mut patient = settings();
    patient.timing.tries = 4;
    let scene = Scene::with(patient).await;
    let began = Instant::now();
    scene.image(&registry.hold("x", "1", &Image::of(&[tar.end()]))).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(3), "the registry asked to wait three times");
    let told = scene.told.lock().unwrap().clone();
    let waits =
        told.iter().filter(|told| matches!(told, Progress::Retrying { after_ms: 1000, .. }));
    assert_eq!(waits.count(), 3, "{told:?}");
}

#[tokio::test]
async fn what_lasts_is_told_as_what_it_is() {
    let long = ("Retry-After", "3600".to_owned());
    for (code, headers, words) in [
        (500, vec![], "fails with status 500, 3 times"),
        (429, vec![long], "asks to wait 3600 s"),
        (404, vec![], "has no x:1"),
        (403, vec![], "lets nobody read `x`"),
        (401, vec![], "lets nobody read `x`"),
        (418, vec![], "status 418"),
    ] {
        let registry = Played::new(move |_, _| {
            Some(Reply { status: code, headers: headers.clone(), ..Reply::default() })
        })
        .await;
        let scene = Scene::new().await;
        let refused = scene.image(&format!("{}/x:1", registry.host)).await.unwrap_err();
        assert!(refused.to_string().contains(words), "{code}: {refused}");
    }
    let scene = Scene::new().await;
    let refused = scene.image("127.0.0.1:9/x:1").await.unwrap_err();
    assert!(matches!(refused, ImageError::Unreachable { .. }), "{refused:?}");
    let refused = scene.image("no-such-host.invalid/x:1").await.unwrap_err();
    assert!(matches!(refused, ImageError::Unreachable { .. }), "{refused:?}");
}

#[tokio::test]
async fn what_breaks_off_goes_on_where_it_was() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|asked, played| {
        let truth = played.truth(asked);
        let blob = asked.path.contains("/blobs/") && truth.body.len() > 50_000;
        (blob && asked.before < 3).then_some(Reply { cut: Some(40_000), ..truth })
    })
    .await;
    let mut quick = settings();
    quick.timing.slowest = 1_000;
    let scene = Scene::with(quick).await;
    let base = scene
        .image(&registry.hold("x", "1", &Image::of(&[tar.file("n", noise(300_000)).end()])))
        .await;
    let base = base.unwrap();
    assert_eq!(scene.root_sh(&base, "wc -c < /n").await, "300000\n");
    assert_eq!(registry.asked("bytes=40000-"), 1, "{:?}", registry.log.lock().unwrap());
    assert_eq!(registry.asked("bytes=120000-"), 1, "{:?}", registry.log.lock().unwrap());
}

#[tokio::test]
async fn a_registry_that_knows_no_ranges_begins_anew() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|asked, played| {
        let path = asked.path.clone();
        let body = played.content.lock().unwrap().get(&path).cloned()?;
        let cut = (path.contains("/blobs/") && body.len() > 50_000 && asked.before == 0)
            .then_some(40_000);
        Some(Reply { status: 200, body, cut, ..Reply::default() })
    })
    .await;
    let scene = Scene::new().await;
    scene.image(&registry.hold("x", "1", &Image::of(&[tar.end()]))).await.unwrap();
}

#[tokio::test]
async fn lies_about_digests_and_sizes_are_found_and_nothing_of_them_is_kept() {
    let image = an_image();
    let layer = Digest::of(&image.layers[0]).to_string();
    let config = Digest::of(&image.config).to_string();
    for (part, more) in [(layer.clone(), false), (layer, true), (config, false)] {
        let registry = Played::new(move |asked, played| {
            let mut truth = played.truth(asked);
            if asked.path.contains(&part) {
                truth.body[7] ^= 1;
                truth.body.extend_from_slice(if more { b"more" } else { b"" });
            }
            Some(truth)
        })
        .await;
        let scene = Scene::new().await;
        let refused = scene.image(&registry.hold("x", "1", &image)).await.unwrap_err();
        assert!(matches!(refused, ImageError::Lied { .. }), "{refused:?}");
        assert_eq!((scene.kept("layers"), scene.kept("blobs").len()), (vec![], usize::from(more)));
    }
    let registry = Played::new(|_, _| None).await;
    let scene = Scene::new().await;
    registry.hold("x", "1", &image);
    let other = Digest::of(b"other");
    registry.put(&format!("/v2/x/manifests/{other}"), &image.manifest);
    let refused = scene.image(&format!("{}/x@{other}", registry.host)).await.unwrap_err();
    assert!(matches!(refused, ImageError::Lied { .. }), "{refused:?}");
}

#[tokio::test]
async fn what_was_damaged_since_it_came_is_fetched_anew() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|_, _| None).await;
    let scene = Scene::new().await;
    let image = Image::of(&[tar.end()]);
    let name = registry.hold("x", "1", &image);
    let part = format!("{}.part", Digest::of(&image.layers[0]).hex());
    std::fs::write(scene.path("images/blobs").join(part), vec![0; 10_000]).unwrap();
    scene.image(&name).await.unwrap();
    assert_eq!(registry.asked("bytes=10000-"), 1);
}

#[tokio::test]
async fn one_that_dawdles_or_falls_silent_is_given_up_and_what_came_is_kept() {
    for drip in [Duration::from_millis(30), Duration::from_mins(1)] {
        let registry = Played::new(move |asked, played| {
            let truth = played.truth(asked);
            let blob = asked.path.contains("/blobs/") && truth.body.len() > 50_000;
            blob.then_some(Reply { drip: Some(drip), ..truth })
        })
        .await;
        let mut hasty = settings();
        hasty.timing.stall = Duration::from_millis(400);
        hasty.timing.window = Duration::from_millis(300);
        let scene = Scene::with(hasty).await;
        let image = an_image();
        let refused = scene.image(&registry.hold("x", "1", &image)).await.unwrap_err();
        assert!(matches!(refused, ImageError::Slow { .. }), "{refused:?}");
        let part = format!("{}.part", Digest::of(&image.layers[0]).hex());
        let kept = std::fs::metadata(scene.path("images/blobs").join(part)).unwrap().len();
        assert!(kept >= 100, "{kept}");
    }
}

#[tokio::test]
async fn limits_hold_before_anything_is_fetched() {
    let image = Image::of(&[Tar::default().end(), Tar::default().file("x", noise(9_000)).end()]);
    let one = Limits { layers: 1, ..Limits::default() };
    let few = Limits { download_bytes: 5_000, ..Limits::default() };
    let short = Limits { manifest_bytes: 100, ..Limits::default() };
    for limits in [one, few, short] {
        let registry = Played::new(|_, _| None).await;
        let scene = Scene::with(quire_images::Settings { limits, ..settings() }).await;
        let refused = scene.image(&registry.hold("x", "1", &image)).await.unwrap_err();
        assert!(matches!(refused, ImageError::TooLarge { .. }), "{refused:?}");
        assert_eq!(registry.asked("/blobs/"), 0);
    }
    let registry = Played::new(|_, _| None).await;
    let scene = Scene::new().await;
    let none = Image::with(&[], "{}", architecture(), "linux");
    let refused = scene.image(&registry.hold("none", "1", &none)).await.unwrap_err();
    assert!(matches!(refused, ImageError::Empty(_)), "{refused:?}");
    let mut foreign = Image::with(&[(vec![0; 10], Packed::Plain)], "{}", architecture(), "linux");
    foreign.manifest = String::from_utf8(foreign.manifest)
        .unwrap()
        .replace("layer.v1.tar", "layer.nondistributable.v1.tar")
        .into_bytes();
    let refused = scene.image(&registry.hold("foreign", "1", &foreign)).await.unwrap_err();
    assert!(matches!(refused, ImageError::Foreign { layer: 1, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_registry_cannot_send_us_elsewhere_without_tls() {
    for path in ["/v2/x/manifests/1", "/v2/x/blobs/"] {
        let registry = Played::new(move |asked, _| {
            let to = "http://registry.example/elsewhere".to_owned();
            asked.path.starts_with(path).then(|| Reply {
                status: 307,
                headers: vec![("Location", to)],
                ..Reply::default()
            })
        })
        .await;
        let scene = Scene::new().await;
        let refused = scene.image(&registry.hold("x", "1", &an_image())).await.unwrap_err();
        assert!(refused.to_string().contains("not https"), "{refused}");
    }
}
