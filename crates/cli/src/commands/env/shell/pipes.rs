//! A command without a terminal: what is piped in reaches it, and what it prints comes out as it
//! is, output and error apart.

use std::convert::Infallible;

use quire_domain::sandbox::{
    CommandControl, CommandEvent, CommandOutput, CommandSignal, ExitStatus, SandboxError,
    StartedCommand,
};
use tokio::io::AsyncWriteExt as _;
use tokio::signal::unix::SignalKind;

use super::Ended;
use super::captured::Captured;
use super::input::Input;
use crate::commands::env::trial::Signals;
use crate::show;

/// Runs a command that was started until it ends. What it prints is kept in `captured`, if given,
/// else passed on.
pub async fn run(
    started: StartedCommand,
    signals: &mut Signals,
    mut captured: Option<Captured>,
) -> anyhow::Result<Ended> {
    let StartedCommand { mut output, control, .. } = started;
    let control = control.as_ref();
    let input = Input::open()?;
    let status = tokio::select! {
        status = show(output.as_mut(), control, captured.as_mut()) => status,
        never = input.pass_on(control) => match never {},
        never = heed(signals, control) => match never {},
    };
    Ok(Ended { status: status?, limits: output.limits_met(), captured })
}

async fn show(
    output: &mut dyn CommandOutput,
    control: &dyn CommandControl,
    mut captured: Option<&mut Captured>,
) -> Result<ExitStatus, SandboxError> {
    let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
    loop {
        match (output.next().await?, captured.as_mut()) {
            (CommandEvent::Output(bytes), Some(captured)) => captured.push_out(&bytes),
            (CommandEvent::Error(bytes), Some(captured)) => captured.push_err(&bytes),
            (CommandEvent::Output(bytes), None) => {
                let written = async {
                    stdout.write_all(&bytes).await?;
                    stdout.flush().await
                };
                if !show::kept(written.await) {
                    // Whoever read it is gone, as `head` is when it has enough.
                    control.signal(CommandSignal::Kill).await?;
                }
            }
            (CommandEvent::Error(bytes), None) => {
                let _ = stderr.write_all(&bytes).await;
                let _ = stderr.flush().await;
            }
            (CommandEvent::Exited(status), _) => return Ok(status),
        }
    }
}

/// Ctrl-C and its like go to the command; a third one ends it whatever it thinks of that.
async fn heed(signals: &mut Signals, control: &dyn CommandControl) -> Infallible {
    let mut heard = 0;
    loop {
        let signal = match signals.next().await {
            kind if kind == SignalKind::interrupt() => CommandSignal::Interrupt,
            _ => CommandSignal::Terminate,
        };
        heard += 1;
        let signal = if heard > 2 { CommandSignal::Kill } else { signal };
        let _ = control.signal(signal).await;
    }
}
