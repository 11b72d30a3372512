//! Which environment is found, and where its values come from.

use quire_domain::environment::Limits;
use quire_domain::time::Timestamp;
use quire_store::NewEnvironment;

use super::*;

const REPOSITORY: &str = "/home/ann/web";

fn defaults() -> Defaults {
    let mut environment = recipe::default_environment(false, Limits::default());
    environment.model = Some("acme/plain".to_owned());
    let origins = BTreeMap::from([("model".to_owned(), "QUIRE_MODEL".to_owned())]);
    Defaults { environment, origins }
}

fn asked<'a>(named: Option<&'a str>, recipe: Option<&'a str>) -> Asked<'a> {
    Asked { named, repository: Some(REPOSITORY), recipe, defaults: defaults(), bare: false }
}

async fn store(dir: &tempfile::TempDir) -> Store {
    let store = Store::open(&dir.path().join("quire.db")).await.unwrap();
    for (name, repository) in [("web", Some(REPOSITORY)), ("other", None)] {
        let new = NewEnvironment {
            owner: OWNER.to_owned(),
            name: name.to_owned(),
            repository: repository.map(str::to_owned),
            recipe: format!("\nmodel = \"acme/{name}\"\n"),
            author: "ann".to_owned(),
            based_on: 0,
            now: Timestamp(1),
        };
        store.put_environment(new).await.unwrap();
    }
    store
}

/// What was resolved, as a line: source, model, its origin, whose secrets.
fn said(resolved: &Resolved) -> String {
    let Resolved { environment, source, scope, .. } = resolved;
    let whose = scope.repository.as_deref().unwrap_or("stored");
    let model = environment.model.as_deref().unwrap_or_default();
    format!("{source} | {model} from {} | {whose}/{}", resolved.origin("model"), scope.environment)
}

#[tokio::test]
async fn the_name_comes_before_the_recipe_and_the_recipe_before_the_stored_default() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let recipe = "name = \"own\"\nmodel = \"acme/own\"";
    let cases = [
        (Some("other"), Some(recipe), "other@1 | acme/other from other@1:2:1 | stored/other"),
        (
            Some("own"),
            Some(recipe),
            ".quire/environment.toml | acme/own from .quire/environment.toml:2:1 | /home/ann/web/own",
        ),
        (
            None,
            Some("[variables]\nA = \"1\""),
            ".quire/environment.toml | acme/plain from QUIRE_MODEL | /home/ann/web/default",
        ),
        (None, None, "web@1 | acme/web from web@1:2:1 | stored/web"),
    ];
    for (named, recipe, expected) in cases {
        let resolved = resolve(&store, asked(named, recipe)).await.unwrap();
        assert_eq!(said(&resolved), expected);
    }
    let elsewhere = Asked { repository: Some("/elsewhere"), ..asked(None, None) };
    let resolved = resolve(&store, elsewhere).await.unwrap();
    assert_eq!(said(&resolved), "defaults | acme/plain from QUIRE_MODEL | /elsewhere/default");
}

#[tokio::test]
async fn a_name_that_is_none_lists_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let error = resolve(&store, asked(Some("wbe"), Some("name = \"own\""))).await.unwrap_err();
    let said = "there is no environment `wbe`: there are `other`, `web`, `own`";
    assert_eq!(error.to_string(), said);
    let error = resolve(&store, asked(None, Some("modle = 1"))).await.unwrap_err().to_string();
    assert!(error.starts_with(".quire/environment.toml:1:1: "), "{error}");
}

#[test]
fn a_flag_shows_less_than_a_recipe_says() {
    let recipe = "base = \"host\"";
    let resolved = of_recipe(recipe, Some(REPOSITORY), defaults(), true).unwrap();
    assert_eq!(resolved.environment.base, BaseSpec::Host { bare: true });
    assert_eq!(resolved.origin("base").to_string(), "--bare");
    let resolved = of_recipe(recipe, Some(REPOSITORY), defaults(), false).unwrap();
    assert_eq!(resolved.environment.base, BaseSpec::Host { bare: false });
    assert_eq!(resolved.origin("base").to_string(), ".quire/environment.toml:1:1");
    assert_eq!(resolved.origin("setup"), &Origin::Default);
}

#[test]
fn a_checkout_does_not_choose_what_of_the_machine_is_shown() {
    for key in ["directory", "tar"] {
        let recipe = format!("name = \"own\"\n{key} = \"/\"");
        let error = of_recipe(&recipe, Some(REPOSITORY), defaults(), false).unwrap_err();
        let expected =
            format!(".quire/environment.toml:2:1: `{key}` names a place on this machine");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    let kept = StoredEnvironment {
        owner: OWNER.to_owned(),
        name: "own".to_owned(),
        repository: None,
        version: 1,
        recipe: "directory = \"/srv/base\"".to_owned(),
        author: "ann".to_owned(),
        at: Timestamp(1),
    };
    let resolved = of_stored(&kept, defaults(), false).unwrap();
    assert_eq!(resolved.environment.base, BaseSpec::Directory { path: "/srv/base".to_owned() });
}
