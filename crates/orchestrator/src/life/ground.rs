//! What an attempt's sandboxes stand on where that is not the host's view: brought before anything
//! else is laid out. How it goes is told live, and how it went is in the record.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use quire_domain::attempt::{FailureKind, Outcome};
use quire_domain::environment::{BaseSpec, Environment, SetupSpec};
use quire_domain::event::{EventBody, Phase, PhaseFinished, PhaseStarted};
use quire_domain::journal::{Journal as _, Live};
use quire_environment::snapshot::SetupError;
use quire_images::{ImageError, LackKind, Progress};

use super::Life;
use super::conclude::Ending;
use crate::bases::{self, Bring, Ground};
use crate::error::{RunError, is_disk_full};
use crate::make_snapshot::MakeError;
use crate::prepare::{Layout, causes};

/// What went on while a base was brought, as far as the record has it.
#[derive(Default)]
struct Heard {
    /// Whether anything had to be fetched or unpacked, be it by another.
    busy: bool,
    /// What failed and was tried again: how often, and the last words.
    troubles: usize,
    last: String,
}

impl Life {
    /// The environment and what was brought of its base, or how the attempt ends without it.
    pub(super) async fn ground(&self) -> Result<Result<Ground, Ending>, RunError> {
        let environment = self.environment();
        if matches!(environment.base, BaseSpec::Host { .. }) {
            return Ok(Ok(Ground { environment, base: None }));
        }
        let started = self.worker.clock.now();
        if !self.is_here(&environment.base) {
            let begun = PhaseStarted { phase: Phase::Image };
            self.recorder.append(vec![EventBody::PhaseStarted(begun)]).await?;
        }
        let heard = Mutex::new(Heard::default());
        let told = |progress: Progress| {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.note(&progress);
            self.recorder.live(Live::Preparing { text: bases::words(&progress) });
        };
        let brought = self.brought(environment, &told).await?;
        let heard = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
        let ms = self.worker.clock.now().millis_since(started);
        match brought {
            Ok(ground) => {
                if heard.busy {
                    let detail = heard.detail(&ground);
                    self.image_phase(ms, detail, false).await?;
                }
                Ok(Ok(ground))
            }
            Err(error) => {
                let (failed, words) = failed(&error)?;
                self.image_phase(ms, words, true).await?;
                Ok(Err(failed))
            }
        }
    }

    /// The same, with nothing said of it.
    pub(super) async fn ground_quietly(&self) -> Result<Result<Ground, ImageError>, RunError> {
        self.brought(self.environment(), &|_| {}).await
    }

    async fn brought(
        &self,
        environment: Environment,
        told: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Result<Ground, ImageError>, RunError> {
        let mut before = None;
        if !matches!(environment.base, BaseSpec::Host { .. }) {
            let own = self.recorder.events().await?;
            before = bases::root_before(&self.worker, &own, &self.continued).await;
        }
        let bring = Bring { before: before.as_deref(), told, cancel: &self.cancel };
        Ok(Box::pin(Ground::of(&self.worker, environment, bring)).await)
    }

    fn is_here(&self, base: &BaseSpec) -> bool {
        let images = self.worker.bases.images().ok();
        let known = images.and_then(|images| images.known(base));
        matches!(base, BaseSpec::Directory { .. }) || known.is_some_and(|known| known.whole)
    }

    async fn image_phase(&self, ms: u64, detail: String, failed: bool) -> Result<(), RunError> {
        let phase = PhaseFinished { phase: Phase::Image, ms, detail, failed };
        Ok(self.recorder.append(vec![EventBody::PhaseFinished(phase)]).await.map(|_| ())?)
    }
}

/// How the attempt ends, and why in words. Where the disk is full it only waits.
fn failed(error: &ImageError) -> Result<(Ending, String), RunError> {
    if matches!(error, ImageError::DiskFull { .. }) || is_disk_full(error) {
        return Err(RunError::DiskFull);
    }
    let words = causes(error);
    let ending = match error {
        ImageError::Cancelled => {
            Ending { outcome: Outcome::Cancelled, answer: None, partial: true }
        }
        _ => Ending::failed(FailureKind::ImageUnavailable, words.clone()),
    };
    Ok((ending, words))
}

/// Refuses a base in which there is no git before setup runs, where nobody wrote one that could
/// bring it.
pub(super) fn check_git_early(layout: Layout) -> Result<Layout, Ending> {
    match layout.environment.setup {
        SetupSpec::Script(_) => Ok(layout),
        SetupSpec::Auto | SetupSpec::None => check_git(layout),
    }
}

/// The same once setup has run.
pub(super) fn check_git(layout: Layout) -> Result<Layout, Ending> {
    match layout.check_git() {
        Ok(()) => Ok(layout),
        Err(error) => Err(Ending::failed(FailureKind::ImageUnavailable, error.to_string())),
    }
}

/// What is to be added where setup left nothing that can be kept, over a base without git.
pub(super) fn git_words(layout: &Layout, error: &MakeError) -> String {
    match (&layout.root, error) {
        (Some(base), MakeError::Setup(SetupError::Unusable { .. })) => {
            let lack = base.lacks.iter().find(|lack| lack.kind == LackKind::Git);
            lack.map(|lack| format!("\n  the base: {}; {}", lack.what, lack.remedy))
                .unwrap_or_default()
        }
        _ => String::new(),
    }
}

impl Heard {
    fn note(&mut self, progress: &Progress) {
        match progress {
            Progress::Retrying { why, .. } => {
                self.troubles += 1;
                self.last.clone_from(why);
            }
            Progress::Resolving { .. } => {}
            Progress::Fetching { .. } | Progress::Unpacking { .. } | Progress::Waiting { .. } => {
                self.busy = true;
            }
        }
    }

    fn detail(&self, ground: &Ground) -> String {
        let Some(base) = &ground.base else { return String::new() };
        let mut text = format!(
            "{} brought: {} layer{}, {} MB unpacked",
            base.name,
            base.layers.len(),
            if base.layers.len() == 1 { "" } else { "s" },
            base.bytes.div_ceil(1_000_000)
        );
        if self.troubles > 0 {
            // Writing to a text cannot fail.
            let _ = write!(text, "; {} tries failed, last: {}", self.troubles, self.last);
        }
        text
    }
}
