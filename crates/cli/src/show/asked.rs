//! A question of an attempt, as the person reads it.

use std::fmt::Write;

use quire_domain::event::QuestionAsked;

use super::style::{Style, plain};

/// The question with its choices, each with its number.
pub fn question(question: &QuestionAsked, style: Style) -> String {
    let mut text = style.bold(&plain(question.question.trim(), true));
    for (index, choice) in question.choices.iter().enumerate() {
        let (label, detail) = (plain(&choice.label, false), plain(&choice.detail, false));
        let detail = if detail.is_empty() { String::new() } else { format!(" · {detail}") };
        let number = style.name(&(index + 1).to_string());
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\n  {number}  {label}{}", style.dim(&detail));
    }
    text
}
