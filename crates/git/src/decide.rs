//! Decides, file by file, how a change comes onto a checkout. Pure.

use crate::apply::ConflictKind;
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
    fn is_regular(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }
}

/// What to do with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is as the attempt left it.
    Already,
    /// It is left as it is.
    Submodule,
    /// It becomes this.
    Write(Side),
    /// It goes.
    Delete,
    /// Both sides changed its content.
    Join { base: String, ours: String, theirs: String, mode: u32 },
    /// It cannot be joined.
    Conflict(ConflictKind),
}

const GITLINK: u32 = 0o160_000;

/// Decides on one file: `change` is what the attempt did, `seen` what lies here, and `ours` its
/// content as git sees it, where it is a file or a link.
pub(crate) fn decide(change: &ChangedPath, seen: &Seen, ours: Option<&Side>) -> Decision {
    let side = |mode: u32, blob: &Option<String>| {
        blob.as_ref().filter(|_| mode != 0).map(|blob| Side { mode, blob: blob.clone() })
    };
    let base = side(change.old_mode, &change.old_blob);
    let theirs = side(change.new_mode, &change.new_blob);
    if change.old_mode == GITLINK || change.new_mode == GITLINK {
        return Decision::Submodule;
    }
    let ours = match seen {
        // No file of that name is here: it is as gone as the attempt left it.
        Seen::Blocked | Seen::Other if theirs.is_none() => None,
        Seen::Blocked | Seen::Other => return Decision::Conflict(ConflictKind::Kind),
        Seen::Absent => None,
        Seen::File(_) | Seen::Link(_) => ours.cloned(),
    };
    if ours == theirs {
        return Decision::Already;
    }
    if ours == base {
        return theirs.map_or(Decision::Delete, Decision::Write);
    }
    match (base, ours, theirs) {
        (None, Some(_), Some(_)) => Decision::Conflict(ConflictKind::InTheWay),
        (Some(_), None, Some(_)) => Decision::Conflict(ConflictKind::GoneHere),
        (Some(_), Some(_), None) => Decision::Conflict(ConflictKind::ChangedHere),
        (Some(base), Some(ours), Some(theirs)) => {
            if !(base.is_regular() && ours.is_regular() && theirs.is_regular()) {
                return Decision::Conflict(ConflictKind::Kind);
            }
            let mode = if ours.mode == base.mode { theirs.mode } else { ours.mode };
            if ours.blob == base.blob || ours.blob == theirs.blob {
                return Decision::Write(Side { mode, blob: theirs.blob });
            }
            if theirs.blob == base.blob {
                return Decision::Write(Side { mode, blob: ours.blob });
            }
            Decision::Join { base: base.blob, ours: ours.blob, theirs: theirs.blob, mode }
        }
        // Equal sides were met above; two absent ones are equal.
        (None, _, None) | (None, None, Some(_)) | (Some(_), None, None) => Decision::Already,
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
        let join = |mode| Decision::Join {
            base: "a".to_owned(),
            ours: "c".to_owned(),
            theirs: "b".to_owned(),
            mode,
        };
        let table: &[(File, File, File, Decision)] = &[
            (Some((F, "a")), Some((F, "b")), Some((F, "a")), write(F, "b")),
            (Some((F, "a")), Some((F, "b")), Some((F, "b")), Decision::Already),
            (Some((F, "a")), Some((F, "b")), Some((F, "c")), join(F)),
            (Some((F, "a")), Some((X, "b")), Some((F, "c")), join(X)),
            (Some((F, "a")), Some((X, "a")), Some((F, "c")), write(X, "c")),
            (Some((F, "a")), Some((F, "b")), Some((X, "a")), write(X, "b")),
            (Some((F, "a")), Some((F, "b")), None, Decision::Conflict(ConflictKind::GoneHere)),
            (Some((F, "a")), None, Some((F, "a")), Decision::Delete),
            (Some((F, "a")), None, None, Decision::Already),
            (Some((F, "a")), None, Some((F, "c")), Decision::Conflict(ConflictKind::ChangedHere)),
            (None, Some((F, "b")), None, write(F, "b")),
            (None, Some((F, "b")), Some((F, "b")), Decision::Already),
            (None, Some((F, "b")), Some((F, "c")), Decision::Conflict(ConflictKind::InTheWay)),
            (Some((F, "a")), Some((L, "b")), Some((F, "a")), write(L, "b")),
            (
                Some((F, "a")),
                Some((L, "b")),
                Some((F, "c")),
                Decision::Conflict(ConflictKind::Kind),
            ),
            (Some((GITLINK, "a")), Some((GITLINK, "b")), None, Decision::Submodule),
        ];
        for (base, theirs, ours, expected) in table {
            let seen = if ours.is_some() { Seen::File(FileSeen::default()) } else { Seen::Absent };
            let ours = ours.map(|(mode, blob)| Side { mode, blob: blob.to_owned() });
            let got = decide(&change(*base, *theirs), &seen, ours.as_ref());
            assert_eq!(&got, expected, "{base:?} {theirs:?} {ours:?}");
        }
    }
}
