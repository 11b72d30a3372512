//! What is done to a working tree after setup, so that its layer can lie beneath any commit.
//!
//! The layer lies below the checkout's, so what a commit says always wins. But a tracked file that
//! setup wrote would come back in a commit that removed it, and an untracked one that git does not
//! ignore would look like the agent's work: both are taken out. Of `.git` only hooks are kept.
//!
//! It runs inside, as setup did: what setup left there is not to be trusted outside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use quire_domain::sandbox::{
    Changes, Command, CommandEvent, CommandIo, CommandSignal, Sandbox, SandboxError, UpperUse,
};

/// Paths of the working tree that are looked at; beyond, all tracked files are taken out.
const LOOKED_AT: usize = 200_000;

/// How long it may take: it may remove many files.
const TIME: Duration = Duration::from_mins(10);

/// What is read of its output, in bytes.
const OUTPUT: usize = 64 << 10;

/// Entries of the top that are looked into one by one.
const PLACES: usize = 64;

/// Paths that are named in a note.
const NAMED: usize = 8;

/// `$1` is the working tree, `$2` the commit, `$3` whether all tracked files are taken out, the
/// others where new files may be. Its input are the tracked files that were written, each with a
/// NUL.
const SCRIPT: &str = r#"
set -eu
[ "$(sh -c 'echo well' 2>/dev/null)" = well ] || { echo 'lost sh'; exit 1; }
case "$(git --version 2>/dev/null)" in git\ version*) ;; *) echo 'lost git'; exit 1 ;; esac
cd "$1"
git rev-parse -q --verify "$2^{commit}" >/dev/null 2>&1 || { echo 'lost tree'; exit 1; }
written=/tmp/.quire-written
cat > "$written"
printf 'hooks %s\n' "$(git config --local --get core.hooksPath || true)"
if [ "$3" = all ] || [ -s "$written" ]; then
    git checkout -q -f "$2" -- .
fi
if [ "$#" -gt 3 ]; then
    commit=$2 all=$3
    shift 3
    git ls-files -o --exclude-standard --directory --no-empty-directory -- "$@" | head -n 200 \
        | sed 's/^/removed /'
    git clean -q -ffd -- "$@"
    set -- . "$commit" "$all"
fi
if [ "$3" = all ]; then
    git ls-files -z | xargs -0r rm -f --
fi
xargs -0r rm -f -- < "$written"
rm -f "$written"
find .git -mindepth 1 -maxdepth 1 ! -name hooks -exec rm -rf {} +
echo done
"#;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cleaned {
    /// `core.hooksPath`, where it names a directory of the working tree: relative to it.
    pub hooks_path: Option<String>,
    /// What was taken out, for people.
    pub notes: Vec<String>,
    /// How much the upper held before.
    pub used: UpperUse,
}

/// Why a working tree could not be cleaned.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Git does not find its way any more.
    #[error("what it left is no working tree any more: {0}")]
    NotATree(String),
    /// What every later command needs cannot be run any more.
    #[error(
        "there is no `{0}` after it that works, and nothing can be run without: keep the one of the \
         base, or install one"
    )]
    NoTool(&'static str),
}

/// Cleans the working tree at `workspace`, the overlay named `overlay`. `tracked` are the files of
/// `commit`, sorted. No process of setup's may be alive.
pub async fn clean(
    sandbox: &dyn Sandbox,
    overlay: &str,
    workspace: &Path,
    commit: &str,
    tracked: &[String],
) -> Result<Cleaned, CleanError> {
    let changes = sandbox.changes(overlay, None, LOOKED_AT).await?;
    let written: Vec<&String> =
        changes.paths.iter().filter(|path| tracked.binary_search(path).is_ok()).collect();
    let all = if changes.more { "all" } else { "written" };
    let mut input = Vec::new();
    for path in &written {
        input.extend_from_slice(path.as_bytes());
        input.push(0);
    }
    let script = ["bash", "-c", SCRIPT, "clean"].map(str::to_owned);
    let arguments = [workspace.display().to_string(), commit.to_owned(), all.to_owned()];
    let mut env = quiet_git();
    env.insert("GIT_LITERAL_PATHSPECS".to_owned(), "1".to_owned());
    let command = Command {
        argv: script.into_iter().chain(arguments).chain(places(&changes, tracked)).collect(),
        env,
        workdir: Some("/".into()),
        io: CommandIo::InputOutput,
    };
    let text = said(sandbox, command, &input).await?;
    let mut cleaned = Cleaned { used: changes.used, ..Cleaned::default() };
    if !written.is_empty() {
        let names = named(written.iter().map(|path| path.as_str()));
        cleaned.notes.push(format!("tracked files that it changed were put back: {names}"));
    }
    let removed: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("removed ")).collect();
    if !removed.is_empty() {
        let names = named(removed.iter().copied());
        cleaned.notes.push(format!(
            "new files that git does not ignore were removed: {names}; ignore them to keep them"
        ));
    }
    let hooks = text.lines().find_map(|line| line.strip_prefix("hooks ")).unwrap_or_default();
    cleaned.hooks_path = inside(hooks, workspace);
    if !hooks.is_empty() && cleaned.hooks_path.is_none() {
        let hooks = hooks.replace(char::is_control, "?");
        cleaned.notes.push(format!(
            "its `core.hooksPath` ({hooks}) is not in the working tree: these hooks do not run"
        ));
    }
    Ok(cleaned)
}

