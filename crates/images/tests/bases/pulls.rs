//! Images of a registry that does what it should.

use std::process::{Command, Stdio};
use std::time::Duration;

use quire_domain::secret::Secret;
use quire_images::{Credential, Digest, ImageError, PrivateHosts, Progress};

use crate::layers::{Head, Tar, busybox};
use crate::registry::{Image, Packed, Played, Reply, architecture, descriptor};
use crate::scene::{Scene, settings, stand_in};

#[tokio::test]
async fn an_image_is_its_layers_over_one_another_with_what_each_takes_away() {
    let Some(lowest) = busybox() else { return };
    let registry = Played::new(|_, _| None).await;
    let scene = Scene::new().await;
    let lowest = lowest
        .file("gone", "g")
        .dir("emptied")
        .file("emptied/old", "o")
        .dir("emptied/sub")
        .file("emptied/sub/old", "o")
        .dir("tree")
        .file("tree/a/b", "b")
        .file("changed", "before\n")
        .file("linked", "linked\n")
        .symlink("lib", "usr/lib")
        .dir("usr/lib");
    let second = Tar::default()
        .file(".wh.gone", "")
        .file("emptied/new", "new\n")
        .file("emptied/.wh..wh..opq", "")
        .file("emptied/sub/new", "new\n")
        .file(".wh.tree", "")
        .file(".wh.never", "")
        .file("no/such/.wh.dir", "")
        .file(".wh..", "")
        .file(".wh...", "")
        .file(".wh..wh.plnk", "")
        .file("changed", "after\n")
        .hard("second", "linked")
        .file("lib/through", "through\n");
    let third = Tar::default()
        .entry("tree/", &Head { kind: b'5', mode: 0o750, ..Head::default() }, b"")
        .file("tree/c", "c\n")
        .file("linked", "apart\n");
    let empty = Tar::default();
    let config = r#"{"Env":["PATH=/bin","A=b"],"WorkingDir":"/w","User":"www:1","Cmd":["x"],"Labels":{"l":"v"}}"#;
    let image = Image::with(
        &[
            (lowest.end(), Packed::Gzip),
            (second.end(), Packed::Zstd),
            (empty.end(), Packed::Plain),
            (third.end(), Packed::Plain),
        ],
        config,
        architecture(),
        "linux",
    );
    let base = scene.image(&registry.hold("team/tool", "1", &image)).await.unwrap();
    assert_eq!(base.layers.len(), 4);
    let said = scene
        .root_sh(
            &base,
            "ls /gone /never 2>&1 | wc -l; find /emptied /tree | sort; cat /changed /second /linked \
             /usr/lib/through /emptied/new; stat -c '%a %h' /tree /second; readlink /lib",
        )
        .await;
    assert_eq!(
        said,
        "2\n/emptied\n/emptied/new\n/emptied/sub\n/emptied/sub/new\n/tree\n/tree/c\nafter\nlinked\n\
         apart\nthrough\nnew\n750 2\n644 2\nusr/lib\n"
    );
    assert_eq!(base.env.get("A").map(String::as_str), Some("b"));
    assert_eq!((base.workdir.as_deref(), base.user.as_deref()), (Some("/w"), Some("www:1")));
    assert_eq!(base.labels.get("l").map(String::as_str), Some("v"));
    assert_eq!(base.identity, Digest::of(&image.manifest).to_string());
    assert!(base.notes.iter().any(|note| note.contains("entry point")), "{:?}", base.notes);
    // Only what was unpacked stays.
    assert_eq!((scene.kept("blobs"), scene.kept("unpacking")), (vec![], vec![]));
}

#[tokio::test]
async fn what_is_here_is_not_asked_for_again_and_layers_are_shared() {
    let Some(lowest) = busybox() else { return };
    let registry = Played::new(|_, _| None).await;
    let scene = Scene::new().await;
    let lowest = lowest.end();
    let top = |text: &str| Tar::default().file("which", text).end();
    let one = registry.hold("one", "latest", &Image::of(&[lowest.clone(), top("1\n")]));
    let two = registry.hold("two", "latest", &Image::of(&[lowest.clone(), top("2\n")]));
    let first = scene.image(&one).await.unwrap();
    let asked = registry.log.lock().unwrap().len();
    let began = std::time::Instant::now();
    let again = scene.image(&one).await.unwrap();
    eprintln!("cached: {:?}", began.elapsed());
    assert_eq!((first.layers.clone(), &first.identity), (again.layers, &again.identity));
    assert_eq!(registry.log.lock().unwrap().len(), asked);
    let second = scene.image(&two).await.unwrap();
    assert_eq!(second.layers[1], first.layers[1]);
    assert_eq!(registry.asked(&Digest::of(&Image::of(&[lowest]).layers[0]).to_string()), 1);
    assert_eq!(scene.root_sh(&second, "cat /which").await, "2\n");
}

