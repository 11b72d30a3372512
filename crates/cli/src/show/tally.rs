//! How the tasks of a file ended: a row for each, and all of them summed up.

use std::collections::BTreeMap;
use std::fmt::Write;

use quire_domain::attempt::DiffStat;
use quire_domain::budget::{MicroDollars, Spent, Usage};

use super::style::{Style, count, duration, fit, plain};
use super::table::table;
use crate::exit::Exit;

/// How one task ended.
pub struct Row {
    /// Its number; none if it never became a task.
    pub number: Option<u64>,
    /// What people know it by.
    pub what: String,
    /// Its attempts.
    pub tries: Vec<Try>,
    /// Why it never started: a word for programs, a sentence for people.
    pub never: Option<(&'static str, String)>,
    /// The code it would have ended with alone.
    pub exit: Exit,
}

/// How one attempt ended.
#[derive(Default)]
pub struct Try {
    /// Its place in its turn, from 1.
    pub ordinal: u8,
    /// The word for its end.
    pub end: String,
    /// Checks that passed, and all.
    pub checks: (usize, usize),
    /// Citations that lead somewhere, and all.
    pub citations: (usize, usize),
    /// The size of its change.
    pub change: Option<DiffStat>,
    /// What it spent.
    pub spent: Spent,
    /// What a person should know of the end.
    pub why: Option<String>,
}

/// A name is at most this wide, in columns.
const MOST_NAME: usize = 40;

/// At most so many reasons are told beneath the table.
const MOST_REASONS: usize = 20;

impl Row {
    /// A task that never started.
    pub fn not_started(what: String, why: &'static str, detail: &str, exit: Exit) -> Self {
        let never = Some((why, detail.to_owned()));
        Self { number: None, what, tries: Vec::new(), never, exit }
    }

    /// Whether it did what was asked.
    pub fn is_good(&self) -> bool {
        self.exit == Exit::Done
    }

