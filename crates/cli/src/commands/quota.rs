//! `quire quota`: what the server, a team or a person may have at work and spend in a month.

use clap::{ArgGroup, Subcommand};
use quire_domain::budget::MicroDollars;
use quire_domain::quota::{Month, Quota, Subject, Used};
use quire_domain::time::Clock;
use quire_store::Store;

use crate::administration::{open, team, user};
use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::installation::WallClock;
use crate::show::{self, table::table};

/// What to do with quotas.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// All quotas that are set, and what is used of them this month.
    Show {
        /// As JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Set or take away limits; those that are not named stay as they are.
    Set(Set),
}

/// Which limits, and whose.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("whose").required(true).args(["server", "team", "user"]))]
pub struct Set {
    /// Of the whole installation.
    #[arg(long)]
    server: bool,
    /// Of a team.
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Of a person, in whichever team.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Attempts at work at once, or `none`.
    #[arg(long, value_name = "COUNT")]
    at_once: Option<String>,
    /// Dollars a month, e.g. `250.00`, or `none`.
    #[arg(long, value_name = "DOLLARS")]
    month_dollars: Option<String>,
    /// Input and output tokens a month, or `none`.
    #[arg(long, value_name = "TOKENS")]
    month_tokens: Option<String>,
}

/// Runs it.
pub async fn run(command: Command, context: &Context) -> anyhow::Result<Exit> {
    let store = open(context).await?;
    match command {
        Command::Show { json } => show(&store, json).await?,
        Command::Set(set) => self::set(&store, set).await?,
    }
    store.close().await;
    Ok(Exit::Done)
}

async fn set(store: &Store, set: Set) -> anyhow::Result<()> {
    let subject = match (&set.team, &set.user) {
        (Some(name), _) => Subject::Team(team(store, name).await?),
        (_, Some(name)) => Subject::User(user(store, name).await?),
        _ => Subject::Server,
    };
    let mut quota = store.quota(subject).await?;
    if set.at_once.is_none() && set.month_dollars.is_none() && set.month_tokens.is_none() {
        return Err(usage(
            "name a limit: --at-once COUNT, --month-dollars DOLLARS or --month-tokens TOKENS \
             (`none` takes one away)",
        ));
    }
    if let Some(text) = &set.at_once {
        quota.at_once = limit("--at-once", text, |text| text.parse().ok())?;
    }
    if let Some(text) = &set.month_dollars {
        quota.month_cost = limit("--month-dollars", text, dollars)?;
    }
    if let Some(text) = &set.month_tokens {
        quota.month_tokens = limit("--month-tokens", text, |text| {
            text.parse().ok().filter(|tokens: &u64| i64::try_from(*tokens).is_ok())
        })?;
    }
    store.set_quota(subject, quota, WallClock.now()).await?;
    let name = set.team.or(set.user).unwrap_or_else(|| "the server".to_owned());
    show::out(&format!("{name}: {}", words(&quota)));
    Ok(())
}

fn limit<T>(
    name: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> anyhow::Result<Option<T>> {
    if text == "none" {
        return Ok(None);
    }
    match parse(text) {
        Some(value) => Ok(Some(value)),
        None => Err(usage(format!("{name}: `{text}` is no such number, nor `none`"))),
    }
}

/// Reads an amount like `250` or `12.50`: at most six decimals.
fn dollars(text: &str) -> Option<MicroDollars> {
    let text = text.strip_prefix('$').unwrap_or(text);
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    let micros = whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part)?;
    i64::try_from(micros).ok()?;
    Some(MicroDollars(micros))
}

async fn show(store: &Store, json: bool) -> anyhow::Result<()> {
    let month = Month::of(WallClock.now());
    let mut subjects = vec![("server".to_owned(), Subject::Server)];
    for team in store.teams().await? {
        subjects.push((format!("team {}", team.name), Subject::Team(team.id)));
    }
    for user in store.users().await? {
        subjects.push((format!("user {}", user.name), Subject::User(user.id)));
    }
    let set = store.quotas().await?;
    let mut rows = Vec::new();
    for (name, subject) in subjects {
        let key = subject.key();
        let Some((_, quota)) = set.iter().find(|(found, _)| *found == key) else { continue };
        let used = store.used(subject, month.first_day(), month.next().first_day()).await?;
        if json {
            show::out(&line(&name, quota, &used, month).to_string());
        } else {
            rows.push(row(name, quota, &used));
        }
    }
    if json {
        return Ok(());
    }
    if rows.is_empty() {
        show::err("no quotas are set: `quire quota set --server --month-dollars 100` sets one");
        return Ok(());
    }
    let heading = ["whose", "at once", &format!("dollars in {month}"), "tokens"];
    show::out(table(&heading, &rows, show::width()).trim_end());
    show::err(&format!("a new month begins on {} (UTC)", month.next().first_day()));
    Ok(())
}

fn row(name: String, quota: &Quota, used: &Used) -> Vec<String> {
    let of = |used: String, limit: Option<String>| match limit {
        Some(limit) => format!("{used} of {limit}"),
        None => used,
    };
    vec![
        name,
        quota.at_once.map_or_else(|| "–".to_owned(), |count| count.to_string()),
        of(used.cost.to_string(), quota.month_cost.map(|limit| limit.to_string())),
        of(used.tokens.to_string(), quota.month_tokens.map(|limit| limit.to_string())),
    ]
}

fn line(name: &str, quota: &Quota, used: &Used, month: Month) -> serde_json::Value {
    serde_json::json!({
        "whose": name,
        "quota": quota,
        "month": month.to_string(),
        "used_micro_dollars": used.cost,
        "used_tokens": used.tokens,
        "resets_at": month.next().first_day().begins(),
    })
}

fn words(quota: &Quota) -> String {
    let mut parts = Vec::new();
    if let Some(count) = quota.at_once {
        parts.push(format!("{count} at once"));
    }
    if let Some(cost) = quota.month_cost {
        parts.push(format!("{cost} a month"));
    }
    if let Some(tokens) = quota.month_tokens {
        parts.push(format!("{tokens} tokens a month"));
    }
    if parts.is_empty() { "no limits".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_to_the_millionth_and_nothing_else_is() {
        let cases = [("250", 250_000_000), ("$12.5", 12_500_000), ("0.000001", 1)];
        for (text, micros) in cases {
            assert_eq!(dollars(text), Some(MicroDollars(micros)), "{text}");
        }
        for text in ["", ".5", "1.0000001", "-1", "1e3", "99999999999999999999", "1,000", "٣"] {
            assert_eq!(dollars(text), None, "{text}");
        }
    }
}
