//! Applies a patch to bytes: all files or none.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use quire_domain::event::FileChangeKind;
use quire_domain::path::WorkspacePath;

use crate::fault::{ApplyError, Fault, FaultKind};
use crate::lines::Lines;
use crate::patch::{FilePatch, Hunk, Patch};
use crate::seek::Work;
use crate::update::update;

/// The largest file that is patched, in bytes.
pub const MAX_FILE_BYTES: usize = 32 << 20;
/// Faults told at once.
const MAX_FAULTS: usize = 10;

/// The files as they are now, already read: those that [`Patch::paths`] names.
pub trait Source {
    /// The bytes of a regular file, or `None` where there is nothing at all. What is neither
    /// (a directory, a device) the caller refuses before.
    fn bytes(&self, path: &WorkspacePath) -> Option<&[u8]>;
}

impl<B: AsRef<[u8]>> Source for BTreeMap<WorkspacePath, B> {
    fn bytes(&self, path: &WorkspacePath) -> Option<&[u8]> {
        self.get(path).map(AsRef::as_ref)
    }
}

impl<B: AsRef<[u8]>, S: std::hash::BuildHasher> Source for HashMap<WorkspacePath, B, S> {
    fn bytes(&self, path: &WorkspacePath) -> Option<&[u8]> {
        self.get(path).map(AsRef::as_ref)
    }
}

/// What one file becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdit {
    /// The file, after any move. For a removal, the file that goes.
    pub path: WorkspacePath,
    /// Where it was before, if it was moved: that one goes, and `path` takes over its mode.
    pub from: Option<WorkspacePath>,
    /// Added, changed (or moved) or removed.
    pub kind: FileChangeKind,
    /// Its bytes before (at `from`, if it was moved); `None` where it was not there.
    pub old: Option<Vec<u8>>,
    /// Its bytes after; `None` where it goes.
    pub new: Option<Vec<u8>>,
    /// Lines added.
    pub added: u32,
    /// Lines removed.
    pub removed: u32,
}

/// What the files become, one entry for each file that differs afterwards, sorted by path.
/// Empty where the patch changes nothing.
///
/// # Errors
///
/// [`ApplyError`] names what does not fit; then no file may be touched. A file that is there is
/// not added over: a model that believes it makes a new file has not read the old one.
pub fn apply(patch: &Patch, source: &dyn Source) -> Result<Vec<FileEdit>, ApplyError> {
    let mut tree = Tree { source, files: BTreeMap::new(), work: Work::new() };
    let mut faults: Vec<Fault> = Vec::new();
    let mut broken: BTreeSet<&WorkspacePath> = BTreeSet::new();
    for file in &patch.files {
        // What follows on a file that failed would only fail because of it.
        if broken.contains(file.path()) {
            continue;
        }
        if let Err(fault) = tree.change(file) {
            let stop = fault.kind == FaultKind::TooMuchWork || faults.len() + 1 == MAX_FAULTS;
            faults.push(fault);
            broken.insert(file.path());
            if let FilePatch::Update { move_to: Some(to), .. } = file {
                broken.insert(to);
            }
            if stop {
                break;
            }
        }
    }
    if faults.is_empty() { Ok(tree.edits()) } else { Err(ApplyError { faults }) }
}

/// The files as the patch has left them so far.
struct Tree<'a> {
    source: &'a dyn Source,
    files: BTreeMap<&'a WorkspacePath, State<'a>>,
    work: Work,
}

/// One file as the patch has left it so far.
struct State<'a> {
    now: Option<Cow<'a, [u8]>>,
    from: Option<&'a WorkspacePath>,
    added: usize,
    removed: usize,
}

