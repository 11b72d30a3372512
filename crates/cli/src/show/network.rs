//! What an attempt asked of the network: a request as a line of a log, and all of them at its end,
//! each refusal with the line of the recipe that would allow it.

use std::collections::BTreeMap;
use std::fmt::Write;

use quire_domain::event::{CommandPurpose, CommandStarted, Egress, Event, EventBody, Phase};
use quire_domain::ids::ChunkId;
use quire_domain::network::{NetworkPolicy, NetworkRule, NetworkSpec};
use serde::Serialize;

use super::style::{Style, count, fit, plain, size};

/// Refusals that are told one by one; of more there is a number.
const MOST_SHOWN: usize = 20;

/// Refusals that are kept apart while a log is read.
const MOST_KEPT: usize = 1_000;

/// Hosts that were reached, told by name.
const MOST_REACHED: usize = 8;

/// Rules that a line may repeat; above it only the new one is named.
const MOST_RULES: usize = 8;

/// Commands that are named beside a refusal.
const MOST_COMMANDS: usize = 5;

/// Which part of an attempt asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Asker {
    /// Setup or maintenance.
    Setup,
    /// The agent, a service or a check.
    #[default]
    Agent,
}

impl Asker {
    fn key(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Agent => "agent",
        }
    }
}

/// What was refused, or cut at a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Host and port; a word in brackets where there were too many.
    pub host: String,
    /// How often.
    pub times: u64,
    /// The proxy's word for why.
    pub reason: String,
    /// Who asked.
    pub by: Asker,
    /// The commands that asked, the first few that are known.
    pub commands: Vec<ChunkId>,
    /// What allows it, if anything can: a line and where it goes.
    pub allow: Option<Allow>,
    /// Why nothing can, or why it was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The rule, or the reason in words.
    #[serde(skip)]
    rule: String,
}

/// What a person writes where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allow {
    /// The table.
    pub table: &'static str,
    /// The whole line, as TOML; or the entry that goes into the list which is there.
    pub line: String,
    /// Whose file it is.
    pub place: &'static str,
}

impl Refused {
    /// The rule that allows it, where one can.
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

/// All of an attempt's network.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// What was refused or cut, in the order of its first time.
    pub refused: Vec<Refused>,
    /// Bytes and requests by host.
    reached: BTreeMap<String, (u64, u64)>,
    spec: NetworkSpec,
    asker: Asker,
}

impl Network {
    /// Takes one more event.
    pub fn push(&mut self, event: &Event) {
        match &event.body {
            EventBody::Submitted(submitted) => {
                let environment = submitted.request.environment.as_ref();
                self.spec = environment.map(|one| one.network.clone()).unwrap_or_default();
            }
            EventBody::PhaseStarted(phase) if phase.phase == Phase::Setup => {
                self.asker = Asker::Setup;
            }
            EventBody::PhaseFinished(phase) if phase.phase == Phase::Setup => {
                self.asker = Asker::Agent;
            }
            EventBody::CommandStarted(CommandStarted { purpose, .. })
                if *purpose != CommandPurpose::Setup =>
            {
                self.asker = Asker::Agent;
            }
            EventBody::EgressDenied(egress) => self.refuse(egress, true),
            EventBody::EgressAllowed(egress) => {
                if self.reached.len() < MOST_KEPT || self.reached.contains_key(&egress.host) {
                    let (times, bytes) = self.reached.entry(egress.host.clone()).or_default();
                    *times += egress.times;
                    *bytes += egress.sent + egress.received;
                }
                if egress.reason.as_deref().is_some_and(is_limit) {
                    self.refuse(egress, false);
                }
            }
            _ => {}
        }
    }

