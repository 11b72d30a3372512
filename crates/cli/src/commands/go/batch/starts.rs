//! Where the tasks of a file start. Each repository is looked at once: a checkout before the first
//! task starts, so that all of them start from what the person had then; an address when the first
//! of its tasks has its turn.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use quire_git::Checkout;
use quire_orchestrator::found::{Found, Source, find};
use tokio::sync::OnceCell;

use super::super::refused;
use crate::installation::Installation;
use crate::surroundings::checkout_of;

/// Repositories that are looked at at once.
const AT_ONCE: usize = 4;

/// Where a task starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Its repository.
    pub source: Source,
    /// The branch, tag or commit, instead of what is checked out.
    pub from: Option<String>,
    /// Whether nothing of this machine is shown inside.
    pub bare: bool,
}

impl Start {
    /// The top level of the checkout, whose own settings count.
    pub fn root(&self) -> Option<&Path> {
        match &self.source {
            Source::Checkout(path) => checkout_of(path),
            Source::Url(_) => None,
        }
    }
}

/// What was found, or why not: the same for all that ask.
type Looked = Result<Arc<Found>, String>;

/// All starts of a file, each once.
#[derive(Default)]
pub struct Starts {
    all: Vec<Entry>,
    known: HashMap<(String, Option<String>, bool), usize>,
}

struct Entry {
    start: Start,
    /// The first line that names it.
    line: usize,
    looked: OnceCell<Looked>,
}

impl Starts {
    /// Adds a start that `line` names; gives its place.
    pub fn add(&mut self, start: Start, line: usize) -> usize {
        let source = match &start.source {
            Source::Checkout(path) => format!("path {}", path.display()),
            Source::Url(url) => format!("url {url}"),
        };
        let next = self.all.len();
        let key = (source, start.from.clone(), start.bare);
        let place = *self.known.entry(key).or_insert(next);
        if place == next {
            self.all.push(Entry { start, line, looked: OnceCell::new() });
        }
        place
    }

    /// Looks at all checkouts. Gives those that cannot be used, with the line that names them.
    pub async fn look(&mut self, installation: &Installation) -> Vec<(usize, anyhow::Error)> {
        let mut bad = Vec::new();
        let mut inspected: HashMap<PathBuf, Option<Checkout>> = HashMap::new();
        for entry in &self.all {
            let Source::Checkout(path) = &entry.start.source else { continue };
            if inspected.contains_key(path) {
                continue;
            }
            let checkout = match installation.worker.git.inspect(path).await {
                Ok(checkout) => Some(checkout),
                Err(error) => {
                    bad.push((entry.line, refused(error.into())));
                    None
                }
            };
            inspected.insert(path.clone(), checkout);
        }
        let looks = self.all.iter().filter_map(|entry| {
            let Source::Checkout(path) = &entry.start.source else { return None };
            let checkout = inspected.get(path).cloned().flatten()?;
            Some(async move {
                let found = entry.look(installation, Some(checkout)).await;
                found.map(|found| entry.keep(Ok(found))).map_err(|error| (entry.line, error))
            })
        });
        let looked: Vec<_> = stream::iter(looks).buffered(AT_ONCE).collect().await;
        bad.extend(looked.into_iter().filter_map(Result::err));
        bad.sort_by_key(|(line, _)| *line);
        bad
    }

    /// What was found at a place; looked at now if nobody asked before.
    pub async fn found(&self, installation: &Installation, place: usize) -> Looked {
        let Some(entry) = self.all.get(place) else { return Err("it starts nowhere".to_owned()) };
        let look = || async {
            let found = entry.look(installation, None).await;
            found.map_err(|error| format!("{error:#}"))
        };
        entry.looked.get_or_init(look).await.clone()
    }
}

impl Entry {
    async fn look(
        &self,
        installation: &Installation,
        checkout: Option<Checkout>,
    ) -> anyhow::Result<Arc<Found>> {
        let Start { source, from, bare } = &self.start;
        let found = find(&installation.worker, source, checkout, from.as_deref(), *bare);
        Box::pin(found).await.map(Arc::new).map_err(refused)
    }

    fn keep(&self, looked: Looked) {
        // Nobody else asks while the checkouts are looked at.
        let _ = self.looked.set(looked);
    }
}
