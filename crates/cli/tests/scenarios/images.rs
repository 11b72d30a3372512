//! Images of a real registry, and tars, as bases: the whole way from a recipe to what the agent
//! works in, and what a person is told where that cannot be.

mod registry;
mod rootfs;

use std::path::PathBuf;

use quire_testkit::{Ended, Turn};
use serde_json::Value;

use crate::scene::Scene;

use registry::Registry;

/// A scene with a registry that may be reached, and a tar of a root file system.
struct Place {
    scene: Scene,
    registry: Registry,
    root: PathBuf,
}

impl Place {
    /// `None` where there is no registry to start.
    fn of(turns: impl IntoIterator<Item = Turn>) -> Option<Self> {
        let scene = Scene::where_model_says(turns);
        let registry = Registry::start(scene.stage.path())?;
        let root = root(&scene, "root", &[]);
        let place = Self { scene, registry, root };
        place.config(&format!("[images]\nprivate = [\"{}\"]\n", place.registry.host));
        Some(place)
    }

    /// The person's own config.toml.
    fn config(&self, text: &str) {
        let dir = self.scene.stage.home().join(".config/quire");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("config.toml"), text).unwrap();
    }

    fn recipe(&self, text: &str) {
        self.scene.repository.write(".quire/environment.toml", text);
    }

    /// A layer with one file.
    fn layer(&self, path: &str, text: &str) -> PathBuf {
        let dir = self.scene.stage.path().join(format!("layer-{text}"));
        rootfs::write(&dir, path, &format!("{text}\n"));
        let tar = dir.with_extension("tar");
        rootfs::tar(&dir, &tar);
        tar
    }
}

/// A tar of a root file system without these programs.
fn root(scene: &Scene, name: &str, without: &[&str]) -> PathBuf {
    let dir = scene.stage.path().join(name);
    rootfs::lay_out(&dir, without);
    let tar = dir.with_extension("tar");
    rootfs::tar(&dir, &tar);
    tar
}

/// What the model's commands printed.
fn printed(ended: &Ended) -> String {
    let answers = ended.bodies("tool_answered");
    answers.iter().map(|answer| answer["parts"].to_string()).collect()
}

/// The phases that ended, with what is said of each.
fn phases(ended: &Ended, which: &str) -> Vec<String> {
    let all = ended.bodies("phase_finished").into_iter().filter(|one| one["phase"] == which);
    all.map(|one| one["detail"].as_str().unwrap().to_owned()).collect()
}

fn captured(ended: &Ended) -> Value {
    ended.bodies("base_captured")[0].clone()
}

/// The kind and the words of a failed end.
fn failed(ended: &Ended) -> (String, String) {
    let outcome = ended.bodies("finished").last().unwrap()["outcome"].clone();
    let word = |name: &str| outcome[name].as_str().unwrap_or_default().to_owned();
    (word("kind"), word("detail"))
}

const LOOKS: &str = "cat /word /etc/made; echo \"$TOOL_HOME $PATH $HOME\"; git log --oneline | wc -l; \
                     touch new.txt; git add new.txt; git commit -qm new || true";

#[test]
fn a_task_and_all_that_goes_on_from_it_stand_on_the_image_that_its_tag_was() {
    let Some(place) = Place::of([
        Turn::shell(LOOKS),
        Turn::say("It says so 【{{chunk 1}}†L1】; no tests were run."),
        Turn::say("It says so 【{{chunk 1}}†L1】; no tests were run."),
    ]) else {
        return;
    };
    let config = r#"{"Env":["TOOL_HOME=/opt/tool","PATH=/opt/tool/bin:/usr/bin","HOME=/root"],
                     "Cmd":["bash"],"WorkingDir":"/srv","User":"app"}"#;
    let first = place.layer("word", "first");
    let name = place.registry.push("team/web", "1", &[&place.root, &first], config);
    place.recipe(&format!(
        "name = 'web'\nimage = '{name}'\nsetup = 'echo made > /etc/made; id -u'\n\
         network.setup = 'off'\n[[checks]]\nname = 'alone'\nclean = true\n\
         command = 'grep -qx first /word && grep -q made /etc/made && test -e new.txt'\n"
    ));
    let scene = &place.scene;
    let ended = scene.run(&[]).expect_code(0);
    assert_eq!(
        phases(&ended, "image"),
        [format!("{name} brought: 2 layers, {} MB unpacked", mb(&ended))]
    );
    assert!(
        printed(&ended)
            .contains("first\\nmade\\n/opt/tool /opt/tool/bin:/usr/bin:/bin /home/quire"),
        "{}",
        printed(&ended)
    );
    let notes = captured(&ended)["notes"].to_string();
    for said in ["the user `app`", "entry point and command are not run", "says itself: HOME"] {
        assert!(notes.contains(said), "{said}: {notes}");
    }
    let checks = ended.bodies("check_finished");
    assert_eq!(checks[0]["exit"], serde_json::json!({"code": 0}), "{checks:?}");
    let root = captured(&ended)["root"].clone();
    assert!(root.as_str().unwrap().starts_with("sha256:"), "{root}");

    // All is there: nothing is brought, and setup does not run again.
    let again = scene.run(&[]).expect_code(0);
    assert!(phases(&again, "image").is_empty() && phases(&again, "setup").is_empty());

    // The tag stands for another image now, and nothing of what it was is in doubt.
    let second = place.layer("word", "second");
    place.registry.push("team/web", "1", &[&place.root, &second], config);
    std::fs::remove_dir_all(scene.stage.data().join("images/records")).unwrap();
    let verified = scene.quire(["verify", "1", "--rerun"]).expect_code(0);
    assert!(verified.stdout.contains("reproduced"), "{}", verified.stdout);
    let follow = scene.quire(["task", "message", "1", "And now?", "--json"]).expect_code(0);
    assert_eq!(captured(&follow)["root"], root);
    // A task that begins now has the new one, on a snapshot of its own.
    let new = scene.run(&[]);
    assert_ne!(captured(&new)["root"], root);
    assert!(printed(&new).contains("second\\nmade"), "{}", printed(&new));
    assert_eq!(phases(&new, "setup").len(), 1);
}

