//! What the model is told: only ever added to, with the instructions of what it touches.

use quire_testkit::{Stage, Turn};

use crate::scene::{Scene, told};

fn bodies(stage: &Stage) -> Vec<Vec<u8>> {
    stage.requests().into_iter().map(|request| request.body.to_vec()).collect()
}

#[test]
fn each_request_begins_with_the_bytes_of_the_one_before_up_to_the_end_of_its_list() {
    for model in ["scripted/demo", "scripted/chat"] {
        let mut scene = Scene::of("python-slugs");
        scene.stage.model(model);
        let ended = scene.run(&[]).expect_code(0);
        let met = ended.bodies("instructions_loaded");
        assert_eq!(met.len(), 2, "a deeper AGENTS.md is met on the way");
        let bodies = bodies(&scene.stage);
        assert_eq!(bodies.len(), 7);
        for pair in bodies.windows(2) {
            let list = pair[0].strip_suffix(b"]}").expect("the list comes last in the body");
            assert!(pair[1].starts_with(list), "{model}: the beginning of a request changed");
        }
    }
}

#[test]
fn the_first_request_is_small() {
    let scene = Scene::where_model_says([Turn::say("Nothing.")]);
    scene.run(&[]).expect_code(0);
    let first = &bodies(&scene.stage)[0];
    assert!(first.len() <= 16_000, "{} bytes", first.len());
}

#[test]
fn instructions_of_the_person_the_root_and_a_touched_directory_are_told_in_this_order() {
    let scene = Scene::where_model_says([
        Turn::shell("cat slugs/unique.py"),
        Turn::say("It gives numbers 【{{chunk 1}}†L{{line 1 /number = 2/}}】."),
    ]);
    let own = scene.stage.home().join(".config/quire/AGENTS.md");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::write(own, "Own words of the person.\n").unwrap();
    scene.run(&[]).expect_code(0);
    let bodies = bodies(&scene.stage);
    let texts: Vec<_> = bodies.iter().map(|body| String::from_utf8_lossy(body)).collect();
    let own = texts[0].find("Own words of the person.").expect("the person's own are told");
    let root = texts[0].find("Standard library only").expect("the root's are told");
    assert!(own < root);
    assert!(!texts[0].contains("Functions are pure"), "the deeper one waits until it is touched");
    assert!(texts[0].contains("slugs/AGENTS.md"), "its name is told at once");
    assert!(texts[1].contains("Functions are pure"));
}

#[test]
fn a_change_below_instructions_that_were_never_shown_is_sent_back_with_them() {
    let scene = Scene::where_model_says([
        // Nothing in the words of the command names the directory.
        Turn::shell("for f in s*/uni*e.py; do echo '# end' >> $f; done; git commit -qam 'End'"),
        Turn::say("Done; no tests were run."),
        Turn::say("Done; no tests were run."),
        Turn::say("Done; no tests were run."),
    ]);
    let ended = scene.run(&[]).expect_code(0);
    let shown: Vec<String> = ended
        .bodies("instructions_loaded")
        .iter()
        .flat_map(|one| one["files"].as_array().unwrap().clone())
        .map(|file| file["path"].as_str().unwrap().to_owned())
        .collect();
    assert!(shown.contains(&"slugs/AGENTS.md".to_owned()), "{shown:?}, {:?}", told(&ended));
}
