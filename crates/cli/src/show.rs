//! What people see: each file turns values into text, and nothing else. Data goes to standard
//! output, everything else to standard error.

pub mod answer;
pub mod asked;
pub mod batch;
pub mod bringing;
pub mod compare;
pub mod environment;
pub mod json;
pub mod lines;
pub mod network;
pub mod progress;
pub mod status_line;
pub mod style;
pub mod table;
pub mod tally;
pub mod task;
pub mod trial;

use std::io::{ErrorKind, Write};
use std::sync::OnceLock;

use quire_domain::event::Answered;

/// The first time that data could not be written, if a reader that went away is not why.
static NOT_WRITTEN: OnceLock<std::io::Error> = OnceLock::new();

/// Prints a line of data. A reader that went away (`| head`) is no failure; any other is told at
/// the end, see [`not_written`].
pub fn out(text: &str) {
    kept(writeln!(std::io::stdout().lock(), "{text}"));
}

/// Prints data as it is; whether more of it is of use.
pub fn out_bytes(bytes: &[u8]) -> bool {
    kept(std::io::stdout().lock().write_all(bytes))
}

/// Why data is missing on standard output, if it is: a full disk, say. To be asked at the end.
pub fn not_written() -> Option<&'static std::io::Error> {
    kept(std::io::stdout().lock().flush());
    NOT_WRITTEN.get()
}

/// Keeps why data could not be written to standard output; whether it was written.
pub fn kept(written: std::io::Result<()>) -> bool {
    let Err(error) = written else { return true };
    if error.kind() != ErrorKind::BrokenPipe {
        let _ = NOT_WRITTEN.set(error);
    }
    false
}

/// Prints how something ended. Where the answer is a value that a program asked for, that alone is
/// data, and the rest is for the person.
pub fn end(text: &str, value: Option<&Answered>) {
    match value {
        Some(answer) => {
            err(text.trim_end());
            out(answer.text.trim_end());
        }
        None => out(text.trim_end()),
    }
}

/// Prints a line for the person.
pub fn err(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The terminal's width in columns; 100 where there is none.
pub fn width() -> usize {
    rustix::termios::tcgetwinsize(rustix::stdio::stderr())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
        .unwrap_or(100)
}
