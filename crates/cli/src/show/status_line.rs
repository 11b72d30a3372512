//! Lines on standard error and, on a terminal, one line beneath them that is drawn anew.

use std::io::Write;

/// The line that moves, and the lines above it.
pub struct StatusLine {
    terminal: bool,
    shown: bool,
}

impl StatusLine {
    /// A line that moves only on a `terminal`.
    pub fn new(terminal: bool) -> Self {
        Self { terminal, shown: false }
    }

    /// Whether it is drawn at all.
    pub fn moves(&self) -> bool {
        self.terminal
    }

    /// Prints lines above it.
    pub fn print(&mut self, lines: &[String]) {
        self.clear();
        let mut err = std::io::stderr().lock();
        for line in lines {
            // A closed standard error must not end the attempt.
            let _ = writeln!(err, "{line}");
        }
    }

    /// Draws it anew; call it a few times a second.
    pub fn draw(&mut self, text: &str) {
        if self.terminal {
            self.clear();
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "{text}");
            let _ = err.flush();
            self.shown = true;
        }
    }

    /// Removes it for good.
    pub fn end(&mut self) {
        self.clear();
        self.terminal = false;
    }

    fn clear(&mut self) {
        if self.shown {
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "\r\x1b[2K");
            self.shown = false;
        }
    }
}
