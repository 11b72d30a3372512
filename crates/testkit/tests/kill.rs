//! Killed at any moment and resumed, an attempt reaches the same kind of end, and its log has every
//! event once, in order.
//!
//! `QUIRE_KILLS=200 QUIRE_KILL_SEED=7 cargo xtask test -p quire-testkit killed` tries that many
//! moments by chance, all the way to the end.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what is not there is a failed test")]

use std::time::Duration;

use quire_testkit::{Ended, KillAt, Stage};
use serde_json::Value;

/// A number from 0 up to below `below`, from a small generator: the same every time.
fn pseudo_random(state: &mut u64, below: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % below
}

/// When to kill, and how long after to kill the resume as well.
type Moment = (KillAt<'static>, Option<Duration>);

/// Before anything, while the sandbox is made, between commands, behind the patch; once twice.
fn moments() -> Vec<Moment> {
    let again = Some(Duration::from_millis(60));
    let lines = [(1, None), (7, None), (9, again), (16, None), (24, None), (30, again)];
    lines.into_iter().map(|(line, again)| (KillAt::Line(line), again)).collect()
}

fn moments_by_chance(count: u64, seed: u64) -> Vec<Moment> {
    let mut state = seed;
    let moment = |number: u64| {
        let at = match number % 3 {
            0 => KillAt::After(Duration::from_millis(pseudo_random(&mut state, 900))),
            _ => KillAt::Line(usize::try_from(pseudo_random(&mut state, 60)).unwrap() + 1),
        };
        let again =
            (number % 4 == 1).then(|| Duration::from_millis(pseudo_random(&mut state, 600)));
        (at, again)
    };
    (0..count).map(moment).collect()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|count| count.parse().ok())
}

/// Resumes task 1, kills it at most once more, and gives its whole log when it has ended.
fn log_after_resumes(stage: &Stage, kill_again: Option<Duration>) -> Ended {
    if let Some(after) = kill_again {
        stage.quire(["task", "resume", "1", "--json"]).killed(KillAt::After(after));
    }
    let resumed = stage.quire(["task", "resume", "1", "--json"]).run();
    let log = stage.quire(["task", "logs", "1", "--json"]).run().expect_code(0);
    let ended = log.kinds().last().is_some_and(|kind| kind == "finished");
    assert!(ended, "resume gave {}\n{}\n{}", resumed.status, resumed.stderr, log.kinds().join(" "));
    log
}

fn expect_whole(log: &Ended, seen_before: &[Value]) {
    let events = log.json();
    let seqs: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    for (seen, kept) in seen_before.iter().zip(&events) {
        assert_eq!(seen["hash"], kept["hash"], "an event that was shown is another one now");
    }
    assert!(seen_before.len() <= events.len());
    let finished = log.bodies("finished");
    assert_eq!(finished.len(), 1, "{}", log.kinds().join(" "));
    assert_eq!(finished[0]["outcome"]["outcome"], "changed", "{}", log.stdout);
}

#[test]
fn an_attempt_that_was_killed_at_any_moment_is_finished_by_resume() {
    let seed = number("QUIRE_KILL_SEED").unwrap_or(0x9e37_79b9_7f4a_7c15);
    let moments =
        number("QUIRE_KILLS").map_or_else(moments, |count| moments_by_chance(count, seed));
    for (at, again) in moments {
        let mut stage = Stage::built();
        stage.plays_file("python-slugs");
        let repository = stage.repository("python-slugs");
        let request = ["run", "--json", "Make the failing tests pass."];

        let killed = stage.quire(request).in_repository(&repository).killed(at);

        println!("killed {at:?}, then {again:?}; {} events were shown", killed.json().len());
        let listed = stage.quire(["task", "list", "--json"]).run().expect_code(0);
        if listed.json().is_empty() {
            // It died before the task was written down: there is nothing to lose.
            assert!(killed.json().is_empty(), "events of a task that is not in the list");
            continue;
        }
        let log = log_after_resumes(&stage, again);
        expect_whole(&log, &killed.json());
        stage.quire(["verify", "1"]).run().expect_code(0);
    }
}
