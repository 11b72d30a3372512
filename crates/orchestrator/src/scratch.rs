//! A throw-away sandbox without a task: what `quire sandbox` runs in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quire_domain::environment::Limits;
use quire_domain::sandbox::{OverlayMount, SandboxBase, SandboxSpec, SandboxUser, Upper};
use quire_environment::host::HostView;
use quire_environment::recipe::default_environment;
use quire_git::GitError;

use crate::found::look_at_checkout;
use crate::prepare::{Layout, Stack, WORK};
use crate::setup::{self, Found};
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
    dir: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is swept at the next start.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A sandbox over a copy of the checkout that `checkout` lies in, or over an empty directory.
pub async fn scratch(
    worker: &Worker,
    checkout: Option<&Path>,
    bare: bool,
    limits: Limits,
    name: String,
) -> Result<Scratch, SubmitError> {
    let dir = worker.place.data_dir.join("uppers").join(&name);
    let environment = default_environment(bare, limits);
    let found = match checkout {
        None => None,
        Some(path) => match worker.git.inspect(path).await {
            Ok(checkout) => Some(look_at_checkout(worker, checkout, path, None, bare).await?),
            Err(GitError::NotARepository { .. }) => None,
            Err(error) => return Err(error.into()),
        },
    };
    let (Some(checkout), Some(found)) = (checkout, found) else {
        let view =
            if bare { HostView::bare(&worker.host) } else { HostView::of(&worker.host, None) };
        let workspace = PathBuf::from("/workspace/scratch");
        let overlay = |name: &str, target: &Path| OverlayMount {
            target: target.to_owned(),
            lowers: Vec::new(),
            name: name.to_owned(),
        };
        let mut overlays = vec![overlay("home", &view.home), overlay(WORK, &workspace)];
        overlays.extend(view.overlays);
        let spec = SandboxSpec {
            name,
            base: SandboxBase::Host,
            system: BTreeMap::new(),
            overlays,
            binds: view.binds,
            upper: Upper::Memory,
            workdir: workspace.clone(),
            home: view.home,
            env: view.env,
            user: SandboxUser::Agent,
            limits,
            egress: None,
        };
        return Ok(Scratch { spec, workspace, _layout: None, dir });
    };
    let environment = match &found.recipe {
        Some(text) => quire_environment::recipe::parse(text, environment)?,
        None => environment,
    };
    let stack = Stack { attempt_dir: dir.clone(), frozen: Vec::new(), continued: Vec::new() };
    let (origin, start) = (&found.origin, &found.start);
    let layout = Layout::make(worker, origin, start, &environment, &stack, found.seen).await?;
    let layout =
        match setup::look(worker, origin, &layout, Vec::new()).await?.found {
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
    Ok(Scratch { spec, workspace: layout.workspace.clone(), _layout: Some(layout), dir })
}
