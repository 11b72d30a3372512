//! Taking the result out: commits leave the sandbox as a pack that is checked before anything of
//! it is kept.

use std::time::Duration;

use bytes::Bytes;
use quire_agent::ContractError;
use quire_domain::attempt::DiffStat;
use quire_domain::ids::CommitId;
use quire_domain::sandbox::{Command, CommandEvent, CommandIo, CommandSignal};
use quire_git::{ChangedPath, CommitInfo, GitError, ReceiveLimits, RepoPath};
use tokio::io::{AsyncWriteExt, DuplexStream};

use super::tree::quiet_git;
use super::{AttemptFinish, other};

/// What was taken out.
#[derive(Debug, Clone)]
pub struct Collected {
    /// The commit it ends with.
    pub head: CommitId,
    /// The commits from base to head, oldest first.
    pub commits: Vec<CommitInfo>,
    /// Files of the change, both names of a moved one.
    pub changed: Vec<String>,
    /// Links to commits of other repositories that were not there before.
    pub links: Vec<RepoPath>,
    /// Its size.
    pub diff_stat: DiffStat,
    /// Whether the base is an ancestor of the head, by what was taken out: inside, git may have
    /// been told anything.
    pub base_kept: bool,
}

/// Which repository inside the commits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The attempt's own.
    Attempt,
    /// The system's, made of the working tree.
    Salvage,
}

/// What is held of a pack on its way.
const PIPE_BYTES: usize = 256 << 10;

/// The mode of a link to a commit of another repository.
const LINK: u32 = 0o160_000;

/// The largest `.gitmodules` that is read.
const MOST_MODULES_BYTES: usize = 256 << 10;

/// Links that a fault names.
const MOST_LINKS: usize = 50;

/// How long packing and checking may take.
const COLLECT_TIME: Duration = Duration::from_mins(5);

impl AttemptFinish {
    /// Takes the commits from the base to `head` out of the sandbox, unless they are out already.
    /// The words of git where they are refused.
    pub(crate) async fn collect(
        &self,
        head: &CommitId,
        from: From,
    ) -> Result<Result<Collected, String>, ContractError> {
        let mut collected = self.collected.lock().await;
        if let Some(done) = collected.as_ref().filter(|done| &done.head == head) {
            return Ok(Ok(done.clone()));
        }
        let fresh = if head == self.base() {
            Collected {
                head: head.clone(),
                commits: Vec::new(),
                changed: Vec::new(),
                links: Vec::new(),
                diff_stat: DiffStat::default(),
                base_kept: true,
            }
        } else {
            let out = tokio::time::timeout(COLLECT_TIME, self.take_out(head, from)).await;
            let slow = |_| ContractError::Other("taking the result out took too long".to_owned());
            match out.map_err(slow)?? {
                Ok(out) => out,
                Err(why) => return Ok(Err(why)),
            }
        };
        *collected = Some(fresh.clone());
        Ok(Ok(fresh))
    }

    async fn take_out(
        &self,
        head: &CommitId,
        from: From,
    ) -> Result<Result<Collected, String>, ContractError> {
        let (to_git, from_sandbox) = tokio::io::duplex(PIPE_BYTES);
        let store = self.results().await?;
        let limits = ReceiveLimits::default();
        let receive = self.worker.git.receive(
            &store,
            self.base(),
            head.as_str(),
            &self.name,
            from_sandbox,
            &limits,
        );
        let (pumped, received) = tokio::join!(self.export(head, from, to_git), receive);
        let received = match received {
            Err(error @ (GitError::Refused { .. } | GitError::OverLimit { .. })) => {
                return Ok(Err(error.to_string()));
            }
            received => received,
        };
        if let Err(why) = pumped? {
            return Ok(Err(why));
        }
        let received = received.map_err(other)?;
        let is_new_link = |file: &&ChangedPath| file.new_mode == LINK && file.old_mode != LINK;
        let links = received.changed.iter().filter(is_new_link).map(|file| file.path.clone());
        let links = links.collect();
        let changed = received.changed.iter().map(|file| file.path.to_string()).collect();
        Ok(Ok(Collected {
            head: head.clone(),
            commits: received.commits,
            changed,
            links,
            diff_stat: received.diff_stat,
            base_kept: received.base_is_ancestor,
        }))
    }

    /// Packs the commits from the base to `head` inside, into `pack`.
    async fn export(
        &self,
        head: &CommitId,
        from: From,
        mut pack: DuplexStream,
    ) -> Result<Result<(), String>, ContractError> {
        let sandbox = self.sandbox.sandbox().await?;
        let argv = quire_git::export_argv(self.base(), head);
        let mut env = quiet_git();
        if from == From::Salvage {
            env.extend(self.salvage_git());
        }
        let command = Command { argv, env, workdir: None, io: CommandIo::Separate };
        let started = sandbox.start(command).await?;
        let mut output = started.output;
        let mut said = Vec::new();
        loop {
            match output.next().await? {
                CommandEvent::Output(bytes) => {
                    // The reader leaves where it refuses the pack; that is its error to tell.
                    if pack.write_all(&bytes).await.is_err() {
                        started.control.signal(CommandSignal::Kill).await?;
                        return Ok(Ok(()));
                    }
                }
                CommandEvent::Error(bytes) => {
                    said.extend_from_slice(&bytes[..bytes.len().min(512)]);
                    said.truncate(4096);
                }
                CommandEvent::Exited(exit) if exit.success() => {
                    let _ = pack.shutdown().await;
                    return Ok(Ok(()));
                }
                CommandEvent::Exited(exit) => {
                    let said = String::from_utf8_lossy(&said).trim().to_owned();
                    return Ok(Err(format!("git cannot pack them (exit {}): {said}", exit.code())));
                }
            }
        }
    }

    /// New links to other repositories that `.gitmodules` does not name; at most 50.
    pub(crate) async fn undeclared_links(
        &self,
        collected: &Collected,
    ) -> Result<Vec<String>, ContractError> {
        if collected.links.is_empty() {
            return Ok(Vec::new());
        }
        let modules = RepoPath::new(".gitmodules");
        let text = self.read_committed(&collected.head, &modules, MOST_MODULES_BYTES).await?;
        let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let declared = |path: &str| {
            text.iter().flat_map(|text| text.lines()).any(|line| {
                let value = line.trim().strip_prefix("path").map(str::trim_start);
                let value = value.and_then(|rest| rest.strip_prefix('=')).map(str::trim);
                value.is_some_and(|value| value.trim_matches('"') == path)
            })
        };
        let links = collected.links.iter().map(ToString::to_string);
        Ok(links.filter(|path| !declared(path)).take(MOST_LINKS).collect())
    }

    /// The task's store of results.
    pub(crate) async fn results(&self) -> Result<quire_git::ResultStore, ContractError> {
        self.worker.git.results(self.task, &self.layout.repository).await.map_err(other)
    }

    /// A file at the base or at a commit that was taken out.
    pub(crate) async fn read_committed(
        &self,
        commit: &CommitId,
        path: &RepoPath,
        limit_bytes: usize,
    ) -> Result<Option<Bytes>, ContractError> {
        let store = self.results().await?;
        let read = self.worker.git.read_file(store.repository(), commit, path, limit_bytes).await;
        match read {
            Ok(found) => Ok(found.map(|(bytes, _)| bytes)),
            // Too large to look up lines in: no citation of it can be checked.
            Err(GitError::OverLimit { .. }) => Ok(None),
            Err(error) => Err(other(error)),
        }
    }
}
