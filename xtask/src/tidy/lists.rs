//! A tool or a command that is in no list would be dead code that looks alive.

use super::Finding;
use super::sources::Source;

/// Folders whose every file is named by one list: `<folder>.rs`, or `mod.rs` in it.
const FOLDERS: &[&str] = &["crates/agent/src/tools", "crates/cli/src/commands"];

/// A finding for each file of such a folder that its list does not declare. That a declared one is
/// used the compiler sees.
pub fn findings(sources: &[Source]) -> Vec<Finding> {
    FOLDERS.iter().flat_map(|folder| in_folder(folder, sources)).collect()
}

fn in_folder(folder: &str, sources: &[Source]) -> Vec<Finding> {
    let beside = format!("{folder}.rs");
    let list = sources
        .iter()
        .find(|source| source.path == beside || source.path == format!("{folder}/mod.rs"));
    let files = sources.iter().filter_map(|source| {
        let name = source.path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".rs")?;
        (!name.contains('/') && name != "mod").then_some((source, name))
    });
    files
        .filter(|(_, name)| !list.is_some_and(|list| names(&list.text, name)))
        .map(|(source, name)| {
            Finding::at(&*source.path, format!("`{name}` is in no list: name it in {beside}"))
        })
        .collect()
}

/// Whether `list` declares the module.
fn names(list: &str, module: &str) -> bool {
    let declaration = format!("mod {module};");
    list.lines().any(|line| line.ends_with(&declaration) && !line.trim_start().starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_in_no_list_is_found() {
        let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
        let sources = [
            source("crates/agent/src/tools.rs", "mod shell;\n// mod idle;\n"),
            source("crates/agent/src/tools/shell.rs", ""),
            source("crates/agent/src/tools/idle.rs", ""),
            source("crates/agent/src/tools/lost.rs", ""),
        ];
        let places: Vec<String> = findings(&sources).into_iter().map(|found| found.place).collect();
        assert_eq!(places, ["crates/agent/src/tools/idle.rs", "crates/agent/src/tools/lost.rs"]);
    }
}
