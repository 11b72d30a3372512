//! Users, teams, tokens, sessions, links and the record, over a real database.
#![allow(clippy::unwrap_used, reason = "for tests")]

mod stage;

use std::collections::BTreeSet;

use quire_domain::access::{LOCAL_USER, Limits, Right, Role, TeamName, UserName};
use quire_domain::ids::UserId;
use quire_store::{Actor, AuditFilter, NewToken, NewUser, Session, StoreError, User, UserChange};
use stage::{Stage, at, new_task};

fn actor(user: UserId) -> Actor {
    Actor { user: Some(user), token: None, address: "10.1.2.3".to_owned() }
}

async fn person(stage: &Stage, name: &str) -> User {
    let name = UserName::parse(name).unwrap();
    let new =
        NewUser { name, email: None, admin: false, password: None, identity: None, now: at(1) };
    stage.store.add_user(new).await.unwrap()
}

fn token(owner: UserId, hash: u8, limits: Limits) -> NewToken {
    NewToken {
        hash: [hash; 32],
        owner,
        name: "laptop".to_owned(),
        service: false,
        limits,
        expires_at: Some(at(1000)),
        now: at(1),
    }
}

fn session(owner: UserId, hash: u8) -> Session {
    Session {
        hash: [hash; 32],
        owner,
        csrf: "c".to_owned(),
        created_at: at(1),
        seen_at: at(1),
        expires_at: at(5_000_000),
        agent: "A browser\n".to_owned(),
    }
}

#[tokio::test]
async fn a_token_brings_its_owners_rights_narrowed_until_it_ends() {
    let stage = Stage::new().await;
    let store = &stage.store;
    let ada = person(&stage, "ada").await;
    let team = store.add_team(&TeamName::parse("shop").unwrap(), at(1)).await.unwrap();
    store.set_member(team.id, ada.id, Role::Member, at(1)).await.unwrap();
    let rights = Some(BTreeSet::from([Right::ReadTasks, Right::ManageTeam]));
    let limits = Limits { rights, team: None };
    let kept = store.add_token(token(ada.id, 1, limits)).await.unwrap();
    let known = store.who_has_token(&[1; 32], at(10)).await.unwrap().unwrap();
    assert_eq!(known.user.id, ada.id);
    assert!(known.grants.may_in(team.id, Right::ReadTasks));
    assert!(!known.grants.may_in(team.id, Right::WriteTasks), "not of the token");
    assert!(!known.grants.may_in(team.id, Right::ManageTeam), "not of a member");
    assert_eq!(store.token(kept.id).await.unwrap().used_at, Some(at(10)));
    assert_eq!(store.who_has_token(&[2; 32], at(10)).await.unwrap(), None);
    assert_eq!(store.who_has_token(&[1; 32], at(1000)).await.unwrap(), None, "it ran out");
    store.revoke_token(kept.id, at(20)).await.unwrap();
    assert_eq!(store.who_has_token(&[1; 32], at(21)).await.unwrap(), None, "it was taken back");
}

#[tokio::test]
async fn who_is_disabled_is_out_at_once_and_a_service_stays() {
    let stage = Stage::new().await;
    let store = &stage.store;
    let ada = person(&stage, "ada").await;
    let team = store.add_team(&TeamName::parse("shop").unwrap(), at(1)).await.unwrap();
    store.set_member(team.id, ada.id, Role::Admin, at(1)).await.unwrap();
    store.add_token(token(ada.id, 1, Limits::default())).await.unwrap();
    let rights = Some(BTreeSet::from([Right::WriteTasks]));
    let of_service = Limits { rights, team: Some(team.id) };
    let service = NewToken { service: true, ..token(ada.id, 2, of_service) };
    store.add_token(service).await.unwrap();
    store.add_session(&session(ada.id, 3), "password").await.unwrap();
    store.add_sign_in_link(&[4; 32], ada.id, at(1000), at(1)).await.unwrap();
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    store.change_user(ada.id, change, at(5)).await.unwrap();
    assert_eq!(store.who_has_token(&[1; 32], at(6)).await.unwrap(), None);
    assert_eq!(store.who_has_session(&[3; 32], at(6)).await.unwrap(), None);
    assert_eq!(store.use_sign_in_link(&[4; 32], at(6)).await.unwrap(), None);
    let service = store.who_has_token(&[2; 32], at(6)).await.unwrap().unwrap();
    assert!(service.grants.may_in(team.id, Right::WriteTasks));
    assert!(!service.grants.may_in(team.id, Right::ReadTasks), "only what its token names");
    let local = UserChange { disabled: Some(true), ..UserChange::default() };
    let kept = store.change_user(LOCAL_USER, local, at(6)).await;
    assert!(matches!(kept, Err(StoreError::Kept { .. })), "{kept:?}");
}

