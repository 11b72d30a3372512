//! Instruction files as they stand at the base: read from the checkout layer, which nothing that
//! runs in a sandbox can change.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use quire_agent::{ContractError, InstructionTree, OutsideFile, ReadText};
use quire_domain::sandbox::Layer;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::base;

/// The instruction files of one attempt.
pub struct LayerInstructions {
    /// The checkout layer.
    pub tree: PathBuf,
    /// Its paths that may hold instructions, sorted.
    pub paths: Vec<String>,
    /// The person's global file, if there is one.
    pub global: Option<PathBuf>,
    /// For a base with a root of its own: that root, and the home and workspace inside it.
    pub root: Option<RootFiles>,
}

/// Where a base with a root of its own may hold instructions.
#[derive(Debug, Clone)]
pub struct RootFiles {
    /// Its layers, topmost first.
    pub layers: Vec<Layer>,
    /// The home directory inside.
    pub home: PathBuf,
    /// The workspace inside.
    pub workspace: PathBuf,
}

impl RootFiles {
    /// `/`, the home directory, and the directories above the workspace; each once.
    fn directories(&self) -> Vec<PathBuf> {
        let mut directories = vec![PathBuf::from("/"), self.home.clone()];
        let mut above: Vec<PathBuf> =
            self.workspace.ancestors().skip(1).map(Path::to_owned).collect();
        above.reverse();
        for directory in above {
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        directories
    }
}

#[async_trait]
impl InstructionTree for LayerInstructions {
    async fn candidates(&self, names: &[String]) -> Result<Vec<String>, ContractError> {
        let is_named = |path: &str| {
            names.iter().any(|name| {
                path == name
                    || path.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('/'))
            })
        };
        Ok(self.paths.iter().filter(|path| is_named(path)).cloned().collect())
    }

    async fn read(&self, path: &str, limit: usize) -> Result<Option<ReadText>, ContractError> {
        Ok(read_in(&self.tree, Path::new(path), limit))
    }

    async fn outside(&self, limit: usize) -> Result<Vec<OutsideFile>, ContractError> {
        let mut files = Vec::new();
        if let Some(global) = &self.global
            && let (Some(directory), Some(name)) = (global.parent(), global.file_name())
            && let Some(content) = read_in(directory, Path::new(name), limit)
        {
            files.push(OutsideFile { path: global.display().to_string(), content });
        }
        if let Some(root) = &self.root {
            for directory in root.directories() {
                for name in ["AGENTS.override.md", "AGENTS.md"] {
                    let path = directory.join(name);
                    if let Some(content) = base::find(&root.layers, &path).and_then(|place| {
                        read_in(place.parent()?, Path::new(place.file_name()?), limit)
                    }) {
                        files.push(OutsideFile { path: path.display().to_string(), content });
                        break;
                    }
                }
            }
        }
        Ok(files)
    }
}

/// The first `limit` bytes of a regular file below `root`, following links inside it only.
fn read_in(root: &Path, path: &Path, limit: usize) -> Option<ReadText> {
    let root = rustix::fs::open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file: OwnedFd = rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve).ok()?;
    let file = File::from(file);
    let found = file.metadata().ok()?;
    if !found.is_file() {
        return None;
    }
    let mut text = Vec::with_capacity(limit.min(usize::try_from(found.len()).unwrap_or(limit)));
    file.take(limit as u64).read_to_end(&mut text).ok()?;
    Some(ReadText { text: Bytes::from(text), bytes: found.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_out_of_the_tree_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        std::fs::write(tree.join("CLAUDE.md"), "rules").unwrap();
        std::os::unix::fs::symlink("CLAUDE.md", tree.join("AGENTS.md")).unwrap();
        std::os::unix::fs::symlink("../secret", tree.join("out")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), tree.join("absolute")).unwrap();
        let read = |name: &str| read_in(&tree, Path::new(name), 3).map(|t| (t.text, t.bytes));
        assert_eq!(read("AGENTS.md"), Some((Bytes::from_static(b"rul"), 5)));
        assert_eq!(read("out"), None);
        assert_eq!(read("absolute"), None);
        assert_eq!(read("missing"), None);
    }
}
