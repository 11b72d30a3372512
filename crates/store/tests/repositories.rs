//! Repositories of a team, and what people push to them.
#![allow(clippy::unwrap_used, reason = "a test")]

mod stage;

use quire_domain::access::{LOCAL_TEAM, LOCAL_USER, Owner};
use quire_domain::ids::{CommitId, UserId};
use quire_domain::task::StartPoint;
use quire_store::StoreError;
use stage::{Stage, at};

#[tokio::test]
async fn a_name_means_one_place_and_a_push_is_its_authors_alone() {
    let stage = Stage::new().await;
    let store = &stage.store;
    let place = Some("https://host.example/shop.git");
    let shop = store.add_repository(LOCAL_TEAM, "shop", place, at(1)).await.unwrap();
    let again = store.add_repository(LOCAL_TEAM, "shop", place, at(2)).await.unwrap();
    assert_eq!(again, shop);
    let other = store.add_repository(LOCAL_TEAM, "shop", None, at(3)).await;
    assert!(matches!(other, Err(StoreError::Taken { .. })), "{other:?}");
    let notes = store.add_repository(LOCAL_TEAM, "notes", None, at(4)).await.unwrap();
    assert!(notes.pushed);
    let names = |found: Vec<quire_store::StoredRepository>| {
        found.into_iter().map(|one| one.name).collect::<Vec<_>>()
    };
    assert_eq!(names(store.repositories(LOCAL_TEAM).await.unwrap()), ["notes", "shop"]);

    let commit = |digit: &str| CommitId::parse(&digit.repeat(40)).unwrap();
    let start = StartPoint {
        base: commit("a"),
        head: commit("b"),
        branch: Some("main".to_owned()),
        uncommitted: 3,
    };
    let push = store.add_push(Owner::LOCAL, &notes, "00ff", &start, at(5)).await.unwrap();
    assert_eq!(store.push(Owner::LOCAL, push.id).await.unwrap(), push);
    let somebody = Owner { team: LOCAL_TEAM, author: UserId(shop.id) };
    assert_ne!(somebody.author, LOCAL_USER);
    let theirs = store.push(somebody, push.id).await;
    assert!(matches!(theirs, Err(StoreError::NotFound { .. })), "{theirs:?}");

    store.remove_repository(LOCAL_TEAM, "shop", at(6)).await.unwrap();
    assert!(store.repository(LOCAL_TEAM, "shop").await.is_err());
    // The name is free for another place.
    let new = store.add_repository(LOCAL_TEAM, "shop", None, at(7)).await.unwrap();
    assert_ne!(new.id, shop.id);
}
