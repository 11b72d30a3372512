//! Skills: listed by name and description, read on demand.

use std::fmt::Write;

use crate::contracts::{ContractError, InstructionTree};

/// The file that holds one.
pub const FILE: &str = "SKILL.md";
/// Skills that are listed.
const LISTED: usize = 40;
/// How much of a file is read for its name and description.
const HEAD_BYTES: usize = 2_048;
/// Characters shown of a description.
const DESCRIPTION_CHARS: usize = 300;

/// The list, or nothing.
pub async fn list(tree: &dyn InstructionTree, paths: &[String]) -> Result<String, ContractError> {
    let mut text = String::new();
    for path in paths.iter().take(LISTED) {
        let Some(head) = tree.read(path, HEAD_BYTES).await? else { continue };
        let head = String::from_utf8_lossy(&head.text);
        let name = field(&head, "name").unwrap_or_default();
        let description = field(&head, "description").unwrap_or_default();
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\n- `{path}`");
        for words in [name, description].iter().filter(|words| !words.is_empty()) {
            let _ = write!(text, ": {words}");
        }
    }
    if text.is_empty() {
        return Ok(text);
    }
    if paths.len() > LISTED {
        let _ = write!(text, "\n- … and {} more", paths.len() - LISTED);
    }
    Ok(format!("\n\n# Skills\n\nRead the file of one that fits before you start.\n{text}"))
}

/// A field of the front matter, as one line.
fn field(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines();
    if lines.next()?.trim() != "---" {
        return None;
    }
    let mut lines = lines.take_while(|line| line.trim() != "---");
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let value = value.trim().trim_matches(['"', '\'']);
    let folded = matches!(value, ">" | "|" | ">-" | "|-");
    let value = if folded {
        let indented = lines.take_while(|line| line.starts_with(' ')).map(str::trim);
        indented.collect::<Vec<_>>().join(" ")
    } else {
        value.to_owned()
    };
    Some(value.chars().take(DESCRIPTION_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_description_come_from_the_front_matter() {
        let head = "---\nname: release\ndescription: \"Cuts a release.\"\n---\nname: no\n";
        assert_eq!(field(head, "name").as_deref(), Some("release"));
        assert_eq!(field(head, "description").as_deref(), Some("Cuts a release."));
        let folded = "---\ndescription: >-\n  Cuts\n  one.\nname: x\n---\n";
        assert_eq!(field(folded, "description").as_deref(), Some("Cuts one."));
        assert_eq!(field("# Title\nname: x", "name"), None);
    }
}