#[tokio::test]
async fn a_tag_that_cannot_be_asked_for_is_what_it_was_and_that_is_said() {
    let Some(tar) = busybox() else { return };
    let down = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let switch = std::sync::Arc::clone(&down);
    let registry = Played::new(move |_, _| {
        let down = down.load(std::sync::atomic::Ordering::Relaxed);
        down.then(|| Reply { status: 503, ..Reply::default() })
    })
    .await;
    let mut forgetful = settings();
    forgetful.timing.tag_lifetime = Duration::ZERO;
    let scene = Scene::with(forgetful).await;
    let name = registry.hold("x", "1", &Image::of(&[tar.end()]));
    let first = scene.image(&name).await.unwrap();
    switch.store(true, std::sync::atomic::Ordering::Relaxed);
    let again = scene.image(&name).await.unwrap();
    assert_eq!(first.layers, again.layers);
    assert!(
        again.notes.iter().any(|note| note.contains("could not be asked")),
        "{:?}",
        again.notes
    );
    let other = scene.image(&format!("{}/y:1", registry.host)).await.unwrap_err();
    assert!(matches!(other, ImageError::Server { status: 503, tries: 3, .. }), "{other:?}");
}

#[tokio::test]
async fn two_processes_that_need_the_same_image_bring_it_once() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|asked, played| {
        // Slow enough for the two to meet.
        let slow = asked.path.contains("/blobs/") && played.truth(asked).body.len() > 10_000;
        slow.then(|| Reply { drip: Some(Duration::from_micros(1)), ..played.truth(asked) })
    })
    .await;
    let scene = Scene::new().await;
    let image = Image::of(&[tar.end(), Tar::default().file("x", vec![1; 50_000]).end()]);
    let name = registry.hold("x", "1", &image);
    let dir = scene.dir.path().to_str().unwrap().to_owned();
    let one = || {
        Command::new(stand_in())
            .args(["bring", &dir, &name])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let both = [one(), one(), one()];
    for child in both {
        let output =
            tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.starts_with(&format!("2 {}\n", Digest::of(&image.manifest))), "{said}");
    }
    for layer in &image.layers {
        assert_eq!(registry.asked(&Digest::of(layer).to_string()), 1);
    }
    assert_eq!(scene.kept("layers").len(), 2);
}

#[tokio::test]
async fn a_pull_that_was_killed_goes_on_where_it_was() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|asked, played| {
        let truth = played.truth(asked);
        let large = asked.path.contains("/blobs/") && truth.body.len() > 100_000;
        // Two thirds at once, then next to nothing: the first one never comes to an end.
        (large && asked.before == 0).then(|| Reply {
            cut: None,
            drip: Some(Duration::from_millis(1)),
            ..truth
        })
    })
    .await;
    let scene = Scene::new().await;
    let image = Image::of(&[tar.file("noise", noise(400_000)).end()]);
    let name = registry.hold("x", "1", &image);
    let dir = scene.dir.path().to_str().unwrap().to_owned();
    let mut child = Command::new(stand_in()).args(["bring", &dir, &name]).spawn().unwrap();
    let part =
        scene.path("images/blobs").join(format!("{}.part", Digest::of(&image.layers[0]).hex()));
    let had = loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let had = std::fs::metadata(&part).map_or(0, |part| part.len());
        if had > 20_000 {
            break had;
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    let base = scene.image(&name).await.unwrap();
    assert_eq!(scene.root_sh(&base, "wc -c < /noise").await, "400000\n");
    let log = registry.log.lock().unwrap().clone();
    let ranges: Vec<u64> = log
        .iter()
        .filter_map(|line| line.split_once("bytes=")?.1.trim_end_matches('-').parse().ok())
        .collect();
    assert_eq!(ranges.len(), 1, "{log:?}");
    assert!(ranges[0] >= had, "{ranges:?} {had}");
}

/// Bytes that do not compress.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(length)
    .collect()
}

#[tokio::test]
async fn the_image_for_this_machine_is_taken_from_a_list_and_else_there_is_a_word_for_it() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|_, _| None).await;
    let scene = Scene::new().await;
    let image = Image::of(&[tar.end()]);
    registry.hold("x", "own", &image);
    let own = descriptor("manifest.v1+json", &image.manifest);
    let entry = |architecture: &str, descriptor: &str| {
        descriptor.replacen(
            '}',
            &format!(r#","platform":{{"os":"linux","architecture":"{architecture}"}}}}"#),
            1,
        )
    };
    let list = |entries: &[String]| {
        format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","))
    };
    registry.put(
        "/v2/x/manifests/list",
        list(&[entry("s390x", &descriptor("x", b"no")), entry(architecture(), &own)]).as_bytes(),
    );
    registry.put(
        "/v2/x/manifests/others",
        list(&[entry("s390x", &own), entry("mips", &own)]).as_bytes(),
    );
    let base = scene.image(&format!("{}/x:list", registry.host)).await.unwrap();
    assert_eq!(base.identity, Digest::of(&image.manifest).to_string());
    let refused = scene.image(&format!("{}/x:others", registry.host)).await.unwrap_err();
    let ImageError::Architecture { there, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(there, &["linux/mips", "linux/s390x"]);
    let foreign = Image::with(&[(Tar::default().end(), Packed::Gzip)], "{}", "s390x", "linux");
    let refused = scene.image(&registry.hold("f", "1", &foreign)).await.unwrap_err();
    assert!(matches!(refused, ImageError::Architecture { .. }), "{refused:?}");
}

