//! The server's desk: takes tasks in as `quire run` does, over the same orchestrator.

mod refused;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quire_domain::budget::Budget;
use quire_domain::environment::Environment;
use quire_domain::secret::Secret;
use quire_domain::task::{Mode, Request};
use quire_orchestrator::fork::{NewFork, fork};
use quire_orchestrator::found::{Found, Source, find};
use quire_orchestrator::resolution::{Asked, Resolved, resolve};
use quire_orchestrator::submit::{NewFollowUp, Terms, follow_up_on, write_down_on};
use quire_orchestrator::worker::Worker;
use quire_server::{
    Branches, Desk, DeskError, Followed, Forked, ModelOffer, Place, Recipe, Submitted, Wish,
};
use quire_store::{Actor, SecretScope, Submission};

use self::refused::{broken, not_found, not_resolved, refused, said};
use super::starts::Recent;
use crate::commands::go::{budget_of, source_of};
use crate::defaults::defaults_of;
use crate::installation::Installation;

/// How long a repository is taken to be as it was found.
const YOUNG: Duration = Duration::from_secs(1);

/// How long a model's name means what it meant: a key or a local server may come.
const MODEL_YOUNG: Duration = Duration::from_secs(10);

/// The most branches that are listed.
const MOST_BRANCHES: usize = 1_000;

/// A desk of one installation.
pub struct WorkerDesk {
    installation: Arc<Installation>,
    /// By where it is and what was named in it.
    found: Recent<(String, Option<String>), Found>,
    models: Recent<Option<String>, Model>,
}

/// A model that was asked for.
#[derive(Clone)]
struct Model {
    name: String,
    images: bool,
}

impl WorkerDesk {
    /// Over this installation.
    pub fn new(installation: Arc<Installation>) -> Self {
        Self { installation, found: Recent::for_(YOUNG), models: Recent::for_(MODEL_YOUNG) }
    }

    /// The worker, for what `by` does.
    fn worker(&self, by: Actor) -> Worker {
        let worker = &self.installation.worker;
        Worker { store: worker.store.acting(by), ..worker.clone() }
    }

    async fn found(&self, new: &Submitted) -> Result<Found, DeskError> {
        let worker = &self.installation.worker;
        let named = match &new.repository {
            Place::Registered(registered) => &registered.name,
            Place::Named(text) => text,
        };
        if let Some(push) = &new.push {
            return Ok(Found::pushed(named, push.mirror.clone(), push.start.clone()));
        }
        let source = source(&new.repository, &self.installation.surroundings.current_dir)?;
        let from = new.base.clone();
        let key = (format!("{source:?}"), from.clone());
        let found = async {
            Box::pin(find(worker, &source, None, from.as_deref(), false)).await.map_err(refused)
        };
        self.found.get(&key, found).await
    }

    async fn environment(&self, found: &Found, named: Option<&str>) -> Result<Resolved, DeskError> {
        let defaults = defaults_of(&self.installation.settings).map_err(said)?;
        let (repository, recipe) = (Some(found.repository()), found.recipe());
        let asked = Asked { named, repository, recipe, defaults, bare: false };
        resolve(&self.installation.worker.store, asked).await.map_err(not_resolved)
    }

    async fn model(&self, named: Option<&str>, images: bool) -> Result<String, DeskError> {
        let key = named.map(str::to_owned);
        let look = async {
            let resolved = self.installation.models.resolve(named).await.map_err(said)?;
            Ok::<_, DeskError>(Model { name: resolved.info.name, images: resolved.info.images })
        };
        let model = self.models.get(&key, look).await?;
        if images && !model.images {
            return Err(DeskError::Refused {
                detail: format!("{} sees no pictures", model.name),
                advice: "name another model, or leave the pictures out".to_owned(),
            });
        }
        Ok(model.name)
    }

