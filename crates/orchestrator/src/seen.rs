//! A person's checkout as it was when it was last looked at: shared by all attempts that start from
//! that look.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use quire_domain::ids::CommitId;
use quire_git::{
    CacheWord, Captured, Checkout, CheckoutLayer, Git, GitError, LayerTimes, Mirror, TaskRepository,
};
use tokio::sync::OnceCell;

use crate::worker::Worker;

/// The person's checkout as it was when it was last looked at.
#[derive(Debug)]
pub struct Seen {
    /// The checkout.
    pub checkout: Checkout,
    /// What was captured of it.
    pub captured: Captured,
    /// The layer with the times that were seen, once somebody asked for it; held for the others.
    layer: OnceCell<(CommitId, CheckoutLayer)>,
}

impl Seen {
    /// What was seen just now.
    pub fn new(checkout: Checkout, captured: Captured) -> Self {
        Self { checkout, captured, layer: OnceCell::new() }
    }

    /// The layer of `commit` whose files carry the times of this checkout. The first who asks
    /// reads the times of all files, the others are given what it found.
    pub(crate) async fn layer(
        &self,
        git: &Git,
        repository: &TaskRepository,
        commit: &CommitId,
    ) -> Result<CheckoutLayer, GitError> {
        let first = AtomicBool::new(false);
        let make = || async {
            first.store(true, Ordering::Relaxed);
            Ok::<_, GitError>((commit.clone(), self.look_up(git, repository, commit).await?))
        };
        let (of, layer) = self.layer.get_or_try_init(make).await?;
        if of != commit {
            return self.look_up(git, repository, commit).await;
        }
        if first.load(Ordering::Relaxed) {
            return Ok(layer.clone());
        }
        git.mark_used(layer);
        let mut layer = layer.clone();
        layer.cache = CacheWord::Hit;
        Ok(layer)
    }

    async fn look_up(
        &self,
        git: &Git,
        repository: &TaskRepository,
        commit: &CommitId,
    ) -> Result<CheckoutLayer, GitError> {
        let times = self.captured.source_times().await?;
        git.checkout_layer(repository, commit, LayerTimes::Checkout(&times)).await
    }
}

/// Looks at a person's checkout, and captures what is not committed.
pub async fn see(worker: &Worker, root: &Path, mirror: &Mirror) -> Result<Seen, GitError> {
    let checkout = worker.git.inspect(root).await?;
    let captured = worker.git.capture(&checkout, mirror).await?;
    Ok(Seen::new(checkout, captured))
}
