//! The table: our figure, the budget, and the others' figures with their ratio to ours.

use std::time::Duration;

use super::measure::{Crowd, Run};

/// Everything measured of one subject. A part that could not be done has its reason.
pub struct Measured {
    /// Whose.
    pub name: &'static str,
    /// Single runs.
    pub runs: Result<Vec<Run>, String>,
    /// Many at once, timed; and the same again, watched for memory.
    pub crowd: Result<(Crowd, Crowd), String>,
    /// The same in one process. Ours alone.
    pub file: Option<Result<(Crowd, Crowd), String>>,
    /// Most memory of a run, in bytes, and of one whose command prints a gigabyte. Ours alone.
    pub memory: Option<Result<(u64, u64), String>>,
}

/// A figure that the issue bounds.
struct Row {
    name: String,
    unit: &'static str,
    budget: Budget,
    of: Figure,
}

/// Takes a figure out of what was measured; `None` where it was not.
type Figure = Box<dyn Fn(&Measured) -> Option<f64>>;

#[derive(Clone, Copy)]
enum Budget {
    AtMost(f64),
    AtLeast(f64),
    None,
}

/// What else the table needs to know.
pub struct Conditions {
    /// Runs at once in a crowd.
    pub jobs: usize,
    /// Model calls of a run.
    pub calls: usize,
    /// CPU time of the commands themselves.
    pub commands: Duration,
    /// Processors of this machine.
    pub cores: usize,
}

/// Prints the table and the notes. Gives the names of the budgets we missed or could not measure.
pub fn print(all: &[Measured], conditions: &Conditions) -> Vec<String> {
    let mut missed = Vec::new();
    let Some((ours, others)) = all.split_first() else { return missed };
    print!("{:<44} {:>12} {:>14}", "", ours.name, "budget");
    for other in others {
        print!(" {:>22}", other.name);
    }
    println!();
    for row in rows(conditions) {
        let figure = (row.of)(ours);
        let kept = match (row.budget, figure) {
            (Budget::None, _) => None,
            (Budget::AtMost(most), figure) => Some(figure.is_some_and(|figure| figure <= most)),
            (Budget::AtLeast(least), figure) => Some(figure.is_some_and(|figure| figure >= least)),
        };
        let word = match (row.budget, kept) {
            (Budget::AtMost(most), Some(kept)) => format!("≤ {} {}", short(most), mark(kept)),
            (Budget::AtLeast(least), Some(kept)) => format!("≥ {} {}", short(least), mark(kept)),
            _ => String::new(),
        };
        let label = format!("{} ({})", row.name, row.unit);
        let shown = figure.map_or("-".to_owned(), short);
        print!("{label:<44} {shown:>12} {word:>14}");
        for other in others {
            let cell = match ((row.of)(other), figure) {
                (Some(theirs), Some(own)) if own > 0.0 => {
                    format!("{} (×{})", short(theirs), short(theirs / own))
                }
                (Some(theirs), _) => short(theirs),
                (None, _) => "-".to_owned(),
            };
            print!(" {cell:>22}");
        }
        println!();
        if kept == Some(false) {
            missed.push(row.name);
        }
    }
    notes(all, conditions);
    missed
}

fn notes(all: &[Measured], conditions: &Conditions) {
    println!();
    println!(
        "Medians; {} model calls a run. The commands themselves use {} s of CPU outside any agent, \
         which is taken off every figure of CPU.",
        conditions.calls,
        short(conditions.commands.as_secs_f64())
    );
    println!(
        "At once: {} runs. From their time the played model's own CPU, shared over {} cores, is \
         taken off; memory is PSS of the whole trees, from a second crowd.",
        conditions.jobs, conditions.cores
    );
    for measured in all {
        let crowd = measured.crowd.as_ref().ok().map(|(crowd, _)| ("processes", crowd));
        let file = of_file(measured).map(|(crowd, _)| ("one process", crowd));
        for (how, crowd) in file.into_iter().chain(crowd) {
            println!(
                "  {}, {how}: {} s in all, the played model used {} s of CPU",
                measured.name,
                short(crowd.wall.as_secs_f64()),
                short(crowd.server_cpu.as_secs_f64())
            );
        }
        let memory = measured.memory.as_ref().and_then(|memory| memory.as_ref().err());
        let file = measured.file.as_ref().and_then(|file| file.as_ref().err());
        for why in [measured.runs.as_ref().err(), measured.crowd.as_ref().err(), file, memory]
            .into_iter()
            .flatten()
        {
            println!("  {}: not measured: {why}", measured.name);
        }
    }
}

