//! `write_stdin`: waits for a command in the background, types into its terminal, or ends it.

use std::time::Duration;

use async_trait::async_trait;
use quire_domain::journal::ChunkWriter;
use quire_domain::model::ToolSpec;
use quire_domain::sandbox::CommandSignal;
use quire_domain::transcript::ToolCall;
use schemars::JsonSchema;
use serde::Deserialize;

use super::shell::MAX_WAIT;
use super::{
    Answer, Declined, Desk, Place, PreparedCall, Tool, ToolError, arguments, json_spec, seconds,
};

/// How long a terminal is waited for after something was typed.
const AFTER_TYPING: Duration = Duration::from_secs(1);
/// How long a command is waited for where the call does not say.
const POLL: Duration = Duration::from_secs(10);
/// How long a command may refuse to read what is typed.
const TYPING: Duration = Duration::from_secs(10);

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// The session, as named by `shell`.
    #[serde(alias = "session_id")]
    session: String,
    /// What to type, if it was started with `tty`.
    #[serde(default, alias = "input")]
    chars: Option<String>,
    /// A signal to send.
    #[serde(default)]
    signal: Option<Signal>,
    /// Seconds to wait for output and the end: at most 1800.
    #[serde(default, alias = "timeout")]
    wait: Option<f64>,
}

#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Signal {
    Interrupt,
    Terminate,
    Kill,
}

/// The tool.
pub struct WriteStdin;

impl Tool for WriteStdin {
    fn spec(&self) -> ToolSpec {
        json_spec::<Args>(
            "write_stdin",
            "Acts on a command that `shell` left in the background, then waits and returns what \
             it printed since. Without `chars` and `signal` it only waits.",
        )
    }

    fn prepare(&self, call: &ToolCall, _: &Place) -> Result<Box<dyn PreparedCall>, Declined> {
        Ok(Box::new(WriteCall(arguments(call)?)))
    }
}

struct WriteCall(Args);

#[async_trait]
impl PreparedCall for WriteCall {
    async fn run(
        self: Box<Self>,
        desk: &Desk<'_>,
        _: Option<Box<dyn ChunkWriter>>,
    ) -> Result<Answer, ToolError> {
        let Args { session, chars, signal, wait } = self.0;
        let id = session.trim().trim_start_matches('[').trim_end_matches(']');
        let Some(session) = desk.sessions.find(id) else {
            let id: String = id.chars().take(40).collect();
            return Err(Declined(format!(
                "No command `{id}` runs. It has ended and you were shown its end, or it was \
                 ended when the attempt stood still."
            ))
            .into());
        };
        let chars = chars.filter(|chars| !chars.is_empty());
        let signal = match (&chars, signal) {
            // What a person would press.
            (Some(chars), None) if chars == "\u{3}" && !session.of.terminal => {
                Some(Signal::Interrupt)
            }
            (Some(_), _) if !session.of.terminal && !session.is_over() => {
                return Err(Declined(
                    "The standard input of this command is empty. Start it with `tty` to type \
                     into it."
                        .to_owned(),
                )
                .into());
            }
            (_, signal) => signal,
        };
        if !session.is_over() {
            if let Some(signal) = signal {
                let signal = match signal {
                    Signal::Interrupt => CommandSignal::Interrupt,
                    Signal::Terminate => CommandSignal::Terminate,
                    Signal::Kill => CommandSignal::Kill,
                };
                session.signal(signal).await;
            } else if let Some(chars) = &chars {
                // One that ends meanwhile shows its end below.
                let _ = session.control.write(chars.as_bytes(), TYPING).await;
            }
        }
        let quick = chars.is_some() || signal.is_some();
        let default_wait = if quick { AFTER_TYPING } else { POLL };
        let wait = wait.map_or(default_wait, |asked| seconds(asked, MAX_WAIT));
        tokio::select! {
            biased;
            () = session.over() => {}
            () = desk.cancel.cancelled() => return Err(ToolError::Cancelled),
            () = tokio::time::sleep(wait) => {}
        }
        let over = session.is_over();
        let text = session.observe(desk.clock.now());
        if over {
            desk.sessions.forget(&session);
        }
        Ok(Answer::of(text))
    }
}
