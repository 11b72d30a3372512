//! Secrets in setup: seen by its script alone, found nowhere afterwards, whatever the script does.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quire_testkit::{Ended, KillAt, Turn};

use crate::scene::{Bytes, Scene, shell_within};

/// The value; no file of a test holds it in one piece.
const VALUE: &str = concat!("tok-9xKq", "77/c+3Zw");

/// The same for a script: two words that only a shell puts together.
const PIECES: &str = "$(printf %s tok-9xKq 77/c+3Zw)";

fn scene(recipe: &str, turns: impl IntoIterator<Item = Turn>) -> Scene {
    let scene = Scene::where_model_says(turns);
    scene.repository.write(".gitignore", "node_modules\n");
    recipe_is(&scene, recipe);
    scene.call(["env", "secret", "set", "TOKEN"]).stdin(VALUE).run().expect_code(0);
    scene
}

fn recipe_is(scene: &Scene, recipe: &str) {
    let text = format!("name = \"web\"\nsecrets = [\"TOKEN\"]\n{recipe}\n");
    scene.repository.write(".quire/environment.toml", &text);
    scene.repository.commit("Describe the environment");
}

/// The files below `dir` that hold the value in any of these forms.
fn holding(dir: &Path) -> Vec<String> {
    let all = Bytes::of(dir);
    let hex = VALUE.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let forms = [VALUE.to_owned(), STANDARD.encode(VALUE), hex, "77%2Fc%2B3Zw".to_owned()];
    let held = forms.iter().flat_map(|form| all.holding(form.as_bytes()));
    let named = all.paths().filter(|path| path.to_string_lossy().contains("77/c+3Zw"));
    held.chain(named).map(|path| path.display().to_string()).collect()
}

fn expect_nowhere(scene: &Scene) {
    let held = holding(&scene.stage.data());
    assert!(held.is_empty(), "the value lies in {held:?}");
}

fn expect_unsaid(ended: &Ended) {
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains(VALUE) && !text.contains(&STANDARD.encode(VALUE)), "{text}");
    }
}

/// The kind and the words of a failed end.
fn failed(ended: &Ended) -> (String, String) {
    let finished = ended.bodies("finished");
    let last = finished.last().unwrap_or_else(|| panic!("no end: {}", ended.stderr));
    let word = |name: &str| last["outcome"][name].as_str().unwrap_or_default().to_owned();
    (word("kind"), word("detail"))
}

const USES: &str = r#"
setup = """
mkdir -p node_modules
printf %s "$TOKEN" | sha256sum | cut -c1-16 > node_modules/digest
printf 'one %s' "${TOKEN:0:9}"; sleep 0.3; printf '%s end\\n' "${TOKEN:9}"
printf %s "$TOKEN" | base64; printf %s "$TOKEN" | od -An -tx1 | tr -d ' \\n'; echo
echo "$TOKEN" > /tmp/plain; echo "$TOKEN" > /dev/shm/plain
echo "$TOKEN" > ~/removed; rm ~/removed
git config remote.origin.url "https://u:$TOKEN@host.example/x"
(setsid sleep 600 &)
"""
"#;

#[test]
fn setup_sees_its_secrets_and_nothing_that_comes_after_does() {
    let look = format!(
        "v={PIECES}; cat node_modules/digest; echo env $(env | grep -cF -- \"$v\"); \
         echo proc $(cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -cF -- \"$v\"); \
         echo files $(grep -rlsF -- \"$v\" ~ . /tmp /dev/shm /etc /var /run /.quire | wc -l); \
         echo named ${{TOKEN-unset}}"
    );
    let scene = scene(USES, [shell_within(&look, 60), Turn::say("Done; no tests were run.")]);
    let ended = scene.run(&[]).expect_code(0);
    let seen = ended.bodies("tool_answered")[0]["parts"].to_string();
    for word in ["env 0", "proc 0", "files 0", "named unset"] {
        assert!(seen.contains(word), "{word}: {seen}");
    }
    expect_unsaid(&ended);
    let chunk = ended.bodies("command_finished")[0]["chunk"]["id"].as_str().unwrap().to_owned();
    let output = scene.quire(["task", "logs", "1", "--chunk", &chunk]).expect_code(0).stdout;
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((lines[0], lines[2]), ("one *** end", "***"), "{output}");
    assert!(lines[1].starts_with("***"), "{output}");
    expect_nowhere(&scene);
    let log = scene.log("1");
    expect_unsaid(&log);

    // The same value is the same snapshot, another one is not.
    let notes = |ended: &Ended| ended.bodies("base_captured")[0]["notes"][0].to_string();
    assert!(notes(&scene.run(&[]).expect_code(0)).contains(" hit "));
    let other = "another-valu3-of-it";
    scene.call(["env", "secret", "set", "TOKEN"]).stdin(other).run().expect_code(0);
    let anew = scene.run(&[]).expect_code(0);
    assert!(notes(&anew).contains("miss: secrets changed"), "{}", notes(&anew));
    assert_ne!(anew.bodies("tool_answered")[0]["parts"].to_string(), seen);
}

/// Writes it to an extended attribute.
const MARKS: &str = "touch ~/x; python3 -c \"import os; \
    os.setxattr(os.path.expanduser('~/x'), 'user.t', os.environ['TOKEN'].encode())\"";

