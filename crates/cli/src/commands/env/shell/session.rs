//! A command at the person's own terminal: every key goes to it, Ctrl-C and Ctrl-Z too, what it
//! draws is shown, and its terminal has the size of theirs.

use std::convert::Infallible;
use std::os::fd::AsFd;
use std::time::Duration;

use quire_domain::sandbox::{
    Command, CommandControl, CommandEvent, CommandIo, CommandOutput, CommandSignal, ExitStatus,
    Sandbox, SandboxError,
};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::AsyncWriteExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Ended;
use super::input::Input;
use crate::commands::env::trial::Signals;

/// How long a command has to end once the person's terminal is gone.
const GRACE: Duration = Duration::from_secs(2);

/// The person's terminal without line editing, echo and signals of its own; as it was before when
/// dropped.
struct Raw(Termios);

impl Raw {
    fn begin() -> std::io::Result<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(stdin.as_fd())?;
        let raw = Self(before);
        raw.again()?;
        Ok(raw)
    }

    /// Once more: a shell outside may have set it otherwise while this process was stopped.
    fn again(&self) -> std::io::Result<()> {
        let mut raw = self.0.clone();
        raw.make_raw();
        Ok(tcsetattr(std::io::stdin().as_fd(), OptionalActions::Drain, &raw)?)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin().as_fd(), OptionalActions::Drain, &self.0);
    }
}

/// Runs a command until it ends.
pub async fn run(
    sandbox: &dyn Sandbox,
    mut command: Command,
    signals: &mut Signals,
) -> anyhow::Result<Ended> {
    let (columns, rows) = size();
    command.io = CommandIo::Terminal { columns, rows };
    let changes = Changes::listen()?;
    let started = sandbox.start(command).await?;
    let mut output = started.output;
    let control = started.control.as_ref();
    let raw = Raw::begin()?;
    let input = Input::open()?;
    let status = tokio::select! {
        status = show(output.as_mut()) => status,
        never = input.pass_on(control) => match never {},
        never = keep_size(changes, &raw, control) => match never {},
        never = heed(signals, control) => match never {},
    };
    drop(raw);
    Ok(Ended { status: status?, limits: output.limits_met(), captured: None })
}

/// Shows what it draws, until it ends.
async fn show(output: &mut dyn CommandOutput) -> Result<ExitStatus, SandboxError> {
    let mut stdout = tokio::io::stdout();
    loop {
        match output.next().await? {
            CommandEvent::Output(bytes) | CommandEvent::Error(bytes) => {
                // A terminal that is gone takes nothing; its end comes as a signal.
                let _ = stdout.write_all(&bytes).await;
                let _ = stdout.flush().await;
            }
            CommandEvent::Exited(status) => return Ok(status),
        }
    }
}

/// What is told of the person's terminal.
struct Changes {
    resized: Signal,
    continued: Signal,
}

impl Changes {
    fn listen() -> std::io::Result<Self> {
        let number = rustix::process::Signal::CONT.as_raw();
        Ok(Self {
            resized: signal(SignalKind::window_change())?,
            continued: signal(SignalKind::from_raw(number))?,
        })
    }
}

/// Gives the command's terminal the size of the person's, whenever that changes.
async fn keep_size(mut changes: Changes, raw: &Raw, control: &dyn CommandControl) -> Infallible {
    loop {
        tokio::select! {
            _ = changes.resized.recv() => {}
            _ = changes.continued.recv() => { let _ = raw.again(); }
        }
        let (columns, rows) = size();
        let _ = control.resize(columns, rows).await;
    }
}

/// Signals of other processes; keys are characters.
async fn heed(signals: &mut Signals, control: &dyn CommandControl) -> Infallible {
    loop {
        if signals.next().await == SignalKind::interrupt() {
            let _ = control.signal(CommandSignal::Interrupt).await;
            continue;
        }
        let _ = control.signal(CommandSignal::Terminate).await;
        tokio::time::sleep(GRACE).await;
        let _ = control.signal(CommandSignal::Kill).await;
    }
}

/// Columns and rows of the person's terminal.
fn size() -> (u16, u16) {
    let found = tcgetwinsize(std::io::stdout().as_fd()).ok();
    let found = found.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    found.map_or((80, 24), |size| (size.ws_col, size.ws_row))
}
