//! Joins a change with what a checkout holds as `git merge` does, renames and all, in a bare
//! repository of ours that is gone afterwards: no program of the person's starts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use quire_domain::ids::CommitId;

use crate::config::{Git, blocking};
use crate::conflict::{Conflict, ConflictKind};
use crate::error::GitError;
use crate::path::RepoPath;
use crate::repository::{ObjectFormat, Repository, make_bare};
use crate::results::ResultStore;

/// A bare repository in which two sides meet; it reads the objects of both. Gone when dropped.
pub(crate) struct Meeting {
    dir: tempfile::TempDir,
    object_format: ObjectFormat,
}

/// What a merge gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Merged {
    /// The tree; where sides conflict, with what git leaves in a working tree there.
    pub tree: String,
    /// Where they conflict, by path.
    pub conflicts: Vec<Conflict>,
    /// Submodules that both sides moved.
    pub submodules: Vec<RepoPath>,
}

const DOING: &str = "join the changes";
const MERGE_TIMEOUT: Duration = Duration::from_mins(10);
/// Renames are looked for by comparing each file that went with each that came.
const MERGE_CPU_SECONDS: u64 = 300;

impl Meeting {
    pub(crate) async fn make(
        git: &Git,
        store: &ResultStore,
        objects_here: PathBuf,
    ) -> Result<Self, GitError> {
        let (parent, objects) = (git.quarantine_dir(), store.repository().objects_dir());
        let object_format = store.repository().object_format();
        blocking("make a place to merge in", move || {
            let dir = tempfile::Builder::new()
                .prefix("merge-")
                .tempdir_in(&parent)
                .map_err(GitError::io("make a directory in", &parent))?;
            make_bare(dir.path(), object_format, &[objects, objects_here])?;
            Ok(Self { dir, object_format })
        })
        .await
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn repository(&self) -> Repository {
        Repository::at(self.dir.path().to_owned(), self.object_format)
    }
}

impl Git {
    /// Joins the trees of `here` and `head`, which both come from that of `base`. History plays
    /// no part: the three stand alone.
    pub(crate) async fn merge(
        &self,
        meeting: &Meeting,
        base: &CommitId,
        here: &str,
        head: &CommitId,
    ) -> Result<Merged, GitError> {
        let base = self.bare_commit(meeting, &format!("{base}^{{tree}}"), None).await?;
        let head = format!("{head}^{{tree}}");
        let (here, head) = tokio::try_join!(
            self.bare_commit(meeting, here, Some(&base)),
            self.bare_commit(meeting, &head, Some(&base)),
        )?;
        // By these names the sides are called in conflict markers.
        for (name, commit) in [("yours", here), ("attempt", head)] {
            let path = meeting.path().join("refs/heads").join(name);
            tokio::fs::write(&path, format!("{commit}\n"))
                .await
                .map_err(GitError::io("write", &path))?;
        }
        let ended = self
            .ours(DOING, meeting.path())
            .args(["merge-tree", "--write-tree", "-z", "--messages", "yours", "attempt"])
            .output_limit(256 << 20)
            .cpu_seconds(MERGE_CPU_SECONDS)
            .timeout(MERGE_TIMEOUT)
            .end()
            .await?;
        match ended.code {
            Some(0 | 1) => parse_merged(&ended.output),
            // How git ends where it does not know an option.
            Some(129) => Err(GitError::TooOld { doing: DOING }),
            _ => Err(ended.failed(DOING)),
        }
    }