fn rows(conditions: &Conditions) -> Vec<Row> {
    let commands = conditions.commands.as_secs_f64();
    let cores = u32::try_from(conditions.cores).unwrap_or(1);
    let jobs = conditions.jobs;
    vec![
        row("start to first request, p50", "ms", Budget::AtMost(20.0), |measured| {
            percentile(each(measured, |run| ms(run.start))?, 0.5)
        }),
        row("client time per turn, p50", "ms", Budget::AtMost(5.0), |measured| {
            percentile(turns(measured)?, 0.5)
        }),
        row("client time per turn, p95", "ms", Budget::None, |measured| {
            percentile(turns(measured)?, 0.95)
        }),
        row("CPU of a run", "s", Budget::AtMost(0.15), move |measured| {
            percentile(each(measured, |run| (run.cpu.as_secs_f64() - commands).max(0.0))?, 0.5)
        }),
        row(&format!("{jobs} tasks in one process"), "s", Budget::AtMost(1.5), move |measured| {
            Some(without_server(&of_file(measured)?.0, cores))
        }),
        row(&format!("{jobs} tasks, CPU of ours"), "s", Budget::None, move |measured| {
            Some((of_file(measured)?.0.cpu.as_secs_f64() - of_all(jobs, commands)).max(0.0))
        }),
        row(&format!("{jobs} tasks, memory"), "MB", Budget::AtMost(100.0), |measured| {
            Some(mb(of_file(measured)?.1.memory))
        }),
        row(&format!("{jobs} processes at once"), "s", Budget::None, move |measured| {
            Some(without_server(&measured.crowd.as_ref().ok()?.0, cores))
        }),
        row(&format!("{jobs} processes, CPU"), "s", Budget::None, move |measured| {
            let (crowd, _) = measured.crowd.as_ref().ok()?;
            Some((crowd.cpu.as_secs_f64() - of_all(jobs, commands)).max(0.0))
        }),
        row(&format!("{jobs} processes, memory"), "MB", Budget::None, |measured| {
            let (_, crowd) = measured.crowd.as_ref().ok()?;
            Some(mb(crowd.memory))
        }),
        row("memory of one run", "MB", Budget::None, |measured| {
            Some(mb(measured.memory.as_ref()?.as_ref().ok()?.0))
        }),
        row("memory while a command prints 1 GB", "MB", Budget::None, |measured| {
            Some(mb(measured.memory.as_ref()?.as_ref().ok()?.1))
        }),
        row("request bytes the next one begins with", "%", Budget::AtLeast(99.0), |measured| {
            percentile(each(measured, |run| run.prefix_share * 100.0)?, 0.5)
        }),
        row("instructions and tools, first request", "kB", Budget::AtMost(16.0), |measured| {
            percentile(each(measured, |run| kb(run.fixed_bytes))?, 0.5)
        }),
        row("first request in all", "kB", Budget::None, |measured| {
            percentile(each(measured, |run| kb(run.first_bytes))?, 0.5)
        }),
    ]
}

fn row(
    name: &str,
    unit: &'static str,
    budget: Budget,
    of: impl Fn(&Measured) -> Option<f64> + 'static,
) -> Row {
    Row { name: name.to_owned(), unit, budget, of: Box::new(of) }
}

fn of_file(measured: &Measured) -> Option<&(Crowd, Crowd)> {
    measured.file.as_ref()?.as_ref().ok()
}

/// Time from the first start to the last end, less the played model's share of the processors.
fn without_server(crowd: &Crowd, cores: u32) -> f64 {
    crowd.wall.saturating_sub(crowd.server_cpu / cores).as_secs_f64()
}

/// CPU of the commands of all runs, in seconds.
fn of_all(jobs: usize, commands: f64) -> f64 {
    f64::from(u32::try_from(jobs).unwrap_or(u32::MAX)) * commands
}

fn each(measured: &Measured, of: impl Fn(&Run) -> f64) -> Option<Vec<f64>> {
    Some(measured.runs.as_ref().ok()?.iter().map(of).collect())
}

fn turns(measured: &Measured) -> Option<Vec<f64>> {
    let runs = measured.runs.as_ref().ok()?;
    Some(runs.iter().flat_map(|run| run.turns.iter().copied().map(ms)).collect())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "shown in megabytes")]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "shown in kilobytes")]
fn kb(bytes: usize) -> f64 {
    bytes as f64 / 1e3
}

/// The value below which a `share` of them lie.
fn percentile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index below a length of thousands"
    )]
    let index = ((values.len().checked_sub(1)? as f64) * share).round() as usize;
    values.get(index).copied()
}

fn mark(kept: bool) -> &'static str {
    if kept { "kept" } else { "MISSED" }
}

/// Three digits that matter.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        assert_eq!(percentile(vec![3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(percentile(vec![3.0, 1.0, 2.0], 0.95), Some(3.0));
        assert_eq!(percentile(Vec::new(), 0.5), None);
    }

    #[test]
    fn a_budget_that_could_not_be_measured_is_missed() {
        let nothing = Measured {
            name: "quire",
            runs: Err("it did not start".into()),
            crowd: Err("it did not start".into()),
            file: None,
            memory: None,
        };
        let conditions = Conditions { jobs: 16, calls: 20, commands: Duration::ZERO, cores: 2 };
        assert_eq!(print(&[nothing], &conditions).len(), 7);
    }
}
