//! What a command in the sandbox sees of this machine: `quire sandbox -- CMD`.

use std::os::unix::fs::PermissionsExt;

use quire_testkit::{Ended, Turn};

use crate::scene::{Scene, stage};

/// Runs a line of bash in the sandbox.
fn inside(scene: &Scene, line: &str) -> Ended {
    scene.quire(["sandbox", "--", "bash", "-c", line])
}

fn empty() -> Scene {
    Scene::where_model_says([Turn::say("Nothing.")])
}

#[test]
fn secrets_of_the_home_directory_and_of_the_environment_are_not_there() {
    let scene = empty();
    let canary = "canary-5d1f0c";
    for place in [
        ".ssh/id_ed25519",
        ".aws/credentials",
        ".netrc",
        ".config/quire/config.toml.bak",
        "notes.txt",
    ] {
        let path = scene.stage.home().join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, canary).unwrap();
    }
    let home = scene.stage.home();
    let line = format!(
        "env; cat {home}/.ssh/id_ed25519 {home}/.netrc ~/.ssh/id_ed25519 {home}/notes.txt; \
         grep -rsl {canary} {home} /root /home /run /tmp /var 2>/dev/null; \
         for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/environ; done 2>/dev/null; echo looked",
        home = home.display()
    );
    let ended = scene
        .call(["sandbox", "--", "bash", "-c", &line])
        .env("QUIRE_CANARY", canary)
        .env("OPENAI_API_KEY", canary)
        .env("SSH_AUTH_SOCK", format!("/run/{canary}"))
        .run();
    assert!(ended.stdout.contains("looked"), "{}{}", ended.stdout, ended.stderr);
    assert!(!ended.stdout.contains(canary), "{}", ended.stdout);
}

#[test]
fn the_model_is_shown_no_secret_either() {
    let canary = "canary-77ab21";
    let scene = Scene::where_model_says([
        Turn::shell(
            "env; cat /proc/1/environ /proc/self/environ | tr '\\0' '\\n'; ls -la ~ /root /home; true",
        ),
        Turn::say("Nothing."),
    ]);
    let ended = scene
        .call(["run", "--json", "Go on."])
        .env("OPENAI_API_KEY", canary)
        .env("GITHUB_TOKEN", canary)
        .run()
        .expect_code(0);
    assert!(!ended.stdout.contains(canary));
    for request in scene.stage.requests() {
        assert!(!String::from_utf8_lossy(&request.body).contains(canary));
    }
}

#[test]
fn the_network_is_closed_even_to_this_machine() {
    let scene = empty();
    let url = scene.stage.model_url().unwrap();
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap().to_owned();
    let line = format!(
        "(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>&1 && echo reached; \
         (exec 3<>/dev/tcp/1.1.1.1/53) 2>&1 && echo reached; \
         getent hosts example.org && echo resolved; cat /proc/net/route | wc -l; echo looked"
    );
    let ended = inside(&scene, &line);
    assert!(ended.stdout.contains("looked"), "{}{}", ended.stdout, ended.stderr);
    assert!(
        !ended.stdout.contains("reached") && !ended.stdout.contains("resolved"),
        "{}",
        ended.stdout
    );
    assert_eq!(scene.stage.requests().len(), 0);
}

#[test]
fn the_whole_history_answers_log_and_blame() {
    let scene = empty();
    let wanted = scene.repository.git(["log", "--format=%H %an %s"]);
    let blame = scene.repository.git(["blame", "--root", "-l", "slugs/slugify.py"]);
    let log = inside(&scene, "git log --format='%H %an %s'").expect_code(0);
    assert_eq!(log.stdout, wanted);
    let inside_blame = inside(&scene, "git blame --root -l slugs/slugify.py").expect_code(0);
    assert_eq!(inside_blame.stdout, blame);
    inside(&scene, "git fsck --no-dangling --no-progress").expect_code(0);
}

