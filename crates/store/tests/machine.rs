//! Whatever workers, people and crashes do, in whatever order: one valid writer per epoch, inputs
//! applied once and in order, and the store says what a plain model of it says.

#![allow(clippy::unwrap_used, reason = "a test")]

mod stage;

use proptest::prelude::*;
use quire_domain::attempt::{AttemptState, Outcome, SuspendReason};
use quire_domain::ids::{AttemptId, Epoch, TaskId};
use quire_store::{ClaimError, InputKind, ListFilter, NewInput, Store, StoreError};
use stage::{at, new_task, state};

const ATTEMPTS: usize = 3;
const WORKERS: usize = 3;
const LEASE: u64 = 1000;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A worker claims.
    Claim { worker: usize, attempt: usize },
    /// A worker that knows who held it to be dead takes over.
    TakeOver { worker: usize, attempt: usize },
    /// A worker renews with what it last was given.
    Renew { worker: usize, attempt: usize },
    /// A worker writes a state with what it last was given.
    Write { worker: usize, attempt: usize, state: usize },
    /// A worker applies the next input it sees.
    Apply { worker: usize, attempt: usize },
    /// A person says something, to one or to all.
    Say { attempt: Option<usize>, cancel: bool },
    /// The clock moves on.
    Wait { millis: u64 },
    /// A worker's process dies and comes back: its connection is dropped, not closed, and what it
    /// knew is gone; or, frozen and not dead, it comes back still believing its epoch.
    Crash { worker: usize, forgets: bool },
    /// A worker stops waiting for a write at some point of it.
    Abandon { worker: usize, attempt: usize, polls: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (w, a) = (0..WORKERS, 0..ATTEMPTS);
    let step = prop_oneof![
        4 => (w.clone(), a.clone()).prop_map(|(worker, attempt)| Step::Claim { worker, attempt }),
        1 => (w.clone(), a.clone()).prop_map(|(worker, attempt)| Step::TakeOver { worker, attempt }),
        3 => (w.clone(), a.clone()).prop_map(|(worker, attempt)| Step::Renew { worker, attempt }),
        4 => (w.clone(), a.clone(), 0..5_usize)
            .prop_map(|(worker, attempt, state)| Step::Write { worker, attempt, state }),
        4 => (w.clone(), a.clone()).prop_map(|(worker, attempt)| Step::Apply { worker, attempt }),
        3 => (proptest::option::of(a.clone()), any::<bool>())
            .prop_map(|(attempt, cancel)| Step::Say { attempt, cancel }),
        2 => (0..1500_u64).prop_map(|millis| Step::Wait { millis }),
        1 => (w.clone(), any::<bool>()).prop_map(|(worker, forgets)| Step::Crash { worker, forgets }),
        1 => (w, a, 0..12_usize)
            .prop_map(|(worker, attempt, polls)| Step::Abandon { worker, attempt, polls }),
    ];
    proptest::collection::vec(step, 1..60)
}

/// What the store should hold of an attempt.
#[derive(Debug, Clone)]
struct Expected {
    state: AttemptState,
    epoch: u32,
    lease_until: Option<u64>,
    losses: u32,
    /// Numbers of the inputs it was to see, in order.
    inputs: Vec<u64>,
    applied: Vec<u64>,
}

struct World {
    stage: stage::Stage,
    task: TaskId,
    ids: Vec<AttemptId>,
    stores: Vec<Store>,
    /// What each worker last was given for each attempt.
    tokens: [[Option<u32>; ATTEMPTS]; WORKERS],
    expected: Vec<Expected>,
    inputs: u64,
    now: u64,
}

impl World {
    async fn new() -> Self {
        let stage = stage::Stage::new().await;
        let submitted =
            stage.store.submit(new_task("fix", u8::try_from(ATTEMPTS).unwrap())).await.unwrap();
        let mut stores = Vec::new();
        for _ in 0..WORKERS {
            stores.push(stage.other().await);
        }
        let new = Expected {
            state: AttemptState::Queued,
            epoch: 0,
            lease_until: None,
            losses: 0,
            inputs: Vec::new(),
            applied: Vec::new(),
        };
        Self {
            task: submitted.task.id,
            ids: submitted.attempts.iter().map(|attempt| attempt.id).collect(),
            stores,
            tokens: [[None; ATTEMPTS]; WORKERS],
            expected: vec![new; ATTEMPTS],
            inputs: 0,
            now: 0,
            stage,
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Claim { worker, attempt } => self.claim(worker, attempt, None).await,
            Step::TakeOver { worker, attempt } => {
                let holder = self.expected[attempt].epoch;
                self.claim(worker, attempt, Some(holder)).await;
            }
            Step::Renew { worker, attempt } => {
                let Some(epoch) = self.tokens[worker][attempt] else { return };
                let until = self.now + LEASE;
                let done =
                    self.stores[worker].renew(self.ids[attempt], Epoch(epoch), at(until)).await;
                if self.valid(attempt, epoch, &done) {
                    self.expected[attempt].lease_until = Some(until);
                }
            }
            Step::Write { worker, attempt, state: next } => {
                let Some(epoch) = self.tokens[worker][attempt] else { return };
                let next = STATES[next].clone();
                let write = state(next.clone(), self.now);
                let done =
                    self.stores[worker].set_state(self.ids[attempt], Epoch(epoch), write).await;
                if self.valid(attempt, epoch, &done) {
                    let expected = &mut self.expected[attempt];
                    if !matches!(next, AttemptState::Preparing | AttemptState::Working) {
                        expected.lease_until = None;
                    }
                    expected.state = next;
                }
            }
            Step::Apply { worker, attempt } => self.apply(worker, attempt).await,
            Step::Say { attempt, cancel } => self.say(attempt, cancel).await,
            Step::Wait { millis } => self.now += millis,
            Step::Crash { worker, forgets } => {
                self.stores[worker] = self.stage.other().await;
                if forgets {
                    self.tokens[worker] = [None; ATTEMPTS];
                }
            }
            Step::Abandon { worker, attempt, polls } => self.abandon(worker, attempt, polls).await,
        }
    }

