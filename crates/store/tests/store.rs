//! The store on a real file: what was written is read back, and who may write.

mod stage;

use quire_domain::attempt::{AttemptResult, AttemptState, DiffStat, Outcome, SuspendReason};
use quire_domain::budget::{Budget, MicroDollars, Spent};
use quire_domain::ids::{AttemptRef, CommitId, Epoch, TaskNumber};
use quire_domain::task::StartPoint;
use quire_store::{ClaimError, FollowUp, InputKind, ListFilter, NewInput, StoreError, Submission};
use stage::{Stage, at, new_task, request, state};

#[tokio::test]
async fn a_submitted_task_is_read_back_by_another_process_as_it_was() {
    let stage = Stage::new().await;
    let submitted = stage.store.submit(new_task("fix the login", 2)).await.unwrap();
    assert_eq!(submitted.task.number, TaskNumber(1));
    assert_eq!(submitted.turn.request, request("fix the login", 2));
    assert_eq!(submitted.turn.chosen, None);
    assert_eq!(submitted.attempts.len(), 2);
    assert!(submitted.attempts.iter().all(|a| a.state == AttemptState::Queued));

    let other = stage.other().await;
    assert_eq!(other.task(TaskNumber(1)).await.unwrap(), submitted.task);
    assert_eq!(other.task_by_id(submitted.task.id).await.unwrap(), submitted.task);
    assert_eq!(
        other.turns(submitted.task.id).await.unwrap(),
        std::slice::from_ref(&submitted.turn)
    );
    assert_eq!(other.turn(submitted.turn.id).await.unwrap(), submitted.turn);
    assert_eq!(other.attempts(submitted.turn.id).await.unwrap(), submitted.attempts);
    assert_eq!(other.origin(submitted.turn.id).await.unwrap().as_deref(), Some("{\"ref\":1}"));
    assert_eq!(other.origins().await.unwrap(), ["{\"ref\":1}"]);
    let second = other.submit(new_task("another", 1)).await.unwrap();
    assert_eq!(second.task.number, TaskNumber(2));
}

#[tokio::test]
async fn a_repeated_submit_gives_the_first_task_and_a_reused_key_is_refused() {
    let stage = Stage::new().await;
    let mut new = new_task("fix", 1);
    new.idempotency_key = Some("k".to_owned());
    let first = stage.store.submit(new.clone()).await.unwrap();
    let again = stage.store.submit(new.clone()).await.unwrap();
    assert_eq!(again, Submission { repeated: true, ..first });
    new.request.prompt = "something else".to_owned();
    let refused = stage.store.submit(new).await.unwrap_err();
    assert!(matches!(refused, StoreError::KeyReused { .. }), "{refused}");
    assert_eq!(stage.store.list(&ListFilter::default()).await.unwrap().tasks.len(), 1);
}

#[tokio::test]
async fn the_first_of_several_attempts_decides_where_all_start() {
    let stage = Stage::new().await;
    let mut new = new_task("fix", 2);
    new.idempotency_key = Some("k".to_owned());
    let task = stage.store.submit(new.clone()).await.unwrap();
    let start = |digit: &str| StartPoint {
        base: CommitId::parse(&digit.repeat(40)).unwrap(),
        head: CommitId::parse(&digit.repeat(40)).unwrap(),
        branch: None,
        uncommitted: 0,
    };
    assert_eq!(stage.store.set_start(task.turn.id, start("a")).await.unwrap(), start("a"));
    assert_eq!(stage.store.set_start(task.turn.id, start("b")).await.unwrap(), start("a"));
    assert_eq!(stage.store.turn(task.turn.id).await.unwrap().request.start, Some(start("a")));
    assert!(stage.store.submit(new).await.unwrap().repeated);
}

