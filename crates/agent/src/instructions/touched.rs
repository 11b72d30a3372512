//! Which paths of the repository a tool call names: what makes nested instructions shown.

use std::path::{Component, Path};

use quire_domain::transcript::ToolCall;

use crate::tools::Place;

/// How much of an input is looked at, in bytes. Paths stand at the beginning of what is longer.
const LOOKED_AT: usize = 64 * 1024;
/// Words that are looked at.
const MAX_WORDS: usize = 2_000;

/// The paths that a call names, relative to the repository. Words of a command that are no paths
/// come along: they name no directory that has instructions.
pub fn paths(call: &ToolCall, place: &Place) -> Vec<String> {
    let text = call.input.as_str();
    match call.name.as_str() {
        "update_plan" | "write_stdin" => Vec::new(),
        "apply_patch" => {
            patched(text).filter_map(|path| inside(path, &place.workspace, place)).collect()
        }
        _ => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => from_json(&value, place),
            Err(_) => Vec::new(),
        },
    }
}

fn from_json(value: &serde_json::Value, place: &Place) -> Vec<String> {
    let mut strings = Vec::new();
    collect(value, &mut strings);
    let workdir = ["workdir", "cwd"].iter().find_map(|key| value.get(key)?.as_str());
    let base = workdir.map_or_else(|| place.workdir.clone(), |dir| place.resolve(dir));
    strings
        .into_iter()
        .flat_map(words)
        .take(MAX_WORDS)
        .chain(workdir.map(|_| "."))
        .filter_map(|word| inside(word, &base, place))
        .collect()
}

fn collect<'a>(value: &'a serde_json::Value, strings: &mut Vec<&'a str>) {
    match value {
        serde_json::Value::String(text) => strings.push(cut(text)),
        serde_json::Value::Array(values) => values.iter().for_each(|v| collect(v, strings)),
        serde_json::Value::Object(object) => object.values().for_each(|v| collect(v, strings)),
        _ => {}
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LOOKED_AT)]
}

/// A command's words, parted where the shell parts them and where options carry paths.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| c.is_whitespace() || "'\"`;|&<>(){}=:,".contains(c);
    text.split(part).filter(|word| !word.is_empty() && !word.starts_with('-'))
}

/// The paths after a patch's markers. In JSON its line ends are escaped.
fn patched(text: &str) -> impl Iterator<Item = &str> {
    text.split("*** ").filter_map(|rest| {
        let (marker, rest) = rest.split_once(": ")?;
        let is_marker = marker.ends_with("File") || marker == "Move to";
        let end = rest.find(['\n', '\\']).unwrap_or(rest.len());
        is_marker.then(|| rest[..end].trim())
    })
}

/// The path relative to the repository, cut before its first wildcard; `None` outside.
fn inside(word: &str, base: &Path, place: &Place) -> Option<String> {
    let (word, wild) = match word.find(['*', '?', '[', '$']) {
        Some(at) => (&word[..word[..at].rfind('/')?], true),
        None => (word, false),
    };
    if word.is_empty() && !wild {
        return None;
    }
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    let whole = base.join(word);
    for part in whole.components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::ParentDir => {
                parts.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let whole: std::path::PathBuf = std::iter::once("/".as_ref()).chain(parts).collect();
    Some(whole.strip_prefix(&place.workspace).ok()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use quire_domain::ids::CallId;
    use quire_domain::transcript::ToolInput;

    fn touched(name: &str, input: &str) -> Vec<String> {
        let call = ToolCall {
            id: CallId("c".to_owned()),
            name: name.to_owned(),
            input: ToolInput::Json(input.to_owned()),
        };
        let workspace = PathBuf::from("/workspace/app");
        paths(&call, &Place { workdir: workspace.clone(), workspace })
    }

    #[test]
    fn the_words_of_a_command_are_read_as_the_shell_would_part_them() {
        let shell = |command: &str| {
            touched("shell", &serde_json::json!({ "command": command }).to_string())
        };
        for (command, path) in [
            ("cat web/src/a.ts", "web/src/a.ts"),
            ("cd web && npm test", "web"),
            ("sed -n 1,9p 'web/a b.ts'", "web/a"),
            ("grep --include=web/x foo", "foo"),
            ("FILE=web/x make", "web/x"),
            ("cat </workspace/app/web/x", "web/x"),
            ("git diff main:web/x", "web/x"),
            ("ls web/*.ts", "web"),
            ("cat ./web/../lib/x", "lib/x"),
        ] {
            assert!(shell(command).contains(&path.to_owned()), "{command}: {:?}", shell(command));
        }
        assert_eq!(shell("cat /etc/passwd /workspace/apple/x"), vec!["cat"]);
        assert_eq!(
            touched("shell", r#"{"command":"ls","workdir":"web"}"#),
            vec!["web/ls", "web/web", "web"]
        );
    }

    #[test]
    fn a_patch_touches_the_files_its_markers_name() {
        let patch = "*** Begin Patch\n*** Update File: web/a.ts\n*** Move to: lib/a.ts\n@@\n-x\n*** End Patch";
        let expected = vec!["web/a.ts".to_owned(), "lib/a.ts".to_owned()];
        assert_eq!(touched("apply_patch", patch), expected);
        let json = serde_json::json!({ "input": patch }).to_string();
        assert_eq!(touched("apply_patch", &json), expected);
    }
}
