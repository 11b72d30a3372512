//! The working tree at the end: asked inside the sandbox, since host git never runs in a tree
//! that the agent could write. What is answered there is parsed with bounds; what counts is the
//! commit that is then taken out and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quire_agent::ContractError;
use quire_domain::event::Fault;
use quire_domain::ids::CommitId;
use quire_domain::sandbox::{
    Command, CommandEvent, CommandIo, CommandSignal, ExitStatus, Sandbox, SandboxUser, Upper,
};
use quire_domain::task::StartPoint;

use super::{AttemptFinish, other};

/// The state of the working tree and its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFacts {
    /// The commit that is checked out.
    pub head: CommitId,
    /// The branch that is checked out.
    pub branch: Option<String>,
    /// Whether the base is an ancestor of the head.
    pub base_kept: bool,
    /// Files with uncommitted changes, untracked ones included, ignored ones not.
    pub dirty: Vec<String>,
}

/// How long a question to git inside may take: a large tree on a slow disk.
const GIT_TIME: Duration = Duration::from_mins(2);

/// The most that is read of an answer.
const MOST_BYTES: usize = 8 << 20;

/// Paths a fault names.
const MOST_PATHS: usize = 50;

impl TreeFacts {
    /// What is not as it should be.
    pub fn faults(&self, start: &StartPoint, allow_rewrite: bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !self.dirty.is_empty() {
            let paths = self.dirty.iter().take(MOST_PATHS).cloned().collect();
            faults.push(Fault::Dirty { paths });
        }
        if self.branch != start.branch {
            let name = |branch: &Option<String>| {
                branch.clone().unwrap_or_else(|| "(no branch)".to_owned())
            };
            faults.push(Fault::BranchChanged {
                expected: name(&start.branch),
                found: name(&self.branch),
            });
        }
        if !self.base_kept && !allow_rewrite {
            faults.push(Fault::HistoryRewritten);
        }
        faults
    }
}

/// Answers each question on a line that begins with its name; the status follows, NUL-separated.
const QUESTIONS: &str = r#"
printf 'head %s\n' "$(git rev-parse --verify -q 'HEAD^{commit}')"
printf 'branch %s\n' "$(git symbolic-ref -q --short HEAD)"
if git merge-base --is-ancestor "$1" HEAD 2>/dev/null; then echo 'base kept'; else echo 'base gone'; fi
echo status
git status --porcelain=v1 -z --untracked-files=all --ignore-submodules=dirty
"#;

impl AttemptFinish {
    /// Asks for the state of the working tree. What was modified before the agent began is left
    /// out.
    pub(crate) async fn tree_facts(&self) -> Result<TreeFacts, ContractError> {
        let sandbox = self.sandbox.sandbox().await?;
        let mut facts = self.ask(sandbox.as_ref()).await?;
        if !facts.dirty.is_empty() {
            let before = self.dirty_at_the_start().await?;
            facts.dirty.retain(|path| !before.contains(path));
        }
        Ok(facts)
    }

    async fn ask(&self, sandbox: &dyn Sandbox) -> Result<TreeFacts, ContractError> {
        let script = QUESTIONS.to_owned();
        let argv = ["bash", "-c", &script, "ask", self.base().as_str()].map(str::to_owned).to_vec();
        let (exit, output) = run_inside(sandbox, argv, GIT_TIME).await?;
        parse(&output).ok_or_else(|| {
            let said = String::from_utf8_lossy(&output);
            let said: String = said.chars().take(300).collect();
            ContractError::Other(format!(
                "git inside the sandbox did not answer (exit {}): {said}",
                exit.code()
            ))
        })
    }

    /// What git calls modified in a fresh copy: line-ending rules and filters can do that.
    async fn dirty_at_the_start(&self) -> Result<BTreeSet<String>, ContractError> {
        let name = format!("{}-start", self.name);
        let spec = self.layout.spec(name, Upper::Memory, SandboxUser::Agent);
        let fresh = self.worker.sandboxes.create(spec).await?;
        let facts = self.ask(fresh.as_ref()).await;
        fresh.end().await?;
        Ok(facts?.dirty.into_iter().collect())
    }

