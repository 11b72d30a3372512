//! `shell`: runs a command in the sandbox.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use quire_domain::journal::ChunkWriter;
use quire_domain::model::ToolSpec;
use quire_domain::sandbox::{Command, CommandIo, SandboxError};
use quire_domain::task::Mode;
use quire_domain::transcript::ToolCall;
use schemars::JsonSchema;
use serde::Deserialize;

use super::apply_patch::PatchCall;
use super::{
    Answer, CommandToStart, Declined, Desk, Place, PreparedCall, Tool, ToolError, arguments,
    json_spec, seconds,
};
use crate::run::Settings;
use crate::session::SessionOf;

/// The longest a call may wait.
pub const MAX_WAIT: Duration = Duration::from_mins(30);

/// Variables that keep programs from waiting for a person.
const VARIABLES: [(&str, &str); 11] = [
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("EDITOR", "true"),
    ("GIT_EDITOR", "true"),
    ("GIT_PAGER", "cat"),
    ("GIT_SEQUENCE_EDITOR", "true"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LESS", "-FRX"),
    ("MANPAGER", "cat"),
    ("PAGER", "cat"),
    ("PIP_NO_INPUT", "1"),
    ("VISUAL", "true"),
];

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// What to run.
    #[serde(alias = "cmd")]
    #[schemars(with = "String")]
    command: CommandText,
    /// Where; relative to the default directory.
    #[serde(default, alias = "cwd")]
    workdir: Option<String>,
    /// Seconds to wait: 60 if absent, at most 1800.
    #[serde(default)]
    timeout: Option<f64>,
    /// Gives it a terminal: only for programs that need one.
    #[serde(default)]
    tty: Option<bool>,
}

/// A command as models write it: a text, or the words of a call of a shell.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`command` is not a string")]
enum CommandText {
    Text(String),
    Words(Vec<String>),
}

impl CommandText {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Words(words) => match words.as_slice() {
                [shell, flag, script] if shell.ends_with("sh") && flag.starts_with('-') => {
                    script.clone()
                }
                words => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
            },
        }
    }
}

/// A word that the shell reads as itself.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The tool.
pub struct Shell {
    mode: Mode,
    default_wait: Duration,
}

impl Shell {
    /// The tool for a mode.
    pub fn new(mode: Mode, settings: &Settings) -> Self {
        Self { mode, default_wait: settings.default_wait }
    }
}

impl Tool for Shell {
    fn spec(&self) -> ToolSpec {
        json_spec::<Args>("shell", include_str!("shell.md"))
    }

    fn prepare(&self, call: &ToolCall, place: &Place) -> Result<Box<dyn PreparedCall>, Declined> {
        let args: Args = arguments(call)?;
        let command = args.command.into_text();
        if command.trim().is_empty() {
            return Err(Declined("`command` is empty; nothing was run.".to_owned()));
        }
        if command.contains('\0') {
            return Err(Declined("`command` has a NUL byte; nothing was run.".to_owned()));
        }
        let given = args.workdir.filter(|workdir| !workdir.is_empty());
        let workdir = given.map_or_else(|| place.workdir.clone(), |given| place.resolve(&given));
        let mut run = ShellCall {
            call: call.clone(),
            first: None,
            command,
            workdir,
            wait: args.timeout.map_or(self.default_wait, |asked| seconds(asked, MAX_WAIT)),
            terminal: args.tty.unwrap_or(false),
        };
        let Some(found) = quire_patch::heredoc::find(&run.command) else {
            return Ok(Box::new(run));
        };
        if !self.mode.keeps_changes() {
            return Err(Declined("Patches are not applied in this mode.".to_owned()));
        }
        if let Some(dir) = &found.workdir {
            run.workdir = run.workdir.join(dir);
        }
        let patch = PatchCall::read(call, &found.patch, place, &run.workdir);
        match found.rest {
            None => Ok(Box::new(patch)),
            Some(rest) => {
                run.command = rest;
                run.first = Some(patch);
                Ok(Box::new(run))
            }
        }
    }
}

