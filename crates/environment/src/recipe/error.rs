//! What is wrong with a recipe, and where.

use std::fmt;

/// A place in a text, counted from 1; columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The place of a byte.
    pub(super) fn at(text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A recipe that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RecipeError {
    /// Which recipe: a path, or the name of an environment.
    pub recipe: String,
    /// Where in it, if it is at one place.
    pub position: Option<Position>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl RecipeError {
    /// A fault at a place; the recipe is named by whoever reads it.
    pub(super) fn at(position: Option<Position>, what: impl Into<String>) -> Self {
        Self { recipe: String::new(), position, what: what.into() }
    }

    /// What the reader of TOML says.
    pub(super) fn toml(text: &str, error: &toml::de::Error) -> Self {
        let position = error.span().map(|span| Position::at(text, span.start));
        Self::at(position, error.message().trim_end())
    }

    /// The same, of the recipe that is named.
    pub(super) fn of(mut self, recipe: &str) -> Self {
        recipe.clone_into(&mut self.recipe);
        self
    }
}

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.recipe)?;
        if let Some(position) = self.position {
            write!(f, ":{position}")?;
        }
        write!(f, ": {}", self.what)
    }
}
