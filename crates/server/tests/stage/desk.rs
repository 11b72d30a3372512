//! A desk that writes down what comes in, over a real store, with no worker behind it.

use std::sync::Arc;

use async_trait::async_trait;
use quire_domain::environment::{BaseSpec, Environment};
use quire_domain::secret::Secret;
use quire_domain::task::{Mode, Request};
use quire_domain::time::Clock;
use quire_server::{
    Branches, Desk, DeskError, Followed, Forked, ModelOffer, Place, Recipe, Submitted, Wish,
};
use quire_store::{Actor, FollowUp, NewTask, SealKey, SecretScope, Store, Submission};

pub struct PlainDesk {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub key: Arc<SealKey>,
}

#[async_trait]
impl Desk for PlainDesk {
    async fn submit(&self, new: Submitted) -> Result<Submission, DeskError> {
        let title = new.wish.prompt.lines().next().unwrap_or_default().to_owned();
        let mut request = request(&new.wish, Mode::Code);
        request.checks = new.checks;
        request.review = new.review;
        let task = NewTask {
            owner: new.owner,
            repository: match new.repository {
                Place::Registered(found) => found.name,
                Place::Named(named) => named,
            },
            title,
            request,
            origin: None,
            idempotency_key: new.idempotency_key,
            offered: true,
            now: self.clock.now(),
        };
        Ok(self.store.acting(new.by).submit(task).await?)
    }

    async fn follow_up(&self, new: Followed) -> Result<Submission, DeskError> {
        let turn = FollowUp {
            task: new.task,
            request: request(&new.wish, Mode::Code),
            continues: new.continues,
            origin: None,
            idempotency_key: new.idempotency_key,
            offered: true,
            now: self.clock.now(),
        };
        Ok(self.store.acting(new.by).follow_up(turn).await?)
    }

    async fn fork(&self, new: Forked) -> Result<Submission, DeskError> {
        let task = NewTask {
            owner: new.owner,
            repository: "fork".to_owned(),
            title: "a fork".to_owned(),
            request: request(&new.wish, Mode::Code),
            origin: None,
            idempotency_key: new.idempotency_key,
            offered: true,
            now: self.clock.now(),
        };
        Ok(self.store.acting(new.by).fork(task, new.from).await?)
    }

    async fn branches(&self, _: &Place) -> Result<Branches, DeskError> {
        Ok(Branches { default: Some("main".to_owned()), names: vec!["main".to_owned()] })
    }

    async fn models(&self) -> Result<Vec<ModelOffer>, DeskError> {
        Ok(vec![ModelOffer {
            name: "scripted/demo".to_owned(),
            window: 100_000,
            scripted: true,
            default: true,
            missing: None,
        }])
    }

    async fn recipe(&self, name: &str, text: &str) -> Result<Recipe, DeskError> {
        if text.contains("nonsense") {
            return Err(DeskError::Refused {
                detail: "line 1: there is no field `nonsense`".to_owned(),
                advice: "look at docs/environments.md".to_owned(),
            });
        }
        let environment: Environment = serde_json::from_value(serde_json::json!({
            "name": name, "version": 1, "base": BaseSpec::Host { bare: true },
        }))
        .unwrap();
        Ok(Recipe { environment, warnings: Vec::new() })
    }

    async fn set_secret(
        &self,
        by: Actor,
        scope: &SecretScope,
        name: &str,
        value: Secret<Vec<u8>>,
    ) -> Result<u32, DeskError> {
        let store = self.store.acting(by);
        Ok(store.set_secret(&self.key, scope, name, &value, self.clock.now()).await?)
    }
}

fn request(wish: &Wish, mode: Mode) -> Request {
    let mut request: Request = serde_json::from_value(serde_json::json!({
        "mode": wish.mode.unwrap_or(mode),
        "prompt": wish.prompt,
        "model": wish.model.as_deref().unwrap_or("scripted/demo"),
        "attempts": wish.attempts,
    }))
    .unwrap();
    request.images = wish.images.clone();
    request.budget = wish.budget.unwrap_or_default();
    request.skip_checks = wish.skip_checks;
    request.questions = wish.questions;
    request.output_schema = wish.output_schema.clone();
    request
}
