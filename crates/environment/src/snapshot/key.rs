//! What a snapshot hangs on, each input by the name that people know it by.

use std::collections::BTreeMap;
use std::fmt;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// Raised when snapshots are laid out anew: older ones are then never hit.
const LAYOUT_VERSION: u32 = 1;

/// What stands before the name of a lock file among the inputs.
const LOCK_FILE: &str = "lock file ";

/// What a snapshot is found by: 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As much of them as is shown to people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }

    /// Of what is made from the snapshot with this key by a further step: it hangs on each of
    /// `parts`.
    #[must_use]
    pub fn derived(&self, parts: &[&str]) -> Self {
        let mut context = Context::new(&SHA256);
        feed(&mut context, self.0.as_bytes());
        for part in parts {
            feed(&mut context, part.as_bytes());
        }
        Self(hex(context.finish().as_ref()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Digests of everything that a snapshot hangs on, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inputs(BTreeMap<String, String>);

impl Inputs {
    /// Adds one; the parts are told apart whatever is in them.
    pub fn add<'a>(&mut self, name: &str, parts: impl IntoIterator<Item = &'a [u8]>) {
        let mut context = Context::new(&SHA256);
        for part in parts {
            feed(&mut context, part);
        }
        self.0.insert(name.to_owned(), hex(context.finish().as_ref()));
    }

    /// Adds a text.
    pub fn add_text(&mut self, name: &str, text: &str) {
        self.add(name, [text.as_bytes()]);
    }

    /// Adds a lock file by its path and content.
    pub fn add_lock_file(&mut self, path: &str, content: &[u8]) {
        self.add(&format!("{LOCK_FILE}{path}"), [content]);
    }

    /// The key of a snapshot with these.
    pub fn key(&self) -> Key {
        let mut context = Context::new(&SHA256);
        feed(&mut context, &LAYOUT_VERSION.to_be_bytes());
        for (name, digest) in &self.0 {
            feed(&mut context, name.as_bytes());
            feed(&mut context, digest.as_bytes());
        }
        Key(hex(context.finish().as_ref()))
    }

    /// What differs from `earlier`.
    pub fn changed_since(&self, earlier: &Self) -> Changed {
        let differs = |name: &&String| self.0.get(*name) != earlier.0.get(*name);
        let mut names: Vec<&String> = self.0.keys().chain(earlier.0.keys()).collect();
        names.sort();
        names.dedup();
        let names: Vec<&String> = names.into_iter().filter(differs).collect();
        Changed {
            only_lock_files: names.iter().all(|name| name.starts_with(LOCK_FILE)),
            names: names
                .into_iter()
                .map(|name| name.strip_prefix(LOCK_FILE).unwrap_or(name).to_owned())
                .collect(),
        }
    }

    /// Names and digests, for people who want to know what the key hangs on.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, digest)| (name.as_str(), digest.as_str()))
    }
}

/// The inputs that differ between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Their names, sorted; of lock files the path.
    pub names: Vec<String>,
    /// Whether they are lock files and nothing else.
    pub only_lock_files: bool,
}

impl fmt::Display for Changed {
    /// As in `package-lock.json, setup script changed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        let shown: Vec<&str> = self.names.iter().take(SHOWN).map(String::as_str).collect();
        write!(f, "{}", shown.join(", "))?;
        if self.names.len() > SHOWN {
            write!(f, " and {} more", self.names.len() - SHOWN)?;
        }
        f.write_str(" changed")
    }
}

fn feed(context: &mut Context, part: &[u8]) {
    context.update(&(part.len() as u64).to_be_bytes());
    context.update(part);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::Inputs;

    fn inputs(lock: &str, script: &str) -> Inputs {
        let mut inputs = Inputs::default();
        inputs.add_text("setup script", script);
        inputs.add_lock_file("package-lock.json", lock.as_bytes());
        inputs
    }

    #[test]
    fn the_same_inputs_give_the_same_key_and_a_miss_names_what_differs() {
        let first = inputs("{}", "npm ci");
        assert_eq!(first.key(), inputs("{}", "npm ci").key());
        let second = inputs("{\"a\":1}", "npm ci");
        assert_ne!(first.key(), second.key());
        let changed = second.changed_since(&first);
        assert!(changed.only_lock_files);
        assert_eq!(changed.to_string(), "package-lock.json changed");
        let changed = inputs("", "true").changed_since(&first);
        assert!(!changed.only_lock_files);
        assert_eq!(changed.to_string(), "package-lock.json, setup script changed");
    }

    #[test]
    fn a_lock_file_that_is_gone_is_a_change() {
        let mut gone = Inputs::default();
        gone.add_text("setup script", "npm ci");
        let changed = gone.changed_since(&inputs("{}", "npm ci"));
        assert_eq!(changed.names, ["package-lock.json"]);
        assert!(changed.only_lock_files);
    }

    #[test]
    fn parts_are_told_apart_whatever_is_in_them() {
        let (mut one, mut two) = (Inputs::default(), Inputs::default());
        one.add("variables", [b"ab".as_slice(), b"c"]);
        two.add("variables", [b"a".as_slice(), b"bc"]);
        assert_ne!(one.key(), two.key());
        assert_ne!(one.key().derived(&["x", "y"]), one.key().derived(&["xy"]));
    }
}
