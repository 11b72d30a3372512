//! Death: killed at any moment, an attempt goes on from its log and reaches the same kind of end.
//!
//! `QUIRE_KILLS=200 cargo test -p quire --test scenarios death -- --nocapture` tries that many
//! kills and prints what they met; `QUIRE_SEED` gives other moments.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use quire_testkit::{Call, Ended, KillAt, Turn};
use serde_json::Value;

use crate::scene::{Scene, commits, expect_in_order, outcome, verdicts};

/// Kills where nobody says how many.
const KILLS: u64 = 12;

/// A task that is killed this often has been killed enough.
const MOST_DEATHS: u64 = 3;

/// A model that looks before it repeats what may have been cut off, as it is told to: so whatever
/// a death took, one line and one commit are what comes of it.
fn careful() -> Scene {
    let patch = "*** Begin Patch\n*** Update File: CHANGES.md\n@@ ## Unreleased\n \n\
                 +- Counted.\n+\n ## 1.1\n*** End Patch\n";
    let edit = "grep -q Counted CHANGES.md || sed -i '4a - Counted.' CHANGES.md";
    let commit = "rm -f .git/index.lock; git diff --quiet || git commit -qam 'Count'; git log --format=%s -n 1";
    let mut turns = vec![
        Turn::shell("git ls-files"),
        Turn::shell("python3 -m unittest tests.test_unique"),
        Turn::call_text("apply_patch", patch),
    ];
    turns.extend([edit, edit, edit, commit, commit, commit, commit].map(Turn::shell));
    let answer = "Counted 【F:CHANGES.md†L5】. The tests were not run whole.";
    turns.extend(std::iter::repeat_n(Turn::say(answer), 8));
    Scene::where_model_says(turns)
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

    /// A moment of a run that takes about so long and prints so many events.
    fn moment(&mut self, of: &Undisturbed) -> KillAt<'static> {
        if self.below(2) == 0 {
            KillAt::After(Duration::from_millis(self.below(of.millis)))
        } else {
            KillAt::Line(usize::try_from(self.below(of.events)).unwrap() + 1)
        }
    }
}

/// What a run is like that nobody kills.
struct Undisturbed {
    millis: u64,
    events: u64,
}

impl Undisturbed {
    fn measure() -> Self {
        let ended = start(&careful()).run().expect_code(0);
        let millis = u64::try_from(ended.took.as_millis()).unwrap();
        Self { millis, events: ended.json().len() as u64 }
    }
}

/// The run that is killed.
fn start(scene: &Scene) -> Call {
    scene.call(["run", "--json", "Go on.", "--check", "grep -c Counted CHANGES.md"])
}

/// What befell one task.
#[derive(Debug, Default)]
struct Fate {
    deaths: u64,
    before_it_was_submitted: bool,
    after_its_last_event: bool,
    commands_cut_off: usize,
    requests_asked_again: usize,
}

/// Kills a run at a moment, resumes it (and kills that too, sometimes), and looks at what is left.
fn kill_and_resume(random: &mut Random, undisturbed: &Undisturbed) -> Fate {
    let scene = careful();
    let mut fate = Fate::default();
    let mut seen: Vec<Value> = Vec::new();
    let mut last = start(&scene).killed(random.moment(undisturbed));
    loop {
        seen.extend(last.json());
        if !last.was_killed() {
            last.expect_code(0);
            break;
        }
        fate.deaths += 1;
        let listed = || scene.quire(["task", "list", "--json"]).expect_code(0).json().len();
        if seen.is_empty() && listed() == 0 {
            fate.before_it_was_submitted = true;
            return fate;
        }
        let resume = ["task", "resume", "1", "--json"];
        last = if fate.deaths < MOST_DEATHS && random.below(4) == 0 {
            scene.call(resume).killed(random.moment(undisturbed))
        } else {
            scene.quire(resume)
        };
        if last.code() == Some(2) && last.stderr.contains("has ended") {
            // The kill came between its last event and the end of the process.
            fate.after_its_last_event = true;
            break;
        }
    }
    let log = scene.log("1");
    expect_whole(&scene, &log, &seen);
    let cut_off = log.bodies("interrupted");
    fate.commands_cut_off = cut_off.iter().filter(|one| one["what"].is_object()).count();
    fate.requests_asked_again = cut_off.len() - fate.commands_cut_off;
    fate
}