#[tokio::test]
async fn two_hundred_layers_are_one_root() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|_, _| None).await;
    let scene = Scene::new().await;
    let mut tars = vec![tar.file("n0", "").end()];
    for number in 1..200 {
        let gone = format!(".wh.n{}", number - 1);
        tars.push(Tar::default().file(gone, "").file(format!("n{number}"), "").end());
    }
    let name = registry.hold("deep", "1", &Image::of(&tars));
    let began = std::time::Instant::now();
    let base = scene.image(&name).await.unwrap();
    eprintln!("200 layers: {:?}", began.elapsed());
    assert_eq!(base.layers.len(), 200);
    assert_eq!(scene.root_sh(&base, "ls -d /n*").await, "/n199\n");
}

#[tokio::test]
async fn tokens_are_fetched_and_credentials_go_where_they_belong() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|asked, played| {
        if asked.path.starts_with("/token") {
            let ours = asked.headers.get("authorization").map(String::as_str)
                == Some("Basic bWU6c2VjcmV0");
            let named = asked.path.contains("scope=repository%3Ax%3Apull")
                && asked.path.contains("service=s");
            let body =
                if ours && named { r#"{"token":"t1"}"# } else { r#"{"access_token":"bad"}"# };
            return Some(Reply { status: 200, body: body.into(), ..Reply::default() });
        }
        if asked.headers.get("authorization").map(String::as_str) == Some("Bearer t1") {
            return None;
        }
        let challenge = format!(
            r#"Bearer realm="http://{}/token",service="s",scope="repository:x:pull""#,
            played.host
        );
        Some(Reply {
            status: 401,
            headers: vec![("WWW-Authenticate", challenge)],
            ..Reply::default()
        })
    })
    .await;
    let name = registry.hold("x", "1", &Image::of(&[tar.end()]));
    let mut scene = Scene::new().await;
    let refused = scene.image(&name).await.unwrap_err();
    assert!(matches!(&refused, ImageError::Denied { user: None, .. }), "{refused:?}");
    assert!(refused.to_string().contains("a credential is named"), "{refused}");
    let mut with = settings();
    let password = Secret::new("secret".to_owned());
    let credential = Credential::Basic { user: "me".into(), password };
    with.credentials.insert(registry.host.clone(), credential);
    scene.set(with.clone());
    scene.image(&name).await.unwrap();
    // One token for all that was asked for.
    assert_eq!(registry.asked("/token"), 2);
    let password = Secret::new("wrong".to_owned());
    let credential = Credential::Basic { user: "me".into(), password };
    with.credentials.insert(registry.host.clone(), credential);
    scene.set(with);
    // What another credential was shown is not shown to this one.
    let refused = scene.image(&name).await.unwrap_err();
    assert!(refused.to_string().contains("does not let `me` read `x`"), "{refused}");
    assert!(!refused.to_string().contains("wrong"));
}

#[tokio::test]
async fn progress_is_told_to_the_end_and_not_too_often() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|_, _| None).await;
    let scene = Scene::new().await;
    let name = registry.hold("x", "1", &Image::of(&[tar.file("n", noise(3_000_000)).end()]));
    scene.image(&name).await.unwrap();
    let told = scene.told.lock().unwrap().clone();
    assert!(matches!(&told[0], Progress::Resolving { .. }), "{told:?}");
    let whole = |progress: &&Progress| matches!(progress, Progress::Fetching { layer: 1, of: 1, bytes, total } if bytes == total);
    assert_eq!(told.iter().filter(whole).count(), 1, "{told:?}");
    assert!(told.len() < 60, "{}", told.len());
}

#[tokio::test]
async fn a_private_address_is_only_reached_where_it_is_listed() {
    let Some(tar) = busybox() else { return };
    let registry = Played::new(|_, _| None).await;
    let name = registry.hold("x", "1", &Image::of(&[tar.end()]));
    let mut closed = settings();
    closed.private_hosts = PrivateHosts::Listed(Vec::new());
    let mut scene = Scene::with(closed.clone()).await;
    let by_name = name.replace("127.0.0.1", "localhost");
    for name in [&name, &by_name] {
        let refused = scene.image(name).await.unwrap_err();
        assert!(matches!(refused, ImageError::Private { .. }), "{refused:?}");
    }
    assert_eq!(registry.log.lock().unwrap().len(), 0);
    closed.private_hosts = PrivateHosts::Listed(vec![registry.host.clone()]);
    scene.set(closed);
    scene.image(&name).await.unwrap();
}
