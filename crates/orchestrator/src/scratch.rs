//! A throw-away sandbox without a task: what `quire sandbox` runs in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quire_domain::environment::BaseSpec;
use quire_domain::sandbox::{OverlayMount, SandboxSpec, SandboxUser, Upper};
use quire_environment::host::HostView;
use quire_git::GitError;
use quire_images::{Base, ImageError};

use crate::bases::{Bring, Ground, sandbox_base};
use crate::found::{self as repository, look_at_checkout};
use crate::known_secrets;
use crate::prepare::{Layout, Stack, WORK, view_of_root};
use crate::resolution::{self, Defaults, ResolveError, resolve};
use crate::setup::{self, Found, SecretVersion};
use crate::submit::SubmitError;
use crate::worker::Worker;

/// What a throw-away sandbox is made of.
pub struct Scratch {
    /// The making of it.
    pub spec: SandboxSpec,
    /// Where the copy of the checkout, or the empty directory, lies inside.
    pub workspace: PathBuf,
    /// Held so that the layer is not evicted.
    _layout: Option<Layout>,
    /// Held so that its layers are not.
    _root: Option<Base>,
    dir: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is swept at the next start.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What is asked for.
pub struct Asked<'a> {
    /// A place in a checkout; an empty directory is given without one.
    pub checkout: Option<&'a Path>,
    /// The environment, by its name.
    pub environment: Option<&'a str>,
    /// Whether nothing of the person's machine is shown.
    pub bare: bool,
    /// What holds where no recipe says otherwise.
    pub defaults: Defaults,
    /// What the sandbox is called: unique among the living.
    pub name: String,
}

/// Why there is no throw-away sandbox.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The checkout or its recipe.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// Which environment it is.
    #[error(transparent)]
    Environment(#[from] ResolveError),
    /// Its base.
    #[error(transparent)]
    Base(#[from] ImageError),
}

/// A sandbox over a copy of the checkout that `checkout` lies in, or over an empty directory.
/// `bring` says who is told while a base comes in.
pub async fn scratch(
    worker: &Worker,
    asked: Asked<'_>,
    bring: Bring<'_>,
) -> Result<Scratch, ScratchError> {
    let Asked { checkout, environment: named, bare, defaults, name } = asked;
    let dir = worker.place.data_dir.join("uppers").join(&name);
    let found = match checkout {
        None => None,
        Some(path) => match worker.git.inspect(path).await {
            Ok(checkout) => Some(look_at_checkout(worker, checkout, path, None, bare).await?),
            Err(GitError::NotARepository { .. }) => None,
            Err(error) => return Err(SubmitError::from(error).into()),
        },
    };
    let repository = found.as_ref().map(|found| found.repository.as_str());
    let recipe = found.as_ref().and_then(|found| found.recipe.as_deref());
    let asked = resolution::Asked { named, repository, recipe, defaults, bare };
    let resolved = resolve(&worker.store, asked).await?;
    let secrets = known_secrets::versions(worker, &resolved.scope, &resolved.environment).await;
    let secrets = secrets.map_err(SubmitError::from)?;
    let ground = Box::pin(Ground::of(worker, resolved.environment, bring)).await?;
    let made = match (checkout, found) {
        (Some(checkout), Some(found)) => {
            over_checkout(worker, checkout, found, &ground, secrets, (name, dir)).await
        }
        _ => Ok(over_nothing(worker, ground, name, dir)),
    };
    Ok(made.map_err(SubmitError::from)?)
}

async fn over_checkout(
    worker: &Worker,
    checkout: &Path,
    found: repository::Found,
    ground: &Ground,
    secrets: Vec<SecretVersion>,
    (name, dir): (String, PathBuf),
) -> Result<Scratch, GitError> {
    let stack = Stack { attempt_dir: dir.clone(), frozen: Vec::new(), continued: Vec::new() };
    let (origin, start) = (&found.origin, &found.start);
    let layout = Layout::make(worker, origin, start, ground, &stack, found.seen).await?;
    let layout =
        match setup::look(worker, origin, &layout, secrets).await?.found {
            Found::There(snapshot) => layout.on(*snapshot, &dir).map_err(|source| {
                GitError::Io { doing: "note the snapshot in", path: dir.clone(), source }
            })?,
            Found::Nothing | Found::Missing(_) => layout,
        };
    let mut spec = layout.spec(name, Upper::Memory, SandboxUser::Agent);
    if checkout.starts_with(&layout.workspace) {
        checkout.clone_into(&mut spec.workdir);
    }
    spec.env.extend(BTreeMap::from([("PAGER".to_owned(), "cat".to_owned())]));
    let workspace = layout.workspace.clone();
    Ok(Scratch { spec, workspace, _layout: Some(layout), _root: None, dir })
}

fn over_nothing(worker: &Worker, ground: Ground, name: String, dir: PathBuf) -> Scratch {
    let Ground { environment, base: root } = ground;
    let view = match &root {
        Some(base) => view_of_root(worker, base),
        None if environment.base == (BaseSpec::Host { bare: true }) => HostView::bare(&worker.host),
        None => HostView::of(&worker.host, None),
    };
    let workspace = PathBuf::from("/workspace/scratch");
    let overlay = |name: &str, target: &Path| OverlayMount {
        target: target.to_owned(),
        lowers: Vec::new(),
        name: name.to_owned(),
    };
    let mut overlays = vec![overlay("home", &view.home), overlay(WORK, &workspace)];
    overlays.extend(view.overlays);
    let mut env = view.env;
    env.extend(environment.variables);
    let spec = SandboxSpec {
        name,
        base: sandbox_base(root.as_ref()),
        system: BTreeMap::new(),
        overlays,
        binds: view.binds,
        upper: Upper::Memory,
        workdir: workspace.clone(),
        home: view.home,
        env,
        user: SandboxUser::Agent,
        limits: environment.limits,
        egress: None,
    };
    Scratch { spec, workspace, _layout: None, _root: root, dir }
}
