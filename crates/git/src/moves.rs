//! Moves prepared files into a working tree, all or none: a journal says what was meant, and
//! which files lie where says how far it came.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::GitError;
use crate::path::RepoPath;
use crate::worktree::{FileSeen, blocking_parent};

/// What is to be done, and where it is prepared.
#[derive(Debug)]
pub(crate) struct Moves {
    /// The root of the working tree.
    pub top: PathBuf,
    /// Holds `stage/` (new files by path), and takes `before/` (old files by number) and
    /// `journal.json`. On the working tree's file system, as a rule.
    pub place: PathBuf,
    /// In this order.
    pub list: Vec<Move>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    /// Which.
    pub path: RepoPath,
    /// What was there when it was looked at.
    pub before: Option<FileSeen>,
    /// Whether a new file comes; else the old one goes.
    pub writes: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    version: u32,
    moves: Vec<JournalMove>,
}

#[derive(Debug, Serialize, Deserialize)]
struct JournalMove {
    /// The path's bytes, as names need not be UTF-8.
    path: Vec<u8>,
    /// The new file, by which it is known again.
    new: Option<FileSeen>,
}

impl Moves {
    /// Does them all; if one fails, undoes those that were done.
    pub(crate) fn run(&self) -> Result<(), GitError> {
        let journal = Journal {
            version: 1,
            moves: self
                .list
                .iter()
                .map(|m| JournalMove {
                    path: m.path.as_bytes().to_vec(),
                    new: m.writes.then(|| FileSeen::of(&self.staged(&m.path))).flatten(),
                })
                .collect(),
        };
        write_synced(&self.place.join("journal.json"), &journal)?;
        for (number, one) in self.list.iter().enumerate() {
            if let Err(error) = self.run_one(number, one) {
                recover(&self.top, &self.place)?;
                return Err(error);
            }
        }
        // From here on it is done: without a journal nothing is undone.
        let journal = self.place.join("journal.json");
        std::fs::remove_file(&journal).map_err(GitError::io("remove", &journal))?;
        // What is left is copies.
        let _ = std::fs::remove_dir_all(&self.place);
        Ok(())
    }

    fn run_one(&self, number: usize, one: &Move) -> Result<(), GitError> {
        let target = self.top.join(one.path.as_path());
        if blocking_parent(&self.top, &one.path).is_some()
            || FileSeen::of(&target).filter(|_| !target_is_dir(&target)) != one.before
        {
            let why = format!("`{}` was changed while the change was applied", one.path);
            return Err(GitError::malformed("the checkout", why));
        }
        if one.before.is_some() {
            move_file(&target, &self.place.join("before").join(number.to_string()))?;
        }
        if one.writes {
            if target_is_dir(&target) {
                remove_empty_tree(&target);
            }
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent)
                    .map_err(GitError::io("make the directory", parent))?;
            }
            move_file(&self.staged(&one.path), &target)?;
        } else {
            remove_empty_parents(&self.top, &target);
        }
        Ok(())
    }

    fn staged(&self, path: &RepoPath) -> PathBuf {
        self.place.join("stage").join(path.as_path())
    }
}