/// What the log says of the size, which hangs on this machine's programs.
fn mb(ended: &Ended) -> String {
    let said = phases(ended, "image").concat();
    said.rsplit(": 2 layers, ").next().unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn what_cannot_be_had_names_the_line_to_add_and_the_next_task_works() {
    let Some(place) = Place::of([Turn::shell("cat /word"), Turn::say("Done; no tests were run.")])
    else {
        return;
    };
    let scene = &place.scene;
    let word = place.layer("word", "there");
    let name = place.registry.push("team/web", "1", &[&place.root, &word], "{}");
    let no_git = root(scene, "no-git", &["git"]);
    let no_git = place.registry.push("team/no-git", "1", &[&no_git], "{}");
    let no_bash = place.registry.push("team/no-bash", "1", &[&word], "{}");
    let absent = format!("{}/team/none:1", place.registry.host);
    let kind = "image_unavailable";
    for (image, config, said) in [
        (&name, "", "add `private = [\"127.0.0.1:"),
        (&name, "limits.layers = 1", "raise `layers` under `[images.limits]`"),
        (&no_git, "", "it has no `git`"),
        (&no_bash, "", "it has no shell"),
        (&absent, "", "has no team/none:1"),
    ] {
        let private = if said.starts_with("add `private") {
            String::new()
        } else {
            format!("private = [\"{}\"]\n", place.registry.host)
        };
        place.config(&format!("[images]\n{private}{config}\n"));
        place.recipe(&format!("image = '{image}'\n"));
        let ended = scene.run(&[]);
        let (is, words) = failed(&ended);
        assert!(is == kind && words.contains(said), "{image} {config}: {is} {words}");
    }
    // A name without a registry, where no default is set.
    place.recipe("image = 'debian:12'\n");
    let (_, words) = failed(&scene.run(&[]));
    assert!(words.contains("`default_registry` under `[images]`"), "{words}");

    place.recipe(&format!("image = '{name}'\n"));
    let ended = scene.run(&[]).expect_code(0);
    assert!(printed(&ended).contains("there"), "{}", printed(&ended));
    // What is here is used while the registry is away.
    let host = place.registry.host.clone();
    drop(place.registry);
    let records = scene.stage.data().join("images/records");
    for record in std::fs::read_dir(&records).unwrap().flatten() {
        let text = std::fs::read_to_string(record.path()).unwrap();
        let mut record_of: Value = serde_json::from_str(&text).unwrap();
        record_of["asked_at"] = 1.into();
        std::fs::write(record.path(), record_of.to_string()).unwrap();
    }
    let ended = scene.run(&[]).expect_code(0);
    let notes = captured(&ended)["notes"].to_string();
    assert!(notes.contains(&format!("`{host}` could not be asked")), "{notes}");
}

#[test]
fn a_tar_is_a_base_of_an_environment_that_a_person_keeps_and_of_no_checkouts_own() {
    let scene = Scene::where_model_says([
        Turn::shell("cat /word; id -u"),
        Turn::say("Done; no tests were run."),
    ]);
    let tar = root(&scene, "root", &[]);
    let recipe = format!("tar = '{}'\nvariables.WHO = 'kept'\n", tar.display());
    scene.repository.write(".quire/environment.toml", &recipe);
    let refused = scene.run(&[]).expect_code(2);
    assert!(refused.stderr.contains("quire env create"), "{}", refused.stderr);
    std::fs::remove_dir_all(scene.repository.path().join(".quire")).unwrap();
    let made = scene.call(["env", "create", "own", "--from", "-"]).stdin(recipe).run();
    made.expect_code(0);
    let ended = scene.run(&["--env", "own"]).expect_code(0);
    assert_eq!(phases(&ended, "image").len(), 1);
    assert!(printed(&ended).contains("No such file") && printed(&ended).contains("1000"));
    let inside = ["sandbox", "--env", "own", "--", "bash", "-c", "echo $WHO; ls /usr/bin | wc -l"];
    let shown = scene.quire(inside).expect_code(0);
    assert_eq!(shown.stdout, "kept\n22\n");
    let known = scene.quire(["env", "show", "own"]).expect_code(0);
    assert!(known.stdout.contains("is here: sha256:"), "{}", known.stdout);
    // Another tar in its place: the next task has it.
    let again = scene.stage.path().join("root");
    rootfs::write(&again, "word", "changed");
    rootfs::tar(&again, &tar);
    let ended = scene.run(&["--env", "own"]).expect_code(0);
    assert!(printed(&ended).contains("changed"), "{}", printed(&ended));
}
