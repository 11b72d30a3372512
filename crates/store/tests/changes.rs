//! News: who watches all tasks hears of each change once, in the order of the commits.

mod stage;

use quire_domain::access::LOCAL_TEAM;
use quire_domain::attempt::{AttemptState, Outcome};
use quire_domain::ids::TeamId;
use quire_store::ListFilter;
use stage::{Stage, at, new_task, state};

#[tokio::test]
async fn who_goes_on_from_where_they_were_hears_of_every_change_and_of_each_task_once() {
    let stage = Stage::new().await;
    let store = &stage.store;
    let all = ListFilter::default();
    let start = store.newest_change().await.unwrap();
    assert_eq!(store.changed_since(start, &all, 9).await.unwrap().upto, start);
    let mut heard = store.commits();
    let mut attempts = Vec::new();
    for n in 0..5 {
        let task = store.submit(new_task(&format!("task {n}"), 1)).await.unwrap();
        attempts.push(task.attempts[0].id);
    }
    assert!(heard.has_changed().unwrap());
    heard.mark_unchanged();
    // The first changes once more: it is heard of last, and as it is then.
    let epoch = store.claim(attempts[0], "w", at(1), 1000).await.unwrap().epoch;
    let mut seen = Vec::new();
    let mut after = start;
    loop {
        let changes = store.changed_since(after, &all, 2).await.unwrap();
        assert!(changes.tasks.len() <= 2 && changes.upto > after);
        seen.extend(changes.tasks.into_iter().map(|task| (task.task.number.0, task.state.word())));
        after = changes.upto;
        if !changes.more {
            break;
        }
    }
    let queued = AttemptState::Queued.word();
    let last = (1, AttemptState::Preparing.word());
    assert_eq!(seen, [(2, queued), (3, queued), (4, queued), (5, queued), last]);

    // What another process writes is found, though it does not tick here.
    heard.mark_unchanged();
    let other = stage.other().await;
    let done = state(AttemptState::Done { outcome: Outcome::Changed }, 2);
    other.set_state(attempts[0], epoch, done).await.unwrap();
    let task = other.task(quire_domain::ids::TaskNumber(3)).await.unwrap();
    other.archive(task.id, at(3)).await.unwrap();
    assert!(!heard.has_changed().unwrap());
    let working = ListFilter { states: vec!["working".to_owned()], ..ListFilter::default() };
    let changes = store.changed_since(after, &working, 9).await.unwrap();
    let numbers: Vec<_> = changes.tasks.iter().map(|task| task.task.number.0).collect();
    assert_eq!(numbers, [1, 3], "who leaves the filter, and who is put away, is told too");
    assert!(changes.tasks[0].changed + 1 == changes.tasks[1].changed, "no number is left out");

    // Other teams' changes are not shown, and are not looked at twice.
    let strangers = TeamId(uuid::Uuid::from_u128(7));
    let theirs = ListFilter { teams: Some(vec![strangers]), ..ListFilter::default() };
    let none = store.changed_since(start, &theirs, 9).await.unwrap();
    assert_eq!((none.tasks.len(), none.upto, none.more), (0, changes.upto, false));
    assert_eq!(store.list(&theirs).await.unwrap().tasks, []);
    let nobody = ListFilter { teams: Some(Vec::new()), ..ListFilter::default() };
    assert_eq!(store.list(&nobody).await.unwrap().tasks, []);
    let ours = ListFilter { teams: Some(vec![strangers, LOCAL_TEAM]), ..ListFilter::default() };
    assert_eq!(store.list(&ours).await.unwrap().tasks.len(), 4);
}
