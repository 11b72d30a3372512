//! A repository that was made inside the working tree: nobody takes a link to it for its files.

use quire_testkit::Turn;

use crate::scene::{Scene, commits, faults, told};

const DONE: &str = "Made 【F:README.md†L1】. No tests were run.";

#[test]
fn a_commit_that_has_only_a_link_to_a_repository_inside_goes_back_to_the_model() {
    let make = "git init -q 'in side' && cd 'in side' && echo deep > f.txt && git add . && \
                git -c user.name=A -c user.email=a@b commit -qm Inner && cd .. && git add -A && git commit -qm 'Add it'";
    let mend = "rm -rf 'in side/.git' && git rm -q --cached 'in side' && git add -A && \
                git commit -qm 'Add its files'";
    let mut turns = vec![Turn::shell(make), Turn::say(DONE), Turn::shell(mend)];
    turns.extend(std::iter::repeat_n(Turn::say(DONE), 3));
    let scene = Scene::where_model_says(turns);
    let ended = scene.run(&[]).expect_code(0);
    let told = told(&ended);
    assert!(
        told[0].contains("repositories of their own") && told[0].contains("in side"),
        "{told:?}"
    );
    let shown = scene.show("1");
    let faults = faults(&shown);
    assert!(!faults.contains(&"nested_repository") && !faults.contains(&"dirty"), "{faults:?}");
    let diff = scene.quire(["task", "diff", "1"]).expect_code(0).stdout;
    assert!(diff.contains("+deep") && !diff.contains("Subproject"), "{diff}");
}

#[test]
fn of_a_repository_inside_that_stays_the_files_come_along_and_the_answer_says_so() {
    let make = "git init -q empty && echo loose > empty/f.txt && mkdir -p a && git init -q a/b && \
                cd a/b && echo deep > g.txt && git add . && git -c user.name=A -c user.email=a@b commit -qm Inner && echo new > h.txt";
    let mut turns = vec![Turn::shell(make)];
    turns.extend(std::iter::repeat_n(Turn::say(DONE), 6));
    let scene = Scene::where_model_says(turns);
    scene.run(&[]).expect_code(0);
    let log = scene.log("1");
    assert_eq!(commits(&log), ["system: Work that was not committed"]);
    assert!(faults(&scene.show("1")).contains(&"nested_repository"));
    let shown = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
    assert!(shown.contains("repositories of their own") && shown.contains("empty"), "{shown}");
    scene.quire(["task", "apply", "1"]).expect_code(0);
    for (path, text) in
        [("empty/f.txt", "loose\n"), ("a/b/g.txt", "deep\n"), ("a/b/h.txt", "new\n")]
    {
        assert_eq!(scene.repository.read(path), text);
    }
    assert!(!scene.repository.path().join("a/b/.git").exists());
}
