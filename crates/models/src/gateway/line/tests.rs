//! Properties of the line under a clock of its own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use quire_domain::ids::UserId;

use super::*;

fn person(number: u8) -> UserId {
    format!("00000000-0000-7000-8000-{number:012}").parse().unwrap()
}

/// Lets everybody go as the rule says, each under way for no time; gives who went when.
fn run(mut line: Line, asks: &[(u8, u64)], start: Instant) -> Vec<(u8, Duration)> {
    for (ticket, (who, tokens)) in asks.iter().enumerate() {
        line.join(person(*who), ticket as u64, *tokens);
    }
    let (mut now, mut went) = (start, Vec::new());
    loop {
        match line.next(now) {
            Next::Go(ticket) => {
                went.push((asks[usize::try_from(ticket).unwrap()].0, now - start));
                line.let_in();
                line.leave(true);
            }
            Next::Wait(wait) => {
                assert!(wait > Duration::ZERO && wait <= Duration::from_hours(1), "{wait:?}");
                now += wait;
            }
            Next::Full => panic!("nobody is inside"),
            Next::Nobody => return went,
        }
    }
}

proptest! {
    #[test]
    fn everybody_goes_in_turn_and_no_minute_holds_more_than_is_allowed(
        asks in prop::collection::vec((0..6_u8, 1..4_000_u64), 1..200),
        per_minute in 1..100_u32,
        tokens in 1_000..100_000_u64,
    ) {
        let limits = Limits {
            requests_per_minute: Some(per_minute),
            tokens_per_minute: Some(tokens),
            concurrent: None,
        };
        let start = Instant::now();
        let went = run(Line::new(&limits, start), &asks, start);
        prop_assert_eq!(went.len(), asks.len(), "somebody starved");

        // Of any two who both still wait nobody is more than one ahead.
        let mut left: HashMap<u8, usize> = HashMap::new();
        for (who, _) in &asks {
            *left.entry(*who).or_default() += 1;
        }
        let mut gone: HashMap<u8, usize> = HashMap::new();
        for (who, _) in &went {
            *gone.entry(*who).or_default() += 1;
            *left.get_mut(who).unwrap() -= 1;
            let most = *gone.values().max().unwrap();
            let least = left.iter().filter(|(_, left)| **left > 0)
                .map(|(who, _)| gone.get(who).copied().unwrap_or(0)).min();
            prop_assert!(least.is_none_or(|least| most <= least + 1), "{went:?}");
        }

        // A full bucket and what a minute fills: never more than two minutes' worth in one.
        for (at, (_, from)) in went.iter().enumerate() {
            let within = went[at..].iter().take_while(|(_, t)| *t < *from + Duration::from_mins(1));
            prop_assert!(within.count() <= 2 * per_minute as usize + 1);
        }
    }

    #[test]
    fn whatever_happens_as_many_are_inside_as_went_and_did_not_leave(
        steps in prop::collection::vec((0..6_u8, 0..4_u8, 0..90_u64), 1..300),
        seats in 1..5_u32,
    ) {
        let limits = Limits { concurrent: Some(seats), ..Limits::default() };
        let start = Instant::now();
        let (mut line, mut now) = (Line::new(&limits, start), start);
        let (mut inside, mut waiting): (Vec<Ticket>, Vec<(UserId, Ticket)>) = Default::default();
        for (ticket, (what, who, amount)) in steps.into_iter().enumerate() {
            match what {
                0 | 1 => {
                    line.join(person(who), ticket as u64, amount);
                    waiting.push((person(who), ticket as u64));
                }
                2 if !waiting.is_empty() => {
                    let at = usize::from(who) % waiting.len();
                    let (person, ticket) = waiting.remove(at);
                    line.forget(person, ticket);
                }
                3 if !inside.is_empty() => {
                    inside.pop();
                    if who > 1 { line.let_in(); }
                    line.leave(who > 1);
                }
                4 => line.close(now + Duration::from_secs(amount), now),
                _ => now += Duration::from_secs(amount),
            }
            while let Next::Go(ticket) = line.next(now) {
                let at = waiting.iter().position(|(_, waiting)| *waiting == ticket);
                prop_assert!(at.is_some(), "one went that did not wait");
                waiting.remove(at.unwrap());
                inside.push(ticket);
                prop_assert!(inside.len() <= seats as usize);
                prop_assert!(line.closed_for(now).is_none());
            }
            prop_assert_eq!(line.waiting(), waiting.len());
        }
        // All leave, and nobody waits for ever.
        now += Duration::from_secs(90);
        for _ in 0..1_000 {
            match line.next(now) {
                Next::Go(_) => { line.let_in(); line.leave(true); }
                Next::Full => { prop_assert!(inside.pop().is_some()); line.leave(false); }
                Next::Wait(wait) => now += wait,
                Next::Nobody => break,
            }
        }
        prop_assert_eq!(line.waiting(), 0);
    }
}

#[test]
fn after_a_pause_one_goes_first_and_each_that_is_let_in_makes_room_for_two() {
    let start = Instant::now();
    let mut line = Line::new(&Limits::default(), start);
    (0..20).for_each(|ticket| line.join(person(1), ticket, 1));
    line.close(start + Duration::from_secs(30), start);
    line.close(start + Duration::from_secs(5), start);
    assert_eq!(line.next(start), Next::Wait(Duration::from_secs(30)));
    let mut now = start + Duration::from_secs(30);
    let round = |line: &mut Line, now: Instant| {
        let mut went = 0;
        while let Next::Go(_) = line.next(now) {
            went += 1;
        }
        went
    };
    assert_eq!(round(&mut line, now), 1);
    assert!(matches!(line.next(now), Next::Wait(_)), "it is not known how that one fares");
    line.let_in();
    assert_eq!(round(&mut line, now), 2);
    // One of the two is sent away, so is the other: half as many from then on.
    for _ in 0..2 {
        line.close(now + Duration::from_secs(10), now);
        line.leave(false);
    }
    assert_eq!(round(&mut line, now), 0);
    now += Duration::from_secs(10);
    assert_eq!(round(&mut line, now), 1);
    // An answer that takes its time holds nobody up for ever.
    assert_eq!(line.next(now), Next::Wait(Duration::from_secs(2)));
    now += Duration::from_secs(2);
    assert_eq!(round(&mut line, now), 1);
}
