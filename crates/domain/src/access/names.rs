//! Names of people and teams: what is typed to sign in, and shown beside what they did.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no name of {of}: 1 to 64 of a-z, 0-9, `.`, `_`, `-` and `@`, beginning with a letter \
     or a digit"
)]
pub struct BadName {
    /// `a person` or `a team`.
    pub of: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $of:literal) => {
        $(#[$doc])*
        ///
        /// Lower-case ASCII only: two names never look the same.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes a name as it is typed; capital letters become small ones.
            pub fn parse(text: &str) -> Result<Self, BadName> {
                parse(text).map(Self).ok_or(BadName { of: $of })
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// What a person types to sign in.
    UserName, "a person"
);
name!(
    /// What a team is called.
    TeamName, "a team"
);

fn parse(text: &str) -> Option<String> {
    let name = text.to_ascii_lowercase();
    let bytes = name.as_bytes();
    let first = bytes.first()?;
    let known = |byte: &u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'.' | b'_' | b'-' | b'@')
    };
    let right = bytes.len() <= MAX_NAME_BYTES
        && (first.is_ascii_lowercase() || first.is_ascii_digit())
        && bytes.iter().all(known);
    right.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_and_reads_as_nothing_else() {
        assert_eq!(UserName::parse("Ada.L@shop").unwrap().as_str(), "ada.l@shop");
        let long = "a".repeat(65);
        for bad in ["", "-x", "@x", "a b", "а", "a/b", "a\n", "a:b", long.as_str()] {
            assert!(TeamName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
