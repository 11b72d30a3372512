//! AGENTS.md and its like: which files there are, for what they hold, and when the model is
//! shown them.

pub mod commands;
pub mod skills;
pub mod touched;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use quire_domain::event::{InstructionFile, InstructionsAt, InstructionsLoaded};
use quire_domain::path::WorkspacePath;

use crate::contracts::{ContractError, InstructionTree, ReadText};
use crate::screen::grouped;
use crate::transcript::Transcript;

/// Bytes of instructions shown at the start, all files together.
const START_BYTES: usize = 32 * 1024;
/// Bytes shown of each file met later.
const LATER_BYTES: usize = 32 * 1024;
/// Names of files listed at the start.
const LISTED: usize = 200;
/// The names that come before all fallbacks.
const OWN_NAMES: [&str; 2] = ["AGENTS.override.md", "AGENTS.md"];

/// The instruction files of a repository: one for each directory that has any.
pub struct Instructions {
    tree: Arc<dyn InstructionTree>,
    /// By the directory they hold for; `""` is the root.
    by_scope: BTreeMap<String, String>,
    skills: Vec<String>,
}

/// An instruction file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its path.
    pub path: String,
    /// The directory it holds for.
    pub scope: String,
}

/// A text in the making, and what it is made of.
struct Text {
    body: String,
    files: Vec<InstructionFile>,
    left: usize,
}

impl Instructions {
    /// Looks which files there are.
    pub async fn survey(
        tree: Arc<dyn InstructionTree>,
        fallbacks: &[String],
    ) -> Result<Self, ContractError> {
        let mut names: Vec<String> = OWN_NAMES.map(str::to_owned).to_vec();
        names.extend(fallbacks.iter().filter(|name| !OWN_NAMES.contains(&name.as_str())).cloned());
        let ranks = names.len();
        names.push(skills::FILE.to_owned());
        let candidates = tree.candidates(&names).await?;
        let mut ranked: BTreeMap<String, (usize, String)> = BTreeMap::new();
        let mut skills = Vec::new();
        for path in candidates {
            let Some((rank, scope)) = names.iter().enumerate().find_map(|(rank, name)| {
                let rest = path.strip_suffix(name.as_str())?;
                let scope = rest.strip_suffix('/').or(rest.is_empty().then_some(""))?;
                Some((rank, scope.to_owned()))
            }) else {
                continue;
            };
            if rank == ranks {
                skills.push(path);
            } else if ranked.get(&scope).is_none_or(|(other, _)| rank < *other) {
                ranked.insert(scope, (rank, path));
            }
        }
        let by_scope = ranked.into_iter().map(|(scope, (_, path))| (scope, path)).collect();
        Ok(Self { tree, by_scope, skills })
    }

    /// What is told before the request: `facts`, the files that hold for where the work starts,
    /// the names of all others, the skills.
    pub async fn start(
        &self,
        facts: String,
        start_dir: Option<&WorkspacePath>,
    ) -> Result<InstructionsLoaded, ContractError> {
        let mut text = Text { body: facts, files: Vec::new(), left: START_BYTES };
        for outside in self.tree.outside(START_BYTES).await? {
            text.add(&outside.path, None, &outside.content);
        }
        let dirs: Vec<&str> = match start_dir {
            Some(dir) => dir.directories().chain([dir.as_str()]).collect(),
            None => vec![""],
        };
        for dir in &dirs {
            let Some(path) = self.by_scope.get(*dir) else { continue };
            if let Some(content) = self.tree.read(path, START_BYTES).await? {
                text.add(path, Some(dir), &content);
            }
        }
        let others: Vec<&String> = self
            .by_scope
            .iter()
            .filter(|(scope, _)| !dirs.contains(&scope.as_str()))
            .map(|(_, path)| path)
            .collect();
        text.list(&others);
        let skills = skills::list(self.tree.as_ref(), &self.skills).await?;
        text.body.push_str(&skills);
        Ok(text.loaded(InstructionsAt::Start))
    }

    /// Whether the repository has none.
    pub fn is_empty(&self) -> bool {
        self.by_scope.is_empty()
    }

