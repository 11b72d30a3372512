//! One attempt as `quire task show` prints it, whoever keeps it.

use std::fmt::Write as _;

use quire_domain::attempt::AttemptState;
use serde_json::{Value, json};

use super::answer::Report;
use super::style::{Style, plain};

/// What is said of an attempt beside what its log says.
pub struct About<'a> {
    /// The task's number.
    pub task: u64,
    /// Its title.
    pub title: &'a str,
    /// Its repository.
    pub repository: &'a str,
    /// The turn, counted from 1.
    pub turn: u32,
    /// The attempt's place in the turn.
    pub attempt: u8,
    /// The mode, by its word.
    pub mode: String,
    /// The model.
    pub model: &'a str,
    /// The person's words.
    pub prompt: &'a str,
    /// The pictures that belong to them: their number, or each.
    pub images: Value,
    /// Those pictures in words; empty if there are none.
    pub pictures: String,
    /// Where the attempt stands.
    pub state: &'a AttemptState,
    /// How many a worker takes before it, counted from 1, where it waits for one.
    pub queue_place: Option<u64>,
}

impl About<'_> {
    /// For programs.
    pub fn json(&self, report: &Report<'_>) -> Value {
        json!({
            "task": self.task,
            "title": self.title,
            "repository": self.repository,
            "turn": self.turn,
            "attempt": self.attempt,
            "mode": self.mode,
            "model": self.model,
            "prompt": self.prompt,
            "images": self.images,
            "state": self.state,
            "queue_place": self.queue_place,
            "waits": report.waits,
            "question": report.question,
            "answer": report.answer,
            "citations": report.citations,
            "checks": report.checks,
            "commits": report.commits,
            "network": { "refused": report.network.refused },
            "finished": report.finished,
        })
    }

    /// What stands above the report.
    pub fn heading(&self, style: Style) -> String {
        let mut text = style.bold(&format!(
            "task {} · turn {} · {} · {} · {}",
            self.task,
            self.turn,
            self.mode,
            self.model,
            self.state.word()
        ));
        let words = [plain(self.repository, false), plain(self.prompt.trim(), true)];
        for line in words.iter().map(String::as_str).chain([self.pictures.as_str()]) {
            if !line.is_empty() {
                text.push('\n');
                text.push_str(line);
            }
        }
        if let Some(place) = self.queue_place.filter(|place| *place > 0) {
            let _ = write!(text, "\nwaits for a worker: number {place} in the queue");
        }
        text
    }
}
