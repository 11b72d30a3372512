//! The way out of a sandbox: what was asked is told with the command that asked, what was refused
//! with the line that would allow it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use quire_testkit::Turn;

use crate::scene::Scene;

/// A host of the machine's own that answers every request, and its port.
fn host() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap_or_default();
            let large = head[..read].starts_with(b"GET /large");
            let body = if large { "x".repeat(3 << 20) } else { "ok".to_owned() };
            let head = format!("Content-Length: {}\r\nConnection: close", body.len());
            let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

/// Lets sandboxes reach this host of the machine under this name.
fn list(scene: &Scene, more: &str, port: u16) {
    let dir = scene.stage.home().join(".config/quire");
    std::fs::create_dir_all(&dir).unwrap();
    let text = format!("[egress]\nprivate = [\"registry.invalid:{port}=127.0.0.1\"]\n{more}");
    std::fs::write(dir.join("config.toml"), text).unwrap();
}

fn recipe_is(scene: &Scene, recipe: &str) {
    scene.repository.write(".quire/environment.toml", recipe);
    scene.repository.commit("Describe the environment");
}

#[test]
fn a_request_is_told_with_its_command_and_a_refusal_with_the_line_that_would_allow_it() {
    let port = host();
    let refused = "for i in 1 2; do curl -sS https://refused.invalid/x; done; \
                   curl -s http://refused.invalid/x";
    let allowed = format!(
        "setsid -w curl -sS http://registry.invalid:{port}/a; echo x >new; git add new; git commit -qm x"
    );
    let turns = [Turn::shell(refused), Turn::shell(&allowed), Turn::say("Done.")];
    let scene = Scene::where_model_says(turns);
    list(&scene, "", port);
    recipe_is(&scene, &format!("[network]\nagent = [\"registry.invalid:{port} GET\"]\n"));
    let ended = scene.run(&["--check", "curl -s https://by-check.invalid; true"]).expect_code(0);

    let commands = ended.bodies("command_started");
    let chunk = |at: usize| commands[at]["chunk"].as_str().unwrap();
    let denied = ended.bodies("egress_denied");
    let expected = |host: &str| if host.starts_with("by-check") { chunk(2) } else { chunk(0) };
    for one in &denied {
        assert_eq!(one["chunk"], expected(one["host"].as_str().unwrap()), "{denied:?}");
    }
    assert!(denied.iter().any(|one| one["host"] == "by-check.invalid:443"), "{denied:?}");
    let passed = &ended.bodies("egress_allowed")[0];
    assert_eq!((passed["chunk"].as_str(), passed["path"].as_str()), (Some(chunk(1)), Some("/a")));
    // What the command saw of it: the status of a tunnel, and the whole answer elsewhere.
    let seen = ended.bodies("tool_answered")[0]["parts"].to_string();
    assert!(seen.contains("CONNECT tunnel failed, response 403"), "{seen}");
    assert!(seen.contains("adding this rule to `network.agent` of the environment"), "{seen}");
    assert!(ended.bodies("tool_answered")[1]["parts"].to_string().contains("ok"));

    let request = String::from_utf8_lossy(&scene.stage.requests()[0].body).into_owned();
    let open = format!("The network is open to `registry.invalid:{port} GET`");
    assert!(request.contains(&open), "{request}");

    let shown = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
    let line =
        format!("agent = [\"registry.invalid:{port} GET\", \"refused.invalid\"]  under [network]");
    assert!(shown.contains(&line), "{shown}");
    let refused = format!("refused: refused.invalid:443, 2 times, by [{}]", chunk(0));
    assert!(shown.contains(&refused), "{shown}");
    assert!(shown.contains(&format!("reached registry.invalid:{port}")), "{shown}");
    let refused = scene.show("1")["network"]["refused"].clone();
    assert_eq!(refused[0]["allow"]["table"], "network", "{refused}");
    assert_eq!(refused[0]["times"], 2, "{refused}");
    let log = scene.quire(["task", "logs", "1"]).expect_code(0).stdout;
    assert!(log.contains(&format!("GET registry.invalid:{port}/a")), "{log}");
    assert!(log.contains("refused: CONNECT refused.invalid:443"), "{log}");

    // With the line in place of the old one, nothing is refused.
    let (line, _) = line.split_once("  under").unwrap();
    recipe_is(&scene, &format!("[network]\n{line}\n"));
    let again = scene.run(&["--skip-checks"]).expect_code(0);
    assert!(again.bodies("egress_denied").is_empty(), "{:?}", again.bodies("egress_denied"));
}

