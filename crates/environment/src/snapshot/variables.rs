//! Variables that setup leaves for all later commands, in the file that `QUIRE_ENV` names.

use std::collections::BTreeMap;

/// The file, inside: in memory, so that it is no part of what is kept.
pub const FILE: &str = "/tmp/.quire-env";

/// The longest file that is read, in bytes.
pub const MOST_BYTES: u64 = 64 << 10;

/// The most variables.
const MOST: usize = 500;

/// Reads lines `NAME=value`, the last of a name counting. Gives what was not understood as notes.
pub fn read(text: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let mut variables = BTreeMap::new();
    let mut notes = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        match line.split_once('=') {
            Some((name, value)) if is_name(name) && variables.len() < MOST => {
                variables.insert(name.to_owned(), value.to_owned());
            }
            _ if notes.len() < 5 => {
                notes.push(format!("line {} of $QUIRE_ENV is not NAME=value", index + 1));
            }
            _ => {}
        }
    }
    (variables, notes)
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.len() <= 200
        && name.bytes().next().is_some_and(|first| plain(first) && !first.is_ascii_digit())
        && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn the_last_of_a_name_counts_and_what_is_no_variable_is_told() {
        let (variables, notes) =
            read("A=1\n# no\n\nexport PATH=/x:/y=z\nA=2\nnot a variable\n1B=2\n");
        let all: Vec<_> = variables.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(all, ["A=2", "PATH=/x:/y=z"]);
        assert_eq!(
            notes,
            [6, 7].map(|line| format!("line {line} of $QUIRE_ENV is not NAME=value"))
        );
    }
}
