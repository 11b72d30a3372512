//! Several attempts at one turn, side by side.

use std::fmt::Write;

use quire_domain::attempt::AttemptState;
use quire_domain::event::Event;
use quire_domain::ids::TaskNumber;

use super::answer::Report;
use super::style::{Style, duration, fit};
use super::table::table;

/// A table of the attempts, the first lines of their answers, and how to go on.
pub fn text(number: TaskNumber, ended: &[(u8, AttemptState, Vec<Event>)], style: Style) -> String {
    text_there(number, ended, style, "")
}

/// As [`text`], of a task on a server: `flag` behind a command means that server.
pub fn text_there(
    number: TaskNumber,
    ended: &[(u8, AttemptState, Vec<Event>)],
    style: Style,
    flag: &str,
) -> String {
    let mut rows = Vec::new();
    let mut answers = String::new();
    for (ordinal, state, events) in ended {
        let report = Report::of(events);
        let (passed, all) = report.checks_passed();
        let spent = report.finished.map(|finished| finished.spent).unwrap_or_default();
        rows.push(vec![
            format!("{number}.{ordinal}"),
            state.word().to_owned(),
            if all == 0 { "–".to_owned() } else { format!("{passed} of {all}") },
            report.diff_stat().map_or_else(|| "none".to_owned(), |stat| stat.to_string()),
            spent.cost.to_string(),
            duration(spent.wall_ms),
        ]);
        if let Some(answer) = report.answer {
            let _ = write!(
                answers,
                "\n{}  {}\n",
                style.bold(&format!("{number}.{ordinal}")),
                fit(&report.numbered(answer, style), 400)
            );
        }
    }
    let heading = ["attempt", "end", "checks", "change", "cost", "time"];
    let mut text = table(&heading, &rows, super::width());
    text.push_str(&answers);
    let _ = write!(
        text,
        "\n{}\n  {:<width$}  the whole of one\n  {:<width$}  one against another\n  \
         {:<width$}  choose it and bring it into your checkout\n",
        style.bold("Next"),
        format!("quire task show {number}.1{flag}"),
        format!("quire task diff {number}.1 {number}.2{flag}"),
        format!("quire task apply {number}.1{flag}"),
        width = 18 + 2 * (number.to_string().len() + 2) + flag.len(),
    );
    text
}