/// Undoes what a journal in `place` says was begun. Files that others wrote since are kept: the
/// whole of `place` then stays under another name.
///
/// # Errors
///
/// [`GitError::Failed`] if `place` was not made by this user, or names files outside of `top`:
/// whoever else may write in a checkout must not say what this process moves.
pub(crate) fn recover(top: &Path, place: &Path) -> Result<(), GitError> {
    let file = place.join("journal.json");
    for path in [place, &file] {
        if !is_ours(path) {
            return Err(GitError::malformed(
                "what an apply left",
                format!("`{}` belongs to somebody else; remove it", path.display()),
            ));
        }
    }
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if place.exists() {
                // Nothing was moved yet, or all was.
                put_away(place)?;
            }
            return Ok(());
        }
        Err(error) => return Err(GitError::io("read", &file)(error)),
    };
    let journal: Journal = serde_json::from_slice(&bytes)
        .map_err(|e| GitError::malformed("the journal of an apply", e.to_string()))?;
    for one in &journal.moves {
        let path = RepoPath::new(one.path.clone());
        if !path.is_safe() {
            let why = format!("it names `{path}`, which is not in the checkout");
            return Err(GitError::malformed("the journal of an apply", why));
        }
    }
    let mut others = false;
    for (number, one) in journal.moves.iter().enumerate().rev() {
        let path = RepoPath::new(one.path.clone());
        let target = top.join(path.as_path());
        let staged = place.join("stage").join(path.as_path());
        let before = place.join("before").join(number.to_string());
        let came = one.new.is_some() && std::fs::symlink_metadata(&staged).is_err();
        let went = std::fs::symlink_metadata(&before).is_ok();
        // Undone from the last on, so that what stands in its way by now is a stranger's.
        if (came || went)
            && let Some(parent) = blocking_parent(top, &path)
        {
            let why = format!("`{parent}` is no directory any more");
            return Err(GitError::malformed("the checkout", why));
        }
        if came && std::fs::symlink_metadata(&target).is_ok() {
            others |= FileSeen::of(&target) != one.new;
            if let Some(parent) = staged.parent() {
                std::fs::create_dir_all(parent)
                    .map_err(GitError::io("make the directory", parent))?;
            }
            move_file(&target, &staged)?;
            remove_empty_parents(top, &target);
        }
        if went {
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent)
                    .map_err(GitError::io("make the directory", parent))?;
            }
            if std::fs::symlink_metadata(&target).is_ok() {
                others = true;
                move_file(&target, &place.join("before").join(format!("{number}-since")))?;
            }
            move_file(&before, &target)?;
        }
    }
    if others {
        let kept = place.with_file_name(format!("quire-apply-kept-{}", std::process::id()));
        std::fs::remove_file(&file).map_err(GitError::io("remove", &file))?;
        return std::fs::rename(place, &kept).map_err(GitError::io("keep", place));
    }
    std::fs::remove_file(&file).map_err(GitError::io("remove", &file))?;
    put_away(place)
}

/// Whether a path is absent, or a plain directory or file of this user's that no other may write.
fn is_ours(path: &Path) -> bool {
    std::fs::symlink_metadata(path).map_or_else(
        |error| error.kind() == ErrorKind::NotFound,
        |meta| {
            (meta.is_dir() || meta.is_file())
                && meta.uid() == rustix::process::geteuid().as_raw()
                && meta.mode() & 0o022 == 0
        },
    )
}

/// Frees the name of a place at once; what is in it are copies, which may take a while to go.
fn put_away(place: &Path) -> Result<(), GitError> {
    let gone = place.with_file_name(format!("quire-apply-gone-{}", std::process::id()));
    std::fs::rename(place, &gone).map_err(GitError::io("remove", place))?;
    let _ = std::fs::remove_dir_all(&gone);
    Ok(())
}

/// Renames; across file systems copies first, so that the target is whole or absent.
fn move_file(from: &Path, to: &Path) -> Result<(), GitError> {
    match std::fs::rename(from, to) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {}
        Err(error) => return Err(GitError::io("move", from)(error)),
    }
    let dir = to.parent().unwrap_or(Path::new("."));
    // A directory of its own and a name that nobody knows: a link that waits in the target's
    // place is not followed.
    let half = tempfile::Builder::new()
        .prefix(".quire-half-")
        .tempdir_in(dir)
        .map_err(GitError::io("make a directory in", dir))?;
    let copy = half.path().join("file");
    let copied = if from.is_symlink() {
        std::fs::read_link(from).and_then(|target| std::os::unix::fs::symlink(target, &copy))
    } else {
        std::fs::copy(from, &copy).map(drop)
    };
    copied.map_err(GitError::io("copy", from))?;
    std::fs::rename(&copy, to).map_err(GitError::io("move", from))?;
    std::fs::remove_file(from).map_err(GitError::io("remove", from))
}

fn target_is_dir(target: &Path) -> bool {
    std::fs::symlink_metadata(target).is_ok_and(|meta| meta.is_dir())
}

/// Removes directories that hold nothing but such.
fn remove_empty_tree(dir: &Path) {
    if let Ok(listing) = std::fs::read_dir(dir) {
        for entry in listing.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove_empty_tree(&entry.path());
            }
        }
    }
    // One that is not empty stays, and the move into its place fails and is undone.
    let _ = std::fs::remove_dir(dir);
}

/// As git does when the last file of a directory goes.
fn remove_empty_parents(top: &Path, file: &Path) {
    let mut dir = file.parent();
    while let Some(parent) = dir.filter(|parent| *parent != top && parent.starts_with(top)) {
        if std::fs::remove_dir(parent).is_err() {
            return;
        }
        dir = parent.parent();
    }
}

