//! A tool or a command that is in no list would be dead code that looks alive.

use super::Finding;
use super::sources::Source;

/// Folders whose every file is named by one list: `<folder>.rs`, or `mod.rs` in it.
const FOLDERS: &[&str] = &["crates/agent/src/tools", "crates/cli/src/commands"];

/// A finding for each file of such a folder that its list does not both declare and use.
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

/// Whether `list` declares the module and uses something of it.
fn names(list: &str, module: &str) -> bool {
    let declared = list.lines().any(|line| {
        let line = line.trim();
        line.ends_with(&format!("mod {module};")) && !line.starts_with("//")
    });
    declared && list.contains(&format!("{module}::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_in_no_list_is_found() {
        let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
        let sources = [
            source(
                "crates/agent/src/tools.rs",
                "mod shell;\nmod idle;\nfn all() { shell::Shell }\n",
            ),
            source("crates/agent/src/tools/shell.rs", ""),
            source("crates/agent/src/tools/idle.rs", ""),
            source("crates/agent/src/tools/lost.rs", ""),
        ];
        let places: Vec<String> = findings(&sources).into_iter().map(|found| found.place).collect();
        assert_eq!(places, ["crates/agent/src/tools/idle.rs", "crates/agent/src/tools/lost.rs"]);
    }
}
