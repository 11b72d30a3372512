//! The hosts that the policy `packages` means.
//!
//! They are taken from what the base, the person's machine and the environment's variables
//! configure, from what the tools of the base answer, and from what an administrator lists. No name
//! of a host stands here, and none is read from a file of the branch under work: it could name any.
//! [`families`] is the table, `files` and `address` read what is found there.
//!
//! Nothing is run here: [`questions`] says what is to be asked, in the base, in an empty directory, with
//! the network closed, and the answers are handed to [`registries`].

mod address;
pub mod families;
mod files;

use std::collections::{BTreeMap, BTreeSet};

use quire_domain::network::NetworkRule;

use address::Address;
use families::{FAMILIES, Family, Question};

/// The most of a file or an answer that is read, in bytes.
pub const MOST_BYTES: usize = 256 << 10;

/// The most hosts that `packages` comes to; a configuration with more is no configuration of one
/// project.
const MOST_HOSTS: usize = 100;

/// What is known of the base, the environment and the installation.
pub struct Sources<'a> {
    /// The package managers that detection found, by name; where there are none, all whose
    /// programs the base has.
    pub managers: &'a [&'static str],
    /// The variables of the environment, and those of the base.
    pub variables: &'a BTreeMap<String, String>,
    /// Whether the base has a program.
    pub has_program: &'a dyn Fn(&str) -> bool,
    /// The text of a configuration file of the base or of the person's machine; `~/` stands for the
    /// home directory.
    pub read: &'a dyn Fn(&str) -> Option<String>,
    /// The names in a directory, likewise.
    pub list: &'a dyn Fn(&str) -> Vec<String>,
    /// What the tools answered.
    pub answers: &'a [Answer],
    /// What an administrator lists (`[egress] packages` of the installation's configuration).
    pub listed: &'a [NetworkRule],
}

/// What a tool printed, on both its outputs, whatever its exit status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What it was asked.
    pub question: Question,
    /// What it printed.
    pub text: String,
}

/// The hosts of `packages`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registries {
    /// Which requests may leave; sorted, each once.
    pub rules: Vec<NetworkRule>,
    /// Where each of them is from, a line each.
    pub origins: Vec<String>,
    /// What a person should know: credentials that stayed outside, managers whose registry is not
    /// known, addresses that cannot be allowed.
    pub notes: Vec<String>,
}

/// What is to be asked of the tools of the base: in an empty directory, so that no file of the branch
/// is read, with the network closed, so that what they say is what they are configured to. A few seconds each.
pub fn questions(managers: &[&'static str], has_program: &dyn Fn(&str) -> bool) -> Vec<Question> {
    in_use(managers, has_program)
        .flat_map(|family| family.questions)
        .filter(|question| has_program(question.argv[0]))
        .copied()
        .collect()
}

/// The hosts that `packages` means.
pub fn registries(sources: &Sources<'_>) -> Registries {
    let mut gathered = Gathered::default();
    for rule in sources.listed {
        gathered.add(rule.clone(), "listed by the administrator");
    }
    for family in in_use(sources.managers, sources.has_program) {
        if gather(family, sources, &mut gathered) == 0 && !family.silent {
            gathered.note(format!(
                "where {} fetches from is not known: name the host in `[egress] packages` of the \
                 installation's configuration, or as a rule of the environment's `network`",
                family.name
            ));
        }
    }
    if gathered.rules.len() > MOST_HOSTS {
        gathered
            .note(format!("more than {MOST_HOSTS} hosts are configured: the others are refused"));
    }
    Registries {
        rules: gathered.rules.keys().take(MOST_HOSTS).cloned().collect(),
        origins: gathered
            .rules
            .iter()
            .take(MOST_HOSTS)
            .map(|(rule, origin)| format!("{rule}: {origin}"))
            .collect(),
        notes: gathered.notes.into_iter().collect(),
    }
}

fn in_use<'a>(
    managers: &'a [&'static str],
    has_program: &'a dyn Fn(&str) -> bool,
) -> impl Iterator<Item = &'static Family> + 'a {
    FAMILIES.iter().filter(move |family| {
        family.silent
            || if managers.is_empty() {
                family.managers.iter().any(|manager| has_program(program_of(manager)))
            } else {
                family.managers.iter().any(|manager| managers.contains(manager))
            }
    })
}

