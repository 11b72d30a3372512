//! `quire task list`, `logs`, `archive`: what ran here before.

use quire_testkit::Turn;

use crate::scene::Scene;

#[test]
fn tasks_are_listed_newest_first_by_place_by_state_and_put_away() {
    let scene = Scene::where_model_says([Turn::say("Nothing.")]);
    let none = scene.quire(["task", "list"]).expect_code(0);
    assert!(none.stderr.contains("no tasks yet"), "{}", none.stderr);
    scene.quire(["ask", "First question?"]).expect_code(0);
    scene.quire(["run", "Second request."]).expect_code(0);
    let other = scene.stage.repository("rust-sessions");
    scene.stage.quire(["ask", "Third question?"]).in_repository(&other).run().expect_code(0);

    let numbers = |args: &[&str]| -> Vec<u64> {
        let listed = scene.quire(["task", "list", "--json"].iter().chain(args).copied());
        listed.expect_code(0).json().iter().map(|one| one["task"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers(&[]), [3, 2, 1]);
    assert_eq!(numbers(&["--here"]), [2, 1]);
    assert_eq!(numbers(&["--text", "Second"]), [2]);
    assert_eq!(numbers(&["--state", "done"]), [3, 2, 1]);
    assert_eq!(numbers(&["--state", "working"]), Vec::<u64>::new());
    assert_eq!(numbers(&["--limit", "1"]), [3]);

    scene.quire(["task", "archive", "1", "3"]).expect_code(0);
    assert_eq!(numbers(&[]), [2]);
    assert_eq!(numbers(&["--archived"]), [3, 1]);
    scene.quire(["task", "archive", "--undo", "3"]).expect_code(0);
    assert_eq!(numbers(&[]), [3, 2]);
    assert_eq!(scene.show("1")["prompt"], "First question?", "nothing is deleted");
}

#[test]
fn the_log_reads_the_same_while_it_runs_and_after() {
    let scene = Scene::of("python-slugs");
    let ended = scene.run(&[]).expect_code(0);
    assert_eq!(scene.log("1").stdout, ended.stdout);
    let words = scene.quire(["task", "logs", "1"]).expect_code(0).stdout;
    for part in ["python3 -m unittest discover -s tests", "exit 1", "exit 0", "Long titles are cut"]
    {
        assert!(words.contains(part), "{part} is missing:\n{words}");
    }
}
