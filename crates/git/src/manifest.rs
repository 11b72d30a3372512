//! What a layer holds, in one small file beside it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::GitError;

/// What a layer holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerManifest {
    /// The commit.
    pub commit: String,
    /// The key of the mirror it was made from.
    pub mirror: String,
    /// Whether its files carry a commit's date; else those of a person's checkout.
    pub commit_times: bool,
    /// Tracked files.
    pub files: u64,
    /// Bytes that were written for it; what is shared with another layer is not counted.
    pub bytes: u64,
    /// Every path that could hold instructions or a skill, sorted: files named `AGENTS.md`,
    /// `AGENTS.override.md`, `CLAUDE.md`, `GEMINI.md`, `SKILL.md`, and
    /// `.github/copilot-instructions.md` in any directory. At most 10,000.
    pub instruction_files: Vec<String>,
    /// Paths of submodules (empty directories in the tree). At most 1,000.
    pub submodules: Vec<String>,
    /// Files that are pointers of Git LFS: their content is not here.
    pub lfs_pointers: u64,
    /// The boot in which it was made.
    pub boot_id: String,
}

const MANIFEST_LIMIT_BYTES: u64 = 64 << 20;
const INSTRUCTIONS_LIMIT: usize = 10_000;
const SUBMODULES_LIMIT: usize = 1_000;

impl LayerManifest {
    /// Notes one path of the tree.
    pub(crate) fn note(&mut self, path: &str, is_submodule: bool) {
        if is_submodule {
            if self.submodules.len() < SUBMODULES_LIMIT {
                self.submodules.push(path.to_owned());
            }
        } else {
            self.files += 1;
            if is_instruction_file(path) && self.instruction_files.len() < INSTRUCTIONS_LIMIT {
                self.instruction_files.push(path.to_owned());
            }
        }
    }

    /// `None` if there is none, or it cannot be read as one: the layer is then built again.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, GitError> {
        match std::fs::metadata(path) {
            Ok(meta) if meta.len() <= MANIFEST_LIMIT_BYTES => {}
            _ => return Ok(None),
        }
        let bytes = std::fs::read(path).map_err(GitError::io("read", path))?;
        Ok(serde_json::from_slice(&bytes).ok())
    }
}

fn is_instruction_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name {
        "AGENTS.md" | "AGENTS.override.md" | "CLAUDE.md" | "GEMINI.md" | "SKILL.md" => true,
        "copilot-instructions.md" => {
            path == ".github/copilot-instructions.md"
                || path.ends_with("/.github/copilot-instructions.md")
        }
        _ => false,
    }
}

/// The kernel's name for the time since the machine started; empty where it gives none.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_may_hold_instructions_are_known_by_their_names() {
        for yes in
            ["AGENTS.md", "a/b/CLAUDE.md", "skills/x/SKILL.md", ".github/copilot-instructions.md"]
        {
            assert!(is_instruction_file(yes), "{yes}");
        }
        for no in ["agents.md", "AGENTS.md/x", "copilot-instructions.md", "README.md"] {
            assert!(!is_instruction_file(no), "{no}");
        }
    }
}
