//! A private registry that needs a token works with pip, npm and cargo, in setup and for the agent,
//! and the token is in nothing that a sandbox sees and in nothing that is kept.

mod server;

use std::path::Path;
use std::process::Command;

use quire_testkit::{Call, Turn};

use crate::scene::{Bytes, Scene, shell_within};

use server::{HOST, Registry};

/// The token; no file of a test holds it in one piece.
const TOKEN: &str = concat!("npt-canary-", "7f3a91c2d4");

/// The same for a script.
const PIECES: &str = "$(printf %s npt-canary- 7f3a91c2d4)";

/// Where rustup keeps its toolchains, and where the toolchain of this build has its programs.
fn toolchain() -> (String, String) {
    let said = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    let root = String::from_utf8(said.stdout).unwrap().trim().to_owned();
    let home = Path::new(&root).ancestors().nth(2).unwrap().display().to_string();
    (home, format!("{root}/bin"))
}

fn call(scene: &Scene, args: &[&str]) -> Call {
    let (home, bin) = toolchain();
    let path = std::env::var("PATH").unwrap();
    let call = scene.call(args.iter().copied()).env("RUSTUP_HOME", home);
    call.env("PATH", format!("{bin}:{path}"))
}

const INSTALLS: &str = "
pip install --no-input --disable-pip-version-check --no-cache-dir --target WHERE/pip quire-canary
npm install --no-audit --no-fund --prefix WHERE/npm quire-canary
mkdir -p WHERE/cargo/src; cd WHERE/cargo; echo 'fn main() { println!(\"{}\", quire_canary::WORD) }' > src/main.rs
printf '[package]\\nname = \"asks\"\\nversion = \"0.1.0\"\\nedition = \"2021\"\\n[dependencies]\\n\
quire-canary = { version = \"1\", registry = \"company\" }\\n' > Cargo.toml
cargo run -q
PYTHONPATH=WHERE/pip python3 -c 'import quire_canary; print(quire_canary.WORD)'
cd WHERE/npm; node -p 'require(\"quire-canary\")'
";

fn recipe(port: u16) -> String {
    let place = format!("{HOST}:{port}");
    let script = INSTALLS.replace("WHERE", "$HOME/set-up");
    format!(
        "name = \"web\"\nsetup = '''{script}'''\n\
         [variables]\n\
         PIP_INDEX_URL = \"https://{place}/pip/simple/\"\n\
         npm_config_registry = \"https://{place}/npm/\"\n\
         CARGO_REGISTRIES_COMPANY_INDEX = \"sparse+https://{place}/cargo/index/\"\n\
         CARGO_REGISTRIES_COMPANY_TOKEN = \"placeholder\"\n\
         CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS = \"cargo:token\"\n\
         [network]\nsetup = \"off\"\nagent = \"off\"\n\
         [[credentials]]\nrule = \"{place} GET,HEAD\"\nheader = \"Authorization\"\n\
         value = \"Bearer ${{REGISTRY_TOKEN}}\"\nagent = true\n"
    )
}

#[test]
fn pip_npm_and_cargo_install_from_it_and_the_token_is_nowhere() {
    let look = format!(
        "set -e; {}\nv={PIECES}; echo env $(env | grep -cFf <(printf %s \"$v\")); \
         echo proc $(cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>&1 | tr '\\0' '\\n' \
         | grep -cFf <(printf %s \"$v\")); \
         echo files $(grep -rlsF -- \"$v\" ~ . /tmp /dev/shm /etc /var /run /.quire | wc -l)",
        INSTALLS.replace("WHERE", "/tmp/asked")
    );
    let turns = [shell_within(&look, 120), Turn::say("Installed; no tests were run.")];
    let scene = Scene::where_model_says(turns);
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(&format!("Bearer {TOKEN}"), dir.path());
    let port = registry.port;
    let authority = dir.path().join("authority.pem");
    std::fs::write(&authority, &registry.authority).unwrap();
    let config = scene.stage.home().join(".config/quire");
    std::fs::create_dir_all(&config).unwrap();
    let settings = format!(
        "[egress]\nprivate = [\"{HOST}:{port}=127.0.0.1\"]\nca_file = \"{}\"\n",
        authority.display()
    );
    std::fs::write(config.join("config.toml"), settings).unwrap();
    scene.repository.write(".quire/environment.toml", &recipe(port));
    scene.repository.commit("Describe the environment");
    let set = call(&scene, &["env", "secret", "set", "REGISTRY_TOKEN"]).stdin(TOKEN);
    set.run().expect_code(0);

    let ended = call(&scene, &["run", "--json", "Go on."]).run().expect_code(0);
    let seen = ended.bodies("tool_answered")[0]["parts"].to_string();
    for word in ["from pip", "from npm", "from cargo", "proc 0", "env 0", "files 0"] {
        assert!(seen.contains(word), "{word}: {seen}");
    }
    // Each of them asked, in setup and again for the agent, and none brought the token itself. What
    // was fetched in setup is in their caches for the agent.
    let asked = registry.seen();
    let expected = [
        ("/pip/simple/", 2),
        ("/pip/files/", 2),
        ("/npm/quire-canary", 2),
        ("/npm/-/", 1),
        ("/cargo/index/qu/", 2),
        ("/cargo/dl/", 1),
    ];
    for (path, least) in expected {
        let count = asked.iter().filter(|seen| seen.path.starts_with(path)).count();
        assert!(count >= least, "{path}: {asked:?}");
    }
    assert!(asked.iter().all(|seen| seen.authorization == format!("Bearer {TOKEN}")), "{asked:?}");

    let mut said = format!("{}{}", ended.stdout, ended.stderr);
    for args in [
        &["task", "logs", "1", "--json"][..],
        &["task", "show", "1", "--json"],
        &["env", "show", "--origin"],
        &["env", "show", "--json"],
        &["env", "secret", "list", "--json"],
        &["config", "show"],
        &["verify", "1"],
    ] {
        let shown = call(&scene, args).env("RUST_LOG", "trace").run();
        said.push_str(&shown.stdout);
        said.push_str(&shown.stderr);
    }
    assert!(!said.contains(TOKEN), "{said}");
    let everything = Bytes::of(scene.stage.path());
    let held = everything.holding(TOKEN.as_bytes());
    assert!(held.is_empty(), "the token lies in {held:?}");
    for request in scene.stage.requests() {
        assert!(!String::from_utf8_lossy(&request.body).contains(TOKEN));
    }
}

#[test]
fn without_the_token_the_registry_s_answer_is_what_the_tool_says() {
    let scene = Scene::where_model_says([Turn::say("Done.")]);
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(&format!("Bearer {TOKEN}"), dir.path());
    scene.repository.write(".quire/environment.toml", &recipe(registry.port));
    scene.repository.commit("Describe the environment");
    let unset = call(&scene, &["run", "--json", "Go on."]).run();
    let outcome = unset.bodies("finished")[0]["outcome"].clone();
    let words = outcome["detail"].as_str().unwrap_or_default();
    assert!(
        words.contains("`REGISTRY_TOKEN`") && words.contains("quire env secret set"),
        "{words}"
    );
    assert!(registry.seen().is_empty(), "nothing was sent without it");
}