    /// Commits what was left uncommitted, by the system and without the repository's hooks.
    /// Gives the commit, or `None` if there was nothing.
    pub(crate) async fn commit_the_rest(&self) -> Result<Option<CommitId>, ContractError> {
        let sandbox = self.sandbox.sandbox().await?;
        let script = r"
git add -A && git -c user.name=Quire -c user.email=quire@localhost -c commit.gpgsign=false \
  -c core.hooksPath=/dev/null commit -q --no-verify \
  -m 'Work that was not committed' -m 'Made by Quire of what the agent left in the working tree.'
git rev-parse --verify -q 'HEAD^{commit}'
";
        let argv = ["bash", "-c", script].map(str::to_owned).to_vec();
        let (_, output) = run_inside(sandbox.as_ref(), argv, GIT_TIME).await?;
        let text = String::from_utf8_lossy(&output);
        Ok(text.lines().last().and_then(|line| CommitId::parse(line.trim()).ok()))
    }
}

/// Runs a program of ours inside, its output read up to a bound; killed when time is up.
pub(crate) async fn run_inside(
    sandbox: &dyn Sandbox,
    argv: Vec<String>,
    time: Duration,
) -> Result<(ExitStatus, Vec<u8>), ContractError> {
    let command = Command { argv, env: quiet_git(), workdir: None, io: CommandIo::Separate };
    let started = sandbox.start(command).await?;
    let control = Arc::clone(&started.control);
    let mut reader = started.output;
    let read = async move {
        let mut output = Vec::new();
        loop {
            match reader.next().await? {
                CommandEvent::Output(bytes) => {
                    let room = MOST_BYTES.saturating_sub(output.len());
                    output.extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
                CommandEvent::Error(_) => {}
                CommandEvent::Exited(exit) => return Ok::<_, ContractError>((exit, output)),
            }
        }
    };
    if let Ok(result) = tokio::time::timeout(time, read).await {
        result
    } else {
        control.signal(CommandSignal::Kill).await?;
        Err(other(TooSlow { seconds: time.as_secs() }))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("git inside the sandbox did not end within {seconds} s")]
struct TooSlow {
    seconds: u64,
}

/// Variables that keep git inside from asking, paging, locking and running hooks of ours.
pub(crate) fn quiet_git() -> BTreeMap<String, String> {
    [
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_PAGER", "cat"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("LC_ALL", "C.UTF-8"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn parse(output: &[u8]) -> Option<TreeFacts> {
    let marker = b"\nstatus\n";
    let at = output.windows(marker.len()).position(|window| window == marker)?;
    let lines = std::str::from_utf8(&output[..at]).ok()?;
    let mut head = None;
    let mut branch = None;
    let mut base_kept = false;
    for line in lines.lines() {
        match line.split_once(' ')? {
            ("head", id) => head = CommitId::parse(id.trim()).ok(),
            ("branch", name) if !name.trim().is_empty() => branch = Some(name.trim().to_owned()),
            ("base", word) => base_kept = word == "kept",
            _ => {}
        }
    }
    let dirty = parse_status(&output[at + marker.len()..]);
    Some(TreeFacts { head: head?, branch, base_kept, dirty })
}

/// Paths of `git status --porcelain=v1 -z`: `XY path`, and for renames the old path after it.
fn parse_status(status: &[u8]) -> Vec<String> {
    let mut paths = Vec::new();
    let mut fields = status.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    while let Some(field) = fields.next() {
        if field.len() < 4 || field[2] != b' ' {
            continue;
        }
        paths.push(String::from_utf8_lossy(&field[3..]).into_owned());
        if matches!(field[0], b'R' | b'C')
            && let Some(old) = fields.next()
        {
            paths.push(String::from_utf8_lossy(old).into_owned());
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_git_inside_is_read_and_garbage_is_not() {
        let id = "a".repeat(40);
        let text =
            format!("head {id}\nbranch main\nbase kept\nstatus\n M a b.txt\0R  new\0old\0?? x\n\0");
        let facts = parse(text.as_bytes()).unwrap();
        assert_eq!(facts.dirty, ["a b.txt", "new", "old", "x\n"]);
        assert_eq!((facts.branch.as_deref(), facts.base_kept), (Some("main"), true));
        assert_eq!(parse(b"head nonsense\nbranch \nbase kept\nstatus\n"), None);
        assert_eq!(parse(b"fatal: not a git repository"), None);
    }

    #[test]
    fn another_branch_and_a_rewritten_history_are_faults() {
        let id = CommitId::parse(&"a".repeat(40)).unwrap();
        let start = StartPoint {
            base: id.clone(),
            head: id.clone(),
            branch: Some("main".to_owned()),
            uncommitted: 0,
        };
        let facts = TreeFacts { head: id, branch: None, base_kept: false, dirty: vec![] };
        assert_eq!(
            facts.faults(&start, false),
            [
                Fault::BranchChanged { expected: "main".into(), found: "(no branch)".into() },
                Fault::HistoryRewritten
            ]
        );
        assert_eq!(facts.faults(&start, true).len(), 1);
    }
}