struct ShellCall {
    call: ToolCall,
    /// A patch that the command began with.
    first: Option<PatchCall>,
    command: String,
    workdir: PathBuf,
    wait: Duration,
    terminal: bool,
}

#[async_trait]
impl PreparedCall for ShellCall {
    fn command(&self) -> Option<CommandToStart> {
        Some(CommandToStart {
            command: self.command.clone(),
            workdir: Place::text(&self.workdir),
            terminal: self.terminal,
        })
    }

    async fn run(
        mut self: Box<Self>,
        desk: &Desk<'_>,
        chunk: Option<Box<dyn ChunkWriter>>,
    ) -> Result<Answer, ToolError> {
        // The driver opens a chunk for every call that names a command.
        let Some(writer) = chunk else {
            return Err(Declined("The command was not run.".to_owned()).into());
        };
        let mut answer = Answer { parts: Vec::new(), ok: true, events: Vec::new() };
        if let Some(patch) = self.first.take() {
            answer = Box::new(patch).run(desk, None).await?;
            if !answer.ok {
                desk.sessions.never_started(writer).await?;
                return Ok(answer);
            }
        }
        let observed = self.observed(desk, writer).await?;
        answer.parts.extend(observed.parts);
        answer.ok = observed.ok;
        Ok(answer)
    }
}

impl ShellCall {
    async fn observed(
        &self,
        desk: &Desk<'_>,
        writer: Box<dyn ChunkWriter>,
    ) -> Result<Answer, ToolError> {
        let sandbox = match desk.sandbox().await {
            Ok(sandbox) => sandbox,
            Err(error) => {
                desk.sessions.never_started(writer).await?;
                return Err(error);
            }
        };
        let started = match sandbox.start(self.to_start()).await {
            Ok(started) => started,
            Err(error @ SandboxError::Spawn { .. }) => {
                desk.sessions.never_started(writer).await?;
                let place = self.workdir.display();
                return Err(
                    Declined(format!("The command was not run in `{place}`: {error}.")).into()
                );
            }
            // What earlier commands left had taken all there is, and is gone now.
            Err(error @ SandboxError::LimitExceeded { .. }) => {
                desk.sessions.never_started(writer).await?;
                return Err(Declined(format!(
                    "The command was not run: {error}. All processes that earlier commands left \
                     are gone, the files are kept. Run it again."
                ))
                .into());
            }
            Err(error) => {
                desk.sessions.never_started(writer).await?;
                return Err(error.into());
            }
        };
        let of = SessionOf {
            call: self.call.id.clone(),
            command: self.command.clone(),
            terminal: self.terminal,
        };
        let session = desk.sessions.adopt(of, started, writer);
        tokio::select! {
            biased;
            () = session.over() => {}
            () = desk.cancel.cancelled() => return Err(ToolError::Cancelled),
            () = tokio::time::sleep(self.wait) => {}
        }
        let over = session.is_over();
        let text = session.observe(desk.clock.now());
        if over {
            desk.sessions.forget(&session);
        }
        match session.take_gone() {
            None => Ok(Answer::of(text)),
            // The files are kept, and the next command has a sandbox again.
            Some(error @ SandboxError::LimitExceeded { .. }) => Err(Declined(format!(
                "{text}\n{error}. All its processes are gone, its files are kept. Use less."
            ))
            .into()),
            Some(error @ SandboxError::Idle { .. }) => Err(Declined(format!(
                "{text}\n{error}. All its processes are gone, its files are kept. Where a command \
                 waits for something that never comes, give it an end of its own."
            ))
            .into()),
            Some(error) => Err(error.into()),
        }
    }

    fn to_start(&self) -> Command {
        let mut env: BTreeMap<String, String> = VARIABLES
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let term = if self.terminal { "xterm-256color" } else { "dumb" };
        env.insert("TERM".to_owned(), term.to_owned());
        let io = if self.terminal {
            CommandIo::Terminal { columns: 120, rows: 40 }
        } else {
            CommandIo::Output
        };
        Command {
            argv: vec!["bash".to_owned(), "-c".to_owned(), self.command.clone()],
            env,
            workdir: Some(self.workdir.clone()),
            io,
        }
    }
}
