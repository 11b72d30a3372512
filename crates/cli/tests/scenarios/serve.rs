//! A server: tasks that are written down are worked on, whatever befalls the process meanwhile.
//!
//! `QUIRE_KILLS=200 cargo test -p quire --test scenarios serve -- --nocapture` tries that many
//! rounds and prints what they met; `QUIRE_SEED` gives other moments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use quire_testkit::{Ended, Started, Turn};
use serde_json::Value;

use crate::scene::{Scene, expect_in_order, outcome};

/// Rounds where nobody says how many.
const ROUNDS: u64 = 8;

/// Tasks that are submitted in one round.
const TASKS: u64 = 2;

/// All that was submitted has ended this long after the last start.
const PATIENCE: Duration = Duration::from_mins(2);

/// A short task that commits one line once, however often it is cut off, and cites it.
fn turns() -> Vec<Turn> {
    let edit = "grep -q Counted CHANGES.md || sed -i '4a - Counted.' CHANGES.md";
    let commit = "rm -f .git/index.lock; git diff --quiet || git commit -qam 'Count'; \
                  git log --format=%s -n 1";
    let mut turns = vec![Turn::shell("sleep 0.2; git ls-files")];
    turns.extend([edit, edit, "sleep 0.3; true", commit, commit, commit].map(Turn::shell));
    let answer = "Counted 【F:CHANGES.md†L5】. No tests were run.";
    turns.extend(std::iter::repeat_n(Turn::say(answer), 30));
    turns
}

fn scene() -> Scene {
    Scene::where_model_says(turns())
}

fn serve(scene: &Scene, more: &[&str]) -> Started {
    let mut server = scene.call(["serve", "--listen", "0"].iter().chain(more).copied()).start();
    server.until_it_says("quire serves");
    server.until_it_says("attempts at once");
    server
}

/// Writes a task down; gives its number once that was acknowledged.
fn submit(scene: &Scene, prompt: &str) -> u64 {
    let new = scene.quire(["task", "new", "--json", prompt]).expect_code(0);
    new.json()[0]["task"].as_u64().unwrap()
}

fn list(scene: &Scene) -> Vec<Value> {
    scene.quire(["task", "list", "--json", "--limit", "500"]).expect_code(0).json()
}

/// How many of the tasks have not ended.
fn open(scene: &Scene) -> usize {
    let ended = |task: &&Value| task["state"]["state"] == "done";
    let all = list(scene);
    all.len() - all.iter().filter(ended).count()
}

fn until_all_have_ended(scene: &Scene, server: &Started) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let open = open(scene);
        if open == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{open} have not ended: {}", server.said());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Numbers that are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What befell the server.
#[derive(Debug, Default)]
struct Met {
    kills: u64,
    drains: u64,
    stops: u64,
    models_down: u64,
    said: u64,
}

/// What people said to each task, in the order that it was acknowledged.
type Said = BTreeMap<u64, Vec<String>>;

/// Says something to one of the tasks; one that has ended by now refuses.
fn say(scene: &Scene, number: u64, words: &str, said: &mut Said) -> bool {
    let told = scene.quire(["task", "steer", &number.to_string(), words]);
    let taken = told.code() == Some(0);
    if taken {
        said.entry(number).or_default().push(words.to_owned());
    }
    taken
}

/// What was said was told once at most, in its order, and nothing else was.
fn expect_said_in_order(log: &Ended, said: &[String]) {
    let told = log.bodies("steered");
    let told: Vec<&str> = told.iter().map(|one| one["text"].as_str().unwrap()).collect();
    let mut expected = said.iter();
    for words in &told {
        assert!(expected.any(|said| said == words), "{told:?} of {said:?}");
    }
}

/// The log is whole, its hashes hold, and the end is the one that an undisturbed task has.
fn expect_whole(scene: &Scene, number: u64, said: &[String]) {
    let name = number.to_string();
    let log = scene.log(&name);
    expect_in_order(&log);
    assert_eq!(outcome(&log), "changed", "task {number}: {}", log.stdout);
    let committed = log.bodies("committed");
    assert_eq!(committed.len(), 1, "task {number}: {committed:?}");
    let started = log.bodies("command_started").len();
    assert_eq!(log.bodies("command_finished").len(), started, "task {number}");
    expect_said_in_order(&log, said);
    scene.quire(["verify", &name]).expect_code(0);
}

/// The control groups of sandboxes of these processes; of all if none is named.
fn groups(processes: &[u32]) -> BTreeSet<PathBuf> {
    let (mut found, mut left) = (BTreeSet::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    while let Some(dir) = left.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let of = |pid: &u32| name.starts_with(&format!("quire-{pid}-"));
            if name.starts_with("quire-") && (processes.is_empty() || processes.iter().any(of)) {
                found.insert(path.clone());
            }
            left.push(path);
        }
    }
    found
}

