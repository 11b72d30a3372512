//! What a person can do about a trial that failed: the line of the recipe that would help, where
//! that can be told.

use quire_domain::attempt::FailureKind;
use quire_domain::environment::Environment;
use quire_domain::event::{Event, EventBody};
use quire_domain::network::{NetworkPolicy, NetworkRule};
use serde_json::{Value, json};

use super::report::is_setup;

/// Requests to one host that were refused in one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Whether it was setup that asked.
    setup: bool,
    /// Host and port.
    host: String,
    /// The rule that would allow it, or why none can.
    rule: String,
    /// Why it was refused.
    reason: Option<String>,
    /// How often.
    times: u32,
}

impl Refused {
    /// A line for people.
    pub fn text(&self) -> String {
        let times = if self.times == 1 { String::new() } else { format!(" {} times", self.times) };
        let part = if self.setup { "setup" } else { "agent" };
        let why = match self.reason.as_deref() {
            None | Some("no_rule") => String::new(),
            Some(reason) => format!(" ({})", reason.replace('_', " ")),
        };
        format!("{}{times}, by `network.{part}`{why}", self.host)
    }

    /// For machines.
    pub fn json(&self) -> Value {
        json!({
            "phase": if self.setup { "setup" } else { "agent" },
            "host": self.host, "rule": self.rule, "reason": self.reason, "times": self.times,
        })
    }

    /// Whether a rule of the recipe would let it out.
    fn can_be_allowed(&self) -> bool {
        self.reason.as_deref().is_none_or(|reason| reason == "no_rule")
    }
}

/// What was refused, once per host and part, in order.
pub fn refused(events: &[Event]) -> Vec<Refused> {
    let mut all: Vec<Refused> = Vec::new();
    // What setup asked for is recorded before its phase ends.
    let mut setup = events.iter().any(
        |event| matches!(&event.body, EventBody::PhaseStarted(phase) if is_setup(phase.phase)),
    );
    for event in events {
        match &event.body {
            EventBody::PhaseFinished(phase) if is_setup(phase.phase) => setup = false,
            EventBody::EgressDenied(denied) => {
                let same = |one: &&mut Refused| one.setup == setup && one.host == denied.host;
                match all.iter_mut().find(same) {
                    Some(one) => one.times += 1,
                    None => all.push(Refused {
                        setup,
                        host: denied.host.clone(),
                        rule: denied.rule.clone(),
                        reason: denied.reason.clone(),
                        times: 1,
                    }),
                }
            }
            _ => {}
        }
    }
    all
}

/// A line for each host that was refused, and the ones of the recipe that would allow them.
pub fn refused_lines(environment: &Environment, events: &[Event]) -> Vec<String> {
    let refused = refused(events);
    let mut lines: Vec<String> =
        refused.iter().map(|one| format!("refused: {}", one.text())).collect();
    lines.extend(rules_that_would_help(environment, &refused));
    lines
}

/// Sentences on what to do; the most certain first. `detail` is what failed, in its own words.
pub fn of(
    environment: &Environment,
    kind: Option<FailureKind>,
    detail: &str,
    chosen: bool,
    refused: &[Refused],
) -> Vec<String> {
    let mut advice = rules_that_would_help(environment, refused);
    match kind {
        Some(FailureKind::SetupFailed) => {
            if let Some(program) = missing_program(detail) {
                advice.push(format!(
                    "there is no `{program}` in the base: install it earlier in `setup`, or name \
                     an `image` that has it"
                ));
            }
            if advice.is_empty() && looks_for_network(detail) {
                advice.push(
                    "programs reach the network through the proxy that the variables `http_proxy` \
                     and `https_proxy` name, and no other way: have it use them"
                        .to_owned(),
                );
            }
            advice.push(if chosen {
                "lock files called for this setup; write your own as `setup = \"…\"` in \
                 .quire/environment.toml, or turn it off with `setup = \"\"`: a task goes on \
                 without it"
                    .to_owned()
            } else {
                "mend `setup`, and run `quire env test` again; `quire env shell --setup` opens a \
                 terminal in which its commands can be tried one by one"
                    .to_owned()
            });
        }
        Some(FailureKind::SetupTimeout) => {
            let minutes = environment.snapshot.timeout_s / 60;
            advice.push(format!(
                "it may take {minutes} minutes: raise `timeout_minutes` under `[snapshot]`, or \
                 make it faster"
            ));
        }
        Some(kind) => advice.push(kind.advice().to_owned()),
        None => advice.push(
            "what a check printed stands above; `quire env shell` opens a terminal in the same \
             place, to try it there"
                .to_owned(),
        ),
    }
    advice
}