    /// A follow-up's request, as far as what was asked before says nothing else.
    async fn request_after(&self, before: &Request, wish: Wish) -> Result<Request, DeskError> {
        let named = wish.model.as_deref().unwrap_or(&before.model);
        let model = self.model(Some(named), !wish.images.is_empty()).await?;
        let budget = match &before.environment {
            Some(environment) => budget_of(wish.budget, environment),
            None => wish.budget.unwrap_or_default(),
        };
        let mode = wish.mode.unwrap_or(before.mode);
        Ok(Request {
            checks: before.checks.clone(),
            allow_rewrite: before.allow_rewrite,
            review: before.review.clone(),
            ..request(wish, mode, model, budget)
        })
    }
}

/// What is asked for, where nothing was before.
fn request(wish: Wish, mode: Mode, model: String, budget: Budget) -> Request {
    Request {
        mode,
        prompt: wish.prompt,
        images: wish.images,
        model,
        attempts: wish.attempts,
        budget,
        checks: Vec::new(),
        skip_checks: wish.skip_checks,
        allow_rewrite: false,
        questions: wish.questions,
        output_schema: wish.output_schema,
        review: None,
        start: None,
        environment: None,
    }
}

/// Whether this is what was asked for, as far as it was written down as it was said: a branch, or what
/// a model's name means, may have moved since.
fn asks_for(request: &Request, wish: &Wish) -> bool {
    request.prompt == wish.prompt
        && wish.mode.is_none_or(|mode| request.mode == mode)
        && request.images == wish.images
        && request.attempts == wish.attempts
        && request.skip_checks == wish.skip_checks
        && request.output_schema == wish.output_schema
}

/// Where to look for a repository. What an administrator registered is never a checkout that
/// somebody works in: of a path there, its commits are taken and nothing else.
fn source(place: &Place, here: &Path) -> Result<Source, DeskError> {
    match place {
        Place::Registered(registered) if registered.place.is_empty() => Err(DeskError::Refused {
            detail: format!("`{}` has no home that a branch could be read from", registered.name),
            advice: "push what the task is to start from (`quire push`)".to_owned(),
        }),
        Place::Registered(registered) => Ok(match registered.place.strip_prefix('/') {
            Some(_) => Source::Url(format!("file://{}", registered.place)),
            None => Source::Url(registered.place.clone()),
        }),
        Place::Named(text) => Ok(source_of(Some(text), here)),
    }
}

#[async_trait]
impl Desk for WorkerDesk {
    async fn submit(&self, new: Submitted) -> Result<Submission, DeskError> {
        let worker = self.worker(new.by.clone());
        let key = new.idempotency_key.as_ref().map(|key| format!("{}:{key}", new.owner.author));
        if let Some(key) = &key
            && let Some(first) = worker.store.submitted(key).await?
        {
            if first.turn.ordinal == 1 && asks_for(&first.turn.request, &new.wish) {
                return Ok(first);
            }
            return Err(quire_store::StoreError::KeyReused { key: key.clone() }.into());
        }
        let found = self.found(&new).await?;
        let environment = self.environment(&found, new.environment.as_deref()).await?;
        let named = new.wish.model.as_deref().or(environment.environment.model.as_deref());
        let model = self.model(named, !new.wish.images.is_empty()).await?;
        let budget = budget_of(new.wish.budget, &environment.environment);
        let mode = new.wish.mode.unwrap_or(Mode::Code);
        let request = Request {
            checks: new.checks,
            review: new.review,
            ..request(new.wish, mode, model, budget)
        };
        let terms = Terms { owner: new.owner, offered: true, idempotency_key: key };
        let written = write_down_on(&worker, &found, &environment, request, terms).await;
        written.map_err(refused)
    }

