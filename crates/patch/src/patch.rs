//! What a patch says: the values that parsing gives and printing takes.

use quire_domain::path::WorkspacePath;

/// A patch: what is to be done, file by file, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// At least one. The same file may be named more than once; later ones see what earlier
    /// ones did.
    pub files: Vec<FilePatch>,
}

/// What is to be done to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilePatch {
    /// Makes a file that is not there.
    Add {
        /// Which.
        path: WorkspacePath,
        /// Its lines, without their ends; each is written with `\n`.
        lines: Vec<String>,
    },
    /// Removes a file.
    Delete {
        /// Which.
        path: WorkspacePath,
    },
    /// Changes a file, moves it, or both.
    Update {
        /// Which.
        path: WorkspacePath,
        /// Where it is moved to.
        move_to: Option<WorkspacePath>,
        /// The changes, from the top of the file down. Empty for a mere move.
        hunks: Vec<Hunk>,
    },
}

impl FilePatch {
    /// The file it is about, before any move.
    pub fn path(&self) -> &WorkspacePath {
        match self {
            Self::Add { path, .. } | Self::Delete { path } | Self::Update { path, .. } => path,
        }
    }
}

/// One place of a file that changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hunk {
    /// What stands behind `@@`: lines to find one after the other before the hunk's own.
    pub headers: Vec<String>,
    /// What is kept, removed and added, in order.
    pub lines: Vec<HunkLine>,
    /// Whether it ends at the end of the file (`*** End of File`).
    pub at_end: bool,
    /// The line of the patch's text it begins on, from 1; 0 if it was never text.
    pub at_line: usize,
}

/// One line of a hunk, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HunkLine {
    /// Is there and stays.
    Keep(String),
    /// Is there and goes.
    Remove(String),
    /// Is new.
    Add(String),
}

impl Hunk {
    /// The lines that must be found: kept and removed ones.
    pub fn expected(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|line| match line {
            HunkLine::Keep(text) | HunkLine::Remove(text) => Some(text.as_str()),
            HunkLine::Add(_) => None,
        })
    }
}

impl Patch {
    /// Every path the patch reads, writes or removes, moves included, sorted, each once: what
    /// the caller has to read before [`crate::apply()`].
    pub fn paths(&self) -> Vec<&WorkspacePath> {
        let mut paths: Vec<&WorkspacePath> = Vec::with_capacity(self.files.len());
        for file in &self.files {
            paths.push(file.path());
            if let FilePatch::Update { move_to: Some(to), .. } = file {
                paths.push(to);
            }
        }
        paths.sort_unstable();
        paths.dedup();
        paths
    }
}
