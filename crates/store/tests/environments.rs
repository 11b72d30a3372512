//! Environments and their secrets on a real file.

mod stage;

use quire_domain::secret::Secret;
use quire_store::{NewEnvironment, SealError, SealKey, SecretScope, StoreError, StoredEnvironment};
use stage::{Stage, at};

fn new(name: &str, recipe: &str, based_on: u32) -> NewEnvironment {
    NewEnvironment {
        owner: "local".to_owned(),
        name: name.to_owned(),
        repository: None,
        recipe: recipe.to_owned(),
        author: "ann".to_owned(),
        based_on,
        now: at(u64::from(based_on) + 1),
    }
}

fn scope(repository: Option<&str>) -> SecretScope {
    SecretScope {
        owner: "local".to_owned(),
        repository: repository.map(str::to_owned),
        environment: "web".to_owned(),
    }
}

fn value(text: &str) -> Secret<Vec<u8>> {
    Secret::new(text.as_bytes().to_vec())
}

#[expect(clippy::unwrap_used, reason = "a test without randomness cannot go on")]
fn key() -> SealKey {
    SealKey::from_bytes(SealKey::generate().unwrap().reveal()).unwrap()
}

#[tokio::test]
async fn each_edit_is_a_version_and_an_edit_of_an_old_one_is_refused() {
    let stage = Stage::new().await;
    assert_eq!(stage.store.put_environment(new("web", "a = 1", 0)).await.unwrap(), 1);
    assert_eq!(stage.store.put_environment(new("web", "a = 2", 1)).await.unwrap(), 2);
    let late = stage.store.put_environment(new("web", "a = 3", 1)).await.unwrap_err();
    assert!(matches!(late, StoreError::Edited { newest: 2, based_on: 1, .. }), "{late}");
    let taken = stage.store.put_environment(new("web", "b", 0)).await.unwrap_err();
    assert!(matches!(taken, StoreError::Edited { newest: 2, based_on: 0, .. }), "{taken}");

    let other = stage.other().await;
    let newest = other.environment("local", "web", None).await.unwrap().unwrap();
    let expected = StoredEnvironment {
        owner: "local".to_owned(),
        name: "web".to_owned(),
        repository: None,
        version: 2,
        recipe: "a = 2".to_owned(),
        author: "ann".to_owned(),
        at: at(2),
    };
    assert_eq!(newest, expected);
    let first = other.environment("local", "web", Some(1)).await.unwrap().unwrap();
    assert_eq!(first.recipe, "a = 1");
    assert_eq!(other.environment("local", "web", Some(3)).await.unwrap(), None);
    assert_eq!(other.environment("team", "web", None).await.unwrap(), None);
}

#[tokio::test]
async fn a_repository_has_one_default_and_a_deleted_name_is_free_again() {
    let stage = Stage::new().await;
    let of = |name: &str| NewEnvironment {
        repository: Some("/src/shop".to_owned()),
        ..new(name, "a = 1", 0)
    };
    stage.store.put_environment(of("web")).await.unwrap();
    let second = stage.store.put_environment(of("other")).await.unwrap_err();
    assert!(matches!(second, StoreError::RepositoryTaken { .. }), "{second}");
    stage.store.put_environment(new("web", "a = 2", 1)).await.unwrap();
    let found = stage.store.environment_of("local", "/src/shop").await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.version), ("web", 2));

    stage.store.delete_environment("local", "web", at(9)).await.unwrap();
    assert_eq!(stage.store.environment("local", "web", None).await.unwrap(), None);
    assert_eq!(stage.store.environment_of("local", "/src/shop").await.unwrap(), None);
    let again = stage.store.delete_environment("local", "web", at(9)).await.unwrap_err();
    assert!(matches!(again, StoreError::NotFound { what: "environment", .. }), "{again}");
    stage.store.put_environment(of("other")).await.unwrap();
    stage.store.put_environment(new("web", "a = 1", 0)).await.unwrap();
    let names: Vec<_> =
        stage.store.environments("local").await.unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(names, ["other", "web"]);
}