#[tokio::test]
async fn a_second_worker_gets_an_attempt_when_the_first_one_s_lease_ran_out_and_fences_it() {
    let stage = Stage::new().await;
    let attempt = stage.submit_one().await;
    let first = stage.store.claim(attempt, "a", at(0), 1000).await.unwrap();
    assert_eq!((first.epoch, first.losses), (Epoch(1), 0));

    let held = stage.store.claim(attempt, "b", at(999), 1000).await.unwrap_err();
    assert!(
        matches!(held, ClaimError::Held { worker, until } if worker == "a" && until == at(1000))
    );
    stage.store.renew(attempt, first.epoch, at(2000)).await.unwrap();
    assert!(stage.store.claim(attempt, "b", at(1500), 1000).await.is_err());
    assert_eq!(stage.store.claimable(at(1500), 9).await.unwrap(), []);
    assert_eq!(stage.store.claimable(at(2000), 9).await.unwrap().len(), 1);

    let second = stage.store.claim(attempt, "b", at(2000), 1000).await.unwrap();
    assert_eq!((second.epoch, second.losses), (Epoch(2), 1));
    let write = state(AttemptState::Working, 2001);
    for refused in [
        stage.store.set_state(attempt, first.epoch, write.clone()).await,
        stage.store.renew(attempt, first.epoch, at(9000)).await,
        stage.store.set_applied(attempt, first.epoch, 1).await,
        stage.store.set_spent(attempt, first.epoch, Spent::default()).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    }
    stage.store.set_state(attempt, second.epoch, write).await.unwrap();
    assert_eq!(stage.store.attempt_by_id(attempt).await.unwrap().state, AttemptState::Working);
}

#[tokio::test]
async fn a_holder_known_to_be_dead_is_followed_at_once_but_only_by_one() {
    let stage = Stage::new().await;
    let attempt = stage.submit_one().await;
    let dead = stage.store.claim(attempt, "a", at(0), 30_000).await.unwrap().epoch;
    let lease = stage.store.lease(attempt).await.unwrap().unwrap();
    assert_eq!((lease.worker.as_str(), lease.epoch, lease.until), ("a", dead, at(30_000)));
    let next = stage.store.take_over(attempt, dead, "b", at(1), 30_000).await.unwrap();
    assert_eq!((next.epoch, next.losses), (Epoch(2), 1));
    let late = stage.store.take_over(attempt, dead, "c", at(2), 30_000).await.unwrap_err();
    assert!(matches!(late, ClaimError::Held { worker, .. } if worker == "b"));
}

#[tokio::test]
async fn what_ended_is_not_claimed_again_and_what_stands_still_is() {
    let stage = Stage::new().await;
    let attempt = stage.submit_one().await;
    let epoch = stage.store.claim(attempt, "a", at(0), 1000).await.unwrap().epoch;
    let suspended = AttemptState::Suspended { reason: SuspendReason::Paused };
    stage.store.set_state(attempt, epoch, state(suspended, 1)).await.unwrap();
    assert_eq!(stage.store.lease(attempt).await.unwrap(), None);
    let late = stage.store.set_state(attempt, epoch, state(AttemptState::Working, 2)).await;
    assert!(matches!(late, Err(StoreError::Fenced { .. })));

    let claim = stage.store.claim(attempt, "a", at(3), 1000).await.unwrap();
    assert_eq!((claim.epoch, claim.losses), (Epoch(2), 0));
    let mut done = state(AttemptState::Done { outcome: Outcome::Changed }, 4);
    let stat = DiffStat { files: 1, added: 2, removed: 3 };
    done.result = Some(AttemptResult { diff_stat: Some(stat), ..AttemptResult::default() });
    done.spent.cost = MicroDollars(7);
    stage.store.set_state(attempt, claim.epoch, done.clone()).await.unwrap();
    let again = stage.store.claim(attempt, "a", at(9999), 1000).await;
    assert!(matches!(again, Err(ClaimError::Done)));
    let found = stage.store.attempt_by_id(attempt).await.unwrap();
    assert_eq!((found.result, found.spent, found.updated_at), (done.result, done.spent, at(4)));
}