fn write_synced(path: &Path, journal: &Journal) -> Result<(), GitError> {
    let json = serde_json::to_vec(journal)
        .map_err(|e| GitError::malformed("the journal of an apply", e.to_string()))?;
    let half = path.with_extension("half");
    let file = std::fs::File::create(&half).map_err(GitError::io("write", &half))?;
    std::io::Write::write_all(&mut &file, &json).map_err(GitError::io("write", &half))?;
    file.sync_all().map_err(GitError::io("write", &half))?;
    std::fs::rename(&half, path).map_err(GitError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(top: &Path) -> Vec<String> {
        let mut lines = Vec::new();
        let mut dirs = vec![top.to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(&dir).unwrap().flatten() {
                let path = entry.path();
                if entry.file_type().unwrap().is_dir() {
                    dirs.push(path.clone());
                    lines.push(format!("{}/", path.display()));
                } else {
                    let text = std::fs::read_to_string(&path).unwrap();
                    lines.push(format!("{} {text}", path.display()));
                }
            }
        }
        lines.sort();
        lines
    }

    fn write(path: PathBuf, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A working tree, and a change of five files that is prepared beside it.
    fn scene(dir: &Path) -> Moves {
        let (top, place) = (dir.join("top"), dir.join("place"));
        std::fs::create_dir_all(place.join("before")).unwrap();
        for (path, text) in [("a", "old a"), ("b", "old b"), ("d/e/gone", "old"), ("f", "old f")] {
            write(top.join(path), text);
        }
        for (path, text) in [("a", "new a"), ("n/m", "new"), ("f/g", "below f")] {
            write(place.join("stage").join(path), text);
        }
        let one = |path: &str, writes| Move {
            path: RepoPath::new(path),
            before: FileSeen::of(&top.join(path)),
            writes,
        };
        let list = vec![
            one("d/e/gone", false),
            one("f", false),
            one("a", true),
            one("f/g", true),
            one("n/m", true),
        ];
        Moves { top, place, list }
    }

    #[test]
    fn wherever_it_dies_the_next_one_undoes_it() {
        for done in 0..=5 {
            let dir = tempfile::tempdir().unwrap();
            let moves = scene(dir.path());
            let before = listing(&moves.top);
            let journal = Journal {
                version: 1,
                moves: moves
                    .list
                    .iter()
                    .map(|m| JournalMove {
                        path: m.path.as_bytes().to_vec(),
                        new: m.writes.then(|| FileSeen::of(&moves.staged(&m.path))).flatten(),
                    })
                    .collect(),
            };
            write_synced(&moves.place.join("journal.json"), &journal).unwrap();
            for (number, one) in moves.list.iter().take(done).enumerate() {
                moves.run_one(number, one).unwrap();
            }
            recover(&moves.top, &moves.place).unwrap();
            assert_eq!(listing(&moves.top), before, "after {done} moves");
            assert!(!moves.place.exists());
        }
    }

    #[test]
    fn one_that_fails_undoes_those_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let moves = scene(dir.path());
        write(moves.top.join("n"), "someone was faster");
        let before = listing(&moves.top);
        assert!(moves.run().is_err());
        assert_eq!(listing(&moves.top), before);
    }

    #[test]
    fn what_others_wrote_since_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let moves = scene(dir.path());
        let journal = Journal {
            version: 1,
            moves: vec![JournalMove {
                path: b"a".to_vec(),
                new: FileSeen::of(&moves.staged(&RepoPath::new("a"))),
            }],
        };
        write_synced(&moves.place.join("journal.json"), &journal).unwrap();
        moves.run_one(0, &moves.list[2]).unwrap();
        write(moves.top.join("a"), "edited after the crash");
        recover(&moves.top, &moves.place).unwrap();
        assert_eq!(std::fs::read_to_string(moves.top.join("a")).unwrap(), "old a");
        let kept = listing(dir.path()).into_iter().any(|l| l.ends_with("edited after the crash"));
        assert!(kept);
    }

    #[test]
    fn done_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let moves = scene(dir.path());
        moves.run().unwrap();
        recover(&moves.top, &moves.place).unwrap();
        let lines = listing(&moves.top);
        let ends: Vec<&str> = lines.iter().map(|l| &l[moves.top.as_os_str().len()..]).collect();
        assert_eq!(ends, ["/a new a", "/b old b", "/f/", "/f/g below f", "/n/", "/n/m new"]);
    }
}