#[tokio::test]
async fn a_link_signs_in_once_and_sessions_end_by_name() {
    let stage = Stage::new().await;
    let store = &stage.store;
    store.add_sign_in_link(&[7; 32], LOCAL_USER, at(100), at(1)).await.unwrap();
    let (one, other) = tokio::join!(
        store.use_sign_in_link(&[7; 32], at(2)),
        store.use_sign_in_link(&[7; 32], at(2)),
    );
    let used = [one.unwrap(), other.unwrap()];
    assert_eq!(used.iter().flatten().count(), 1, "{used:?}");
    let mine = session(LOCAL_USER, 8);
    store.add_session(&mine, "link").await.unwrap();
    let ada = person(&stage, "ada").await;
    let hers = session(ada.id, 9);
    store.add_session(&hers, "password").await.unwrap();
    let not_hers = store.end_sessions(ada.id, Some(&mine.name()), at(3)).await;
    assert!(matches!(not_hers, Err(StoreError::NotFound { .. })), "{not_hers:?}");
    assert_eq!(store.sessions_of(LOCAL_USER, at(3)).await.unwrap()[0].agent, "A browser");
    assert_eq!(store.end_sessions(ada.id, None, at(3)).await.unwrap(), 1);
    assert_eq!(store.who_has_session(&[9; 32], at(4)).await.unwrap(), None);
    assert!(store.who_has_session(&[8; 32], at(4)).await.unwrap().is_some());
    store.set_password(LOCAL_USER, None, at(5)).await.unwrap();
    assert_eq!(store.who_has_session(&[8; 32], at(6)).await.unwrap(), None, "a new password");
}

#[tokio::test]
async fn what_somebody_does_is_written_down_and_what_failed_is_not() {
    let stage = Stage::new().await;
    let ada = person(&stage, "ada").await;
    let store = stage.store.acting(actor(ada.id));
    let team = store.add_team(&TeamName::parse("shop").unwrap(), at(1)).await.unwrap();
    let again = store.add_team(&team.name, at(2)).await;
    assert!(matches!(again, Err(StoreError::Taken { .. })), "{again:?}");
    store.set_member(team.id, ada.id, Role::Viewer, at(3)).await.unwrap();
    let rows = store.audit(&AuditFilter::default()).await.unwrap();
    let said: Vec<_> =
        rows.iter().map(|row| format!("{} {} {}", row.at.0, row.action, row.subject)).collect();
    assert_eq!(said, ["3 team.member user ada", "1 team.add team shop"]);
    assert_eq!(rows[0].actor_name.as_deref(), Some("ada"));
    assert_eq!(rows[0].address, "10.1.2.3");
    let of_others = AuditFilter { teams: Some(vec![]), ..AuditFilter::default() };
    assert!(store.audit(&of_others).await.unwrap().is_empty());
    let members = AuditFilter { action: Some("team.member".into()), ..AuditFilter::default() };
    assert_eq!(store.audit(&members).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_share_link_shows_its_task_until_it_is_revoked_or_old() {
    let stage = Stage::new().await;
    let store = stage.store.acting(actor(LOCAL_USER));
    let task = store.submit(new_task("fix", 1)).await.unwrap().task;
    let link = store.add_share_link(&[5; 32], task.id, LOCAL_USER, at(50), at(1)).await.unwrap();
    assert_eq!(store.shared_by(&[5; 32], at(49)).await.unwrap().unwrap().task, task.id);
    assert_eq!(store.shared_by(&[5; 32], at(50)).await.unwrap(), None);
    store.revoke_share_link(task.id, link.id, at(3)).await.unwrap();
    assert_eq!(store.shared_by(&[5; 32], at(4)).await.unwrap(), None);
    let filter = AuditFilter { action: Some("share.".into()), ..AuditFilter::default() };
    let rows = store.audit(&filter).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.subject.as_str()).collect::<Vec<_>>(), ["task 1"; 2]);
}

#[tokio::test]
async fn failures_are_counted_until_it_works_or_a_day_has_passed() {
    let stage = Stage::new().await;
    let store = &stage.store;
    let lock = |count| if count >= 3 { 1000 } else { 0 };
    for n in 1..=3_u32 {
        let before = store.count_sign_in("ada", at(n.into()), lock).await.unwrap();
        assert_eq!(before.count, n - 1);
    }
    let locked = store.count_sign_in("ada", at(5), lock).await.unwrap();
    let now = store.sign_in_failures(&["ada", "bob"], at(6)).await.unwrap();
    assert_eq!((now[0].count, now[0].locked_until, now[1].count), (3, at(1003), 0));
    assert_eq!(locked, now[0], "a try while it is locked changes nothing");
    let day = at(4 + 24 * 60 * 60 * 1000);
    assert_eq!(store.sign_in_failures(&["ada"], day).await.unwrap()[0].count, 0);
    store.forget_sign_in_failures("ada").await.unwrap();
    assert_eq!(store.sign_in_failures(&["ada"], at(5)).await.unwrap()[0].count, 0);
}
