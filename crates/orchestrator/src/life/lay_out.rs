//! What an attempt works on is laid out: its repository fetched, its checkout layer made.

use quire_domain::attempt::FailureKind;
use quire_domain::event::{EventBody, Phase, PhaseFinished};
use quire_domain::task::StartPoint;
use quire_git::{CacheWord, GitError};

use super::conclude::Ending;
use super::{Life, ground, repository_unavailable};
use crate::bases::Ground;
use crate::error::RunError;
use crate::prepare::{Layout, Stack};
use crate::setup;
use crate::time_limits::{self, within};
use crate::way_out::{Stage, asked};

impl Life {
    /// The layout without what its environment has to have installed.
    pub(super) async fn laid_out(
        &self,
        start: &StartPoint,
    ) -> Result<Result<Layout, Ending>, RunError> {
        if let Some(ending) = self.secrets_locked() {
            return Ok(Err(ending));
        }
        let bringing = within(Phase::Image, time_limits::IMAGE, Box::pin(self.ground()));
        let ground = match bringing.await {
            Ok(ground) => match ground? {
                Ok(ground) => ground,
                Err(ending) => return Ok(Err(ending)),
            },
            Err(late) => {
                let kind = FailureKind::ImageUnavailable;
                return Ok(Err(Ending::failed(kind, late.to_string())));
            }
        };
        let started = self.worker.clock.now();
        let making = Box::pin(self.layout_quietly(start, &ground));
        let layout = match within(Phase::Checkout, time_limits::CHECKOUT, making).await {
            Ok(Ok(layout)) => layout,
            Ok(Err(error)) => return repository_unavailable(&error).map(Err),
            Err(late) => {
                let kind = FailureKind::RepositoryUnavailable;
                return Ok(Err(Ending::failed(kind, late.to_string())));
            }
        };
        let detail = match &layout.checkout.cache {
            CacheWord::Hit => "cache hit".to_owned(),
            CacheWord::Miss { why } => format!("cache miss: {why}"),
        };
        let ms = self.worker.clock.now().millis_since(started);
        let phase = PhaseFinished { phase: Phase::Checkout, ms, detail, failed: false };
        // A broken record shows at the next write that matters.
        let _ = self.recorder.note(vec![EventBody::PhaseFinished(phase)]).await;
        Ok(Ok(layout))
    }

    pub(super) async fn layout(
        &self,
        start: &StartPoint,
    ) -> Result<Result<Layout, Ending>, RunError> {
        let layout = match self.laid_out(start).await? {
            Ok(layout) => layout,
            Err(ending) => return Ok(Err(ending)),
        };
        let secrets = self.known.versions_for_setup(&layout.environment);
        let setup = match setup::look(&self.worker, &self.origin, &layout, secrets).await {
            Ok(setup) => setup,
            Err(error) => return repository_unavailable(&error).map(Err),
        };
        let setup = match &self.trial {
            Some(notes) => notes.looked(&self.worker, setup),
            None => setup,
        };
        let mut layout = layout;
        if matches!(setup.found, setup::Found::Missing(_)) {
            Box::pin(asked::ask(&self.worker, &mut layout, Stage::Setup)).await;
        }
        self.base_captured(start, &layout, &setup).await?;
        let layout = match ground::check_git_early(layout) {
            Ok(layout) => layout,
            Err(ending) => return Ok(Err(ending)),
        };
        match self.set_up(layout, setup).await?.and_then(ground::check_git) {
            Ok(layout) => Ok(self.open_way_out(&layout).map(|()| layout)),
            Err(ending) => Ok(Err(ending)),
        }
    }

    /// The layout, and nothing said of it.
    pub(super) async fn layout_quietly(
        &self,
        start: &StartPoint,
        ground: &Ground,
    ) -> Result<Layout, GitError> {
        let stack = Stack {
            attempt_dir: self.worker.place.upper(self.row.id),
            frozen: crate::frozen::frozen_layers(&self.worker, &self.continued).unwrap_or_default(),
            continued: self.continued.iter().map(|id| self.worker.place.upper(*id)).collect(),
        };
        Layout::make(&self.worker, &self.origin, start, ground, &stack, self.seen.clone()).await
    }
}