#[test]
fn a_secret_that_setup_leaves_anywhere_fails_it_and_nothing_of_it_is_kept() {
    let scene = scene("setup = \"true\"", [Turn::shell("true"), Turn::say("Done.")]);
    let home = scene.stage.home().display().to_string();
    let here = scene.repository.path().display().to_string();
    for (script, place) in [
        ("echo //registry/:_authToken=$TOKEN > ~/.npmrc", format!("{home}/.npmrc")),
        ("printf u:%s \"$TOKEN\" | base64 > ~/.auth", format!("{home}/.auth")),
        ("(head -c50 /dev/zero; echo $TOKEN) | base64 > ~/.auth", format!("{home}/.auth")),
        ("mkdir node_modules; ln -s $TOKEN node_modules/l", format!("{here}/node_modules/l")),
        ("mkdir -p ~/d/$TOKEN", format!("{home}/d/")),
        ("echo x=$TOKEN >> $QUIRE_ENV", "the variable `x`".to_owned()),
        ("echo echo $TOKEN > .git/hooks/pre-commit", format!("{here}/.git/hooks/pre-commit")),
        (MARKS, format!("an extended attribute: {home}/x")),
    ] {
        recipe_is(&scene, &format!("setup = '''\n{script}\necho this is $TOKEN\n'''"));
        let ended = scene.run(&[]);
        let (kind, words) = failed(&ended);
        assert_eq!(kind, "secret_leaked", "{script}: {words}");
        assert!(words.contains("`TOKEN` in") && words.contains(&place), "{script}: {words}");
        expect_unsaid(&ended);
        expect_nowhere(&scene);
        let kept = std::fs::read_dir(scene.stage.data().join("layers/snapshots")).unwrap();
        let kept: Vec<_> = kept.flatten().filter(|entry| entry.path().is_dir()).collect();
        assert!(kept.is_empty(), "{script}: {kept:?}");
    }
    assert!(scene.stage.requests().is_empty(), "no request left before setup was done");
    recipe_is(&scene, "setup = \"true\"");
    scene.run(&[]).expect_code(0);
}

#[test]
fn what_failed_with_a_secret_in_its_last_lines_says_none_of_it() {
    let script = "setup = '''\nprintf '%0200d%s tail\\n' 0 \"$TOKEN\"; exit 3\n'''";
    let scene = scene(script, [Turn::say("Done.")]);
    let ended = scene.run(&[]);
    let (kind, words) = failed(&ended);
    assert!(kind == "setup_failed" && words.contains("exit status 3"), "{kind}: {words}");
    let part = &VALUE[..6];
    assert!(!words.contains(part), "{words}");
    for args in
        [&["task", "list", "--json"][..], &["task", "show", "1"], &["task", "show", "1", "--json"]]
    {
        let shown = scene.quire(args.iter().copied());
        assert!(!shown.stdout.contains(part), "{args:?}: {}", shown.stdout);
    }
    expect_nowhere(&scene);
}

#[test]
fn a_worker_that_is_killed_in_the_middle_of_setup_leaves_no_secret_on_the_disk() {
    let script = "setup = '''\necho $TOKEN > ~/plain; echo $TOKEN; mkdir node_modules\n\
                  echo $TOKEN > node_modules/x; sync; echo written; sleep 500\n'''";
    let scene = scene(script, [Turn::say("Done.")]);
    let killed = scene.call(["run", "--json", "Go on."]).killed(KillAt::Event("command_started"));
    assert!(killed.was_killed());
    expect_unsaid(&killed);
    // What it left goes without anybody's help.
    let deadline = Instant::now() + Duration::from_secs(20);
    let making = || {
        let all = std::fs::read_dir(scene.stage.data().join("layers/snapshots")).unwrap();
        all.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("making-"))
    };
    while making() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert!(!making(), "what a killed setup wrote is still there");
    expect_nowhere(&scene);
}

#[test]
fn an_attempt_whose_secrets_cannot_be_had_runs_nothing_and_says_what_to_do() {
    let scene = scene("setup = \"sleep 500\"", [Turn::say("Done.")]);
    let killed = scene.call(["run", "--json", "Go on."]).killed(KillAt::Event("command_started"));
    assert!(killed.was_killed());
    let key = scene.stage.data().join("keys/secrets.key");
    let bytes = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let refused = scene.run(&[]).expect_code(2);
    for words in ["secrets.key is gone", "from a backup", "`quire env secret set`"] {
        assert!(refused.stderr.contains(words), "{words}: {}", refused.stderr);
    }
    let resumed = scene.quire(["task", "resume", "1", "--json"]);
    let (kind, words) = failed(&resumed);
    assert_eq!(kind, "secrets_unavailable", "{words}");
    assert!(words.contains("secrets.key is gone"), "{words}");
    assert!(scene.stage.requests().is_empty());
    // A key of another installation opens nothing either, and is named as that.
    std::fs::write(&key, [7; 32]).unwrap();
    set_private(&key);
    let other = scene.run(&[]).expect_code(2);
    assert!(other.stderr.contains("`TOKEN` does not open"), "{}", other.stderr);
    assert!(other.stderr.contains("`quire env secret set TOKEN`"), "{}", other.stderr);
    std::fs::write(&key, bytes).unwrap();
    recipe_is(&scene, "setup = \"true\"");
    scene.run(&[]).expect_code(0);
}

fn set_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_secret_without_a_value_fails_the_setup_that_wants_it_before_it_runs() {
    let scene = scene("setup = \"true\"", [Turn::say("Done.")]);
    scene.quire(["env", "secret", "delete", "TOKEN"]).expect_code(0);
    let ended = scene.run(&[]);
    let (kind, words) = failed(&ended);
    assert_eq!(kind, "secrets_unavailable");
    assert!(words.contains("`quire env secret set TOKEN`"), "{words}");
    assert!(ended.bodies("command_started").is_empty());
}