    async fn follow_up(&self, new: Followed) -> Result<Submission, DeskError> {
        let worker = self.worker(new.by.clone());
        let key = new.idempotency_key.as_ref().map(|key| format!("{}:{key}", new.owner.author));
        if let Some(key) = &key
            && let Some(first) = worker.store.submitted(key).await?
        {
            if first.task.id == new.task && asks_for(&first.turn.request, &new.wish) {
                return Ok(first);
            }
            return Err(quire_store::StoreError::KeyReused { key: key.clone() }.into());
        }
        let turns = worker.store.turns(new.task).await?;
        let Some(before) = turns.last() else { return Err(not_found("the task has no turn")) };
        let request = self.request_after(&before.request, new.wish).await?;
        let follow = NewFollowUp { task: new.task, continues: new.continues, request };
        let terms = Terms { owner: new.owner, offered: true, idempotency_key: key };
        follow_up_on(&worker, follow, terms).await.map_err(refused)
    }

    async fn fork(&self, new: Forked) -> Result<Submission, DeskError> {
        let worker = self.worker(new.by.clone());
        let from = worker.store.attempt_by_id(new.from).await?;
        let turn = worker.store.turn(from.turn).await?;
        let request = self.request_after(&turn.request, new.wish).await?;
        let key = new.idempotency_key.as_ref().map(|key| format!("{}:{key}", new.owner.author));
        let terms = Terms { owner: new.owner, offered: true, idempotency_key: key };
        let fork_of = NewFork { from: new.from, request, terms };
        fork(&worker, fork_of).await.map_err(refused)
    }

    async fn branches(&self, repository: &Place) -> Result<Branches, DeskError> {
        let source = source(repository, &self.installation.surroundings.current_dir)?;
        let git = &self.installation.worker.git;
        let url = match source {
            Source::Url(url) => url,
            Source::Checkout(path) => format!("file://{}", path.display()),
        };
        let branches = git.remote_branches(&url, MOST_BRANCHES).await;
        let (default, names) = branches.map_err(|error| refused(error.into()))?;
        Ok(Branches { default, names })
    }

    async fn models(&self) -> Result<Vec<ModelOffer>, DeskError> {
        let models = &self.installation.models;
        let default = models.resolve(None).await.ok().map(|resolved| resolved.info.name);
        let mut offers = Vec::new();
        for info in models.catalogue.infos() {
            let missing = models.resolve(Some(&info.name)).await.err();
            offers.push(ModelOffer {
                window: info.window_tokens,
                scripted: info.scripted,
                default: default.as_ref() == Some(&info.name),
                missing: missing.map(|why| why.to_string()),
                name: info.name,
            });
        }
        offers.sort_by_key(|offer| (!offer.default, offer.missing.is_some()));
        Ok(offers)
    }

    async fn recipe(&self, name: &str, text: &str) -> Result<Recipe, DeskError> {
        let defaults = defaults_of(&self.installation.settings).map_err(said)?;
        let read = quire_environment::recipe::read(text, name, defaults.environment);
        let recipe = read.map_err(|error| DeskError::Refused {
            detail: error.to_string(),
            advice: "mend that line; docs/environments.md has all keys".to_owned(),
        })?;
        let environment: Environment = recipe.environment;
        Ok(Recipe { environment, warnings: Vec::new() })
    }

    async fn set_secret(
        &self,
        by: Actor,
        scope: &SecretScope,
        name: &str,
        value: Secret<Vec<u8>>,
    ) -> Result<u32, DeskError> {
        let worker = self.worker(by);
        let text = std::str::from_utf8(value.reveal()).is_ok_and(|text| !text.contains('\0'));
        let why = match (text, quire_engine::why_not(value.reveal())) {
            (false, _) => Some("is no text (UTF-8 without zero bytes)".to_owned()),
            (true, why) => why.map(ToString::to_string),
        };
        if let Some(why) = why {
            return Err(DeskError::Refused {
                detail: format!("the value of {name} {why}"),
                advice: "take another one; nothing was set".to_owned(),
            });
        }
        let key = worker.secrets.to_seal().map_err(broken)?;
        let now = worker.clock.now();
        Ok(worker.store.set_secret(&key, scope, name, &value, now).await?)
    }
}