#[tokio::test]
async fn a_secret_is_opened_as_it_was_set_and_its_value_is_not_in_the_file() {
    let stage = Stage::new().await;
    let key = key();
    let kept = scope(None);
    let set = |text: &'static str| {
        let (store, key, kept) = (stage.store.clone(), &key, &kept);
        async move { store.set_secret(key, kept, "TOKEN", &value(text), at(1)).await }
    };
    assert_eq!(set("canary-one-5f2d").await.unwrap(), 1);
    assert_eq!(set("canary-two-77aa").await.unwrap(), 2);
    let (version, opened) = stage.store.open_secret(&key, &kept, "TOKEN").await.unwrap().unwrap();
    assert_eq!((version, opened.reveal().as_slice()), (2, b"canary-two-77aa".as_slice()));
    assert_eq!(stage.store.secrets(&kept).await.unwrap()[0].version, 2);

    stage.store.close().await;
    for entry in std::fs::read_dir(stage.directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
    }
}

#[tokio::test]
async fn a_repository_that_takes_the_name_of_an_environment_reads_none_of_its_secrets() {
    let stage = Stage::new().await;
    let key = key();
    let store = &stage.store;
    store.set_secret(&key, &scope(None), "TOKEN", &value("kept"), at(1)).await.unwrap();
    let mine = scope(Some("/src/mine"));
    store.set_secret(&key, &mine, "TOKEN", &value("mine"), at(1)).await.unwrap();
    let theirs = scope(Some("/src/theirs"));
    assert_eq!(store.open_secret(&key, &theirs, "TOKEN").await.unwrap(), None);
    let (_, opened) = store.open_secret(&key, &mine, "TOKEN").await.unwrap().unwrap();
    assert_eq!(opened.reveal().as_slice(), b"mine");
}

#[tokio::test]
async fn a_row_that_was_moved_or_sealed_by_another_key_does_not_open() {
    let stage = Stage::new().await;
    let key = key();
    let store = &stage.store;
    store.set_secret(&key, &scope(None), "TOKEN", &value("kept"), at(1)).await.unwrap();
    let stranger = self::key();
    let refused = store.open_secret(&stranger, &scope(None), "TOKEN").await.unwrap_err();
    assert!(matches!(refused, StoreError::Sealed(SealError::OtherKey { .. })), "{refused}");

    let sealed = key.seal("here", b"value").unwrap();
    assert_eq!(key.open("here", &sealed).unwrap().reveal().as_slice(), b"value");
    assert_eq!(key.open("there", &sealed), Err(SealError::Tampered));
    let mut changed = sealed.clone();
    changed.bytes[0] ^= 1;
    assert_eq!(key.open("here", &changed), Err(SealError::Tampered));
    assert!(matches!(SealKey::from_bytes(b"short"), Err(SealError::BadKey)));
}

#[tokio::test]
async fn a_deleted_secret_is_gone_and_its_versions_go_on_counting() {
    let stage = Stage::new().await;
    let key = key();
    let store = &stage.store;
    store.put_environment(new("web", "a = 1", 0)).await.unwrap();
    store.set_secret(&key, &scope(None), "TOKEN", &value("one"), at(1)).await.unwrap();
    store.delete_secret(&scope(None), "TOKEN", at(2)).await.unwrap();
    assert_eq!(store.open_secret(&key, &scope(None), "TOKEN").await.unwrap(), None);
    assert!(store.secrets(&scope(None)).await.unwrap().is_empty());
    let again = store.delete_secret(&scope(None), "TOKEN", at(2)).await.unwrap_err();
    assert!(matches!(again, StoreError::NotFound { what: "secret", .. }), "{again}");
    let version = store.set_secret(&key, &scope(None), "TOKEN", &value("two"), at(3)).await;
    assert_eq!(version.unwrap(), 2);
    // With its environment the values go, too.
    store.delete_environment("local", "web", at(4)).await.unwrap();
    assert_eq!(store.open_secret(&key, &scope(None), "TOKEN").await.unwrap(), None);
}

#[tokio::test]
async fn values_out_of_bounds_are_refused() {
    let stage = Stage::new().await;
    let key = key();
    for bad in [String::new(), "x".repeat(64 * 1024 + 1)] {
        let set = stage.store.set_secret(&key, &scope(None), "TOKEN", &value(&bad), at(1)).await;
        assert!(matches!(set.unwrap_err(), StoreError::OutOfBounds { .. }));
    }
    let long = stage.store.put_environment(new("web", &"x".repeat(256 * 1024 + 1), 0)).await;
    assert!(matches!(long.unwrap_err(), StoreError::OutOfBounds { .. }));
}
