//! What `quire env test` and `quire env shell` share: which environment of which repository, and
//! showing what happens while it is set up.

mod follow;

use std::path::PathBuf;

use quire_orchestrator::found::{Source, find};
use quire_orchestrator::life::trial::{Asked, Trial};
use quire_orchestrator::resolution::{OWNER, Resolved};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use self::follow::{Follow, Signals};
use super::Here;
use crate::commands::go::{Place, refused, said_if_slow, source_of, sweep_meanwhile};
use crate::commands::task::told;
use crate::exit::usage;
use crate::surroundings::checkout_of;

/// Which environment, of which repository.
#[derive(Debug, clap::Args)]
pub struct At {
    /// Which; if not given, what a run in this checkout would have.
    name: Option<String>,
    /// The repository: a path or an address; this checkout if not given, else the repository whose
    /// default the environment is.
    #[arg(long, value_name = "PATH|URL")]
    repo: Option<String>,
    /// The branch, tag or commit, instead of what is checked out.
    #[arg(long = "ref", value_name = "REF")]
    from: Option<String>,
    /// Show nothing of this machine but its system directories.
    #[arg(long)]
    bare: bool,
    /// Run setup anew, also where there is a snapshot; later tasks stand on the new one.
    #[arg(long, visible_alias = "no-cache")]
    fresh: bool,
}

/// What is tried.
pub struct Begun {
    /// It.
    pub trial: Trial,
    /// Its environment, and where that is from.
    pub resolved: Resolved,
    /// The repository, as tasks name it.
    pub repository: String,
    /// Removes what is no longer to be kept, until it is dropped: whoever mends a setup tries it
    /// many times, and each time leaves something.
    pub sweeping: AbortOnDropHandle<()>,
}

impl At {
    /// The directory that it is about, if it is one.
    pub fn directory(&self, current: &std::path::Path) -> Option<PathBuf> {
        match source_of(self.repo.as_deref(), current) {
            Source::Checkout(path) => Some(path),
            Source::Url(_) => None,
        }
    }

    /// Finds the environment and the repository, and begins to try the one on the other.
    pub async fn begin(
        &self,
        here: &Here,
        skip_checks: bool,
        cancel: CancellationToken,
    ) -> anyhow::Result<Begun> {
        let installation = &here.installation;
        installation.needs_sandbox()?;
        let source = self.source(here).await?;
        let root = match &source {
            Source::Checkout(path) => checkout_of(path),
            Source::Url(_) => None,
        };
        let place = Place::of(&source, root)?;
        let named = self.name.as_deref();
        let resolved = place.environment(installation, here.defaults()?, named, self.bare).await?;
        let worker = &installation.worker;
        let finding = find(worker, &source, None, self.from.as_deref(), self.bare);
        let found = said_if_slow(Box::pin(finding)).await.map_err(refused)?;
        let asked = Asked { fresh: self.fresh, skip_checks };
        let trial = Trial::new(worker, &found, &resolved, asked, cancel).await.map_err(refused)?;
        let repository = found.repository().to_owned();
        let sweeping = AbortOnDropHandle::new(sweep_meanwhile(installation));
        Ok(Begun { trial, resolved, repository, sweeping })
    }

    async fn source(&self, here: &Here) -> anyhow::Result<Source> {
        let current = &here.installation.surroundings.current_dir;
        if self.repo.is_some() || here.place.repository.is_some() {
            return Ok(source_of(self.repo.as_deref(), current));
        }
        let Some(name) = &self.name else {
            return Err(usage(
                "this is no checkout: change to one, or say which with --repo PATH|URL",
            ));
        };
        let stored = here.installation.worker.store.environment(OWNER, name, None).await;
        match stored.map_err(told)? {
            Some(stored) => stored
                .repository
                .map(|repository| source_of(Some(&repository), current))
                .ok_or_else(|| {
                    usage(format!(
                        "`{name}` is no repository's default, and this is no checkout: say on \
                         which one to try it with --repo PATH|URL"
                    ))
                }),
            None => Err(here.no_such(name).await),
        }
    }
}
