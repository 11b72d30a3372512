//! Finding a task's repository: mirrored, its base captured, its recipe read. Several tasks may
//! start from one finding.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quire_domain::path::WorkspacePath;
use quire_domain::task::StartPoint;
use quire_environment::recipe::{self, RecipeError};
use quire_git::{Checkout, GitError};

use crate::seen::Seen;
use crate::submit::{Origin, SubmitError};
use crate::worker::Worker;

/// Where a task's repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A checkout of the person's, at or above this path.
    Checkout(PathBuf),
    /// An address.
    Url(String),
}

/// What was found of a repository: where a task in it starts, as of the moment it was looked at.
#[derive(Debug, Clone)]
pub struct Found {
    pub(crate) repository: String,
    pub(crate) origin: Origin,
    pub(crate) start: StartPoint,
    pub(crate) recipe: Option<String>,
    pub(crate) seen: Option<Arc<Seen>>,
}

impl Found {
    /// The checkout as it was seen, which saves the attempts from looking again. `None` for an
    /// address.
    pub fn seen(&self) -> Option<Arc<Seen>> {
        self.seen.clone()
    }

    /// What a person pushed of a repository as the base of a task, beside the mirror with this key.
    pub fn pushed(repository: &str, mirror: String, start: StartPoint) -> Self {
        let origin = Origin {
            mirror,
            layer: start.base.clone(),
            workspace: workspace_of(repository),
            checkout: None,
            ignored: Vec::new(),
            start_dir: None,
            author: None,
            secrets: None,
            // Nobody else has looked at it.
            apart: Some(start.base.to_string()),
        };
        Self { repository: repository.to_owned(), origin, start, recipe: None, seen: None }
    }

    /// The recipe of a checkout, where there is one: only that is trusted.
    pub fn recipe(&self) -> Option<&str> {
        self.recipe.as_deref()
    }

    /// The repository, as tasks name it.
    pub fn repository(&self) -> &str {
        &self.repository
    }
}

/// Finds a repository. `inspected` is the checkout where it was looked at already; `from` the
/// branch, tag or commit to start from, instead of what is checked out; `bare` shows nothing of
/// the person's machine inside.
///
/// # Errors
///
/// [`SubmitError::Git`] where there is no repository, no such ref or no way to it;
/// [`SubmitError::NotPossible`] where a checkout holds our own data.
pub async fn find(
    worker: &Worker,
    source: &Source,
    inspected: Option<Checkout>,
    from: Option<&str>,
    bare: bool,
) -> Result<Found, SubmitError> {
    match source {
        Source::Checkout(path) => {
            let checkout = match inspected {
                Some(checkout) => checkout,
                None => worker.git.inspect(path).await?,
            };
            look_at_checkout(worker, checkout, path, from, bare).await
        }
        Source::Url(url) => from_url(worker, url, from).await,
    }
}

/// Looks at a person's checkout and fixes where a task in it starts.
pub(crate) async fn look_at_checkout(
    worker: &Worker,
    checkout: Checkout,
    path: &Path,
    from: Option<&str>,
    bare: bool,
) -> Result<Found, SubmitError> {
    keep_data_out(worker, &checkout).await?;
    let mirror = worker.git.mirror_checkout(&checkout).await?;
    let captured = worker.git.capture(&checkout, &mirror).await?;
    let mut apart = None;
    let start = match from {
        None => StartPoint {
            base: captured.base.clone(),
            head: captured.head.clone(),
            branch: captured.branch.clone(),
            uncommitted: captured.uncommitted,
        },
        Some(name) => {
            let base = worker.git.resolve_in_checkout(&checkout, name).await?;
            worker.git.fetch_commit(&mirror, &checkout, &base).await?;
            let branch = worker.git.is_branch(&mirror, name).then(|| name.to_owned());
            let repository = mirror.repository();
            if !worker.git.is_ancestor(repository, &base, &captured.head).await? {
                apart = Some(name.to_owned());
            }
            StartPoint { head: base.clone(), base, branch, uncommitted: 0 }
        }
    };
    let root = checkout.top_level.clone();
    let ignored = if bare { Vec::new() } else { ignored_dirs(worker, &checkout).await? };
    let origin = Origin {
        mirror: mirror.key.clone(),
        layer: start.base.clone(),
        workspace: root.clone(),
        start_dir: below(&root, path),
        ignored,
        author: checkout.author(),
        secrets: None,
        apart,
        checkout: Some(root.clone()),
    };
    // The recipe of a checkout that the person runs this in is trusted; another ref's is not.
    let recipe = recipe_of(&root)?;
    let repository = root.display().to_string();
    let seen = Some(Arc::new(Seen::new(checkout, captured)));
    Ok(Found { repository, origin, start, recipe, seen })
}

