//! What a server says of itself: lines on standard error, or JSON for those who collect them.
//!
//! Nothing of ours is logged with a prompt, a header or a body, so no secret gets in.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Sets the log up, for the whole process. `levels` is a level (`info`), or levels by part
/// (`warn,quire_server=debug`).
///
/// # Errors
///
/// In words, where `levels` says neither.
pub fn start(form: LogForm, levels: Option<&str>) -> Result<(), String> {
    let filter = match levels {
        None => Targets::new().with_default(LevelFilter::WARN).with_target("quire", LevelFilter::INFO),
        Some(text) => text.parse::<Targets>().map_err(|error| {
            format!("`{text}` names no levels ({error}): give one of error, warn, info, debug or trace, or some by part as in `warn,quire_server=debug`")
        })?,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match form {
        LogForm::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogForm::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            registry.with(lines.with_ansi(colour).with_target(false).compact()).try_init()
        }
    };
    started.map_err(|error| error.to_string())
}
