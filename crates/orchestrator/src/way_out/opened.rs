//! What the agent may reach, said where a task begins: a recipe of the checkout can open the
//! network, and whoever runs it should not have to read that there.

use quire_domain::environment::Environment;
use quire_domain::network::{NetworkPolicy, NetworkRule};

/// Rules that are named.
const NAMED: usize = 6;

/// A line for the person; `None` where nothing may leave.
pub fn note(environment: &Environment) -> Option<String> {
    let credentials = environment.credentials.iter().filter(|one| one.agent);
    let credentials: Vec<&NetworkRule> = credentials.map(|one| &one.rule).collect();
    let with = |words: &str, rules: &[NetworkRule]| {
        let rules: Vec<&NetworkRule> = rules.iter().chain(credentials.iter().copied()).collect();
        let shown: Vec<String> = rules.iter().take(NAMED).map(|rule| format!("`{rule}`")).collect();
        let more = rules.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let parts = [words.to_owned(), shown.join(", ") + &more];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(", ")
    };
    let what = match &environment.network.agent {
        NetworkPolicy::On => "every public host".to_owned(),
        NetworkPolicy::Packages(rules) => with("the registries of package managers", rules),
        NetworkPolicy::Rules(rules) => with("", rules),
        NetworkPolicy::Off if credentials.is_empty() => return None,
        NetworkPolicy::Off => with("", &[]),
    };
    Some(format!("the network is open to the agent (`network.agent`): {what}"))
}

#[cfg(test)]
mod tests {
    use quire_domain::environment::Limits;
    use quire_environment::recipe::{default_environment, parse};

    use super::note;

    fn of(recipe: &str) -> Option<String> {
        let environment = parse(recipe, default_environment(false, Limits::default())).unwrap();
        note(&environment).map(|line| line.rsplit_once("): ").unwrap().1.to_owned())
    }

    #[test]
    fn what_is_open_is_named_and_a_closed_network_is_not() {
        assert_eq!(of(""), None);
        assert_eq!(of("setup = 'true'"), None);
        let agent = |value: &str| of(&format!("[network]\nagent = {value}"));
        assert_eq!(agent("'on'").unwrap(), "every public host");
        assert_eq!(agent("'packages'").unwrap(), "the registries of package managers");
        assert_eq!(
            agent("['packages', 'a.example GET']").unwrap(),
            "the registries of package managers, `a.example GET`"
        );
        let many: Vec<String> = (0..8).map(|n| format!("'h{n}.example'")).collect();
        let many = agent(&format!("[{}]", many.join(", "))).unwrap();
        assert!(many.starts_with("`h0.example`, ") && many.ends_with("`h5.example` and 2 more"));
        let credential = |agent: bool| {
            of(&format!(
                "[[credentials]]\nrule = 'r.example GET'\nheader = 'X'\nvalue = '${{A}}'\n\
                 agent = {agent}"
            ))
        };
        assert_eq!(credential(false), None);
        assert_eq!(credential(true).unwrap(), "`r.example GET`");
    }
}
