//! Recipes from what others have written down: `devcontainer.json` and `copilot-setup-steps.yml`.
//!
//! [`import`] gives a recipe as text, with a comment for each line that says where it is from, and a
//! list of what could not be carried over: nothing is dropped in silence. `json` and `yaml` read
//! into a `node::Node`, `devcontainer` and `copilot` translate it into a `draft::Draft`, which
//! writes the recipe and keeps out of it what a recipe refuses.

mod copilot;
mod devcontainer;
mod draft;
mod json;
mod node;
mod yaml;

use std::fmt;

use crate::recipe::Position;

/// The longest file that is imported, in bytes.
pub const MOST_BYTES: usize = 128 << 10;

/// Where repositories keep what can be imported, in the order in which it is looked for.
pub const PATHS: &[&str] = &[
    ".devcontainer/devcontainer.json",
    ".devcontainer.json",
    ".github/workflows/copilot-setup-steps.yml",
    ".github/workflows/copilot-setup-steps.yaml",
];

/// What a file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The recipe, as it would stand in `.quire/environment.toml`; it can be read as one.
    pub recipe: String,
    /// What is not in it, in the order of the file.
    pub left: Vec<Left>,
}

/// Something that could not be carried over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Where it stands.
    pub at: Position,
    /// What, as the file calls it.
    pub what: String,
    /// Why not, and what can be done.
    pub why: String,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: `{}`: {}", self.at.line, self.what.escape_debug(), self.why)
    }
}

/// A file that cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ImportError {
    /// Which.
    pub file: String,
    /// Where in it, if it is at one place.
    pub position: Option<Position>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(position) = self.position {
            write!(f, ":{position}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What is wrong with a file, before it is named.
type Fault = (Option<Position>, String);

/// Translates a file; its kind follows from the name.
pub fn import(path: &str, text: &str) -> Result<Import, ImportError> {
    let named = |(position, what)| ImportError { file: path.to_owned(), position, what };
    if text.len() > MOST_BYTES {
        return Err(named((None, format!("is longer than {MOST_BYTES} bytes"))));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let ending = |endings: &[&str]| {
        let ending = path.rsplit('.').next().unwrap_or_default();
        endings.iter().any(|known| ending.eq_ignore_ascii_case(known))
    };
    let draft = if ending(&["json", "jsonc"]) {
        json::read(text).and_then(|node| devcontainer::draft(&node))
    } else if ending(&["yml", "yaml"]) {
        yaml::read(text).and_then(|node| copilot::draft(&node))
    } else {
        let what = "is neither a devcontainer.json nor a copilot-setup-steps.yml";
        return Err(named((None, what.to_owned())));
    };
    draft.and_then(|draft| draft.write(path)).map_err(named)
}

#[cfg(test)]
mod tests;