    /// Fails unless a write under `epoch` was accepted exactly where that epoch may write.
    fn valid(&self, attempt: usize, epoch: u32, done: &Result<(), StoreError>) -> bool {
        let expected = &self.expected[attempt];
        let valid = expected.epoch == epoch && expected.lease_until.is_some();
        match done {
            Ok(()) => assert!(valid, "epoch {epoch} wrote, {expected:?}"),
            Err(StoreError::Fenced { .. }) => assert!(!valid, "epoch {epoch} fenced, {expected:?}"),
            Err(other) => panic!("{other}"),
        }
        valid
    }

    async fn claim(&mut self, worker: usize, attempt: usize, dead: Option<u32>) {
        let (store, id, now) = (&self.stores[worker], self.ids[attempt], at(self.now));
        let claimed = match dead {
            None => store.claim(id, "w", now, LEASE).await,
            Some(epoch) => store.take_over(id, Epoch(epoch), "w", now, LEASE).await,
        };
        let expected = &mut self.expected[attempt];
        let done = matches!(expected.state, AttemptState::Done { .. });
        let held = expected.lease_until.is_some_and(|until| until > self.now) && dead.is_none();
        match claimed {
            Ok(claim) => {
                assert!(!done && !held, "claimed, {expected:?}");
                expected.epoch += 1;
                expected.losses += u32::from(expected.lease_until.is_some());
                expected.lease_until = Some(self.now + LEASE);
                expected.state = AttemptState::Preparing;
                assert_eq!((claim.epoch.0, claim.losses), (expected.epoch, expected.losses));
                self.tokens[worker][attempt] = Some(claim.epoch.0);
            }
            Err(ClaimError::Done) => assert!(done, "{expected:?}"),
            Err(ClaimError::Held { until, .. }) => {
                assert!(held && !done, "{expected:?}");
                assert_eq!(Some(until.0), expected.lease_until);
            }
            Err(ClaimError::Store(other)) => panic!("{other}"),
        }
    }

    async fn apply(&mut self, worker: usize, attempt: usize) {
        let Some(epoch) = self.tokens[worker][attempt] else { return };
        let (store, id) = (&self.stores[worker], self.ids[attempt]);
        let after = store.applied(id).await.unwrap();
        let Some(next) = store.inputs_after(id, after).await.unwrap().into_iter().next() else {
            return;
        };
        let done = store.set_applied(id, Epoch(epoch), next.number).await;
        if self.valid(attempt, epoch, &done) {
            self.expected[attempt].applied.push(next.number);
            let again = self.stores[worker].set_applied(id, Epoch(epoch), next.number).await;
            assert!(matches!(again, Err(StoreError::AlreadyApplied { .. })), "{again:?}");
        }
    }

    async fn say(&mut self, attempt: Option<usize>, cancel: bool) {
        let kind =
            if cancel { InputKind::Cancel } else { InputKind::Steer { text: "go".to_owned() } };
        let named = attempt.map(|attempt| self.ids[attempt]);
        let input = NewInput { task: self.task, attempt: named, kind, now: at(self.now) };
        let put = self.stage.store.put_input(input).await;
        let (now, mut any) = (self.now, false);
        for (place, expected) in self.expected.iter_mut().enumerate() {
            if attempt.is_none_or(|attempt| attempt == place) {
                any |= !matches!(expected.state, AttemptState::Done { .. });
            }
        }
        let number = match put {
            Ok(number) => number,
            Err(StoreError::NotPossible { .. }) => {
                return assert!(!any, "refused, though one works");
            }
            Err(other) => panic!("{other}"),
        };
        assert!(any, "said to what has ended");
        self.inputs += 1;
        assert_eq!(number, self.inputs);
        for (place, expected) in self.expected.iter_mut().enumerate() {
            if attempt.is_none_or(|attempt| attempt == place) {
                expected.inputs.push(number);
                let held = expected.lease_until.is_some_and(|until| until > now);
                if cancel && !held && expected.epoch == 0 {
                    expected.state = AttemptState::Done { outcome: Outcome::Cancelled };
                }
            }
        }
    }

