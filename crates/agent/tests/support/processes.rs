//! Processes in a directory, where a sandbox would be.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use quire_agent::SandboxSource;
use quire_domain::sandbox::{
    ChangeMark, Changes, Command, CommandControl, CommandEvent, CommandOutput, CommandSignal,
    ExitStatus, FileChange, FileError, Layer, Sandbox, SandboxError, StartedCommand, UpperUse,
};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;

pub struct Ready(pub Arc<Processes>);

#[async_trait]
impl SandboxSource for Ready {
    async fn sandbox(&self) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Ok(self.0.clone())
    }
}

type Files = BTreeMap<String, (SystemTime, u64)>;

pub struct Processes {
    root: PathBuf,
    /// The files at each mark; what was there first is the base.
    listings: Mutex<Vec<Files>>,
    folds: Arc<AtomicU32>,
}

impl Processes {
    pub fn new(root: PathBuf, folds: Arc<AtomicU32>) -> Self {
        let first = files(&root);
        Self { root, listings: Mutex::new(vec![first]), folds }
    }
}

fn files(root: &Path) -> Files {
    fn walk(dir: &Path, root: &Path, found: &mut Files) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                walk(&entry.path(), root, found);
            } else {
                let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(path, (meta.modified().unwrap(), meta.len()));
            }
        }
    }
    let mut found = Files::new();
    walk(root, root, &mut found);
    found
}

#[async_trait]
impl Sandbox for Processes {
    async fn start(&self, command: Command) -> Result<StartedCommand, SandboxError> {
        let spawn = |source| SandboxError::Spawn { program: command.argv[0].clone(), source };
        let (read, write) = std::io::pipe().map_err(spawn)?;
        let child = tokio::process::Command::new(&command.argv[0])
            .args(&command.argv[1..])
            .current_dir(command.workdir.as_ref().unwrap_or(&self.root))
            .envs(&command.env)
            .stdin(std::process::Stdio::null())
            .stderr(write.try_clone().map_err(spawn)?)
            .stdout(write)
            .process_group(0)
            .spawn()
            .map_err(spawn)?;
        let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        let read = tokio::net::unix::pipe::Receiver::from_owned_fd(OwnedFd::from(read)).unwrap();
        Ok(StartedCommand {
            output: Box::new(Output { child, read, open: true }),
            control: Arc::new(Control(pid)),
            number: u64::from(pid.as_raw_nonzero().get().unsigned_abs()),
        })
    }

    async fn read_file(&self, path: &Path, limit: u64) -> Result<Bytes, FileError> {
        let name = path.display().to_string();
        let meta = std::fs::metadata(path).map_err(|_| FileError::NotFound(name.clone()))?;
        if !meta.is_file() {
            return Err(FileError::NotAFile(name));
        }
        if meta.len() > limit {
            return Err(FileError::TooLarge { path: name, bytes: meta.len(), limit });
        }
        Ok(std::fs::read(path).unwrap().into())
    }

    async fn change_files(&self, root: &Path, changes: Vec<FileChange>) -> Result<(), FileError> {
        for change in changes {
            match change {
                FileChange::Write { path, content, .. } => {
                    let path = root.join(path.as_str());
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, content).unwrap();
                }
                FileChange::Remove { path } => {
                    std::fs::remove_file(root.join(path.as_str())).unwrap();
                }
            }
        }
        Ok(())
    }

    async fn changes(
        &self,
        _overlay: &str,
        since: Option<ChangeMark>,
        limit: usize,
    ) -> Result<Changes, SandboxError> {
        let now = files(&self.root);
        let mut listings = self.listings.lock().unwrap();
        let before = &listings[usize::try_from(since.unwrap_or_default().0).unwrap()];
        let mut paths: Vec<String> = now
            .iter()
            .filter(|(path, state)| before.get(*path) != Some(*state))
            .map(|(path, _)| path.clone())
            .collect();
        paths.extend(before.keys().filter(|path| !now.contains_key(*path)).cloned());
        let more = paths.len() > limit;
        paths.truncate(limit);
        listings.push(now);
        let mark = ChangeMark(listings.len() as u64 - 1);
        Ok(Changes { paths, more, mark, used: UpperUse::default() })
    }

    async fn fold(&self) -> Result<(), SandboxError> {
        self.folds.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn freeze(&self) -> Result<BTreeMap<String, Layer>, SandboxError> {
        Ok(BTreeMap::new())
    }

    async fn end(&self) -> Result<(), SandboxError> {
        Ok(())
    }
}

struct Output {
    child: tokio::process::Child,
    read: tokio::net::unix::pipe::Receiver,
    open: bool,
}

#[async_trait]
impl CommandOutput for Output {
    async fn next(&mut self) -> Result<CommandEvent, SandboxError> {
        use std::os::unix::process::ExitStatusExt;
        let mut buffer = vec![0; 65_536];
        while self.open {
            let count = self.read.read(&mut buffer).await.unwrap();
            if count > 0 {
                buffer.truncate(count);
                return Ok(CommandEvent::Output(buffer.into()));
            }
            self.open = false;
        }
        let status = self.child.wait().await.unwrap();
        Ok(CommandEvent::Exited(match status.code() {
            Some(code) => ExitStatus::Code(code),
            None => ExitStatus::Signal(status.signal().unwrap()),
        }))
    }
}

struct Control(Pid);

#[async_trait]
impl CommandControl for Control {
    async fn write(&self, _bytes: &[u8], _timeout: Duration) -> Result<(), SandboxError> {
        Ok(())
    }

    async fn close_input(&self) -> Result<(), SandboxError> {
        Ok(())
    }

    async fn signal(&self, signal: CommandSignal) -> Result<(), SandboxError> {
        let signal = match signal {
            CommandSignal::Interrupt => Signal::INT,
            CommandSignal::Terminate => Signal::TERM,
            CommandSignal::Kill => Signal::KILL,
        };
        kill_process_group(self.0, signal).map_err(|error| SandboxError::Gone(error.to_string()))
    }
}