#[test]
fn setup_is_told_apart_and_where_it_is_refused_its_own_line_is_named() {
    let scene = Scene::where_model_says([Turn::say("Done.")]);
    recipe_is(
        &scene,
        "setup = \"curl -s https://of-setup.invalid || true\"\n[network]\nsetup = \"packages\"\n",
    );
    let ended = scene.run(&[]).expect_code(0);
    let setup = ended.bodies("command_started")[0].clone();
    let denied = ended.bodies("egress_denied");
    assert_eq!(denied[0]["chunk"], setup["chunk"], "{denied:?}");
    let shown = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
    assert!(shown.contains("refused: of-setup.invalid:443, by setup"), "{shown}");
    assert!(shown.contains("setup = [\"packages\", \"of-setup.invalid\"]  under [network]"));
}

#[test]
fn what_a_sandbox_may_send_and_receive_is_bounded_and_the_bound_is_told() {
    let port = host();
    let curl = format!("curl -sS http://registry.invalid:{port}");
    let command = format!("{curl}/large >/dev/null; {curl}/a");
    let turns = [Turn::shell(&command), Turn::say("Done.")];
    let scene = Scene::where_model_says(turns);
    list(&scene, "mib_per_sandbox = 100\n", port);
    let rule = format!("[network]\nagent = [\"registry.invalid:{port}\"]\n");
    recipe_is(&scene, &format!("{rule}[limits]\nnetwork_mib = 1\n"));
    let ended = scene.run(&[]).expect_code(0);
    let seen = ended.bodies("tool_answered")[0]["parts"].to_string();
    assert!(seen.contains("(bytes_of_sandbox)"), "{seen}");
    let cut = &ended.bodies("egress_allowed")[0];
    assert_eq!(cut["reason"], "bytes_of_sandbox");
    assert!(cut["received"].as_u64().unwrap() < 3 << 20, "{cut}");
    let shown = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
    assert!(shown.contains("cut off: ") && shown.contains("`limits.network_mib`"), "{shown}");

    // What the installation says holds in any case.
    list(&scene, "mib_per_sandbox = 1\n", port);
    recipe_is(&scene, &format!("{rule}[limits]\nnetwork_mib = 50\n"));
    let ended = scene.run(&[]).expect_code(0);
    assert_eq!(ended.bodies("egress_allowed")[0]["reason"], "bytes_of_sandbox");
}

#[test]
fn a_repetition_reaches_nothing_unless_it_is_asked_to() {
    let port = host();
    let curl = format!("curl -sS http://registry.invalid:{port}/a");
    let answer = "It answers 【{{chunk 1}}†L1】; the file is there 【{{chunk 2}}†L1】.";
    let turns = [Turn::shell(&curl), Turn::shell("head -1 README.md")];
    let scene = Scene::where_model_says(turns.into_iter().chain([Turn::say(answer)]));
    list(&scene, "", port);
    recipe_is(&scene, &format!("[network]\nagent = [\"registry.invalid:{port}\"]\n"));
    scene.run(&[]).expect_code(0);
    let lines = |more: &[&str], code| {
        let again = scene.quire(["verify", "1", "--rerun"].iter().chain(more).copied());
        let again = again.expect_code(code).stdout;
        let lines = again.lines().filter(|line| line.starts_with('【'));
        lines.map(str::to_owned).collect::<Vec<String>>()
    };
    let closed = lines(&[], 7);
    assert!(closed[0].contains(&format!("not repeatable, it reached registry.invalid:{port}")));
    assert!(closed[0].contains("`--network`") && closed[1].contains("reproduced"), "{closed:?}");
    let open = lines(&["--network"], 0);
    assert!(open.iter().all(|line| line.contains("reproduced")), "{open:?}");
}