/// The log in short, for the words of a failure.
fn story(log: &Ended) -> String {
    let line = |event: Value| {
        let body: String = event["body"].to_string().chars().take(160).collect();
        format!("{} {} {} {body}", event["seq"], event["epoch"], event["kind"])
    };
    log.json().into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Nothing is lost, doubled or out of order, and the end is the one that an undisturbed run has.
fn expect_whole(scene: &Scene, log: &Ended, seen: &[Value]) {
    expect_in_order(log);
    let events = log.json();
    let by_number: BTreeMap<u64, &Value> =
        events.iter().map(|event| (event["seq"].as_u64().unwrap(), event)).collect();
    for event in seen {
        let kept = by_number.get(&event["seq"].as_u64().unwrap());
        let kept = kept.unwrap_or_else(|| panic!("an event that was shown is lost: {event}"));
        assert_eq!(kept["hash"], event["hash"], "an event that was shown is another one now");
    }
    assert_eq!(outcome(log), "changed", "{}", story(log));
    assert_eq!(commits(log), ["agent: Count"], "{}", story(log));
    assert!(log.bodies("patch_applied").len() <= 1, "a patch is applied once");
    let started = log.bodies("command_started");
    let finished = log.bodies("command_finished");
    let mut chunks: Vec<&str> = started.iter().map(|one| one["chunk"].as_str().unwrap()).collect();
    chunks.sort_unstable();
    let mut ended: Vec<&str> =
        finished.iter().map(|one| one["chunk"]["id"].as_str().unwrap()).collect();
    ended.sort_unstable();
    assert_eq!(chunks, ended, "each command that began has one end");
    let calls: Vec<&str> =
        started.iter().filter_map(|one| one["purpose"]["call"].as_str()).collect();
    let mut once = calls.clone();
    once.dedup();
    assert_eq!(calls, once, "a call was run twice");
    let shown = scene.show("1");
    assert_eq!(verdicts(&shown), ["resolved"], "{}", story(log));
    assert_eq!(shown["state"]["state"], "done");
    scene.quire(["verify", "1"]).expect_code(0);
    scene.quire(["task", "apply", "1"]).expect_code(0);
    assert_eq!(scene.repository.read("CHANGES.md").matches("- Counted.").count(), 1);
}

#[test]
fn killed_at_any_moment_and_resumed_a_run_ends_as_it_would_have_with_nothing_lost_or_doubled() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let wanted = number("QUIRE_KILLS").unwrap_or(KILLS);
    let undisturbed = Undisturbed::measure();
    let begun = Instant::now();
    let mut random = Random(number("QUIRE_SEED").unwrap_or(0x9e37_79b9_7f4a_7c15).max(1));
    let mut fates = Vec::new();
    let mut deaths = 0;
    while deaths < wanted {
        let fate = kill_and_resume(&mut random, &undisturbed);
        println!("{}: {fate:?}", fates.len() + 1);
        deaths += fate.deaths;
        fates.push(fate);
        assert!(fates.len() as u64 <= 4 * wanted + 20, "most ended before they were killed");
    }
    let count = |is: fn(&Fate) -> bool| fates.iter().filter(|fate| is(fate)).count();
    println!(
        "{} tasks in {:?}: {deaths} kills; {} before it was submitted, {} after its last event, {} ended \
         before the kill; {} commands cut off, {} requests asked again",
        fates.len(),
        begun.elapsed(),
        count(|fate| fate.before_it_was_submitted),
        count(|fate| fate.after_its_last_event),
        count(|fate| fate.deaths == 0),
        fates.iter().map(|fate| fate.commands_cut_off).sum::<usize>(),
        fates.iter().map(|fate| fate.requests_asked_again).sum::<usize>(),
    );
}

#[test]
fn a_command_that_was_cut_off_is_not_run_again_and_the_model_is_told() {
    let scene = Scene::where_model_says([
        Turn::shell("true"),
        Turn::shell("echo ran >> runs.log; sleep 20; echo ended"),
        Turn::shell("touch runs.log; wc -l < runs.log; rm runs.log"),
        Turn::say("It ran once at most 【{{chunk 3}}†L1】."),
    ]);
    let moment = KillAt::Nth("command_started", 2);
    let killed = scene.call(["run", "--json", "Go on."]).killed(moment);
    assert!(killed.was_killed(), "{}", killed.stdout);

    let resumed = scene.quire(["task", "resume", "1", "--json"]).expect_code(0);

    assert!(resumed.took < Duration::from_secs(20), "the command was waited for");
    let log = scene.log("1");
    expect_in_order(&log);
    let answers = log.bodies("tool_answered");
    let text = |index: usize| answers[index]["parts"][0]["text"].as_str().unwrap().to_owned();
    assert!(text(1).contains("cut off") && text(1).contains("not run again"), "{}", text(1));
    let runs = text(2);
    assert!(matches!(runs.lines().nth(1), Some("0" | "1")), "{runs}");
    assert_eq!(log.bodies("command_finished")[1]["ended_by"], "sandbox_gone");
    assert_eq!(log.bodies("command_started").len(), 3);
}

#[test]
fn what_was_killed_is_listed_as_cut_off_and_resume_of_what_has_ended_says_so() {
    let scene = Scene::of("python-slugs");
    let killed = scene.call(["run", "--json", "Go on."]).killed(KillAt::Event("patch_applied"));
    assert!(killed.was_killed());
    let list = scene.quire(["task", "list"]).expect_code(0);
    assert!(list.stdout.contains("cut off"), "{}", list.stdout);
    assert!(list.stderr.contains("quire task resume 1"), "{}", list.stderr);
    scene.quire(["task", "resume", "1"]).expect_code(0);
    let ended = scene.quire(["task", "resume", "1"]).expect_code(2);
    assert!(
        ended.stderr.contains("has ended") && ended.stderr.contains("quire task message 1"),
        "{}",
        ended.stderr
    );
}