    fn cells(&self) -> Vec<Vec<String>> {
        let Some(number) = self.number else {
            let dash = "–".to_owned();
            let mut cells = vec![dash.clone(), self.what.clone(), "not started".to_owned()];
            cells.extend(std::iter::repeat_n(dash, 5));
            return vec![cells];
        };
        let several = self.tries.len() > 1;
        let cells = self.tries.iter().map(|one| {
            let name =
                if several { format!("{number}.{}", one.ordinal) } else { number.to_string() };
            vec![
                name,
                self.what.clone(),
                one.end.clone(),
                share(one.checks),
                share(one.citations),
                one.change.map_or_else(|| "–".to_owned(), short_change),
                one.spent.cost.to_string(),
                duration(one.spent.wall_ms),
            ]
        });
        cells.collect()
    }
}

fn share((some, all): (usize, usize)) -> String {
    if all == 0 { "–".to_owned() } else { format!("{some}/{all}") }
}

fn short_change(stat: DiffStat) -> String {
    let noun = if stat.files == 1 { "file" } else { "files" };
    format!("{} {noun} +{} −{}", stat.files, stat.added, stat.removed)
}

/// The table, the reasons, the sum, and how to go on.
pub fn text(rows: &[Row], style: Style) -> String {
    let heading = ["task", "id or prompt", "end", "checks", "cited", "change", "cost", "time"];
    let mut cells: Vec<Vec<String>> = rows.iter().flat_map(Row::cells).collect();
    cut_names(&heading, &mut cells, super::width());
    let mut text = table(&heading, &cells, super::width());
    let reasons: Vec<String> = rows.iter().flat_map(reasons).collect();
    if !reasons.is_empty() {
        text.push('\n');
    }
    for reason in reasons.iter().take(MOST_REASONS) {
        let _ = writeln!(text, "{}", style.warn(reason));
    }
    if reasons.len() > MOST_REASONS {
        let _ = writeln!(text, "and {} more", reasons.len() - MOST_REASONS);
    }
    let _ = writeln!(text, "\n{}", style.bold(&sum(rows)));
    next(&mut text, rows, style);
    text
}

/// Cuts the second column, of names, so that a row fits into `width` columns if it can.
fn cut_names(heading: &[&str], cells: &mut [Vec<String>], width: usize) {
    let widest = |column: usize| {
        let words = cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        words.max().unwrap_or(0).max(heading[column].chars().count())
    };
    let others: usize = (0..heading.len()).filter(|column| *column != 1).map(widest).sum();
    let gaps = 2 * heading.len().saturating_sub(1);
    let room = width.saturating_sub(others + gaps).clamp(heading[1].chars().count(), MOST_NAME);
    for row in cells {
        row[1] = fit(&row[1], room);
    }
}

fn next(text: &mut String, rows: &[Row], style: Style) {
    let changed = |row: &&Row| row.tries.iter().any(|one| one.change.is_some());
    let mut commands = Vec::new();
    if let Some(number) = rows.iter().find_map(|row| row.number) {
        commands.push((format!("quire task show {number}"), "the whole of one"));
    }
    if let Some(number) = rows.iter().find(changed).and_then(|row| row.number) {
        commands
            .push((format!("quire task apply {number}"), "bring its change into your checkout"));
    }
    if commands.is_empty() {
        return;
    }
    let width = commands.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
    let _ = writeln!(text, "\n{}", style.bold("Next"));
    for (command, what) in commands {
        let _ = writeln!(text, "  {command:<width$}  {}", style.dim(what));
    }
}

fn reasons(row: &Row) -> Vec<String> {
    let number = row.number.map_or_else(|| "–".to_owned(), |number| number.to_string());
    let of_tries = row.tries.iter().filter_map(|one| {
        let why = plain(one.why.as_deref()?, false);
        let name =
            if row.tries.len() > 1 { format!("{number}.{}", one.ordinal) } else { number.clone() };
        Some(format!("{name}  {}: {}", one.end, fit(&why, 300)))
    });
    let never = row.never.iter().filter(|(why, _)| *why != "cancelled");
    let never = never.map(|(_, why)| format!("–  {}: {}", row.what, fit(why, 300)));
    of_tries.chain(never).collect()
}

/// `16 tasks · 14 changed · 2 failed · $0.42 · 12,000 tokens`.
fn sum(rows: &[Row]) -> String {
    let noun = if rows.len() == 1 { "task" } else { "tasks" };
    let mut text = format!("{} {noun}", rows.len());
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut cost, mut usage) = (0_u64, Usage::default());
    for row in rows {
        // Of several attempts the best: the row's word is that of one which did what was asked.
        let end = row.tries.iter().map(|one| one.end.as_str()).min_by_key(|end| worth(end));
        *ends.entry(end.unwrap_or("not started")).or_default() += 1;
        for one in &row.tries {
            cost = cost.saturating_add(one.spent.cost.0);
            usage = usage.plus(one.spent.usage);
        }
    }
    for (end, number) in ends {
        let _ = write!(text, " · {number} {end}");
    }
    let _ = write!(text, " · {} · {} tokens", MicroDollars(cost), count(usage.total_tokens()));
    text
}

fn worth(end: &str) -> u8 {
    match end {
        "changed" => 0,
        "answered" => 1,
        "no change" => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_fits_the_terminal_and_every_task_has_one() {
        let change = DiffStat { files: 12, added: 345, removed: 67 };
        let tries = vec![Try {
            ordinal: 1,
            end: "changed".to_owned(),
            checks: (1, 2),
            citations: (3, 3),
            change: Some(change),
            ..Try::default()
        }];
        let what = "a name that is longer than there is room for".to_owned();
        let done =
            Row { number: Some(1234), what: what.clone(), tries, never: None, exit: Exit::Done };
        let never = Row::not_started(what, "repository", "no such host", Exit::Usage);
        let rows = [done, never];
        let mut cells: Vec<Vec<String>> = rows.iter().flat_map(Row::cells).collect();
        let heading = ["task", "id or prompt", "end", "checks", "cited", "change", "cost", "time"];
        cut_names(&heading, &mut cells, 90);
        let shown = table(&heading, &cells, 90);
        assert!(shown.lines().all(|line| line.chars().count() <= 90), "{shown}");
        assert_eq!(cells[0][3..6], ["1/2", "3/3", "12 files +345 −67"]);
        let text = text(&rows, Style::new(false));
        assert!(text.contains("2 tasks · 1 changed · 1 not started · $0.00 · 0 tokens"), "{text}");
        assert!(text.contains("no such host") && text.contains("quire task apply 1234"), "{text}");
    }
}