/// The program of a manager, which detection's table knows.
fn program_of(manager: &str) -> &str {
    let known = super::managers::MANAGERS.iter().find(|known| known.name == manager);
    known.map_or(manager, |known| known.programs[0])
}

#[derive(Default)]
struct Gathered {
    rules: BTreeMap<NetworkRule, String>,
    notes: BTreeSet<String>,
}

impl Gathered {
    fn add(&mut self, rule: NetworkRule, origin: &str) {
        self.rules.entry(rule).or_insert_with(|| origin.to_owned());
    }

    fn note(&mut self, note: String) {
        self.notes.insert(note);
    }

    /// Takes in addresses; gives how many of them are hosts.
    fn take(&mut self, family: &Family, urls: &[String], origin: &str) -> usize {
        let mut taken = 0;
        for url in urls {
            let Some(address) = Address::read(url) else { continue };
            if address.has_credentials {
                self.note(credentials_note(&format!("an address in {origin}"), &address.host));
            }
            match address.host.parse() {
                Ok(domain) => {
                    self.add(NetworkRule::any(domain), &format!("{}, {origin}", family.name));
                    taken += 1;
                }
                Err(_) => self.note(format!(
                    "{origin} names `{}`, which is no host that a rule can name",
                    address.host.escape_debug()
                )),
            }
        }
        taken
    }
}

fn credentials_note(what: &str, host: &str) -> String {
    let host = host.escape_debug();
    format!(
        "{what} holds credentials, which stay outside of the sandbox: store them with `quire env \
         secret set`, and add `[[credentials]]` with `rule = \"{host}\"`, a `header` and a `value` \
         that names the secret"
    )
}

fn gather(family: &Family, sources: &Sources<'_>, gathered: &mut Gathered) -> usize {
    let mut taken = 0;
    for (name, value) in sources.variables {
        let named = |known: &&str| match known.split_once('*') {
            Some((front, back)) => name.starts_with(front) && name.ends_with(back),
            None => name.eq_ignore_ascii_case(known),
        };
        if family.variables.iter().any(named) {
            taken += gathered.take(family, &files::urls(bounded(value)), &format!("${name}"));
        }
    }
    for (pattern, form) in family.files {
        for path in paths(pattern, sources.list) {
            let Some(text) = (sources.read)(&path) else { continue };
            let text = bounded(&text);
            let urls = files::read(*form, text);
            taken += gathered.take(family, &urls, &path);
            if files::holds_credentials(text) {
                gathered.note(credentials_note(&path, "the host it is for"));
            }
        }
    }
    for answer in sources.answers {
        if family.questions.contains(&answer.question) {
            let urls = answer.question.take.of(bounded(&answer.text));
            taken += gathered.take(family, &urls, &format!("`{}`", answer.question.says));
        }
    }
    taken
}

/// The files that a pattern names: a `*` stands for one whole name, or its front.
fn paths(pattern: &str, list: &dyn Fn(&str) -> Vec<String>) -> Vec<String> {
    let Some((front, back)) = pattern.split_once('*') else { return vec![pattern.to_owned()] };
    let directory = front.trim_end_matches('/');
    let mut names = list(directory);
    names.sort();
    names.truncate(MOST_HOSTS);
    let (ending, rest) = back.split_once('/').unwrap_or((back, ""));
    let named = |name: &String| name.ends_with(ending) && !name.contains('/');
    let path = |name: String| {
        let slash = if rest.is_empty() { "" } else { "/" };
        format!("{directory}/{name}{slash}{rest}")
    };
    names.into_iter().filter(named).map(path).collect()
}

fn bounded(text: &str) -> &str {
    let mut end = text.len().min(MOST_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
