//! Variables that setup leaves for all later commands, in the file that `QUIRE_ENV` names.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use quire_domain::sandbox::{CommandControl, CommandSignal, FileError, Sandbox, SandboxError};

use crate::recipe::check_for_all_commands;

/// The file, inside: in memory, so that it is no part of what is kept.
pub const FILE: &str = "/tmp/.quire-env";

/// The longest file that is read, in bytes.
pub const MOST_BYTES: u64 = 64 << 10;

/// The most variables.
const MOST: usize = 500;

/// Lines that are named where they are not heeded.
const NOTED: usize = 5;

/// How often it is tried to read the file once what the script left is being ended, and how long is
/// waited before each.
const TRIES: u32 = 20;
const WAIT: Duration = Duration::from_millis(100);

/// What a script that has ended well left in the file. Where it left so many processes that none
/// can be started to read it, these are ended first.
pub(super) async fn left(
    sandbox: &dyn Sandbox,
    script: &dyn CommandControl,
) -> Result<(BTreeMap<String, String>, Vec<String>), SandboxError> {
    let mut tries = 0;
    let mut ended = None;
    loop {
        match sandbox.read_file(Path::new(FILE), MOST_BYTES).await {
            Ok(text) => {
                let (variables, mut notes) = read(&String::from_utf8_lossy(&text));
                notes.extend(ended.clone());
                return Ok((variables, notes));
            }
            Err(FileError::NotFound(_)) => return Ok((BTreeMap::new(), Vec::from_iter(ended))),
            Err(FileError::Sandbox(error)) => return Err(error),
            Err(FileError::Denied { message, .. }) if tries < TRIES => {
                ended = Some(format!("what it left running was ended: {message}"));
                script.signal(CommandSignal::Kill).await?;
                tokio::time::sleep(WAIT).await;
                tries += 1;
            }
            Err(error) => {
                let note = format!("$QUIRE_ENV is not heeded: {error}");
                return Ok((BTreeMap::new(), vec![note]));
            }
        }
    }
}

/// Reads lines `NAME=value`, the last of a name counting. Gives what was not understood as notes.
pub fn read(text: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let mut variables = BTreeMap::new();
    let mut notes = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let refused = match line.split_once('=') {
            Some((name, _)) if !is_name(name) => "is not NAME=value".to_owned(),
            None => "is not NAME=value".to_owned(),
            Some(_) if variables.len() >= MOST => "is one too many".to_owned(),
            // The branch's own scripts ran: they may set no more than a recipe.
            Some((name, value)) => match check_for_all_commands(name, value) {
                Ok(()) => {
                    variables.insert(name.to_owned(), value.to_owned());
                    continue;
                }
                Err(why) => format!("is not heeded: {name} {why}"),
            },
        };
        if notes.len() < NOTED {
            notes.push(format!("line {} of $QUIRE_ENV {refused}", index + 1));
        }
    }
    (variables, notes)
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.len() <= 128
        && name.bytes().next().is_some_and(|first| plain(first) && !first.is_ascii_digit())
        && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn the_last_of_a_name_counts_and_what_is_no_variable_is_told() {
        let (variables, notes) =
            read("A=1\n# no\n\nexport PATH=/x:/bin:/y=z\nA=2\nnot a variable\n1B=2\n");
        let all: Vec<_> = variables.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(all, ["A=2", "PATH=/x:/bin:/y=z"]);
        assert_eq!(
            notes,
            [6, 7].map(|line| format!("line {line} of $QUIRE_ENV is not NAME=value"))
        );
    }

    #[test]
    fn what_a_recipe_may_not_set_setup_may_not_either() {
        let (variables, notes) =
            read("LD_PRELOAD=/x\nGIT_DIR=/y\nBASH_ENV=/z\nHOME=/\nPATH=/only\nA=\0\nB=1\n");
        assert_eq!(variables.keys().collect::<Vec<_>>(), ["B"]);
        assert_eq!(notes.len(), 5);
        assert!(notes[4].contains("PATH replaces the sandbox's own"), "{notes:?}");
    }
}
