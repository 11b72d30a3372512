//! The crates see one another only as ARCHITECTURE.md says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;

use super::Finding;
use crate::cargo;

/// The edges of each crate, by short name (`git` for `quire-git`).
type Edges = BTreeMap<String, BTreeSet<String>>;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `null` for an ordinary one, else `dev` or `build`.
    kind: Option<String>,
}

/// A finding for each edge that only one of the table and the manifests has.
pub fn findings(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md"))
        .context("cannot read ARCHITECTURE.md")?;
    let output = cargo::command(&["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .output()
        .context("cannot start cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("cannot read cargo metadata")?;
    let mut findings = compare(&table(&text, "edges")?, &found(&metadata, false), true);
    findings.extend(compare(&table(&text, "dev-edges")?, &found(&metadata, true), false));
    Ok(findings)
}

/// The lines `a -> b c` of the fenced block with this name.
fn table(text: &str, name: &str) -> anyhow::Result<Edges> {
    let fence = format!("```{name}");
    let block = text
        .lines()
        .skip_while(|line| *line != fence)
        .skip(1)
        .take_while(|line| *line != "```")
        .filter(|line| !line.trim().is_empty());
    if !text.lines().any(|line| line == fence) {
        bail!("ARCHITECTURE.md has no block `{name}`");
    }
    block
        .map(|line| {
            let (from, to) =
                line.split_once("->").with_context(|| format!("not an edge: `{line}`"))?;
            let to = to.split_whitespace().map(str::to_owned).collect();
            Ok((from.trim().to_owned(), to))
        })
        .collect()
}

/// The edges between packages of the workspace, of one kind.
fn found(metadata: &Metadata, dev: bool) -> Edges {
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| &*package.name).collect();
    let edges = |package: &Package| {
        let of_kind = |dependency: &&Dependency| {
            ours.contains(&*dependency.name) && (dependency.kind.as_deref() == Some("dev")) == dev
        };
        package.dependencies.iter().filter(of_kind).map(|dep| short(&dep.name)).collect()
    };
    metadata.packages.iter().map(|package| (short(&package.name), edges(package))).collect()
}

fn short(name: &str) -> String {
    name.strip_prefix("quire-").unwrap_or(name).to_owned()
}

/// What only one side has. `every_crate`: also a crate without edges must have its line.
fn compare(table: &Edges, found: &Edges, every_crate: bool) -> Vec<Finding> {
    let none = BTreeSet::new();
    let mut findings = Vec::new();
    for (from, to) in found {
        if every_crate && !table.contains_key(from) {
            findings.push(Finding::at("ARCHITECTURE.md", format!("crate `{from}` has no line")));
        }
        for to in to.difference(table.get(from).unwrap_or(&none)) {
            findings.push(Finding::at(
                format!("{from} -> {to}"),
                "this edge is not in ARCHITECTURE.md: do without, or change the design there",
            ));
        }
    }
    for (from, to) in table {
        for to in to.difference(found.get(from).unwrap_or(&none)) {
            findings.push(Finding::at(
                "ARCHITECTURE.md",
                format!("no manifest has the edge `{from} -> {to}`: take it out of the table"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "words\n```edges\ndomain ->\ngit -> domain\n```\nmore\n";

    fn manifests(lines: &[(&str, &[&str])]) -> Edges {
        lines
            .iter()
            .map(|(from, to)| ((*from).to_owned(), to.iter().map(|to| (*to).to_owned()).collect()))
            .collect()
    }

    fn what(found: &Edges) -> Vec<String> {
        let table = table(TEXT, "edges").unwrap();
        compare(&table, found, true)
            .into_iter()
            .map(|found| found.place + ": " + &found.what)
            .collect()
    }

    #[test]
    fn manifests_that_say_what_the_table_says_are_tidy() {
        assert!(what(&manifests(&[("domain", &[]), ("git", &["domain"])])).is_empty());
    }

    #[test]
    fn an_edge_too_many_and_an_edge_too_few_are_both_found() {
        let found = what(&manifests(&[("domain", &["git"]), ("git", &[])]));
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("domain -> git: this edge is not in ARCHITECTURE.md"));
        assert!(found[1].contains("no manifest has the edge `git -> domain`"));
    }

    #[test]
    fn a_crate_without_a_line_is_found() {
        let found = what(&manifests(&[("domain", &[]), ("git", &["domain"]), ("store", &[])]));
        assert_eq!(found, ["ARCHITECTURE.md: crate `store` has no line"]);
    }

    #[test]
    fn a_document_without_the_block_is_an_error() {
        assert!(table("no block here", "edges").is_err());
    }
}
