//! Whatever happens to a turn's attempts, in whatever order: they move along the arrows alone, an
//! end is final, and the task shows the one that most needs a person.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use quire_domain::attempt::machine::{Change, Wish, allows, of_task, step};
use quire_domain::attempt::{Attempt, AttemptState, FailureKind, Outcome, SuspendReason};
use quire_domain::budget::{BudgetLimit, Spent};
use quire_domain::ids::{AttemptId, Epoch, TaskId, TurnId};
use quire_domain::time::Timestamp;
use uuid::Uuid;

/// The arrows, written down a second time, by the names that are stored.
const ARROWS: [(&str, &[&str]); 7] = [
    ("queued", &["preparing", "suspended", "done"]),
    (
        "preparing",
        &["preparing", "working", "waiting_for_user", "waiting_for_approval", "suspended", "done"],
    ),
    (
        "working",
        &["preparing", "working", "waiting_for_user", "waiting_for_approval", "suspended", "done"],
    ),
    (
        "waiting_for_user",
        &["queued", "preparing", "working", "waiting_for_user", "suspended", "done"],
    ),
    (
        "waiting_for_approval",
        &["queued", "preparing", "working", "waiting_for_approval", "suspended", "done"],
    ),
    ("suspended", &["queued", "preparing", "suspended", "done"]),
    ("done", &[]),
];

/// Who needs a person most, first.
const NEEDS: [&str; 6] = ["waiting_for", "suspended", "working", "preparing", "queued", "done"];

fn name(state: &AttemptState) -> String {
    serde_json::to_value(state).unwrap()["state"].as_str().unwrap().to_owned()
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Answered),
        Just(Outcome::Changed),
        Just(Outcome::NoChange),
        Just(Outcome::Refused { words: "No.".to_owned() }),
        Just(Outcome::Cancelled),
        Just(Outcome::Failed { kind: FailureKind::Stuck, detail: "Round.".to_owned() }),
    ]
}

fn changes() -> impl Strategy<Value = Change> {
    let reason = prop_oneof![
        Just(SuspendReason::Budget { limit: BudgetLimit::ModelCalls }),
        Just(SuspendReason::Quota),
        Just(SuspendReason::Paused),
        Just(SuspendReason::WorkerLost),
        Just(SuspendReason::DiskFull),
    ];
    prop_oneof![
        2 => Just(Change::Offer),
        4 => Just(Change::Claim),
        5 => Just(Change::Work),
        2 => Just(Change::Ask),
        2 => Just(Change::Propose),
        2 => reason.prop_map(Change::StandStill),
        1 => outcomes().prop_map(Change::End),
    ]
}

fn attempt(ordinal: u8) -> Attempt {
    let id = Uuid::from_u128(u128::from(ordinal));
    Attempt {
        id: AttemptId(id),
        turn: TurnId(id),
        task: TaskId(id),
        ordinal,
        state: AttemptState::Queued,
        epoch: Epoch(0),
        spent: Spent::default(),
        result: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn attempts_move_along_the_arrows_alone_and_the_task_shows_who_most_needs_a_person(
        count in 1..=4_u8,
        chosen in proptest::option::of(1..=4_u8),
        happens in proptest::collection::vec((0..4_usize, changes()), 0..60),
    ) {
        let mut attempts: Vec<Attempt> = (1..=count).map(attempt).collect();
        let chosen = chosen.map(|ordinal| attempt(ordinal).id);
        for (place, change) in happens {
            let place = place % attempts.len();
            let before = attempts[place].state.clone();
            let wanted = change.clone();
            match step(&before, change) {
                Ok(after) => {
                    let arrows = ARROWS.iter().find(|(from, _)| *from == name(&before)).unwrap().1;
                    prop_assert!(arrows.contains(&name(&after).as_str()), "{before:?} → {after:?}");
                    prop_assert_eq!(Change::from(after.clone()), wanted);
                    attempts[place].state = after;
                }
                Err(refused) => {
                    prop_assert_eq!(&refused.state, &before);
                    prop_assert!(refused.told("7").starts_with("task 7 "), "{}", refused.told("7"));
                }
            }

            let shown = of_task(&attempts, chosen).unwrap();
            let needs = |state: &AttemptState| {
                NEEDS.iter().position(|word| name(state).starts_with(word)).unwrap()
            };
            let most = attempts.iter().map(|attempt| needs(&attempt.state)).min().unwrap();
            prop_assert_eq!(needs(shown), most);
            let all_done = attempts.iter().all(|attempt| name(&attempt.state) == "done");
            let of_chosen = attempts.iter().find(|attempt| Some(attempt.id) == chosen);
            if let (true, Some(of_chosen)) = (all_done, of_chosen) {
                prop_assert_eq!(shown, &of_chosen.state);
            }
        }
        for attempt in &attempts {
            let cancel = step(&attempt.state, Change::End(Outcome::Cancelled));
            if matches!(attempt.state, AttemptState::Done { .. }) {
                prop_assert!(cancel.is_err());
                prop_assert!(allows(&attempt.state, Wish::Cancel).is_err());
            } else {
                prop_assert_eq!(cancel, Ok(AttemptState::Done { outcome: Outcome::Cancelled }));
                prop_assert!(allows(&attempt.state, Wish::Cancel).is_ok());
            }
            // There is always something a person can do.
            prop_assert!(Wish::ALL.iter().any(|wish| allows(&attempt.state, *wish).is_ok()));
        }
    }
}

#[test]
fn each_refusal_names_the_task_and_what_to_do_instead() {
    let done = AttemptState::Done { outcome: Outcome::Changed };
    let told = allows(&done, Wish::Steer).unwrap_err().told("7");
    assert!(told.starts_with("task 7 has ended (changed): follow up with `quire task message 7"));
    let suspended = AttemptState::Suspended { reason: SuspendReason::Paused };
    let told = allows(&suspended, Wish::Pause).unwrap_err().told("7.2");
    assert!(told.starts_with("task 7.2 stands still (paused): go on with `quire task resume 7.2`"));
    let told = allows(&AttemptState::Working, Wish::Answer).unwrap_err().told("7");
    assert!(told.starts_with("task 7 is at work: "), "{told}");
}
