//! Decides, file by file, how the outcome of a merge comes into a working tree. Pure.

use crate::conflict::ConflictKind;
use crate::readings::ChangedPath;
use crate::worktree::Seen;

/// A file on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Side {
    /// As in a tree.
    pub mode: u32,
    /// Its content.
    pub blob: String,
}

impl Side {
    fn before(change: &ChangedPath) -> Option<Self> {
        Some(Self { mode: change.old_mode, blob: change.old_blob.clone()? })
    }

    pub(crate) fn after(change: &ChangedPath) -> Option<Self> {
        Some(Self { mode: change.new_mode, blob: change.new_blob.clone()? })
    }
}

/// What to do with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is as it shall be.
    Already,
    /// It is left as it is.
    Submodule,
    /// It becomes this.
    Write(Side),
    /// It goes.
    Delete,
    /// It cannot be written here.
    Conflict(ConflictKind),
    /// It is another by now than the merge went by.
    ChangedMeanwhile,
}

const GITLINK: u32 = 0o160_000;

/// Decides on one file: `change` leads from what the merge took to be here to its outcome, `seen`
/// is what lies here, and `here` its content as git sees it, where it is a file or a link.
pub(crate) fn decide(change: &ChangedPath, seen: &Seen, here: Option<&Side>) -> Decision {
    if change.old_mode == GITLINK || change.new_mode == GITLINK {
        return Decision::Submodule;
    }
    let (before, after) = (Side::before(change), Side::after(change));
    let here = match seen {
        // No file of that name is here: it is as gone as it shall be.
        Seen::Blocked | Seen::Other if after.is_none() => None,
        Seen::Blocked | Seen::Other => return Decision::Conflict(ConflictKind::Kind),
        Seen::Absent => None,
        Seen::File(_) | Seen::Link(_) => here.cloned(),
    };
    if here == after {
        return Decision::Already;
    }
    if here == before {
        return after.map_or(Decision::Delete, Decision::Write);
    }
    match (before, here) {
        // Of a sparse checkout, say.
        (Some(_), None) => Decision::Conflict(ConflictKind::GoneHere),
        // Ignored, in the place of a name that came up in the merge.
        (None, _) => Decision::Conflict(ConflictKind::InTheWay),
        (Some(_), Some(_)) => Decision::ChangedMeanwhile,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::RepoPath;
    use crate::readings::ChangeStatus;
    use crate::worktree::{FileSeen, Seen};

    fn change(old: Option<(u32, &str)>, new: Option<(u32, &str)>) -> ChangedPath {
        ChangedPath {
            path: RepoPath::new("f"),
            status: ChangeStatus::Modified,
            old_mode: old.map_or(0, |o| o.0),
            new_mode: new.map_or(0, |n| n.0),
            old_blob: old.map(|o| o.1.to_owned()),
            new_blob: new.map(|n| n.1.to_owned()),
            binary: false,
            added: 0,
            removed: 0,
        }
    }

    #[test]
    fn each_combination_of_sides_has_one_decision() {
        type File = Option<(u32, &'static str)>;
        const F: u32 = 0o100_644;
        const X: u32 = 0o100_755;
        const L: u32 = 0o120_000;
        let write = |mode, blob: &str| Decision::Write(Side { mode, blob: blob.to_owned() });
        let table: &[(File, File, File, Decision)] = &[
            (Some((F, "a")), Some((F, "b")), Some((F, "a")), write(F, "b")),
            (Some((F, "a")), Some((X, "a")), Some((F, "a")), write(X, "a")),
            (Some((F, "a")), Some((L, "b")), Some((F, "a")), write(L, "b")),
            (Some((F, "a")), Some((F, "b")), Some((F, "b")), Decision::Already),
            (Some((F, "a")), Some((F, "b")), Some((F, "c")), Decision::ChangedMeanwhile),
            (Some((F, "a")), Some((F, "b")), Some((X, "a")), Decision::ChangedMeanwhile),
            (Some((F, "a")), Some((F, "b")), None, Decision::Conflict(ConflictKind::GoneHere)),
            (Some((F, "a")), None, Some((F, "a")), Decision::Delete),
            (Some((F, "a")), None, None, Decision::Already),
            (Some((F, "a")), None, Some((F, "c")), Decision::ChangedMeanwhile),
            (None, Some((F, "b")), None, write(F, "b")),
            (None, Some((F, "b")), Some((F, "b")), Decision::Already),
            (None, Some((F, "b")), Some((F, "c")), Decision::Conflict(ConflictKind::InTheWay)),
            (Some((GITLINK, "a")), Some((GITLINK, "b")), None, Decision::Submodule),
        ];
        for (before, after, here, expected) in table {
            let seen = if here.is_some() { Seen::File(FileSeen::default()) } else { Seen::Absent };
            let here = here.map(|(mode, blob)| Side { mode, blob: blob.to_owned() });
            let got = decide(&change(*before, *after), &seen, here.as_ref());
            assert_eq!(&got, expected, "{before:?} {after:?} {here:?}");
        }
    }
}
