//! The installation's policy: a place to refuse what must not be worked on, in words.
//!
//! It is asked about everything that people say to a model, before the model hears it. What it says
//! is written into the record of what was done. A command that gives no answer in time lets nothing
//! through: the attempt stands still, and it is asked again.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use quire_domain::access::Owner;
use quire_store::{Actor, Note};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Caller, Inner};

/// Commands of the policy that run at once; the others wait.
pub(super) const AT_ONCE: usize = 4;

/// The longest answer and the longest complaint of the command, in bytes.
const MOST_BYTES: u64 = 64 << 10;

/// The longest words of a refusal, in characters.
const MOST_WORDS: usize = 2_000;

/// Who may ask a model what.
#[derive(Debug, Clone, Default)]
pub enum Policy {
    /// Everybody everything.
    #[default]
    Allow,
    /// Nobody anything, in these words: while something is looked into.
    Refuse(String),
    /// A command decides.
    Ask(PolicyCommand),
}

/// A command that is given a question as JSON and answers in JSON.
#[derive(Debug, Clone)]
pub struct PolicyCommand {
    /// The program, as an absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
    /// The one variable that it is given: `PATH`.
    pub path: OsString,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum PolicyError {
    #[error("cannot run `{program}`: {source}")]
    Run { program: String, source: std::io::Error },
    #[error("it took longer than {} s", .0.as_secs())]
    Slow(Duration),
    #[error("it ended with {status}: {complaint}")]
    Failed { status: std::process::ExitStatus, complaint: String },
    #[error("what it printed is no answer: {0}")]
    Garbage(String),
    #[error("the store failed: {0}")]
    Store(#[from] quire_store::StoreError),
}

/// What a command is asked.
#[derive(Serialize)]
struct Asked<'a> {
    version: u32,
    task: u64,
    attempt: String,
    repository: &'a str,
    mode: &'a str,
    model: &'a str,
    team: String,
    author: String,
    said: &'a [String],
}

/// What it answers. Fields that a later version knows are not read.
#[derive(Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
enum Answer {
    Allow,
    Refuse { words: String },
}

/// What somebody wants to say to a model.
pub(super) struct Question<'a> {
    pub(super) caller: &'a Caller,
    pub(super) owner: Owner,
    pub(super) said: Vec<String>,
}

impl Policy {
    /// Whether nobody has to be asked.
    pub(super) fn allows_all(&self) -> bool {
        matches!(self, Self::Allow)
    }
}

impl Question<'_> {
    /// The words of a refusal; `None` where it may be said.
    pub(super) async fn ask(&self, inner: &Inner) -> Result<Option<String>, PolicyError> {
        let (refused, number) = match &inner.rules.policy {
            Policy::Allow => return Ok(None),
            Policy::Refuse(words) => {
                (Some(words.clone()), inner.store.task_by_id(self.caller.task).await?.number)
            }
            Policy::Ask(command) => {
                let task = inner.store.task_by_id(self.caller.task).await?;
                let asked = Asked {
                    version: 1,
                    task: task.number.0,
                    attempt: self.caller.attempt.to_string(),
                    repository: &task.repository,
                    mode: self.caller.mode.as_str(),
                    model: &self.caller.model,
                    team: self.owner.team.to_string(),
                    author: self.owner.author.to_string(),
                    said: &self.said,
                };
                // Strings and numbers cannot fail to serialise.
                let asked = serde_json::to_vec(&asked).unwrap_or_default();
                // The semaphore is never closed.
                let _turn = inner.asking.acquire().await.ok();
                (command.ask(asked).await?, task.number)
            }
        };
        let action = if refused.is_some() { "policy.refuse" } else { "policy.allow" };
        let note = Note {
            team: Some(self.owner.team),
            action,
            subject: format!("task {number}"),
            detail: json!({ "attempt": self.caller.attempt, "words": refused }),
        };
        let actor = Actor { address: "policy".to_owned(), ..Actor::default() };
        inner.store.acting(actor).note(note, inner.clock.now()).await?;
        Ok(refused)
    }
}

impl PolicyCommand {
    /// Asks, within its time. The process is killed where it takes longer.
    async fn ask(&self, question: Vec<u8>) -> Result<Option<String>, PolicyError> {
        let answer = tokio::time::timeout(self.timeout, self.run(question));
        let answer = answer.await.map_err(|_| PolicyError::Slow(self.timeout))??;
        match serde_json::from_slice(&answer) {
            Ok(Answer::Allow) => Ok(None),
            Ok(Answer::Refuse { words }) => {
                let words: String = words.trim().chars().take(MOST_WORDS).collect();
                let none = "the installation's policy refuses this".to_owned();
                Ok(Some(if words.is_empty() { none } else { words }))
            }
            Err(error) => Err(PolicyError::Garbage(error.to_string())),
        }
    }

    async fn run(&self, question: Vec<u8>) -> Result<Vec<u8>, PolicyError> {
        let program = || self.program.display().to_string();
        let failed = |source| PolicyError::Run { program: program(), source };
        let mut child = tokio::process::Command::new(&self.program)
            .args(&self.arguments)
            // It has no business with the keys of models.
            .env_clear()
            .env("PATH", &self.path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let _group = Group::of(&child);
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let telling = async {
            if let Some(mut stdin) = stdin {
                // One that does not want to know all of it may still answer.
                let _ = stdin.write_all(&question).await;
            }
        };
        let ((), answer, complaint, status) =
            tokio::join!(telling, first_of(stdout), first_of(stderr), child.wait());
        let status = status.map_err(failed)?;
        if !status.success() {
            let complaint = String::from_utf8_lossy(&complaint);
            let complaint = complaint.trim().chars().take(500).collect();
            return Err(PolicyError::Failed { status, complaint });
        }
        Ok(answer)
    }
}

/// The processes of a command: all of them end when this is dropped.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(rustix::process::Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // What has ended is not there any more.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// The first bytes of a stream; the rest is read and forgotten, so that its writer can go on.
async fn first_of(stream: Option<impl tokio::io::AsyncRead + Unpin>) -> Vec<u8> {
    let mut first = Vec::new();
    if let Some(mut stream) = stream {
        // What came until an error has to do.
        let _ = (&mut stream).take(MOST_BYTES).read_to_end(&mut first).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    first
}
