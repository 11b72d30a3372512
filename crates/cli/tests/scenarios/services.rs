//! Services: a small server that keeps its data in the home directory, as a database does.

use quire_testkit::{Ended, Turn};

use crate::scene::{Scene, outcome, shell_within};

/// Counts its visitors. What it counted is on disk only after it was asked to end.
const COUNTER: &str = r#"
import os, signal, socket, sys
kept = os.path.expanduser("~/visitors")
visitors = int(open(kept).read()) if os.path.exists(kept) else 0
def end(*_):
    open(kept, "w").write(str(visitors))
    print("saved", visitors, flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
server = socket.create_server(("127.0.0.1", 9321))
print("serving", visitors, flush=True)
while True:
    visitor, _ = server.accept()
    visitors += 1
    visitor.sendall(f"visitor {visitors}\n".encode())
    visitor.close()
"#;

/// Its `ready` takes no visitor's place: it looks whether somebody listens.
const RECIPE: &str = r#"
[[services]]
name = "counter"
command = "exec python3 counter.py"
ready = "grep -q :2469 /proc/net/tcp"
"#;

const VISIT: &str = "python3 -c 'import socket; \
    print(socket.create_connection((\"127.0.0.1\", 9321)).makefile().read())'";

fn scene(recipe: &str, turns: impl IntoIterator<Item = Turn>) -> Scene {
    let scene = Scene::where_model_says(turns);
    scene.repository.write("counter.py", COUNTER);
    scene.repository.write(".quire/environment.toml", recipe);
    scene.repository.commit("Count visitors");
    scene
}

/// What the model was answered, one text per command.
fn answers(ended: &Ended) -> Vec<String> {
    ended.bodies("tool_answered").iter().map(|one| one["parts"].to_string()).collect()
}

/// The chunks and the ends of the runs of a service, oldest first.
fn runs(scene: &Scene, ended: &Ended, task: &str) -> Vec<(String, String)> {
    let started = ended.bodies("command_started");
    let services = started.iter().filter(|one| one["purpose"]["service"] == "counter");
    let run = |chunk: &str| {
        let finished = ended.bodies("command_finished");
        let end = finished.iter().find(|one| one["chunk"]["id"] == chunk).unwrap();
        let printed = scene.quire(["task", "logs", task, "--chunk", chunk]).expect_code(0).stdout;
        (printed, end["ended_by"].as_str().unwrap_or("itself").to_owned())
    };
    services.map(|one| run(one["chunk"].as_str().unwrap())).collect()
}

#[test]
fn a_service_ends_in_good_order_and_what_it_kept_is_there_for_checks_and_follow_ups() {
    let recipe = format!("{RECIPE}[[checks]]\nname = \"visit\"\ncommand = '''{VISIT}'''\n");
    let scene = scene(
        &recipe,
        [
            Turn::shell(&format!(
                "{VISIT} && {VISIT} && echo x > x && git add x && git commit -qm X"
            )),
            Turn::say("Done; no tests were run."),
            Turn::say("Done; no tests were run."),
            Turn::shell(VISIT),
            Turn::say("Done again; no tests were run."),
            Turn::say("Done again; no tests were run."),
        ],
    );
    let first = scene.run(&[]).expect_code(0);
    assert!(answers(&first)[0].contains("visitor 2"), "{:?}", answers(&first));
    let said = |serving: u32, saved: u32| format!("serving {serving}\nsaved {saved}\n");
    let ended = |text: String| (text, "attempt_end".to_owned());
    assert_eq!(
        runs(&scene, &first, "1"),
        // The agent's, and the check's own over what that had saved.
        [ended(said(0, 2)), ended(said(2, 3))]
    );

    let second = scene.quire(["task", "message", "1", "Again.", "--json"]).expect_code(0);
    assert!(answers(&second)[0].contains("visitor 3"), "{:?}", answers(&second));
    assert_eq!(runs(&scene, &second, "1"), [ended(said(2, 3))]);
}

#[test]
fn a_service_that_dies_is_told_to_the_model_once_and_can_be_started_again() {
    let scene = scene(
        RECIPE,
        [
            Turn::shell(
                "pkill -9 -f counter.p[y]; while grep -q :2469 /proc/net/tcp; do :; done; sleep 1",
            ),
            Turn::shell("echo nothing new"),
            shell_within(
                &format!("(python3 counter.py &) ; sleep 1; {VISIT}; pkill -f counter.p[y]"),
                20,
            ),
            Turn::say("Done."),
        ],
    );
    let ended = scene.run(&[]).expect_code(0);
    let answers = answers(&ended);
    for part in ["`counter` has ended with signal 9", "serving 0", "exec python3 counter.py"] {
        assert!(answers[0].contains(part), "{part}: {}", answers[0]);
    }
    assert!(!answers[1].contains("counter"), "{}", answers[1]);
    assert!(answers[2].contains("visitor 1"), "{}", answers[2]);
    assert_eq!(runs(&scene, &ended, "1")[0].1, "itself");
    assert_eq!(outcome(&ended), "no_change");
}

#[test]
fn a_service_that_cannot_be_used_says_what_is_wrong_and_no_model_is_asked() {
    let never = "[[services]]\nname = \"slow\"\ncommand = \"echo begun; sleep 60\"\n\
        ready = \"echo no route to it; false\"\nready_within_s = 1\n";
    let daemon = "[[services]]\nname = \"quick\"\ncommand = \"sleep 60 &\"\nready = \"false\"\n";
    let cases: [(&str, &[&str]); 2] = [
        (never, &["`slow` was not ready within 1 s", "begun", "said last: no route to it"]),
        (daemon, &["`quick` ended with exit status 0", "stay in the foreground"]),
    ];
    for (recipe, parts) in cases {
        let scene = scene(recipe, [Turn::say("Never asked.")]);
        let ended = scene.run(&[]);
        let outcome = ended.bodies("finished").last().unwrap()["outcome"].clone();
        assert_eq!(outcome["kind"], "service_failed", "{outcome}");
        for part in parts {
            assert!(outcome["detail"].as_str().unwrap().contains(part), "{part}: {outcome}");
        }
        assert!(scene.stage.requests().is_empty());
        let shown = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
        assert!(shown.contains("quire task logs 1 --chunk "), "{shown}");
        assert!(!shown.contains("quire task message"), "{shown}");
    }
}
