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
    Command, CommandEvent, CommandIo, CommandSignal, Sandbox, SandboxError, SandboxUser, Upper,
};
use quire_domain::task::StartPoint;

use super::AttemptFinish;

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
const GIT_TIME: Duration = Duration::from_mins(1);

/// The most that is read of an answer.
const MOST_BYTES: usize = 8 << 20;

/// Paths a fault names.
const MOST_PATHS: usize = 50;

impl TreeFacts {
    /// What is not as it should be.
    pub fn faults(&self, start: &StartPoint, allow_rewrite: bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        let (nested, dirty): (Vec<&String>, Vec<_>) =
            self.dirty.iter().partition(|path| is_repository(path));
        let first = |paths: Vec<&String>| paths.into_iter().take(MOST_PATHS).cloned().collect();
        if !dirty.is_empty() {
            faults.push(Fault::Dirty { paths: first(dirty) });
        }
        if !nested.is_empty() {
            faults.push(Fault::NestedRepository { paths: first(nested) });
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

/// Whether an untracked path is a repository of its own: of all others git names the files.
fn is_repository(path: &str) -> bool {
    path.ends_with('/')
}

/// Adds the files of repositories inside the working tree, as if they had none of their own: git
/// would take a link to each, or stop at one without a commit.
const ADD_NESTED: &str = r#"
git ls-files -z -o --exclude-standard | grep -z '/$' | while IFS= read -r -d '' dir; do
    (unset GIT_DIR GIT_WORK_TREE; git -C "./$dir" ls-files -z -c -o --exclude-standard) |
        while IFS= read -r -d '' file; do
            case $file in */) ;; *) printf '%s%s\0' "$dir" "$file" ;; esac
        done | git update-index --add --remove -z --stdin
done
"#;

/// Takes the marks off files by which git was told not to look at them. One that is not there stays
/// marked: a sparse checkout has such.
const UNCOVER: &str = r#"
{
    git ls-files -v -z | LC_ALL=C grep -z '^[a-z] ' | cut -z -c3- |
        git update-index -z --no-assume-unchanged --stdin
    git ls-files -v -z | LC_ALL=C grep -z '^S ' | while IFS= read -r -d '' file; do
        file=${file#S }
        if [ -e "$file" ] || [ -L "$file" ]; then printf '%s\0' "$file"; fi
    done | git update-index -z --no-skip-worktree --stdin
} 2>/dev/null
"#;

/// Settings over those of the repository inside, which the agent may have written: none of them
/// starts a program of its, or keeps git from looking.
const SETTINGS: [(&str, &str); 7] = [
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.untrackedCache", "false"),
    ("core.ignoreStat", "false"),
    ("core.checkStat", "default"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
];

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
    ///
    /// The words of git where it has no answer: there is no repository any more, or another one.
    pub(crate) async fn tree_facts(&self) -> Result<Result<TreeFacts, String>, ContractError> {
        let sandbox = self.sandbox.sandbox().await?;
        let mut facts = match self.ask(sandbox.as_ref()).await? {
            Ok(facts) => facts,
            Err(why) => return Ok(Err(why)),
        };
        if !facts.dirty.is_empty() {
            let before = self.dirty_at_the_start().await?;
            facts.dirty.retain(|path| !before.contains(path));
        }
        Ok(Ok(facts))
    }

    async fn ask(&self, sandbox: &dyn Sandbox) -> Result<Result<TreeFacts, String>, ContractError> {
        let script = format!("{UNCOVER}{QUESTIONS}");
        let argv = ["bash", "-c", &script, "ask", self.base().as_str()].map(str::to_owned).to_vec();
        let Some(ended) = run_inside(sandbox, argv, BTreeMap::new(), GIT_TIME).await? else {
            let seconds = GIT_TIME.as_secs();
            return Ok(Err(format!("`git status` does not end within {seconds} s")));
        };
        Ok(parse(&ended.output).ok_or_else(|| {
            let said = ended.said.lines().next().unwrap_or("it has no commit").trim();
            format!("`git status` does not answer ({said})")
        }))
    }

    /// What git calls modified in a fresh copy: line-ending rules and filters can do that.
    async fn dirty_at_the_start(&self) -> Result<BTreeSet<String>, ContractError> {
        let name = format!("{}-start", self.name);
        let spec = self.layout.spec(name, Upper::Memory, SandboxUser::Agent);
        let fresh = self.worker.sandboxes.create(spec).await?;
        let facts = self.ask(fresh.as_ref()).await;
        fresh.end().await?;
        Ok(facts?.map(|facts| facts.dirty.into_iter().collect()).unwrap_or_default())
    }

    /// Commits what was left uncommitted, by the system and without the repository's hooks. A file
    /// that git cannot take (nobody may read it, or its name is one that git refuses) keeps none
    /// of the others out. Gives the commit: the head as it was where there is nothing to be taken,
    /// `None` if git would not.
    pub(crate) async fn commit_the_rest(&self) -> Result<Option<CommitId>, ContractError> {
        let sandbox = self.sandbox.sandbox().await?;
        // Nothing of the attempt runs any more, so that a lock is one that was left behind. `git
        // add` ends with 1 after files that it could not take, and with more if it took none.
        let script = r#"
rm -f "$(git rev-parse --git-dir)/index.lock"
eval "$1"
git add -A --ignore-errors
[ $? -le 1 ] || exit 1
git diff --cached --quiet --ignore-submodules=dirty ||
git -c user.name=Quire -c user.email=quire@localhost -c commit.gpgsign=false \
  -c core.hooksPath=/dev/null commit -q --no-verify -m 'Work that was not committed' \
  -m 'Made by Quire of what the agent left in the working tree.' || exit 1
git rev-parse --verify -q 'HEAD^{commit}'
"#;
        let argv = ["bash", "-c", script, "commit", ADD_NESTED].map(str::to_owned).to_vec();
        let ended = run_inside(sandbox.as_ref(), argv, BTreeMap::new(), GIT_TIME).await?;
        Ok(ended.and_then(|ended| last_commit(&ended.output)))
    }

    /// Commits the working tree as it stands, on top of the base, in a repository of the system's
    /// own inside: for when the attempt's own cannot be used. Gives the commit.
    pub(crate) async fn salvage(&self) -> Result<Option<CommitId>, ContractError> {
        let sandbox = self.sandbox.sandbox().await?;
        let script = r#"
rm -rf "$GIT_DIR" && env -u GIT_WORK_TREE git init -q --bare "$GIT_DIR" && git config core.bare false &&
printf '%s\n' "${@:3}" > "$GIT_DIR/objects/info/alternates" &&
git update-ref --no-deref HEAD "$1" && { eval "$2"; true; } &&
{ git add -A --ignore-errors || [ "$(git status --porcelain=v1 | grep -c '^[AMDR]')" != 0 ]; } &&
git -c user.name=Quire -c user.email=quire@localhost -c commit.gpgsign=false \
  commit -q --no-verify -m 'Work as it stood in the working tree' \
  -m "Made by Quire, as the attempt's own commits could not be taken out."
git rev-parse --verify -q 'HEAD^{commit}'
"#;
        let base = self.base().as_str();
        let shown = self.layout.repository.shown();
        let argv = ["bash", "-c", script, "salvage", base, ADD_NESTED].into_iter();
        let argv = argv.chain(shown.iter().map(|(_, inside)| *inside)).map(str::to_owned).collect();
        let ended = run_inside(sandbox.as_ref(), argv, self.salvage_git(), GIT_TIME).await?;
        let commit = ended.and_then(|ended| last_commit(&ended.output));
        Ok(commit.filter(|commit| commit != self.base()))
    }

    /// Variables that lead git inside to the repository of [`Self::salvage`].
    pub(crate) fn salvage_git(&self) -> BTreeMap<String, String> {
        let tree = self.workspace.display().to_string();
        [("GIT_DIR", "/tmp/.quire-salvage".to_owned()), ("GIT_WORK_TREE", tree)]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }
}

fn last_commit(output: &[u8]) -> Option<CommitId> {
    let text = String::from_utf8_lossy(output);
    text.lines().last().and_then(|line| CommitId::parse(line.trim()).ok())
}

/// What a program of ours did inside.
pub(crate) struct Ended {
    /// What it printed.
    pub(crate) output: Vec<u8>,
    /// What it complained of, the first 4 KiB.
    pub(crate) said: String,
}

/// Runs a program of ours inside, its output read up to a bound; `None` if it had to be killed
/// when time was up.
pub(crate) async fn run_inside(
    sandbox: &dyn Sandbox,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    time: Duration,
) -> Result<Option<Ended>, ContractError> {
    let env = quiet_git().into_iter().chain(settings()).chain(env).collect();
    let command = Command { argv, env, workdir: None, io: CommandIo::Separate };
    let started = match sandbox.start(command.clone()).await {
        // What the attempt left running had taken all there is. It is gone now, the files are not.
        Err(SandboxError::LimitExceeded { .. }) => sandbox.start(command).await?,
        started => started?,
    };
    let control = Arc::clone(&started.control);
    let mut reader = started.output;
    let read = async move {
        let (mut output, mut said) = (Vec::new(), Vec::new());
        let keep = |all: &mut Vec<u8>, bytes: &[u8], most: usize| {
            let room = most.saturating_sub(all.len());
            all.extend_from_slice(&bytes[..bytes.len().min(room)]);
        };
        loop {
            match reader.next().await? {
                CommandEvent::Output(bytes) => keep(&mut output, &bytes, MOST_BYTES),
                CommandEvent::Error(bytes) => keep(&mut said, &bytes, 4096),
                CommandEvent::Exited(_) => {
                    let said = String::from_utf8_lossy(&said).into_owned();
                    return Ok::<_, ContractError>(Ended { output, said });
                }
            }
        }
    };
    if let Ok(result) = tokio::time::timeout(time, read).await {
        result.map(Some)
    } else {
        control.signal(CommandSignal::Kill).await?;
        Ok(None)
    }
}

/// Variables that keep git inside from asking, paging, locking and running hooks of ours.
pub(crate) fn quiet_git() -> BTreeMap<String, String> {
    [
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_PAGER", "cat"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("LC_ALL", "C.UTF-8"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// [`SETTINGS`] as variables, which go before every file of settings.
fn settings() -> impl Iterator<Item = (String, String)> {
    let each = SETTINGS.iter().enumerate().flat_map(|(at, (name, value))| {
        [
            (format!("GIT_CONFIG_KEY_{at}"), (*name).to_owned()),
            (format!("GIT_CONFIG_VALUE_{at}"), (*value).to_owned()),
        ]
    });
    each.chain([("GIT_CONFIG_COUNT".to_owned(), SETTINGS.len().to_string())])
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
