//! Pictures: those of the prompt, and those that the model looks at.

use quire_testkit::{RecordedRequest, Turn};

use crate::scene::Scene;

/// A PNG, a JPEG, a GIF and a `WebP` as far as their first bytes say: the model is played, and looks
/// at none.
const PICTURES: [(&str, &str, &[u8]); 4] = [
    ("a.png", "image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR-one"),
    ("b.jpg", "image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF-two"),
    ("c.gif", "image/gif", b"GIF89a-three"),
    ("d.webp", "image/webp", b"RIFF\x1a\0\0\0WEBPVP8L-four"),
];

fn looker() -> Scene {
    let scene = Scene::where_model_says([
        Turn::call("view_image", serde_json::json!({ "path": "shot.png" })),
        Turn::say("A picture; no tests were run."),
        Turn::say("A picture; no tests were run."),
    ]);
    for (name, _, bytes) in PICTURES {
        std::fs::write(scene.stage.path().join(name), bytes).unwrap();
    }
    scene.repository.write("shot.png", "");
    std::fs::write(scene.repository.path().join("shot.png"), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR-shot")
        .unwrap();
    scene.repository.commit("A screen shot");
    scene
}

/// The pictures of a request, as base64, each where it first stands.
fn held(request: &RecordedRequest) -> usize {
    let body = String::from_utf8_lossy(&request.body);
    let shot = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR-shot".as_slice();
    let all = PICTURES.iter().map(|(_, _, bytes)| *bytes).chain([shot]);
    all.filter(|bytes| body.contains(&base64(bytes))).count()
}

/// Base64 with padding, as all three dialects write it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let at = |index: usize| u32::from(piece.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= piece.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[test]
fn pictures_reach_the_model_in_every_dialect_and_stay_in_follow_ups() {
    for model in ["scripted/demo", "scripted/chat", "scripted/messages"] {
        let mut scene = looker();
        scene.stage.model(model);
        let mut args = vec!["run", "Look at these."];
        for (name, _, _) in PICTURES {
            args.extend(["--image-file", name]);
        }
        let repository = scene.repository.path().to_str().unwrap().to_owned();
        args.extend(["--repo", &repository]);
        let ended = scene.stage.quire(&args).in_dir(scene.stage.path()).run();
        ended.expect_code(0);
        let first = scene.stage.requests();
        assert_eq!(held(&first[0]), 4, "{model}");
        assert_eq!(held(&first[1]), 5, "{model}: with the one it looked at");
        let shown = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
        for kind in ["PNG", "JPEG", "GIF", "WebP"] {
            assert!(shown.contains(&format!("a {kind} picture")), "{model}: {shown}");
        }
        assert_eq!(scene.show("1")["images"].as_array().unwrap().len(), 4);
        scene.quire(["task", "message", "1", "And now?"]).expect_code(0);
        let all = scene.stage.requests();
        assert_eq!(held(&all[first.len()]), 5, "{model}: the follow-up");
    }
}

#[test]
fn what_is_no_picture_or_too_large_is_named_and_nobody_is_asked() {
    let scene = looker();
    let at = |name: &str| scene.stage.path().join(name);
    std::fs::write(at("cut.png"), b"\x89PNG").unwrap();
    std::fs::write(at("empty.png"), b"").unwrap();
    std::fs::write(at("text.png"), b"a text").unwrap();
    let mut large = PICTURES[0].2.to_vec();
    large.resize((20 << 20) + 1, 0);
    std::fs::write(at("large.png"), &large).unwrap();
    large.resize(19 << 20, 0);
    std::fs::write(at("many.png"), &large).unwrap();
    for (names, word) in [
        (&["cut.png"][..], "neither PNG"),
        (&["empty.png"], "neither PNG"),
        (&["text.png"], "neither PNG"),
        (&["a.png", "absent.png"], "absent.png"),
        (&["home"], "not a file"),
        (&["large.png"], "20 MiB"),
        (&["many.png", "many.png", "many.png"], "40 MiB"),
    ] {
        let paths: Vec<_> = names.iter().map(|name| at(name)).collect();
        let mut args = vec!["run", "Look."];
        for path in &paths {
            args.extend(["--image-file", path.to_str().unwrap()]);
        }
        let ended = scene.quire(args).expect_code(2);
        assert!(ended.stderr.contains(word), "{names:?}: {}", ended.stderr);
    }
    assert_eq!(scene.stage.requests().len(), 0, "the model was asked");
    assert_eq!(scene.quire(["task", "list", "--json"]).expect_code(0).stdout, "");
}