    /// A write that was given up is there whole or not at all; either is taken for what happened.
    async fn abandon(&mut self, worker: usize, attempt: usize, polls: usize) {
        let Some(epoch) = self.tokens[worker][attempt] else { return };
        let write = state(AttemptState::Working, self.now);
        {
            let writing =
                self.stores[worker].set_state(self.ids[attempt], Epoch(epoch), write.clone());
            let mut writing = std::pin::pin!(writing);
            for _ in 0..polls {
                let polled = std::future::poll_fn(|cx| {
                    std::task::Poll::Ready(writing.as_mut().poll(cx).is_ready())
                });
                if polled.await {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // The next write of the same worker comes behind what may still be on its way.
        let settled =
            self.stores[worker].renew(self.ids[attempt], Epoch(epoch), at(self.now + LEASE));
        let settled = settled.await;
        if self.valid(attempt, epoch, &settled) {
            self.expected[attempt].lease_until = Some(self.now + LEASE);
            let found = self.stage.store.attempt_by_id(self.ids[attempt]).await.unwrap().state;
            assert!(found == self.expected[attempt].state || found == write.state, "{found:?}");
            self.expected[attempt].state = found;
        }
    }

    async fn check(&self) {
        let mut states = Vec::new();
        for (id, expected) in self.ids.iter().zip(&self.expected) {
            let found = self.stage.store.attempt_by_id(*id).await.unwrap();
            assert_eq!(found.state, expected.state);
            assert_eq!(found.epoch.0, expected.epoch);
            let lease = self.stage.store.lease(*id).await.unwrap();
            assert_eq!(lease.map(|lease| lease.until.0), expected.lease_until);
            let seen = self.stage.store.inputs_after(*id, 0).await.unwrap();
            let numbers: Vec<u64> = seen.iter().map(|input| input.number).collect();
            assert_eq!(numbers, expected.inputs);
            assert!(
                expected.inputs.starts_with(&expected.applied),
                "applied {:?} of {:?}",
                expected.applied,
                expected.inputs
            );
            states.push(found.state);
        }
        let page = self.stage.store.list(&ListFilter::default()).await.unwrap();
        let most = states.iter().map(AttemptState::urgency).min().unwrap();
        assert_eq!(page.tasks[0].state.urgency(), most);
        assert!(states.contains(&page.tasks[0].state));
        let free = |expected: &&Expected| match expected.lease_until {
            Some(until) => until <= self.now,
            None => expected.state == AttemptState::Queued,
        };
        let claimable = self.stage.store.claimable(at(self.now), 99).await.unwrap().len();
        assert_eq!(claimable, self.expected.iter().filter(free).count());
    }
}

const STATES: [AttemptState; 5] = [
    AttemptState::Working,
    AttemptState::WaitingForUser,
    AttemptState::Suspended { reason: SuspendReason::Paused },
    AttemptState::Done { outcome: Outcome::Changed },
    AttemptState::Done { outcome: Outcome::Cancelled },
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_writer_per_epoch_and_inputs_once_and_in_order(steps in steps()) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.take(step).await;
                world.check().await;
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_at_once_get_each_task_a_number_of_its_own_and_each_attempt_one_holder() {
    let stage = stage::Stage::new().await;
    let works = (0..6).map(|n| {
        let place = stage.place.clone();
        tokio::spawn(async move {
            // As another process would: with connections of its own.
            let store = place.open().await;
            let mut numbers = Vec::new();
            for _ in 0..10 {
                let task = store.submit(new_task("fix", 1)).await.unwrap();
                numbers.push(task.task.number.0);
            }
            let mut held = Vec::new();
            for attempt in store.claimable(at(0), 100).await.unwrap() {
                if store.claim(attempt.id, &format!("w{n}"), at(0), LEASE).await.is_ok() {
                    held.push(attempt.id);
                }
            }
            (numbers, held)
        })
    });
    let (mut numbers, mut held) = (Vec::new(), Vec::new());
    for work in works.collect::<Vec<_>>() {
        let (some, mine) = work.await.unwrap();
        numbers.extend(some);
        held.extend(mine);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=60).collect::<Vec<u64>>());
    let all = held.len();
    held.sort_unstable();
    held.dedup();
    assert_eq!(held.len(), all, "an attempt was claimed twice");
    let left = stage.store.claimable(at(0), 100).await.unwrap().len();
    assert_eq!(left + all, 60);
}