/// Where in the working tree files may be that no commit knows: entries of its top, so that git
/// need not look through a large tree of which nothing was written.
fn places(changes: &Changes, tracked: &[String]) -> Vec<String> {
    let new = changes.paths.iter().filter(|path| tracked.binary_search(path).is_err());
    let mut tops: BTreeSet<&str> = BTreeSet::new();
    for path in new {
        let top = path.split('/').next().unwrap_or(path);
        if top != ".git" {
            tops.insert(top);
        }
    }
    // A name that is no text is not known here.
    let unclear = tops.iter().any(|top| top.contains(char::REPLACEMENT_CHARACTER));
    if changes.more || unclear || tops.len() > PLACES {
        return vec![".".to_owned()];
    }
    tops.into_iter().map(str::to_owned).collect()
}

/// Variables by which git asks nobody, and takes the tree of another user for its own: setup runs
/// as root of the sandbox.
pub fn quiet_git() -> BTreeMap<String, String> {
    [
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", "*"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

async fn said(sandbox: &dyn Sandbox, command: Command, input: &[u8]) -> Result<String, CleanError> {
    let mut started = match sandbox.start(command).await {
        Err(SandboxError::Spawn { .. }) => return Err(CleanError::NoTool("bash")),
        started => started?,
    };
    let mut said = Vec::new();
    let control = started.control.clone();
    let write = async {
        // Where it ends early its words tell why.
        let _ = control.write(input, TIME).await;
        let _ = control.close_input().await;
    };
    let read = async {
        loop {
            match started.output.next().await? {
                CommandEvent::Output(bytes) | CommandEvent::Error(bytes) => {
                    let room = OUTPUT.saturating_sub(said.len());
                    said.extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
                CommandEvent::Exited(exit) => return Ok::<_, SandboxError>(exit),
            }
        }
    };
    let both = async { tokio::join!(write, read).1 };
    let Ok(exit) = tokio::time::timeout(TIME, both).await else {
        let _ = started.control.signal(CommandSignal::Kill).await;
        return Err(SandboxError::Timeout(TIME).into());
    };
    let exit = exit?;
    let text = String::from_utf8_lossy(&said).into_owned();
    let mut lines = text.lines();
    if exit.success() && lines.any(|line| line == "done") {
        return Ok(text);
    }
    Err(match text.lines().last() {
        // A `bash` that is another program: not even the first line of the script was run.
        None => CleanError::NoTool("bash"),
        Some("lost sh") => CleanError::NoTool("sh"),
        Some("lost git") => CleanError::NoTool("git"),
        Some("lost tree") => {
            let why = "its `.git` is gone or another one; leave it as it is".to_owned();
            CleanError::NotATree(why)
        }
        Some(last) => CleanError::NotATree(last.to_owned()),
    })
}

fn named<'a>(paths: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = paths.len().saturating_sub(NAMED);
    let shown: Vec<&str> = paths.take(NAMED).collect();
    let shown = shown.join(", ").replace(char::is_control, "?");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// A path in the working tree, relative to it; `None` for any other. It goes into a configuration
/// file, so it is plain.
fn inside(path: &str, workspace: &Path) -> Option<String> {
    let path = Path::new(path).strip_prefix(workspace).ok().and_then(Path::to_str).unwrap_or(path);
    let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let is_plain = !path.is_empty()
        && path.len() < 200
        && !path.starts_with('/')
        && path.bytes().all(plain)
        && path.split('/').all(|part| part != ".." && part != ".git");
    is_plain.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::inside;

    #[test]
    fn a_hooks_path_counts_where_it_is_in_the_working_tree() {
        let tree = Path::new("/workspace/web");
        assert_eq!(inside(".husky/_", tree).as_deref(), Some(".husky/_"));
        assert_eq!(inside("/workspace/web/.githooks/", tree).as_deref(), Some(".githooks"));
        for other in ["", "/etc/hooks", "../x", "a\"b", ".git/hooks", "/workspace/web"] {
            assert_eq!(inside(other, tree), None, "{other}");
        }
    }
}