#[test]
fn nothing_written_inside_stays_and_the_checkout_is_a_copy_at_its_own_path() {
    let scene = empty();
    scene.repository.write("draft.txt", "mine\n");
    let place = inside(
        &scene,
        "pwd; cat draft.txt; echo more > README.md; echo x > /tmp/x; git status --short",
    )
    .expect_code(0);
    let root = scene.repository.path().display().to_string();
    assert_eq!(place.stdout, format!("{root}\nmine\n M README.md\n"));
    assert!(scene.repository.read("README.md").starts_with("# slugs"));
    assert_eq!(inside(&scene, "exit 7").code(), Some(7));
    assert_eq!(inside(&scene, "kill -9 $$").code(), Some(137));
    let uid =
        inside(&scene, "id -u; touch /usr/x 2>&1 | grep -c denied; echo > /etc/passwd").stdout;
    assert!(uid.starts_with("1000\n"), "{uid}");
    let uppers = std::fs::read_dir(scene.stage.data().join("sandboxes")).unwrap();
    let left: Vec<_> = uppers.map(|one| one.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("quire-sandbox-")), "{left:?}");
}

#[test]
fn what_is_done_inside_to_ignored_directories_and_toolchains_stays_inside() {
    let scene = empty();
    let root = scene.repository.path();
    scene.repository.write(".gitignore", "node_modules/\n.venv/\n__pycache__/\nsecret.txt\n");
    scene.repository.commit("Ignore more");
    scene.repository.write("node_modules/left-pad/index.js", "module.exports = 1\n");
    scene.repository.write(".venv/bin/activate", "# venv\n");
    scene.repository.write("secret.txt", "not for the agent\n");
    let tool = scene.stage.home().join(".local/bin/my-tool");
    std::fs::create_dir_all(tool.parent().unwrap()).unwrap();
    std::fs::write(&tool, "#!/bin/sh\necho tool ran\n").unwrap();
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tool.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let line = "my-tool; cat node_modules/left-pad/index.js .venv/bin/activate; \
                cat secret.txt 2>/dev/null; echo more >> node_modules/left-pad/index.js && echo written; \
                echo x >> $(command -v my-tool) && echo changed; git status --short";
    let ended = scene.call(["sandbox", "--", "bash", "-c", line]).env("PATH", &path).run();
    let printed = "tool ran\nmodule.exports = 1\n# venv\nwritten\nchanged\n";
    assert_eq!(ended.stdout, printed, "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(&tool).unwrap(), "#!/bin/sh\necho tool ran\n");
    assert_eq!(
        std::fs::read_to_string(root.join("node_modules/left-pad/index.js")).unwrap(),
        "module.exports = 1\n"
    );

    let bare = scene
        .call([
            "sandbox",
            "--bare",
            "--",
            "bash",
            "-c",
            "my-tool; cat node_modules/left-pad/index.js; ls -a",
        ])
        .env("PATH", &path)
        .run();
    assert!(
        !bare.stdout.contains("tool ran") && !bare.stdout.contains("module.exports"),
        "{}",
        bare.stdout
    );
}

#[test]
fn what_an_installation_made_beside_the_sources_is_there_and_can_be_made_again() {
    let scene = empty();
    scene.repository.write(".gitignore", "_version.py\n*.so\n.env\n");
    scene.repository.write("src/pkg/__init__.py", "from ._version import version\n");
    scene.repository.commit("A package");
    scene.repository.write("src/pkg/_version.py", "version = '1.2'\n");
    scene.repository.write("src/pkg/_fast.cpython-311-x86_64-linux-gnu.so", "compiled\n");
    scene.repository.write("src/.env", "TOKEN=secret\n");
    let line = "cd src/pkg && cat _version.py *.so ../.env; git status --short; \
                rm *.so && echo again > _fast.cpython-311-x86_64-linux-gnu.so && cat *.so";
    let ended = inside(&scene, line);
    assert_eq!(ended.stdout, "version = '1.2'\ncompiled\nagain\n", "{}", ended.stderr);
    let root = scene.repository.path().join("src/pkg");
    let module = root.join("_fast.cpython-311-x86_64-linux-gnu.so");
    assert_eq!(std::fs::read_to_string(module).unwrap(), "compiled\n");
}

#[test]
fn package_managers_know_that_there_is_no_network_and_a_recipe_may_say_otherwise() {
    let scene = empty();
    let line = "echo $CARGO_NET_OFFLINE $npm_config_fetch_retries $PIP_RETRIES";
    assert_eq!(inside(&scene, line).stdout, "true 0 0\n");
    scene.repository.write(".quire/environment.toml", "[variables]\nPIP_RETRIES = \"2\"\n");
    assert_eq!(inside(&scene, line).stdout, "true 0 2\n");
}

#[test]
fn outside_of_a_checkout_the_sandbox_is_an_empty_directory() {
    let stage = stage();
    let outside = tempfile::Builder::new().prefix("quire-outside-").tempdir_in("/var/tmp").unwrap();
    let ended = stage
        .quire(["sandbox", "--", "bash", "-c", "ls -A; git status 2>&1 | head -n 1; echo looked"])
        .in_dir(outside.path())
        .run();
    assert!(ended.stdout.ends_with("looked\n"), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn doctor_says_what_this_host_gives() {
    let scene = empty();
    let ended = scene.quire(["doctor"]).expect_code(0);
    for word in ["sandbox", "memory", "disk"] {
        assert!(ended.stdout.to_lowercase().contains(word), "{word} is missing:\n{}", ended.stdout);
    }
    let json = scene.quire(["doctor", "--json"]).expect_code(0);
    serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap();
}

#[test]
fn a_home_and_data_below_opt_or_srv_are_not_shown_with_what_else_lies_there() {
    let scene = Scene::where_model_says([Turn::say("Nothing.")]);
    for parent in ["/opt", "/srv"] {
        let made = tempfile::Builder::new().prefix("quire-home-").tempdir_in(parent);
        let Ok(home) = made else {
            println!("SKIPPED: this user may not write in {parent}");
            return;
        };
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(home.path(), open).unwrap();
        let canary = home.path().join("canary");
        std::fs::write(&canary, "canary-home\n").unwrap();
        let linked = scene.stage.path().join(format!("linked{}", parent.replace('/', "-")));
        std::os::unix::fs::symlink(home.path(), &linked).unwrap();
        let read = format!("cat {}; ls {}", canary.display(), home.path().display());
        for home in [home.path(), &linked] {
            for more in [&["--bare"][..], &[]] {
                let mut words = vec!["sandbox"];
                words.extend(more);
                words.extend(["--", "bash", "-c", &read]);
                let call = scene.call(words).env("HOME", home);
                let ended = call.env("QUIRE_DATA_DIR", home.join("data")).run();
                let said = format!("{}{}", ended.stdout, ended.stderr);
                assert!(!said.contains("canary-home"), "{more:?} {}: {said}", home.display());
                assert!(!said.contains("data"), "{more:?} {}: {said}", home.display());
                assert!(said.contains("No such file"), "{said}");
            }
        }
    }
}

#[test]
fn a_recipe_of_the_checkout_chooses_no_place_of_this_machine_as_its_base() {
    let scene = empty();
    scene.repository.write(".quire/environment.toml", "directory = \"/\"\n");
    for arguments in [&["run", "Go on."][..], &["sandbox", "--", "ls", "/"][..]] {
        let ended = scene.quire(arguments.iter().copied()).expect_code(2);
        let expected = ".quire/environment.toml:1:1: `directory` names a place on this machine";
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn an_error_that_quotes_a_file_of_the_repository_does_not_drive_the_terminal() {
    let scene = empty();
    scene.repository.write(".quire/config.toml", "\u{1b}[2J\u{1b}]0;title\u{7} = 1\n");
    let ended = scene.quire(["run", "Go on."]).expect_code(2);
    assert!(ended.stderr.contains("config.toml"), "{}", ended.stderr);
    assert!(!ended.stderr.contains(['\u{1b}', '\u{7}']), "{:?}", ended.stderr);
}
