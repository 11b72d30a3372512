//! Values that this process knows are in nothing that it records, shows or sends on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quire_testkit::Turn;

use crate::scene::{Bytes, Scene, shell_within};

/// A provider's key, as an agent could have come by it.
const KEY: &str = "sk-t0ken/4f9c+21-Qz";

/// What records lie in, below the data directory.
const RECORDS: [&str; 5] = ["chunks", "blobs", "evidence", "events.db", "quire.db"];

fn expect_nowhere(scene: &Scene) {
    let all = Bytes::of(&scene.stage.data());
    for form in [KEY.to_owned(), STANDARD.encode(KEY), KEY.replace('/', "%2F").replace('+', "%2B")]
    {
        let held = all.holding(form.as_bytes());
        let held: Vec<_> = held
            .iter()
            .filter(|path| {
                let inside = path.strip_prefix(scene.stage.data()).unwrap();
                let first = inside.iter().next().unwrap().to_string_lossy().into_owned();
                RECORDS.iter().any(|record| first.starts_with(record))
            })
            .collect();
        assert!(held.is_empty(), "{form} lies in {held:?}");
    }
}

#[test]
fn a_key_that_a_command_prints_reaches_neither_record_nor_person_nor_model() {
    // In two writes, in base64, percent-encoded, and as one long line over the border of a piece.
    let (front, back) = KEY.split_at(9);
    let command = format!(
        "printf 'one\\n{front}'; sleep 0.3; printf '{back} end\\n'; \
         printf '{front}''{back}' | base64; echo \"x=$(printf '{front}''{back}' | sed 's,/,%2F,; s,+,%2B,')\"; \
         head -c 65530 /dev/zero | tr '\\0' .; echo '{front}''{back}'; echo last"
    );
    let scene = Scene::where_model_says([
        shell_within(&command, 30),
        Turn::say(format!("The key is {KEY}; no tests were run.")),
    ]);
    let call = scene.call(["run", &format!("Use {KEY} now."), "--json"]);
    let ended = call.env("OPENAI_API_KEY", KEY).run().expect_code(0);
    let text = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!text.contains(KEY) && text.contains("***"), "{text}");
    expect_nowhere(&scene);
    for request in scene.stage.requests() {
        let sent = String::from_utf8_lossy(&request.body).into_owned();
        assert!(!sent.contains(KEY), "{sent}");
    }
    // Lines are where they were: what is cited stays what was printed.
    let finished = ended.bodies("command_finished");
    let chunk = &finished[0]["chunk"];
    assert_eq!(chunk["size"]["lines"], 6);
    let id = chunk["id"].as_str().unwrap();
    let output = scene.quire(["task", "logs", "1", "--chunk", id]).expect_code(0).stdout;
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((lines[0], lines[1], lines[5]), ("one", "*** end", "last"), "{output}");
    assert!(lines[4].ends_with(".***"), "{}", &lines[4][lines[4].len() - 30..]);
    for args in [&["task", "list"][..], &["task", "show", "1"], &["task", "show", "1", "--json"]] {
        let shown = scene.quire(args.iter().copied()).expect_code(0);
        assert!(!shown.stdout.contains(KEY), "{args:?}");
    }
    scene.quire(["verify", "1"]).expect_code(0);
}

#[test]
fn without_a_key_nothing_is_changed() {
    let scene = Scene::where_model_says([
        shell_within(&format!("echo '{KEY}'"), 30),
        Turn::say("Printed; no tests were run."),
    ]);
    let ended = scene.run(&[]).expect_code(0);
    let id = ended.bodies("command_finished")[0]["chunk"]["id"].as_str().unwrap().to_owned();
    let output = scene.quire(["task", "logs", "1", "--chunk", &id]).expect_code(0).stdout;
    assert_eq!(output.trim_end(), KEY);
}