    fn refuse(&mut self, egress: &Egress, denied: bool) {
        let reason = egress.reason.clone().unwrap_or_default();
        let by = self.asker;
        let same = |one: &&mut Refused| {
            one.host == egress.host
                && one.reason == reason
                && one.by == by
                && (!denied || one.rule == egress.rule)
        };
        if let Some(known) = self.refused.iter_mut().find(same) {
            known.times += egress.times;
            let new = egress.chunk.iter().filter(|chunk| !known.commands.contains(chunk));
            let new: Vec<ChunkId> = new.cloned().collect();
            let room = MOST_COMMANDS.saturating_sub(known.commands.len());
            known.commands.extend(new.into_iter().take(room));
            return;
        }
        if self.refused.len() >= MOST_KEPT {
            if let Some(last) = self.refused.last_mut() {
                "(others)".clone_into(&mut last.host);
                "many".clone_into(&mut last.reason);
                (last.allow, last.why) = (None, None);
                last.times += egress.times;
            }
            return;
        }
        let policy = match by {
            Asker::Setup => &self.spec.setup,
            Asker::Agent => &self.spec.agent,
        };
        let allow = if denied { allow(by, policy, egress) } else { None };
        let why = if denied { egress.rule.clone() } else { limit(&reason).to_owned() };
        self.refused.push(Refused {
            host: egress.host.clone(),
            times: egress.times,
            why: (allow.is_none() && !why.is_empty()).then_some(why),
            reason,
            by,
            commands: egress.chunk.iter().cloned().collect(),
            allow,
            rule: egress.rule.clone(),
        });
    }

    /// The lines below an answer.
    pub fn text(&self, text: &mut String, style: Style) {
        self.reached_line(text);
        for one in self.refused.iter().take(MOST_SHOWN) {
            let times = if one.times == 1 {
                String::new()
            } else {
                format!(", {} times", count(one.times))
            };
            let mut line = format!("{}{times}", plain(&one.host, false));
            if one.by == Asker::Setup {
                line.push_str(", by setup");
            } else if !one.commands.is_empty() {
                let ids: Vec<&str> = one.commands.iter().map(ChunkId::as_str).collect();
                let _ = write!(line, ", by [{}]", ids.join("], ["));
            }
            let word = if is_limit(&one.reason) { "cut off" } else { "refused" };
            let _ = writeln!(text, "Network  {}", style.warn(&format!("{word}: {line}")));
            if let Some(Allow { table, line, place }) = &one.allow {
                let line = style.bold(&plain(line, false));
                let _ = writeln!(text, "         to allow it: {line}  under [{table}] of {place}");
            } else if let Some(why) = &one.why {
                let _ = writeln!(text, "         {}", fit(why, 200));
            }
        }
        let more = self.refused.len().saturating_sub(MOST_SHOWN);
        if more > 0 {
            let line = format!("refused: {more} more, see `quire task logs`");
            let _ = writeln!(text, "Network  {}", style.warn(&line));
        }
    }

    fn reached_line(&self, text: &mut String) {
        if self.reached.is_empty() {
            return;
        }
        let mut hosts: Vec<_> = self.reached.iter().collect();
        hosts.sort_by_key(|(_, (times, bytes))| std::cmp::Reverse((*bytes, *times)));
        let more = hosts.len().saturating_sub(MOST_REACHED);
        let mut named: Vec<String> = hosts
            .iter()
            .take(MOST_REACHED)
            .map(|(host, (times, bytes))| {
                let times =
                    if *times == 1 { String::new() } else { format!("{} × ", count(*times)) };
                format!("{times}{} ({})", plain(host, false), size(*bytes))
            })
            .collect();
        if more > 0 {
            named.push(format!("{more} more"));
        }
        let _ = writeln!(text, "Network  reached {}", named.join(", "));
    }
}

/// A request as a line of a log; `None` for one that needs none while a task runs.
pub fn line(egress: &Egress, denied: bool, whole: bool) -> Option<String> {
    let reason = egress.reason.as_deref();
    if !denied && !whole && !reason.is_some_and(is_limit) {
        return None;
    }
    let mut line = if denied { "refused: ".to_owned() } else { String::new() };
    if let Some(method) = &egress.method {
        let _ = write!(line, "{method} ");
    }
    line.push_str(&egress.host);
    if let Some(path) = &egress.path {
        line.push_str(path);
    }
    if egress.times > 1 {
        let _ = write!(line, " × {}", count(egress.times));
    }
    if let Some(reason) = reason {
        let _ = write!(line, " ({reason})");
    }
    if !denied {
        let _ = write!(line, " · {} out, {} in", size(egress.sent), size(egress.received));
        if !egress.rule.is_empty() && egress.rule != egress.host {
            let _ = write!(line, " · by `{}`", egress.rule);
        }
    }
    if let Some(chunk) = &egress.chunk {
        let _ = write!(line, " [{chunk}]");
    }
    Some(line)
}