fn rules_that_would_help(environment: &Environment, refused: &[Refused]) -> Vec<String> {
    let mut lines = Vec::new();
    let network = &environment.network;
    for (setup, part, policy) in [(true, "setup", &network.setup), (false, "agent", &network.agent)]
    {
        let own = refused.iter().filter(|one| one.setup == setup && one.can_be_allowed());
        let rules: Vec<&str> = own.map(|one| one.rule.as_str()).collect();
        if !rules.is_empty() {
            let line = line_allowing(policy, &rules);
            lines.push(format!(
                "to let it reach what was refused, write under `[network]`: {part} = {line}"
            ));
        }
    }
    lines
}

/// A policy that allows these rules too, as a recipe has it.
fn line_allowing(policy: &NetworkPolicy, more: &[&str]) -> String {
    let written = |rules: &[NetworkRule]| rules.iter().map(ToString::to_string).collect();
    let mut rules: Vec<String> = match policy {
        NetworkPolicy::Off | NetworkPolicy::On => Vec::new(),
        NetworkPolicy::Packages(rules) => {
            let own: Vec<String> = written(rules);
            std::iter::once("packages".to_owned()).chain(own).collect()
        }
        NetworkPolicy::Rules(rules) => written(rules),
    };
    rules.extend(more.iter().map(|rule| (*rule).to_owned()));
    let quoted: Vec<String> = rules.iter().map(|rule| format!("{rule:?}")).collect();
    format!("[{}]", quoted.join(", "))
}

/// The program that a shell did not find, by its own words.
fn missing_program(detail: &str) -> Option<&str> {
    detail.lines().rev().find_map(|line| {
        let before = line.trim().strip_suffix(": command not found")?;
        let program = before.rsplit(' ').next()?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        (!program.is_empty() && program.chars().all(fits)).then_some(program)
    })
}

fn looks_for_network(detail: &str) -> bool {
    const WORDS: [&str; 5] = [
        "Could not resolve",
        "Temporary failure in name resolution",
        "Name or service not known",
        "Network is unreachable",
        "getaddrinfo",
    ];
    WORDS.iter().any(|words| detail.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_allows_more_keeps_what_is_allowed() {
        let rule = |text: &str| text.parse::<NetworkRule>().unwrap();
        let more = ["b.example", "c.example GET"];
        for (policy, line) in [
            (NetworkPolicy::Off, r#"["b.example", "c.example GET"]"#),
            (
                NetworkPolicy::Packages(vec![rule("a.example")]),
                r#"["packages", "a.example", "b.example", "c.example GET"]"#,
            ),
            (
                NetworkPolicy::Rules(vec![rule("a.example")]),
                r#"["a.example", "b.example", "c.example GET"]"#,
            ),
        ] {
            assert_eq!(line_allowing(&policy, &more), line);
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let detail =
            "setup ended with 127; its last lines:\n  bash: line 3: pnpm: command not found";
        assert_eq!(missing_program(&detail.replace(" pnpm:", " pnpm:")), Some("pnpm"));
        assert_eq!(missing_program("x: command not found, says nobody"), None);
    }
}