    /// The files that hold for one of `paths` and that the model was not shown, outermost first.
    pub fn unseen<'a>(
        &self,
        transcript: &Transcript,
        paths: impl Iterator<Item = &'a str>,
    ) -> Vec<Found> {
        let mut found: BTreeMap<&str, Found> = BTreeMap::new();
        for path in paths {
            for scope in scopes(path) {
                let Some((scope, file)) = self.by_scope.get_key_value(scope) else { continue };
                if !transcript.was_shown(file) {
                    let value = Found { path: file.clone(), scope: scope.clone() };
                    found.insert(scope, value);
                }
            }
        }
        found.into_values().collect()
    }

    /// Files met after the start, each in full.
    pub async fn load(
        &self,
        files: &[Found],
        at: InstructionsAt,
    ) -> Result<InstructionsLoaded, ContractError> {
        let mut text = Text { body: String::new(), files: Vec::new(), left: 0 };
        for file in files {
            text.left = LATER_BYTES;
            let content = self.tree.read(&file.path, LATER_BYTES).await?.unwrap_or_default();
            text.add(&file.path, Some(&file.scope), &content);
        }
        Ok(text.loaded(at))
    }

    /// The commands that the instructions for `paths` name in code, each once.
    pub async fn named_commands<'a>(
        &self,
        paths: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<String>, ContractError> {
        let mut files: BTreeMap<&str, &String> = BTreeMap::new();
        for path in paths {
            for scope in scopes(path) {
                if let Some((scope, file)) = self.by_scope.get_key_value(scope) {
                    files.insert(scope, file);
                }
            }
        }
        let mut named = Vec::new();
        for outside in self.tree.outside(START_BYTES).await? {
            commands::named(&String::from_utf8_lossy(&outside.content.text), &mut named);
        }
        for file in files.into_values() {
            if let Some(content) = self.tree.read(file, LATER_BYTES).await? {
                commands::named(&String::from_utf8_lossy(&content.text), &mut named);
            }
        }
        Ok(named)
    }
}

/// The directories that hold a path, from the root down, itself included: it may be one.
fn scopes(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| at);
    let below = ends.chain([path.len()]).filter(|end| *end > 0).map(|end| &path[..end]);
    std::iter::once("").chain(below)
}

impl Text {
    /// Adds a file, as much of it as the budget leaves.
    fn add(&mut self, path: &str, scope: Option<&str>, content: &ReadText) {
        let whole = content.text.len() as u64 == content.bytes && content.text.len() <= self.left;
        let mut text = String::from_utf8_lossy(&content.text[..content.text.len().min(self.left)]);
        if !whole {
            // A character that the cut went through.
            let trimmed = text.trim_end_matches('\u{fffd}').to_owned();
            text = trimmed.into();
        }
        let shown_bytes = if whole { content.bytes } else { text.len() as u64 };
        self.left -= text.len().min(self.left);
        let holds = match scope {
            None => "everything".to_owned(),
            Some("") => "the whole repository".to_owned(),
            Some(dir) => format!("`{dir}/`"),
        };
        if !self.body.is_empty() {
            self.body.push_str("\n\n");
        }
        // Writing to a `String` cannot fail.
        let _ =
            write!(self.body, "# Instructions from `{path}`, for {holds}\n\n{}", text.trim_end());
        if !whole {
            let _ = write!(
                self.body,
                "\n\n(Cut: {} of {} bytes are shown.)",
                grouped(shown_bytes),
                grouped(content.bytes)
            );
        }
        self.files.push(InstructionFile {
            path: path.to_owned(),
            scope: scope.map(str::to_owned),
            bytes: content.bytes,
            shown_bytes,
        });
    }

    /// Lists files that are not shown yet.
    fn list(&mut self, paths: &[&String]) {
        if paths.is_empty() {
            return;
        }
        self.body.push_str(
            "\n\n# More instruction files\n\nEach holds for its directory. You are shown it in \
             full when you first touch something there.\n",
        );
        for path in paths.iter().take(LISTED) {
            let _ = write!(self.body, "\n- `{path}`");
        }
        if let Some(more) = paths.len().checked_sub(LISTED).filter(|more| *more > 0) {
            let _ = write!(self.body, "\n- … and {} more", grouped(more as u64));
        }
    }

    fn loaded(self, at: InstructionsAt) -> InstructionsLoaded {
        InstructionsLoaded { at, files: self.files, text: self.body }
    }
}
