//! Ids: one type for each kind, so that none can be passed for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not an id of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct BadId {
    /// What was given.
    pub text: String,
    /// The form that was expected, e.g. "a commit id (40 or 64 hex digits)".
    pub expected: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|_| BadId { text: text.to_owned(), expected: $expected })
            }
        }
    };
}

uuid_id!(
    /// One request of a person in one repository. Given when it is submitted, never reused.
    TaskId, "a task id (a UUID)"
);
uuid_id!(
    /// One message of the person and everything until the answer to it.
    TurnId, "a turn id (a UUID)"
);
uuid_id!(
    /// One try at one turn. Survives restarts of the process; a retry is another attempt.
    AttemptId, "an attempt id (a UUID)"
);
uuid_id!(
    /// Somebody who may sign in, or a service.
    UserId, "a user id (a UUID)"
);
uuid_id!(
    /// A team: who is in it sees its tasks.
    TeamId, "a team id (a UUID)"
);
uuid_id!(
    /// A bearer token, as lists and the record name it; says nothing of its secret.
    TokenId, "a token id (a UUID)"
);
uuid_id!(
    /// A link that shows one task to who has it, as lists name it.
    ShareLinkId, "a share link's id (a UUID)"
);

/// The number a person types for a task, counted from 1 per installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskNumber(pub u64);

impl fmt::Display for TaskNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a person types to name an attempt: `42` (the chosen or only one of the newest turn)
/// or `42.3` (the third attempt of the newest turn).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptRef {
    /// The task.
    pub task: TaskNumber,
    /// The attempt's place in its turn, from 1.
    pub ordinal: Option<u8>,
}

impl FromStr for AttemptRef {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { text: text.to_owned(), expected: "a task (`42`) or attempt (`42.3`)" };
        let (task, ordinal) = match text.split_once('.') {
            None => (text, None),
            Some((task, ordinal)) => {
                (task, Some(ordinal.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?))
            }
        };
        let task = task.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?;
        Ok(Self { task: TaskNumber(task), ordinal })
    }
}

impl fmt::Display for AttemptRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ordinal {
            None => write!(f, "{}", self.task),
            Some(ordinal) => write!(f, "{}.{ordinal}", self.task),
        }
    }
}

/// The fencing token of an attempt: raised at each claim, carried by every later write.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u32);

/// An event's place in its attempt's log, from 1 without gaps. 0 is "before the first".
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Accepts lower-case hexadecimal of the right length only.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                let hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                let right_length: fn(usize) -> bool = $ok;
                if hex && right_length(text.len()) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadId { text: text.chars().take(80).collect(), expected: $expected })
                }
            }

            /// The digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

hex_id!(
    /// The complete output of one command: six hex digits, unique in its attempt and in those it
    /// continues.
    ChunkId, "a chunk id (6 hex digits)", |n| n == 6
);
hex_id!(
    /// A commit, by its full object name.
    CommitId, "a commit id (40 or 64 hex digits)", |n| n == 40 || n == 64
);
hex_id!(
    /// A SHA-256 digest: of a blob's bytes, of an event, of a layer's inputs.
    Sha256, "a SHA-256 digest (64 hex digits)", |n| n == 64
);

impl Sha256 {
    /// From the 32 bytes of a digest.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        use fmt::Write;
        let mut text = String::with_capacity(64);
        for byte in bytes {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The value a chain of hashes starts from: all zeros.
    pub fn zero() -> Self {
        Self("0".repeat(64))
    }
}

impl ChunkId {
    /// From the low 24 bits of a random number.
    pub fn from_random(random: u32) -> Self {
        Self(format!("{:06x}", random & 0x00ff_ffff))
    }
}

/// The id a model gave to one of its tool calls; unique within an attempt's window.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub String);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_typed_as_a_task_number_and_a_place() {
        let parse = |text: &str| text.parse::<AttemptRef>().map(|r| (r.task.0, r.ordinal)).ok();
        assert_eq!(parse("42"), Some((42, None)));
        assert_eq!(parse("42.3"), Some((42, Some(3))));
        for bad in ["", "0", "42.", "42.0", "a", "42.3.1", "-1", "42.256"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_hex_id_refuses_what_could_read_as_something_else() {
        assert!(ChunkId::parse("3f9a2c").is_ok());
        for bad in ["3F9A2C", "3f9a2", "3f9a2c0", "3f9a2g", "-f9a2c"] {
            assert!(ChunkId::parse(bad).is_err(), "{bad}");
        }
        assert!(CommitId::parse(&"a".repeat(40)).is_ok());
        assert!(CommitId::parse("HEAD").is_err());
    }
}
