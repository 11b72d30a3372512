//! The change of an attempt, read from its results.

use quire_api::{FileChange, Hunk};
use quire_domain::attempt::Attempt;
use quire_domain::ids::CommitId;
use quire_git::{ChangeStatus, ChangedPath, ResultStore};
use serde::Deserialize;

use crate::refusal::{Refusal, Result};
use crate::state::State;

/// Where a change is, and what it is between.
pub(crate) struct Between {
    pub results: ResultStore,
    pub base: CommitId,
    pub head: CommitId,
}

/// What of a turn's origin says where its repository is; the rest is the worker's.
#[derive(Deserialize)]
struct Origin {
    mirror: String,
    layer: CommitId,
}

/// The change that an attempt ended with: of the whole task up to it, or of its own turn alone.
pub(crate) async fn between(state: &State, attempt: &Attempt, own_turn: bool) -> Result<Between> {
    let turns = state.store.turns(attempt.task).await?;
    let own = turns.iter().find(|turn| turn.id == attempt.turn);
    let from = if own_turn { own } else { turns.first() };
    let start = from.and_then(|turn| turn.request.start.as_ref());
    let result = attempt.result.as_ref();
    let (Some(own), Some(start)) = (own, start) else { return Err(nothing(attempt)) };
    let head = result.and_then(|result| result.head.clone()).unwrap_or_else(|| start.base.clone());
    let origin = state.store.origin(own.id).await?.unwrap_or_default();
    let origin: Origin = serde_json::from_str(&origin)
        .map_err(|error| Refusal::internal("find the repository of the task", &error))?;
    let repository = state.git.task_repository(&origin.mirror, &origin.layer).await?;
    let results = state.git.results(attempt.task, &repository).await?;
    Ok(Between { results, base: start.base.clone(), head })
}

fn nothing(attempt: &Attempt) -> Refusal {
    Refusal::new(
        quire_api::ProblemKind::NotFound,
        format!("attempt {} has no commit to read yet", attempt.id),
        "wait until it has begun",
    )
}

/// The files of a change with their lines: of `changed`, in its order, from a unified diff of the
/// same.
pub(crate) fn files(changed: Vec<ChangedPath>, diff: &[u8]) -> Vec<FileChange> {
    let text = String::from_utf8_lossy(diff);
    let mut sections = sections(&text).into_iter();
    changed
        .into_iter()
        .map(|file| {
            // A file that became a link is told as one that went and one that came.
            let count = if file.status == ChangeStatus::TypeChanged { 2 } else { 1 };
            let own = sections.by_ref().take(count);
            FileChange {
                path: String::from_utf8_lossy(file.path.as_bytes()).into_owned(),
                status: match file.status {
                    ChangeStatus::Added => "added",
                    ChangeStatus::Modified => "modified",
                    ChangeStatus::Deleted => "deleted",
                    ChangeStatus::TypeChanged => "type_changed",
                }
                .to_owned(),
                old_mode: mode(file.old_mode),
                new_mode: mode(file.new_mode),
                binary: file.binary,
                added: file.added,
                removed: file.removed,
                hunks: own.flat_map(hunks).collect(),
            }
        })
        .collect()
}

fn mode(mode: u32) -> Option<String> {
    (mode != 0).then(|| format!("{mode:06o}"))
}

/// The parts of a diff, one for each file: lines of files begin with another character than `d`.
fn sections(text: &str) -> Vec<Vec<&str>> {
    let mut sections: Vec<Vec<&str>> = Vec::new();
    for line in text.split('\n') {
        if line.starts_with("diff --git ") {
            sections.push(Vec::new());
        }
        if let Some(section) = sections.last_mut() {
            section.push(line);
        }
    }
    sections
}

fn hunks(section: Vec<&str>) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    for line in section {
        if let Some(hunk) = heading(line) {
            hunks.push(hunk);
        } else if let Some(hunk) = hunks.last_mut()
            && line.starts_with([' ', '+', '-', '\\'])
        {
            hunk.lines.push(line.to_owned());
        }
    }
    hunks
}

/// Reads `@@ -1,2 +3,4 @@ where`.
fn heading(line: &str) -> Option<Hunk> {
    let (ranges, heading) = line.strip_prefix("@@ ")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(' ')?;
    let range = |text: &str, sign| {
        let text = text.strip_prefix(sign)?;
        let (first, count) = text.split_once(',').unwrap_or((text, "1"));
        Some((first.parse().ok()?, count.parse().ok()?))
    };
    let ((old_first, old_lines), (new_first, new_lines)) = (range(old, '-')?, range(new, '+')?);
    let heading = heading.trim_start().to_owned();
    Some(Hunk { old_first, old_lines, new_first, new_lines, heading, lines: Vec::new() })
}

#[cfg(test)]
mod tests {
    use quire_git::RepoPath;

    use super::*;

    fn changed(path: &str, status: ChangeStatus) -> ChangedPath {
        ChangedPath {
            path: RepoPath::new(path),
            status,
            old_mode: 0o100_644,
            new_mode: 0o100_644,
            old_blob: None,
            new_blob: None,
            binary: false,
            added: 1,
            removed: 1,
        }
    }

    #[test]
    fn lines_go_to_their_files_whatever_they_hold() {
        let diff = "diff --git a/a b/a\nindex 1..2 100644\n--- a/a\n+++ b/a\n@@ -1 +1,2 @@ fn x()\n\
                    -old\n+diff --git a/b b/b\n+@@ -1 +1 @@\n\\ No newline at end of file\n\
                    diff --git a/b b/b\n@@ -3,2 +4 @@\n-x\n y\n";
        let files = files(
            vec![changed("a", ChangeStatus::Modified), changed("b", ChangeStatus::Modified)],
            diff.as_bytes(),
        );
        assert_eq!(files.len(), 2);
        assert_eq!(files[0].hunks.len(), 1);
        assert_eq!(files[0].hunks[0].lines.len(), 4);
        assert_eq!((files[0].hunks[0].old_lines, files[0].hunks[0].new_lines), (1, 2));
        assert_eq!(files[0].hunks[0].heading, "fn x()");
        assert_eq!(files[1].hunks[0].lines, ["-x", " y"]);
    }

    proptest::proptest! {
        #[test]
        fn no_diff_makes_the_reader_panic(bytes: Vec<u8>) {
            files(vec![changed("a", ChangeStatus::TypeChanged)], &bytes);
        }
    }
}