    /// A commit that says nothing but its tree and what it comes from.
    async fn bare_commit(
        &self,
        meeting: &Meeting,
        tree: &str,
        parent: Option<&str>,
    ) -> Result<String, GitError> {
        let mut run = self.ours("note a side of the merge", meeting.path());
        for role in ["AUTHOR", "COMMITTER"] {
            run = run
                .env(&format!("GIT_{role}_NAME"), "Quire")
                .env(&format!("GIT_{role}_EMAIL"), "quire@localhost")
                .env(&format!("GIT_{role}_DATE"), "@0 +0000");
        }
        run = run.args(["commit-tree", tree]);
        if let Some(parent) = parent {
            run = run.args(["-p", parent]);
        }
        crate::refs::object_name(&run.output().await?)
    }
}

/// Reads the output of `merge-tree --write-tree -z --messages`: the tree, one entry for each side
/// of each file in conflict, and messages that each name their paths and kind.
fn parse_merged(output: &[u8]) -> Result<Merged, GitError> {
    let bad = || GitError::malformed("the output of git merge-tree", "it is not as asked for");
    let mut fields = output.split(|b| *b == 0);
    let tree = crate::refs::object_name(fields.next().ok_or_else(bad)?)?;
    let mut stages: BTreeMap<RepoPath, BTreeSet<u8>> = BTreeMap::new();
    for entry in fields.by_ref().take_while(|field| !field.is_empty()) {
        let (head, path) = split_at_byte(entry, b'\t').ok_or_else(bad)?;
        let stage = head.last().filter(|s| (b'1'..=b'3').contains(s)).ok_or_else(bad)?;
        stages.entry(RepoPath::new(path)).or_default().insert(stage - b'0');
    }
    let mut told: BTreeMap<RepoPath, ConflictKind> = BTreeMap::new();
    let mut submodules = BTreeSet::new();
    let mut accounted: BTreeSet<RepoPath> = BTreeSet::new();
    while let Some(count) = fields.next().filter(|field| !field.is_empty()) {
        let count: usize = parse_number(count).ok_or_else(bad)?;
        let paths: Vec<RepoPath> = fields.by_ref().take(count).map(RepoPath::new).collect();
        let (Some(kind), Some(_message)) = (fields.next(), fields.next()) else {
            return Err(bad());
        };
        let Some(path) = paths.first().cloned() else { return Err(bad()) };
        if kind.starts_with(b"CONFLICT (submodule") {
            submodules.insert(path);
        } else if kind.starts_with(b"CONFLICT") {
            let kind = conflict_kind(kind, stages.get(&path));
            let known = told.entry(path).or_insert(kind);
            // Git tells a binary file once as that, and once more as content.
            if *known == ConflictKind::Lines {
                *known = kind;
            }
        } else {
            continue;
        }
        accounted.extend(paths);
    }
    // What no message spoke of is in conflict all the same.
    for (path, stages) in stages.iter().filter(|(path, _)| !accounted.contains(*path)) {
        told.insert(path.clone(), conflict_kind(b"", Some(stages)));
    }
    let conflicts = told.into_iter().map(|(path, kind)| Conflict { path, kind }).collect();
    Ok(Merged { tree, conflicts, submodules: submodules.into_iter().collect() })
}

/// The words are git's own and do not change with its language.
fn conflict_kind(word: &[u8], stages: Option<&BTreeSet<u8>>) -> ConflictKind {
    let has = |stage| stages.is_some_and(|stages| stages.contains(&stage));
    match word {
        b"CONFLICT (binary)" => ConflictKind::Binary,
        b"CONFLICT (modify/delete)" | b"CONFLICT (rename/delete)" if has(2) => {
            ConflictKind::ChangedHere
        }
        b"CONFLICT (modify/delete)" | b"CONFLICT (rename/delete)" => ConflictKind::GoneHere,
        b"CONFLICT (rename/rename)" | b"CONFLICT (rename involved in collision)" => {
            ConflictKind::Names
        }
        b"CONFLICT (file/directory)" | b"CONFLICT (distinct modes)" => ConflictKind::Kind,
        _ if word.windows(9).any(|part| part == b"directory")
            || word.windows(4).any(|part| part == b"dir ") =>
        {
            ConflictKind::Directory
        }
        _ if has(2) && has(3) && !has(1) => ConflictKind::InTheWay,
        _ => ConflictKind::Lines,
    }
}

fn split_at_byte(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|b| *b == at)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn parse_number(bytes: &[u8]) -> Option<usize> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_told_by_path_and_kind_and_names_may_hold_anything() {
        let oid = "1".repeat(40);
        let text = format!(
            "{oid}\0\
             100644 {oid} 1\ta\0100644 {oid} 2\tb\n\0100644 {oid} 3\tc\0\
             100644 {oid} 2\tbin\0100644 {oid} 3\tbin\0\
             100644 {oid} 1\tz\0100644 {oid} 3\tz\0\
             160000 {oid} 2\tsub\0160000 {oid} 3\tsub\0\
             100644 {oid} 3\tquiet\0\0\
             1\0a\0Auto-merging\0Auto-merging a\n\0\
             3\0a\0b\n\0c\0CONFLICT (rename/rename)\0words\0\
             1\0bin\0CONFLICT (contents)\0words\0\
             1\0bin\0CONFLICT (binary)\0words\0\
             1\0sub\0CONFLICT (submodule not initialized)\0words\0\
             1\0z\0CONFLICT (modify/delete)\0words\0"
        );
        let merged = parse_merged(text.as_bytes()).unwrap();
        assert_eq!(merged.tree, oid);
        assert_eq!(merged.submodules, [RepoPath::new("sub")]);
        let kinds: Vec<_> =
            merged.conflicts.iter().map(|c| (c.path.to_str().unwrap(), c.kind)).collect();
        assert_eq!(
            kinds,
            [
                ("a", ConflictKind::Names),
                ("bin", ConflictKind::InTheWay),
                ("quiet", ConflictKind::Lines),
                ("z", ConflictKind::GoneHere),
            ]
        );
        let clean = parse_merged(format!("{oid}\0").as_bytes()).unwrap();
        assert!(clean.conflicts.is_empty());
        assert!(parse_merged(b"").is_err());
        assert!(parse_merged(&text.as_bytes()[..text.len() - 30]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_output_makes_the_parser_panic(rest: Vec<u8>) {
            let mut output = "1".repeat(40).into_bytes();
            output.push(0);
            output.extend(rest);
            let _ = parse_merged(&output);
        }
    }
}
