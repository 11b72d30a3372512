//! A native sandbox: running, folded, or ended.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::sandbox::{
    ChangeMark, Changes, Command, FileChange, FileError, Layer, LayerOwner, Sandbox, SandboxError,
    SandboxSpec, StartedCommand, Upper,
};
use tokio::sync::Mutex;

use super::backend::{Made, Maker};
use super::guest::{Guest, Reason};
use super::{command, files, upper};

/// A native sandbox.
pub struct NativeSandbox {
    maker: Arc<Maker>,
    spec: SandboxSpec,
    state: Mutex<State>,
}

enum State {
    Running(Made),
    /// Its processes are ended; the next command makes it anew.
    Folded,
    /// For good.
    Ended,
}

impl NativeSandbox {
    /// Takes a guest that was made for the specification.
    pub fn new(maker: Arc<Maker>, spec: SandboxSpec, made: Made) -> Self {
        Self { maker, spec, state: Mutex::new(State::Running(made)) }
    }

    /// The guest, made anew if it was folded; and whose pipes have to be.
    async fn guest(&self) -> Result<(Arc<Guest>, Option<u32>), SandboxError> {
        let mut state = self.state.lock().await;
        match &*state {
            State::Running(made) => Ok((Arc::clone(&made.guest), made.owner)),
            State::Ended => Err(SandboxError::Gone("it was ended".to_owned())),
            State::Folded => {
                let made = self.maker.make(&self.spec).await?;
                let guest = (Arc::clone(&made.guest), made.owner);
                *state = State::Running(made);
                Ok(guest)
            }
        }
    }

    async fn stop(&self) -> Result<(), SandboxError> {
        let mut state = self.state.lock().await;
        if let State::Running(made) = std::mem::replace(&mut *state, State::Ended) {
            made.guest.kill(Reason::Said("it was ended".to_owned()));
            made.guest.ended().await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Sandbox for NativeSandbox {
    async fn start(&self, command: Command) -> Result<StartedCommand, SandboxError> {
        let (guest, owner) = self.guest().await?;
        let mut variables = self.spec.env.clone();
        variables.extend(command.env.clone());
        let environment: Vec<_> =
            variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let workdir = command.workdir.as_ref().unwrap_or(&self.spec.workdir);
        let workdir = workdir.to_string_lossy().into_owned();
        command::start(&guest, &command, &environment, &workdir, owner).await
    }

    async fn read_file(&self, path: &Path, limit: u64) -> Result<Bytes, FileError> {
        let (guest, owner) = self.guest().await?;
        files::read(&guest, path, limit, owner).await
    }

    async fn change_files(&self, root: &Path, changes: Vec<FileChange>) -> Result<(), FileError> {
        let (guest, owner) = self.guest().await?;
        files::change(&guest, root, &changes, owner).await
    }

    async fn changes(
        &self,
        _overlay: &str,
        since: Option<ChangeMark>,
        _limit: usize,
    ) -> Result<Changes, SandboxError> {
        let mark = since.unwrap_or_default();
        Ok(Changes { paths: Vec::new(), more: false, mark, used: Default::default() })
    }

    async fn fold(&self) -> Result<(), SandboxError> {
        Ok(())
    }

    async fn freeze(&self) -> Result<BTreeMap<String, Layer>, SandboxError> {
        let Upper::Disk(path) = &self.spec.upper else {
            return Err(SandboxError::Gone("an upper in memory cannot be frozen".to_owned()));
        };
        self.stop().await?;
        upper::mark_synced(path).map_err(super::guest::creating("mark the upper"))?;
        let names = self.spec.overlays.iter().map(|overlay| overlay.name.as_str());
        Ok(names
            .chain(["home", "var"])
            .map(|name| {
                let path = path.join(name).join("upper");
                (name.to_owned(), Layer { path, owner: LayerOwner::Sandbox })
            })
            .collect())
    }

    async fn end(&self) -> Result<(), SandboxError> {
        self.stop().await
    }
}

impl Drop for NativeSandbox {
    fn drop(&mut self) {
        if let State::Running(made) = self.state.get_mut() {
            made.guest.kill(Reason::Said("it was dropped".to_owned()));
        }
    }
}
