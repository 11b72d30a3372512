//! Which objects of a checkout its commits reach: what a mirror may hold.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::time::Duration;

use crate::config::Git;
use crate::error::GitError;
use crate::inspect::Checkout;
use crate::refs::is_object_name;

/// How far is looked for objects that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walk {
    /// Along all commits, into the trees of those that are in no pack: as good as always enough,
    /// and as cheap as `git log`. Packs that git keeps for what is unreachable are left out.
    Loose,
    /// Into every tree.
    All,
}

/// What is wanted of the loose objects of a checkout.
#[derive(Debug)]
pub(crate) struct Reachable {
    pub(crate) objects: HashSet<String>,
    pub(crate) walk: Walk,
}

const WALK_TIMEOUT: Duration = Duration::from_mins(30);
/// Names of some twenty million objects.
const NAMES_LIMIT_BYTES: usize = 1 << 30;

impl Git {
    /// The objects that `tips` reach in a checkout. Where some of its history is broken, what its
    /// HEAD reaches: enough to work on.
    pub(crate) async fn reachable(
        &self,
        checkout: &Checkout,
        tips: &BTreeSet<String>,
        walk: Walk,
    ) -> Result<Reachable, GitError> {
        let head = BTreeSet::from([checkout.head.as_str().to_owned()]);
        let output = match self.walk(&checkout.common_dir, tips, walk).await {
            Err(GitError::Failed { .. }) => self.walk(&checkout.common_dir, &head, walk).await?,
            other => other?,
        };
        let names = output.split(|b| *b == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        let objects = names.filter(|name| is_object_name(name)).map(str::to_owned).collect();
        Ok(Reachable { objects, walk })
    }

    async fn walk(
        &self,
        git_dir: &Path,
        tips: &BTreeSet<String>,
        walk: Walk,
    ) -> Result<Vec<u8>, GitError> {
        let mut run = self
            .ours("read the history of the checkout", git_dir)
            .args(["rev-list", "--objects", "--no-object-names", "--missing=allow-any"])
            .timeout(WALK_TIMEOUT)
            .output_limit(NAMES_LIMIT_BYTES);
        if walk == Walk::Loose {
            run = run.arg("--unpacked");
        }
        // A tip that is gone is passed by.
        run.args(["--ignore-missing", "--stdin"]).input(lines(tips)).output().await
    }

    /// Whether what was taken along [`Walk::Loose`] into the mirror in `git_dir` is enough: the
    /// whole tree of HEAD, and all commits where packs were left out.
    pub(crate) async fn is_connected(
        &self,
        git_dir: &Path,
        checkout: &Checkout,
        tips: &BTreeSet<String>,
    ) -> Result<bool, GitError> {
        let run = || {
            self.ours("read the history of the mirror", git_dir)
                .args(["rev-list", "--quiet"])
                .timeout(WALK_TIMEOUT)
        };
        let tree = run()
            .args(["--objects", "--no-walk", "--missing=allow-promisor", checkout.head.as_str()])
            .end()
            .await?;
        if tree.code != Some(0) || !has_cruft(&checkout.common_dir) {
            return Ok(tree.code == Some(0));
        }
        let tips = self.existing(&checkout.common_dir, tips).await?;
        let commits = run().arg("--stdin").input(lines(&tips)).end().await?;
        Ok(commits.code == Some(0))
    }
}

/// Whether git keeps a pack of what is unreachable.
fn has_cruft(common_dir: &Path) -> bool {
    let Ok(listing) = std::fs::read_dir(common_dir.join("objects/pack")) else { return false };
    listing.flatten().any(|entry| entry.path().extension().is_some_and(|end| end == "mtimes"))
}

fn lines(names: &BTreeSet<String>) -> String {
    names.iter().flat_map(|name| [name.as_str(), "\n"]).collect()
}
