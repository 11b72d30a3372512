//! What people see: each file turns values into text, and nothing else. Data goes to standard
//! output, everything else to standard error.

pub mod answer;
pub mod batch;
pub mod compare;
pub mod environment;
pub mod json;
pub mod lines;
pub mod progress;
pub mod status_line;
pub mod style;
pub mod table;
pub mod tally;

use std::io::Write;

/// Prints a line of data. A reader that went away (`| head`) is no failure.
pub fn out(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
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