/// What would allow it.
fn allow(by: Asker, policy: &NetworkPolicy, egress: &Egress) -> Option<Allow> {
    let recipe = "the environment's recipe";
    match egress.reason.as_deref()? {
        "no_rule" | "no_rule_for_request" => {
            let rule: NetworkRule = egress.rule.parse().ok()?;
            let line = recipe_line(by.key(), policy, &rule)?;
            Some(Allow { table: "network", line, place: recipe })
        }
        "private_address" | "private_name" => {
            let line = format!("private = [{}]", quoted(&egress.host));
            Some(Allow { table: "egress", line, place: "this installation's config.toml" })
        }
        _ => None,
    }
}

/// The line of a recipe that allows what was allowed before and `rule`.
fn recipe_line(key: &str, policy: &NetworkPolicy, rule: &NetworkRule) -> Option<String> {
    let (packages, rules) = match policy {
        NetworkPolicy::Off => (false, [].as_slice()),
        NetworkPolicy::Packages(rules) => (true, rules.as_slice()),
        NetworkPolicy::Rules(rules) => (false, rules.as_slice()),
        // It cannot be said beside a list.
        NetworkPolicy::On => return None,
    };
    let new = quoted(&rule.to_string());
    if rules.len() > MOST_RULES {
        return Some(format!("{new} in the list `{key}`"));
    }
    let packages = packages.then(|| quoted("packages"));
    let before = rules.iter().map(|rule| quoted(&rule.to_string()));
    let entries: Vec<String> = packages.into_iter().chain(before).chain([new]).collect();
    Some(format!("{key} = [{}]", entries.join(", ")))
}

/// A TOML string. Rules are plain ASCII without a backslash.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\\""))
}

/// Whether a request was cut at a bound.
fn is_limit(reason: &str) -> bool {
    !limit(reason).is_empty()
}

/// Which bound a word of the proxy's stands for.
fn limit(reason: &str) -> &'static str {
    match reason {
        "bytes_of_sandbox" => {
            "all that the sandbox may send and receive is used up: `limits.network_mib`"
        }
        "bytes_of_connection" => "one connection carried more than it may",
        "connections" => "too many connections were open at once",
        "connection_time" => "the connection lasted longer than it may",
        "idle" => "nothing moved on the connection for too long",
        "descriptors" => "the worker had no file descriptor left: raise its limit of open files",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<NetworkRule> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// What the recipe's reader makes of the line.
    fn read_back(line: &str) -> Vec<String> {
        let table: toml::Table = toml::from_str(line).unwrap();
        table["agent"].clone().try_into().unwrap()
    }

    #[test]
    fn the_line_allows_what_was_allowed_before_and_what_was_refused() {
        let rule: NetworkRule = "new.example GET /a\"b".parse().unwrap();
        for (policy, before) in [
            (NetworkPolicy::Off, vec![]),
            (NetworkPolicy::Packages(vec![]), vec!["packages"]),
            (NetworkPolicy::Packages(rules(&["a.example"])), vec!["packages", "a.example"]),
            (NetworkPolicy::Rules(rules(&["a.example PUT /x"])), vec!["a.example PUT /x"]),
        ] {
            let line = recipe_line("agent", &policy, &rule).unwrap();
            let all: Vec<String> =
                before.into_iter().chain(["new.example GET /a\"b"]).map(str::to_owned).collect();
            assert_eq!(read_back(&line), all);
        }
        assert_eq!(recipe_line("agent", &NetworkPolicy::On, &rule), None);
        let many: Vec<String> = (0..20).map(|n| format!("h{n}.example")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let line = recipe_line("setup", &NetworkPolicy::Rules(rules(&many)), &rule).unwrap();
        assert_eq!(line, "\"new.example GET /a\\\"b\" in the list `setup`");
    }
}
