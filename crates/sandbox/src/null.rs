//! The null backend: commands run on the host as they are, in a copy of the layers. For tests
//! that need no isolation; it refuses to start elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::sandbox::{
    ChangeMark, Changes, Command, CommandControl, CommandEvent, CommandOutput, CommandSignal,
    ExitStatus, FileChange, FileError, Finding, FindingLevel, IsolationReport, Layer, LayerOwner,
    Sandbox, SandboxBackend, SandboxError, SandboxSpec, StartedCommand, Upper, UpperUse,
};
use tokio::io::AsyncReadExt as _;

/// The variable that only a test runner sets.
const TEST_MARK: &str = "QUIRE_TEST";

/// Makes sandboxes that isolate nothing.
#[derive(Debug)]
pub struct NullBackend {
    _private: (),
}

impl NullBackend {
    /// For tests alone: `environment` is asked for `QUIRE_TEST=1`, which the caller passes from
    /// its own environment. `None` outside a test.
    pub fn for_tests(environment: impl Fn(&str) -> Option<String>) -> Option<Self> {
        (environment(TEST_MARK)? == "1").then_some(Self { _private: () })
    }
}

fn failed(step: &str) -> impl FnOnce(io::Error) -> SandboxError {
    let step = step.to_owned();
    move |source| SandboxError::Create { step, source }
}

#[async_trait]
impl SandboxBackend for NullBackend {
    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let Upper::Disk(upper) = &spec.upper else {
            return Err(SandboxError::Gone("the null backend has no memory upper".to_owned()));
        };
        for overlay in &spec.overlays {
            let place = upper.join(&overlay.name).join("upper");
            if !place.exists() {
                fs::create_dir_all(&place).map_err(failed("make the copy"))?;
                for lower in overlay.lowers.iter().rev() {
                    copy(&lower.path, &place).map_err(failed("copy a layer"))?;
                }
            }
        }
        let upper = upper.clone();
        Ok(Arc::new(NullSandbox { spec, upper }))
    }

    async fn report(&self) -> IsolationReport {
        let findings = vec![Finding {
            name: "sandbox".to_owned(),
            level: FindingLevel::Degraded,
            detail: "none: commands run on the host".to_owned(),
            remedy: None,
        }];
        IsolationReport { usable: true, findings }
    }

    async fn discard(&self, path: &Path) -> Result<(), SandboxError> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove the upper")(error))
            }
            _ => Ok(()),
        }
    }

    async fn sweep(&self) -> Result<(), SandboxError> {
        Ok(())
    }
}

/// Later layers win.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &to)?;
        } else if kind.is_symlink() {
            let _ = fs::remove_file(&to);
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &to)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}

struct NullSandbox {
    spec: SandboxSpec,
    upper: PathBuf,
}

impl NullSandbox {
    /// Where a path inside lies on the host.
    fn place(&self, path: &Path) -> PathBuf {
        self.spec
            .overlays
            .iter()
            .find_map(|overlay| {
                let below = path.strip_prefix(&overlay.target).ok()?;
                Some(self.upper.join(&overlay.name).join("upper").join(below))
            })
            .unwrap_or_else(|| path.to_owned())
    }
}

