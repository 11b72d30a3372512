//! `quire usage`: what models were used, by whom, for what.

use std::fmt::Write as _;

use clap::ValueEnum;
use quire_domain::quota::{Day, Month};
use quire_domain::time::Clock;
use quire_store::{UsageBy, UsageFilter, UsageLine, UsageSum};

use crate::administration::open;
use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::installation::WallClock;
use crate::show::{self, style::plain, table::table};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to add up by.
    #[arg(long, value_enum, default_value = "day")]
    by: By,
    /// The month, `YYYY-MM` (of UTC); this one where none is named.
    #[arg(long, value_name = "MONTH", conflicts_with = "all")]
    month: Option<String>,
    /// From the beginning.
    #[arg(long)]
    all: bool,
    /// As comma-separated values with a heading.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// As JSON, a line each.
    #[arg(long)]
    json: bool,
}

/// What usage is added up by.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Day,
    Person,
    Team,
    Repository,
    Model,
}

/// Runs it.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let month = match &args.month {
        Some(text) => Month::parse(text).map_err(|error| usage(format!("--month: {error}")))?,
        None => Month::of(WallClock.now()),
    };
    let (from, until) = if args.all {
        (Day(0), Day(u32::MAX))
    } else {
        (month.first_day(), month.next().first_day())
    };
    let (by, word) = match args.by {
        By::Day => (UsageBy::Day, "day"),
        By::Person => (UsageBy::Person, "person"),
        By::Team => (UsageBy::Team, "team"),
        By::Repository => (UsageBy::Repository, "repository"),
        By::Model => (UsageBy::Model, "model"),
    };
    let store = open(context).await?;
    let lines = store.usage(by, &UsageFilter { from, until, teams: None, author: None }).await?;
    store.close().await;
    if args.json {
        for line in &lines {
            show::out(&json(word, line).to_string());
        }
    } else if args.csv {
        show::out(csv(word, &lines).trim_end());
    } else if lines.is_empty() {
        let when = if args.all { "so far".to_owned() } else { format!("in {month}") };
        show::err(&format!("no model was used {when}"));
    } else {
        show_table(word, &lines);
    }
    Ok(Exit::Done)
}

fn show_table(word: &str, lines: &[UsageLine]) {
    let mut total = UsageSum::default();
    let mut rows = Vec::new();
    for UsageLine { key, sum } in lines {
        total.calls += sum.calls;
        total.input_tokens += sum.input_tokens;
        total.cached_tokens += sum.cached_tokens;
        total.output_tokens += sum.output_tokens;
        total.cost.0 += sum.cost.0;
        total.unpriced += sum.unpriced;
        rows.push(row(sum, plain(key, false)));
    }
    if lines.len() > 1 {
        rows.push(row(&total, "all".to_owned()));
    }
    let heading = ["cost", "calls", "input", "of it cached", "output", word];
    show::out(table(&heading, &rows, show::width()).trim_end());
    if total.unpriced > 0 {
        show::err(&format!(
            "{} of these calls have no known price and cost something else; `quire model list` \
             shows the prices and their dates",
            total.unpriced
        ));
    }
}

fn row(sum: &UsageSum, key: String) -> Vec<String> {
    let numbers = [sum.calls, sum.input_tokens, sum.cached_tokens, sum.output_tokens];
    let mut row = vec![sum.cost.to_string()];
    row.extend(numbers.map(|number| number.to_string()));
    row.push(key);
    row
}

fn json(word: &str, line: &UsageLine) -> serde_json::Value {
    let UsageLine { key, sum } = line;
    serde_json::json!({
        word: key,
        "calls": sum.calls,
        "input_tokens": sum.input_tokens,
        "cached_tokens": sum.cached_tokens,
        "output_tokens": sum.output_tokens,
        "micro_dollars": sum.cost,
        "unpriced_calls": sum.unpriced,
    })
}

/// Lines end as RFC 4180 says; a field that a spreadsheet would calculate is text.
fn csv(word: &str, lines: &[UsageLine]) -> String {
    let mut text =
        format!("{word},calls,input_tokens,cached_tokens,output_tokens,dollars,unpriced_calls\r\n");
    for UsageLine { key, sum } in lines {
        let dollars = format!("{}.{:06}", sum.cost.0 / 1_000_000, sum.cost.0 % 1_000_000);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{},{},{},{},{},{dollars},{}\r\n",
            field(key),
            sum.calls,
            sum.input_tokens,
            sum.cached_tokens,
            sum.output_tokens,
            sum.unpriced
        );
    }
    text
}

fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_neither_break_a_line_of_values_nor_be_calculated() {
        assert_eq!(field("a,b \"c\"\nd"), "\"a,b \"\"c\"\"\nd\"");
        assert_eq!(field("=cmd()"), "'=cmd()");
        assert_eq!(field("/src/shop"), "/src/shop");
    }
}