#[tokio::test]
async fn a_follow_up_continues_the_chosen_attempt_of_a_turn_that_ended() {
    let stage = Stage::new().await;
    let first = stage.store.submit(new_task("fix", 2)).await.unwrap();
    let follow = FollowUp {
        task: first.task.id,
        request: request("and the docs", 1),
        continues: None,
        origin: None,
        idempotency_key: None,
        offered: false,
        now: at(50),
    };
    let open = stage.store.follow_up(follow.clone()).await.unwrap_err();
    assert!(matches!(open, StoreError::TurnOpen { .. }));
    for attempt in &first.attempts {
        stage.end(attempt.id, Outcome::Changed).await;
    }
    let unchosen = stage.store.follow_up(follow.clone()).await.unwrap_err();
    assert!(matches!(unchosen, StoreError::NotChosen { attempts: 2, .. }));
    let by_number = AttemptRef { task: first.task.number, ordinal: None };
    assert!(matches!(stage.store.attempt(by_number).await, Err(StoreError::NotChosen { .. })));

    let winner = first.attempts[1].id;
    stage.store.choose(first.turn.id, winner, at(39)).await.unwrap();
    assert_eq!(stage.store.attempt(by_number).await.unwrap().id, winner);
    stage.store.archive(first.task.id, at(40)).await.unwrap();
    let second = stage.store.follow_up(follow.clone()).await.unwrap();
    assert_eq!((second.turn.ordinal, second.continues), (2, Some(winner)));
    assert_eq!(second.task.archived_at, None);

    let third = {
        stage.end(second.attempts[0].id, Outcome::Cancelled).await;
        stage.store.follow_up(FollowUp { now: at(60), ..follow }).await.unwrap()
    };
    let chain = stage.store.continued(third.attempts[0].id).await.unwrap();
    assert_eq!(chain, [second.attempts[0].id, winner]);
    let named = AttemptRef { task: first.task.number, ordinal: Some(1) };
    assert_eq!(stage.store.attempt(named).await.unwrap().id, third.attempts[0].id);
}

#[tokio::test]
async fn a_task_shows_the_attempt_that_most_needs_a_person_and_lists_find_it_by_that() {
    let stage = Stage::new().await;
    let task = stage.store.submit(new_task("Fix the Login", 3)).await.unwrap();
    stage.store.submit(new_task("other", 1)).await.unwrap();
    let epoch = |n: usize| stage.store.claim(task.attempts[n].id, "w", at(1), 1000);
    let (a, b) = (epoch(0).await.unwrap().epoch, epoch(1).await.unwrap().epoch);
    stage.store.set_state(task.attempts[0].id, a, state(AttemptState::Working, 2)).await.unwrap();
    let waiting = state(AttemptState::WaitingForUser, 3);
    stage.store.set_state(task.attempts[1].id, b, waiting).await.unwrap();

    let words = |states: &[&str]| ListFilter {
        states: states.iter().map(|s| (*s).to_owned()).collect(),
        ..ListFilter::default()
    };
    let found = stage.store.list(&words(&["waiting"])).await.unwrap();
    assert_eq!(found.tasks.len(), 1);
    assert_eq!(found.tasks[0].task, task.task);
    assert_eq!(found.tasks[0].state, AttemptState::WaitingForUser);
    assert_eq!(found.tasks[0].attempts.len(), 3);
    assert_eq!(found.tasks[0].updated_at, at(3));
    assert_eq!(stage.store.list(&words(&["working"])).await.unwrap().tasks, []);

    for attempt in &task.attempts {
        stage
            .end(
                attempt.id,
                if attempt.ordinal == 1 { Outcome::NoChange } else { Outcome::Changed },
            )
            .await;
    }
    assert_eq!(stage.store.list(&words(&["no change"])).await.unwrap().tasks.len(), 1);
    stage.store.choose(task.turn.id, task.attempts[2].id, at(40)).await.unwrap();
    assert_eq!(stage.store.list(&words(&["changed"])).await.unwrap().tasks.len(), 1);
    assert_eq!(stage.store.list(&words(&["done"])).await.unwrap().tasks.len(), 1);
    let text = ListFilter { text: Some("lOGin".to_owned()), ..ListFilter::default() };
    assert_eq!(stage.store.list(&text).await.unwrap().tasks.len(), 1);
    let wild = ListFilter { text: Some("%".to_owned()), ..ListFilter::default() };
    assert_eq!(stage.store.list(&wild).await.unwrap().tasks, []);
}