/// What packs were unpacked in.
fn quarantined(scene: &Scene) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(scene.stage.data().join("quarantine")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// No process of a sandbox, no mount, no control group and no directory of one is left.
fn expect_nothing_left(scene: &Scene, servers: &[u32], before: &BTreeSet<PathBuf>) {
    let place = scene.stage.path().to_str().unwrap().to_owned();
    let deadline = Instant::now() + Duration::from_secs(5);
    let left = || -> Vec<String> {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let sees = processes.filter_map(|entry| {
            let mounts = std::fs::read_to_string(entry.path().join("mountinfo")).ok()?;
            let line = mounts.lines().find(|line| line.contains(&place))?;
            Some(format!("{}: {line}", entry.path().display()))
        });
        let mut left: Vec<String> = sees.collect();
        left.extend(groups(servers).difference(before).map(|group| group.display().to_string()));
        left
    };
    while Instant::now() < deadline && !left().is_empty() {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(left(), Vec::<String>::new());
    assert_eq!(quarantined(scene), Vec::<PathBuf>::new());
}

#[test]
fn a_server_under_load_loses_nothing_whatever_befalls_it() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let rounds = number("QUIRE_KILLS").unwrap_or(ROUNDS);
    let mut random = Random(number("QUIRE_SEED").unwrap_or(0x9e37_79b9_7f4a_7c15).max(1));
    let mut scene = scene();
    let mut met = Met::default();
    let (mut tasks, mut said, mut servers) = (Vec::new(), Said::new(), Vec::new());
    // Of processes that had the same numbers long ago, killed by somebody else.
    let before = groups(&[]);
    let begun = Instant::now();
    for round in 0..rounds {
        let server = serve(&scene, &["--slots", "4"]);
        servers.push(server.id());
        for n in 0..TASKS {
            tasks.push(submit(&scene, &format!("Go on, {round}.{n}.")));
        }
        if let Some(task) = tasks.get(usize::try_from(random.below(tasks.len() as u64)).unwrap()) {
            for word in ["first", "second"] {
                met.said += u64::from(say(&scene, *task, &format!("{round} {word}"), &mut said));
            }
        }
        std::thread::sleep(Duration::from_millis(random.below(1_500)));
        match random.below(8) {
            0 => {
                server.signal("TERM");
                let ended = server.end(Duration::from_secs(30));
                assert_eq!(ended.code(), Some(0));
                met.drains += 1;
            }
            1 => {
                server.signal("STOP");
                // Now and then for longer than a lease.
                let longer = rounds > 50 && random.below(4) == 0;
                std::thread::sleep(Duration::from_secs(if longer { 32 } else { 1 }));
                server.signal("CONT");
                std::thread::sleep(Duration::from_millis(300));
                server.kill();
                met.stops += 1;
            }
            2 => {
                // The next one asks it elsewhere.
                scene.stage.model_says(turns());
                std::thread::sleep(Duration::from_millis(500));
                server.kill();
                met.models_down += 1;
            }
            _ => {
                server.kill();
                met.kills += 1;
            }
        }
    }
    let last = serve(&scene, &["--slots", "4"]);
    servers.push(last.id());
    until_all_have_ended(&scene, &last);
    last.signal("TERM");
    assert_eq!(last.end(Duration::from_secs(30)).code(), Some(0));
    println!("{} tasks in {:?}: {met:?}", tasks.len(), begun.elapsed());
    let numbers: Vec<u64> = (1..=tasks.len() as u64).collect();
    assert_eq!(tasks, numbers, "every task that was acknowledged is there once");
    assert_eq!(list(&scene).len(), tasks.len());
    for task in tasks {
        expect_whole(&scene, task, said.get(&task).map_or(&[], Vec::as_slice));
    }
    // What the last ones left is swept when it is a little older, at a start.
    let swept = Instant::now() + Duration::from_secs(30);
    while !quarantined(&scene).is_empty() && Instant::now() < swept {
        let server = serve(&scene, &[]);
        std::thread::sleep(Duration::from_secs(1));
        servers.push(server.id());
        server.signal("TERM");
        assert_eq!(server.end(Duration::from_secs(30)).code(), Some(0));
    }
    expect_nothing_left(&scene, &servers, &before);
}

#[test]
fn a_server_that_is_told_to_end_lets_go_of_its_work_and_the_next_one_goes_on_with_it() {
    let scene = Scene::where_model_says([
        Turn::shell("echo one > one.txt; sleep 1; echo done"),
        Turn::shell("git add -A && git commit -qm One && cat one.txt"),
        Turn::say("One 【F:one.txt†L1】. No tests were run."),
        Turn::say("One 【F:one.txt†L1】. No tests were run."),
    ]);
    let first = serve(&scene, &[]);
    let second = scene.quire(["serve", "--listen", "0"]).expect_code(1);
    assert!(second.stderr.contains("already"), "{}", second.stderr);
    // Beside a server work goes on as without one.
    scene.quire(["run", "--json", "Go on."]).expect_code(0);
    submit(&scene, "Go on.");
    let begun = Instant::now();
    while scene.quire(["task", "logs", "2", "--json"]).bodies("command_started").is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{}", first.said());
    }

    first.signal("TERM");
    assert_eq!(first.end(Duration::from_secs(30)).code(), Some(0));

    assert_ne!(scene.show("2")["state"]["state"], "done");
    let next = serve(&scene, &[]);
    until_all_have_ended(&scene, &next);
    let log = scene.log("2");
    expect_in_order(&log);
    assert_eq!(outcome(&log), "changed");
    assert_eq!(log.bodies("suspended").len(), 0, "nothing that a person has to see to");
    assert_eq!(log.bodies("claimed").len(), 2);
    assert_eq!(log.bodies("command_started").len(), 2, "what had ended was not run again");
    next.signal("INT");
    assert_eq!(next.end(Duration::from_secs(30)).code(), Some(0));
}