async fn from_url(worker: &Worker, url: &str, from: Option<&str>) -> Result<Found, SubmitError> {
    let remote = worker.git.mirror_url(url, from).await?;
    let start = StartPoint {
        base: remote.commit.clone(),
        head: remote.commit.clone(),
        branch: remote.branch,
        uncommitted: 0,
    };
    let origin = Origin {
        mirror: remote.mirror.key,
        layer: remote.commit,
        workspace: workspace_of(url),
        checkout: None,
        ignored: Vec::new(),
        start_dir: None,
        author: None,
        secrets: None,
        apart: from.map(str::to_owned),
    };
    Ok(Found { repository: remote.url, origin, start, recipe: None, seen: None })
}

/// Refuses a checkout that holds the data directory, unless git ignores it: keys and other tasks
/// would become part of what an agent sees.
async fn keep_data_out(worker: &Worker, checkout: &Checkout) -> Result<(), SubmitError> {
    let data = std::fs::canonicalize(&worker.place.data_dir);
    let data = data.unwrap_or_else(|_| worker.place.data_dir.clone());
    let Ok(inside) = data.strip_prefix(&checkout.top_level) else { return Ok(()) };
    let inside = inside.to_string_lossy().into_owned();
    if !worker.git.ignored_among(checkout, vec![inside.clone()]).await?.is_empty() {
        return Ok(());
    }
    Err(SubmitError::NotPossible(format!(
        "Quire keeps its data in `{inside}` of this checkout, where an agent would see it: add it \
         to .gitignore, or keep the data elsewhere with --data-dir"
    )))
}

/// Build directories that git ignores. No process is started where there are none.
async fn ignored_dirs(worker: &Worker, checkout: &Checkout) -> Result<Vec<String>, GitError> {
    let candidates = quire_environment::build_dirs::find(&checkout.top_level);
    if candidates.is_empty() {
        return Ok(candidates);
    }
    worker.git.ignored_among(checkout, candidates).await
}

/// Where in the repository `path` is, if below its root.
fn below(root: &Path, path: &Path) -> Option<WorkspacePath> {
    let path = std::fs::canonicalize(path).ok()?;
    WorkspacePath::parse(path.strip_prefix(root).ok()?.to_str()?).ok()
}

/// The recipe that lies in a checkout now, if there is one.
///
/// # Errors
///
/// What lies there is no file of text, is too long, or may not be read: a task would otherwise
/// begin without what the person asked for.
pub fn recipe_of(top_level: &Path) -> Result<Option<String>, RecipeError> {
    use std::io::ErrorKind::{InvalidData, NotADirectory, NotFound};
    let wrong = |what: &str| {
        let recipe = recipe::RECIPE_PATH.to_owned();
        Err(RecipeError { recipe, position: None, what: what.to_owned() })
    };
    let path = top_level.join(recipe::RECIPE_PATH);
    let found = match std::fs::symlink_metadata(&path) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(None),
        Err(error) => return wrong(&format!("cannot be read: {error}")),
    };
    // A link may lead anywhere, and its target's first line into an error.
    if found.is_symlink() {
        return wrong("is a link, which is not followed; put the file itself there");
    }
    if !found.is_file() {
        return wrong("is no regular file");
    }
    if found.len() > recipe::MOST_BYTES as u64 {
        return wrong(&format!("is longer than {} bytes", recipe::MOST_BYTES));
    }
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == NotFound => Ok(None),
        Err(error) if error.kind() == InvalidData => wrong("is not UTF-8"),
        Err(error) => wrong(&format!("cannot be read: {error}")),
    }
}

/// Where a repository lies inside that is not a checkout of the person's.
fn workspace_of(url: &str) -> PathBuf {
    let name = url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    let name: String = name
        .trim_end_matches(".git")
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .take(60)
        .collect();
    let name = if name.trim_matches('.').is_empty() { "repository".to_owned() } else { name };
    Path::new("/workspace").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_after_its_address() {
        for (url, path) in [
            ("https://example.com/a/b.git", "/workspace/b"),
            ("git@example.com:team/web-app.git", "/workspace/web-app"),
            ("https://example.com/a/b/", "/workspace/b"),
            ("https://example.com/..", "/workspace/repository"),
        ] {
            assert_eq!(workspace_of(url), Path::new(path), "{url}");
        }
    }
}