#[async_trait]
impl Sandbox for NullSandbox {
    async fn start(&self, command: Command) -> Result<StartedCommand, SandboxError> {
        let program = command.argv.first().cloned().unwrap_or_default();
        let workdir = command.workdir.as_ref().unwrap_or(&self.spec.workdir);
        let mut child = tokio::process::Command::new(&program)
            .args(command.argv.iter().skip(1))
            .env_clear()
            .envs(self.spec.env.iter().chain(&command.env))
            .current_dir(self.place(workdir))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| SandboxError::Spawn { program, source })?;
        let pid = child.id();
        let output = NullOutput { output: child.stdout.take(), error: child.stderr.take(), child };
        Ok(StartedCommand { output: Box::new(output), control: Arc::new(NullControl { pid }) })
    }

    async fn read_file(&self, path: &Path, limit: u64) -> Result<Bytes, FileError> {
        let name = path.display().to_string();
        let place = self.place(path);
        let metadata = fs::metadata(&place).map_err(|_| FileError::NotFound(name.clone()))?;
        if !metadata.is_file() {
            return Err(FileError::NotAFile(name));
        }
        if metadata.len() > limit {
            return Err(FileError::TooLarge { path: name, bytes: metadata.len(), limit });
        }
        let denied =
            |error: io::Error| FileError::Denied { path: name, message: error.to_string() };
        fs::read(place).map(Bytes::from).map_err(denied)
    }

    async fn change_files(&self, root: &Path, changes: Vec<FileChange>) -> Result<(), FileError> {
        for change in changes {
            let (FileChange::Write { path, .. } | FileChange::Remove { path }) = &change;
            let place = self.place(&root.join(path.as_str()));
            let done = match &change {
                FileChange::Write { content, .. } => place
                    .parent()
                    .map_or(Ok(()), fs::create_dir_all)
                    .and_then(|()| fs::write(&place, content)),
                FileChange::Remove { .. } => fs::remove_file(&place),
            };
            done.map_err(|error| FileError::Denied {
                path: path.to_string(),
                message: error.to_string(),
            })?;
        }
        Ok(())
    }

    async fn changes(
        &self,
        _overlay: &str,
        since: Option<ChangeMark>,
        _limit: usize,
    ) -> Result<Changes, SandboxError> {
        let mark = since.unwrap_or_default();
        Ok(Changes { paths: Vec::new(), more: false, mark, used: UpperUse::default() })
    }

    async fn fold(&self) -> Result<(), SandboxError> {
        Ok(())
    }

    async fn freeze(&self) -> Result<BTreeMap<String, Layer>, SandboxError> {
        let layer = |name: &String| {
            let path = self.upper.join(name).join("upper");
            (name.clone(), Layer { path, owner: LayerOwner::Host })
        };
        Ok(self.spec.overlays.iter().map(|overlay| layer(&overlay.name)).collect())
    }

    async fn end(&self) -> Result<(), SandboxError> {
        Ok(())
    }
}

struct NullOutput {
    child: tokio::process::Child,
    output: Option<tokio::process::ChildStdout>,
    error: Option<tokio::process::ChildStderr>,
}

#[async_trait]
impl CommandOutput for NullOutput {
    async fn next(&mut self) -> Result<CommandEvent, SandboxError> {
        let mut piece = vec![0; 8192];
        if let Some(output) = &mut self.output {
            let read = output.read(&mut piece).await.unwrap_or(0);
            if read > 0 {
                piece.truncate(read);
                return Ok(CommandEvent::Output(piece.into()));
            }
            self.output = None;
        }
        if let Some(error) = &mut self.error {
            let read = error.read(&mut piece).await.unwrap_or(0);
            if read > 0 {
                piece.truncate(read);
                return Ok(CommandEvent::Error(piece.into()));
            }
            self.error = None;
        }
        let status = self.child.wait().await.map_err(failed("wait for a command"))?;
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        Ok(CommandEvent::Exited(match (status.code(), signal) {
            (Some(code), _) => ExitStatus::Code(code),
            (None, signal) => ExitStatus::Signal(signal.unwrap_or_default()),
        }))
    }
}

struct NullControl {
    pid: Option<u32>,
}

#[async_trait]
impl CommandControl for NullControl {
    async fn write(&self, _bytes: &[u8], _timeout: Duration) -> Result<(), SandboxError> {
        Err(SandboxError::InputClosed)
    }

    async fn close_input(&self) -> Result<(), SandboxError> {
        Ok(())
    }

    async fn signal(&self, signal: CommandSignal) -> Result<(), SandboxError> {
        let number = match signal {
            CommandSignal::Interrupt => rustix::process::Signal::INT,
            CommandSignal::Terminate => rustix::process::Signal::TERM,
            CommandSignal::Kill => rustix::process::Signal::KILL,
        };
        let pid = self.pid.and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, number);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::NullBackend;

    #[test]
    fn it_refuses_to_start_outside_a_test() {
        assert!(NullBackend::for_tests(|_| None).is_none());
        assert!(NullBackend::for_tests(|_| Some("0".to_owned())).is_none());
        assert!(NullBackend::for_tests(|_| Some("1".to_owned())).is_some());
    }
}
