//! Compaction: what a new window begins with when the old one is full.

use std::fmt::Write;

use quire_domain::event::{CommandPurpose, PlanStatus};
use quire_domain::sandbox::ExitStatus;
use quire_domain::transcript::{Item, Message, Part, Role};

use crate::screen::grouped;
use crate::transcript::Transcript;

/// Commands that are listed, newest last.
const LISTED_COMMANDS: usize = 30;
/// The summary's bound in bytes; a longer one is cut.
const SUMMARY_BYTES: usize = 24 * 1024;
/// What stands for a tool's result that no longer fits the request for a summary.
const OMITTED: &str = "(left out here, as the window is full)";

/// The list that asks for a summary: all that was said, then the question. Where that would not
/// fit `room_tokens`, the results of tools are left out from the oldest on.
pub fn question(transcript: &Transcript, room_tokens: u64) -> Vec<Item> {
    let mut items = transcript.items().to_vec();
    let mut tokens = transcript.tokens();
    for item in &mut items {
        if tokens <= room_tokens {
            break;
        }
        tokens = tokens.saturating_sub(lighten(item) / 4);
    }
    items.push(Item::Message(Message {
        role: Role::Developer,
        parts: vec![Part::text(include_str!("prompts/compact.md").trim())],
    }));
    items
}

/// Leaves out the results of an item. Gives the bytes it is lighter by.
fn lighten(item: &mut Item) -> u64 {
    let Item::ToolResults { results } = item else { return 0 };
    let mut bytes = 0;
    for part in results.iter_mut().flat_map(|result| &mut result.parts) {
        match part {
            Part::Text { text } if text.len() > OMITTED.len() => bytes += text.len() as u64,
            Part::Text { .. } => continue,
            Part::Image { .. } => bytes += 6_000,
        }
        *part = Part::text(OMITTED);
    }
    bytes
}

/// What the first message of the new window says.
pub fn opening(transcript: &Transcript, summary: &str) -> String {
    let mut text = "The window before this one was full. The work goes on from here; what is \
                    done is done, and chunks named below can still be cited."
        .to_owned();
    let mut section = |title: &str, body: &str| {
        if !body.is_empty() {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\n\n# {title}\n\n{body}");
        }
    };
    section("Instructions in force", &transcript.instruction_texts().join("\n\n"));
    let prompt = transcript.request().map(|request| request.prompt.as_str()).unwrap_or_default();
    section("The person's request, in their own words", prompt);
    section("What the person said since", &transcript.said().join("\n\n"));
    section("Summary of the work so far", cut(summary.trim()));
    section("Plan", &plan(transcript));
    section("Files changed", &files(transcript));
    section("Latest commands", &commands(transcript));
    text
}

fn cut(summary: &str) -> &str {
    if summary.is_empty() {
        return "(The model gave none: look at the repository's state and at the lists below.)";
    }
    &summary[..summary.floor_char_boundary(SUMMARY_BYTES)]
}

fn plan(transcript: &Transcript) -> String {
    let line = |step: &quire_domain::event::PlanStep| {
        let mark = match step.status {
            PlanStatus::Pending => "to do",
            PlanStatus::InProgress => "being done",
            PlanStatus::Completed => "done",
        };
        format!("- {mark}: {}", step.step)
    };
    transcript.plan().iter().map(line).collect::<Vec<_>>().join("\n")
}

fn files(transcript: &Transcript) -> String {
    transcript.changed_files().map(|path| format!("- `{path}`")).collect::<Vec<_>>().join("\n")
}

fn commands(transcript: &Transcript) -> String {
    let commands = transcript.commands();
    let mine = |record: &&crate::transcript::CommandRecord| {
        matches!(record.purpose, CommandPurpose::Call(_))
    };
    let mut lines: Vec<String> = commands
        .all()
        .iter()
        .rev()
        .filter(mine)
        .take(LISTED_COMMANDS)
        .map(|record| {
            let how = match record.exit {
                Some(ExitStatus::Code(code)) => format!("exit {code}"),
                Some(ExitStatus::Signal(signal)) => format!("ended by signal {signal}"),
                None if record.cut_off => "cut off".to_owned(),
                None => "still running".to_owned(),
            };
            let age = if commands.is_stale(record) { ", before the last change" } else { "" };
            let line = record.command.lines().next().unwrap_or_default();
            let line = &line[..line.floor_char_boundary(200)];
            let lines = grouped(record.lines);
            format!("- [{}] `{line}`: {how}, {lines} lines{age}", record.chunk)
        })
        .collect();
    lines.reverse();
    lines.join("\n")
}
