//! What a person can do about a trial that failed: the line of the recipe that would help, where
//! that can be told.

use quire_domain::attempt::FailureKind;
use quire_domain::environment::Environment;
use quire_domain::network::{NetworkPolicy, NetworkRule};

use crate::show::network::{Asker, Network, Refused};
use crate::show::style::count;

/// A request that was refused, as a line for people.
pub fn refused_text(one: &Refused) -> String {
    let times =
        if one.times == 1 { String::new() } else { format!(", {} times", count(one.times)) };
    let why = match &one.why {
        None => one.reason.replace('_', " "),
        Some(why) => why.clone(),
    };
    let by = match one.by {
        Asker::Setup => "setup",
        Asker::Agent => "agent",
    };
    format!("{}{times} by `network.{by}`: {why}", one.host)
}

/// The lines that would let out what was refused, one for each list that they go into.
pub fn lines_that_allow(environment: &Environment, network: &Network) -> Vec<String> {
    let mut lines = Vec::new();
    let rules = &environment.network;
    for (asker, key, policy) in
        [(Asker::Setup, "setup", &rules.setup), (Asker::Agent, "agent", &rules.agent)]
    {
        let own = network.refused.iter().filter(|one| one.by == asker);
        let own = own.filter(|one| one.allow.as_ref().is_some_and(|one| one.table == "network"));
        let more: Vec<&str> = own.map(Refused::rule).collect();
        if let Some(list) = list_with(policy, &more) {
            lines.push(format!("to let it out, write under `[network]`: {key} = {list}"));
        }
    }
    for one in &network.refused {
        if let Some(allow) = one.allow.as_ref().filter(|one| one.table != "network") {
            let (table, line, place) = (allow.table, &allow.line, allow.place);
            lines.push(format!("to let it out, write under `[{table}]` of {place}: {line}"));
        }
    }
    lines.dedup();
    lines
}

/// Sentences on what to do; the most certain first. `detail` is what failed, in its own words.
pub fn of(
    environment: &Environment,
    kind: Option<FailureKind>,
    detail: &str,
    chosen: bool,
    network: &Network,
) -> Vec<String> {
    let mut advice = lines_that_allow(environment, network);
    let Some(kind) = kind else {
        advice.push(
            "what a check printed stands above; `quire env shell` opens a terminal in the same \
             place, to try it there"
                .to_owned(),
        );
        return advice;
    };
    if kind != FailureKind::SetupFailed {
        // What follows is for tasks.
        let own = kind.advice().split(", then go on with").next().unwrap_or_default();
        advice.push(own.to_owned());
        return advice;
    }
    if environment.network.setup == NetworkPolicy::Off && looks_for_network(detail) {
        advice.push(
            "setup has no network here: write `setup = \"packages\"`, or a list of hosts, under \
             `[network]`"
                .to_owned(),
        );
    } else if advice.is_empty() && looks_for_network(detail) {
        advice.push(
            "programs reach the network through the proxy that the variables `http_proxy` and \
             `https_proxy` name, and no other way: have it use them"
                .to_owned(),
        );
    }
    advice.push(if chosen {
        "lock files called for this setup; write your own as `setup = \"…\"` in \
         .quire/environment.toml, or turn it off with `setup = \"\"`: a task goes on without it"
            .to_owned()
    } else {
        "mend `setup`, and run `quire env test` again; `quire env shell --setup` opens a terminal \
         in which its commands can be tried one by one"
            .to_owned()
    });
    advice
}

/// A policy with further rules, as a recipe has it; `None` where none is to be added, or none can.
fn list_with(policy: &NetworkPolicy, more: &[&str]) -> Option<String> {
    let (packages, rules): (&[&str], &[NetworkRule]) = match policy {
        NetworkPolicy::On => return None,
        NetworkPolicy::Off => (&[], &[]),
        NetworkPolicy::Packages(rules) => (&["packages"], rules),
        NetworkPolicy::Rules(rules) => (&[], rules),
    };
    let before = rules.iter().map(ToString::to_string);
    let mut entries: Vec<String> =
        packages.iter().map(|word| (*word).to_owned()).chain(before).collect();
    let length = entries.len();
    for rule in more {
        if !entries.iter().any(|entry| entry == rule) {
            entries.push((*rule).to_owned());
        }
    }
    let quoted: Vec<String> = entries.iter().map(|entry| format!("{entry:?}")).collect();
    (entries.len() > length).then(|| format!("[{}]", quoted.join(", ")))
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
    fn a_list_that_allows_more_keeps_what_is_allowed() {
        let rule = |text: &str| text.parse::<NetworkRule>().unwrap();
        let more = ["b.example", "c.example GET", "b.example"];
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
            assert_eq!(list_with(&policy, &more).as_deref(), Some(line));
        }
        assert_eq!(list_with(&NetworkPolicy::Off, &[]), None);
        assert_eq!(list_with(&NetworkPolicy::On, &more), None);
    }
}
