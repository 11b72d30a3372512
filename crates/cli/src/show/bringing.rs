//! How the base of a sandbox comes in, for commands that have no progress of their own.

use std::sync::{Mutex, PoisonError};

use quire_images::Progress;
use quire_orchestrator::bases;

use super::status_line::StatusLine;
use super::style::plain;

/// Shows it on standard error: on a terminal as one line that moves, else a line for each thing
/// that is begun.
pub struct Bringing {
    state: Mutex<State>,
}

struct State {
    line: StatusLine,
    /// The layers whose coming and unpacking were told.
    told: Vec<(usize, bool)>,
}

impl Bringing {
    /// On a `terminal`, or not.
    pub fn new(terminal: bool) -> Self {
        let line = StatusLine::new(terminal);
        Self { state: Mutex::new(State { line, told: Vec::new() }) }
    }

    /// Shows what goes on.
    pub fn tell(&self, progress: &Progress) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let text = plain(&bases::words(progress), false);
        if state.line.moves() && !matches!(progress, Progress::Retrying { .. }) {
            return state.line.draw(&text);
        }
        let layer = match progress {
            Progress::Fetching { layer, .. } => Some((*layer, false)),
            Progress::Unpacking { layer, .. } => Some((*layer, true)),
            _ => None,
        };
        if layer.is_some_and(|layer| state.told.contains(&layer)) {
            return;
        }
        state.told.extend(layer);
        state.line.print(&[text]);
    }

    /// Removes the line that moves.
    pub fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).line.end();
    }
}