#[tokio::test]
async fn pages_go_through_all_tasks_once_newest_first() {
    let stage = Stage::new().await;
    for n in 0..7 {
        stage.store.submit(new_task(&format!("task {n}"), 1)).await.unwrap();
    }
    let archived = stage.store.task(TaskNumber(4)).await.unwrap();
    stage.store.archive(archived.id, at(1)).await.unwrap();
    let mut filter = ListFilter { limit: 2, ..ListFilter::default() };
    let mut seen = Vec::new();
    loop {
        let page = stage.store.list(&filter).await.unwrap();
        seen.extend(page.tasks.iter().map(|listed| listed.task.number.0));
        filter.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(seen, [7, 6, 5, 3, 2, 1]);
    let put_away = ListFilter { archived: Some(true), ..ListFilter::default() };
    let page = stage.store.list(&put_away).await.unwrap();
    assert_eq!(page.tasks.iter().map(|t| t.task.number.0).collect::<Vec<_>>(), [4]);
    stage.store.unarchive(archived.id, at(50)).await.unwrap();
    assert_eq!(stage.store.list(&put_away).await.unwrap().tasks, []);
    let elsewhere = ListFilter { repository: Some("/no".to_owned()), ..ListFilter::default() };
    assert_eq!(stage.store.list(&elsewhere).await.unwrap().tasks, []);
}

#[tokio::test]
async fn inputs_reach_the_attempts_they_name_in_order_and_are_applied_once() {
    let stage = Stage::new().await;
    let task = stage.store.submit(new_task("fix", 2)).await.unwrap();
    let [a, b] = [task.attempts[0].id, task.attempts[1].id];
    let other_process = stage.other().await;
    let put = |attempt, kind| {
        other_process.put_input(NewInput { task: task.task.id, attempt, kind, now: at(5) })
    };
    let say = |text: &str| InputKind::Message { text: text.to_owned() };
    assert_eq!(put(None, say("to all")).await.unwrap(), 1);
    assert_eq!(put(Some(b), say("to b")).await.unwrap(), 2);
    let pause = InputKind::Pause { now: false };
    assert_eq!(put(None, pause.clone()).await.unwrap(), 3);
    let budget = Budget { tokens: Some(5), ..Budget::default() };
    assert_eq!(put(Some(a), InputKind::RaiseBudget { budget }).await.unwrap(), 4);

    let seen = stage.store.inputs_after(a, 0).await.unwrap();
    let kinds: Vec<_> = seen.iter().map(|input| (input.number, input.kind.clone())).collect();
    let raised = InputKind::RaiseBudget { budget };
    assert_eq!(kinds, [(1, say("to all")), (3, pause), (4, raised)]);
    assert_eq!(stage.store.inputs_after(b, 1).await.unwrap().len(), 2);

    let epoch = stage.store.claim(a, "w", at(6), 1000).await.unwrap().epoch;
    stage.store.set_applied(a, epoch, 3).await.unwrap();
    for number in [1, 3] {
        let again = stage.store.set_applied(a, epoch, number).await;
        assert!(matches!(again, Err(StoreError::AlreadyApplied { .. })), "{again:?}");
    }
    assert_eq!(stage.store.applied(a).await.unwrap(), 3);
    assert_eq!(stage.store.applied(b).await.unwrap(), 0);
    assert!(matches!(put(None, say("")).await, Err(StoreError::OutOfBounds { .. })));
}

#[tokio::test]
async fn attempts_of_one_turn_in_several_processes_see_what_they_cost_together() {
    let stage = Stage::new().await;
    let task = stage.store.submit(new_task("fix", 2)).await.unwrap();
    let other = stage.other().await;
    let mut spent =
        Spent { cost: MicroDollars(10), model_calls: 1, wall_ms: 70, ..Spent::default() };
    spent.usage.input_tokens = 100;
    let a = stage.store.claim(task.attempts[0].id, "a", at(1), 1000).await.unwrap().epoch;
    let b = other.claim(task.attempts[1].id, "b", at(1), 1000).await.unwrap().epoch;
    assert_eq!(stage.store.set_spent(task.attempts[0].id, a, spent).await.unwrap(), spent);
    spent.wall_ms = 50;
    let all = other.set_spent(task.attempts[1].id, b, spent).await.unwrap();
    assert_eq!((all.cost, all.model_calls, all.wall_ms), (MicroDollars(20), 2, 70));
    assert_eq!(all.usage.input_tokens, 200);
    assert_eq!(stage.store.spent(task.turn.id).await.unwrap(), all);
}

#[tokio::test]
async fn a_refused_write_holds_up_no_other_process() {
    let stage = Stage::new().await;
    let attempt = stage.submit_one().await;
    let other = stage.other().await;
    stage.store.claim(attempt, "a", at(0), 1000).await.unwrap();
    stage.store.claim(attempt, "b", at(0), 1000).await.unwrap_err();
    let stale = stage.store.set_spent(attempt, Epoch(9), Spent::default()).await;
    assert!(matches!(stale, Err(StoreError::Fenced { .. })));
    let submitted = other.submit(new_task("another", 1));
    let soon = std::time::Duration::from_secs(5);
    tokio::time::timeout(soon, submitted).await.expect("the lock is free").unwrap();
}