impl<'a> Tree<'a> {
    fn state(&mut self, path: &'a WorkspacePath) -> &mut State<'a> {
        let source = self.source;
        self.files.entry(path).or_insert_with(|| State {
            now: source.bytes(path).map(Cow::Borrowed),
            from: None,
            added: 0,
            removed: 0,
        })
    }

    fn change(&mut self, file: &'a FilePatch) -> Result<(), Fault> {
        match file {
            FilePatch::Add { path, lines } => self.add(path, lines),
            FilePatch::Delete { path } => self.delete(path),
            FilePatch::Update { path, move_to, hunks } => {
                self.update(path, move_to.as_ref().filter(|to| *to != path), hunks)
            }
        }
    }

    fn add(&mut self, path: &'a WorkspacePath, lines: &[String]) -> Result<(), Fault> {
        let state = self.state(path);
        if state.now.is_some() {
            return Err(Fault { path: path.clone(), kind: FaultKind::Exists });
        }
        let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        for line in lines {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        state.now = Some(Cow::Owned(bytes));
        state.added += lines.len();
        Ok(())
    }

    fn delete(&mut self, path: &'a WorkspacePath) -> Result<(), Fault> {
        let state = self.state(path);
        let Some(bytes) = state.now.take() else {
            return Err(Fault { path: path.clone(), kind: FaultKind::Missing });
        };
        state.from = None;
        state.removed += Lines::of(&bytes).all.len();
        Ok(())
    }

    fn update(
        &mut self,
        path: &'a WorkspacePath,
        move_to: Option<&'a WorkspacePath>,
        hunks: &[Hunk],
    ) -> Result<(), Fault> {
        let bad = |kind| Fault { path: path.clone(), kind };
        let Some(bytes) = self.state(path).now.clone() else {
            return Err(bad(FaultKind::Missing));
        };
        if bytes.len() > MAX_FILE_BYTES {
            return Err(bad(FaultKind::TooLarge { bytes: bytes.len() as u64 }));
        }
        if let Some(to) = move_to
            && self.state(to).now.is_some()
        {
            return Err(Fault { path: to.clone(), kind: FaultKind::Exists });
        }
        let updated = update(&bytes, hunks, &mut self.work).map_err(bad)?;
        let state = self.state(path);
        state.added += updated.added;
        state.removed += updated.removed;
        let Some(to) = move_to else {
            state.now = Some(Cow::Owned(updated.bytes));
            return Ok(());
        };
        state.now = None;
        let moved = State {
            now: Some(Cow::Owned(updated.bytes)),
            from: Some(state.from.take().unwrap_or(path)),
            added: std::mem::take(&mut state.added),
            removed: std::mem::take(&mut state.removed),
        };
        *self.state(to) = moved;
        Ok(())
    }

    fn edits(self) -> Vec<FileEdit> {
        let before = |path: &WorkspacePath| self.source.bytes(path);
        // A file that moved away counts as moved only if it was there and nothing took its place.
        let moved: BTreeMap<&WorkspacePath, &WorkspacePath> = self
            .files
            .iter()
            .filter_map(|(path, state)| Some((state.from?, *path)))
            .filter(|(from, _)| {
                before(from).is_some()
                    && self.files.get(from).is_some_and(|state| state.now.is_none())
            })
            .collect();
        let mut edits = Vec::with_capacity(self.files.len());
        for (path, state) in &self.files {
            let from = state.from.filter(|from| moved.get(from) == Some(path));
            let old = before(from.unwrap_or(path));
            let new = state.now.as_deref();
            let kind = match (old, new) {
                (None, None) => continue,
                (Some(_), None) if moved.contains_key(path) => continue,
                (Some(old), Some(new)) if old == new && from.is_none() => continue,
                (None, Some(_)) => FileChangeKind::Added,
                (Some(_), Some(_)) => FileChangeKind::Changed,
                (Some(_), None) => FileChangeKind::Removed,
            };
            edits.push(FileEdit {
                path: (*path).clone(),
                from: from.cloned(),
                kind,
                old: old.map(<[u8]>::to_vec),
                new: new.map(<[u8]>::to_vec),
                added: u32::try_from(state.added).unwrap_or(u32::MAX),
                removed: u32::try_from(state.removed).unwrap_or(u32::MAX),
            });
        }
        edits
    }
}
