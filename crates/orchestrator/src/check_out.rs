//! A commit brought into a fresh sandbox: what the commit holds, and nothing else.

use std::time::Duration;

use quire_agent::ContractError;
use quire_domain::ids::CommitId;
use quire_domain::sandbox::{Command, CommandEvent, CommandIo, Sandbox};
use quire_git::{Git, ResultStore};

use crate::finish::other;

/// How long it may take.
const TIME: Duration = Duration::from_mins(5);

/// What is written at once.
const PIECE: usize = 256 << 10;

/// How a commit is to stand in the working tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// Checked out.
    At,
    /// Its parent is checked out, and what it adds is uncommitted.
    OnTopOfParent,
}

/// Checks out `head` in a sandbox whose working tree stands at `base`.
pub async fn check_out(
    git: &Git,
    store: &ResultStore,
    sandbox: &dyn Sandbox,
    base: &CommitId,
    head: &CommitId,
    stand: Stand,
) -> Result<(), ContractError> {
    let pack = if head == base {
        Vec::new()
    } else {
        git.pack(store.repository(), base, head).await.map_err(other)?
    };
    let script = "if [ \"$2\" != same ]; then
            git index-pack --stdin --fix-thin >/dev/null || exit
        fi
        git -c core.hooksPath=/dev/null reset -q --hard \"$1\" || exit
        if [ \"$3\" = parent ]; then git reset -q --mixed \"$1^\"; fi";
    let word = if head == base { "same" } else { "pack" };
    let below = if stand == Stand::OnTopOfParent { "parent" } else { "at" };
    let command = Command {
        argv: ["bash", "-c", script, "check-out", head.as_str(), word, below]
            .map(str::to_owned)
            .to_vec(),
        env: crate::finish::quiet_git(),
        workdir: None,
        io: CommandIo::InputOutput,
    };
    let started = sandbox.start(command).await?;
    let control = started.control;
    let mut output = started.output;
    let feed = async {
        for piece in pack.chunks(PIECE) {
            control.write(piece, TIME).await?;
        }
        Ok::<_, ContractError>(control.close_input().await?)
    };
    let wait = async {
        let mut said = Vec::new();
        loop {
            match output.next().await? {
                CommandEvent::Output(bytes) | CommandEvent::Error(bytes) => {
                    said.extend_from_slice(&bytes[..bytes.len().min(512)]);
                    said.truncate(4096);
                }
                CommandEvent::Exited(exit) if exit.success() => return Ok(()),
                CommandEvent::Exited(_) => {
                    let said = String::from_utf8_lossy(&said).trim().to_owned();
                    let text = format!("the commit could not be checked out: {said}");
                    return Err(ContractError::Other(text));
                }
            }
        }
    };
    let both = async {
        let (fed, ended) = tokio::join!(feed, wait);
        // Where git inside stopped reading, its own words say more than the broken pipe.
        ended.and(fed)
    };
    tokio::time::timeout(TIME, both)
        .await
        .map_err(|_| ContractError::Other("checking the commit out took too long".to_owned()))?
}

/// Removes the locks that git inside left when it was killed. Nothing may run.
pub async fn unlock(sandbox: &dyn Sandbox) -> Result<(), ContractError> {
    let script = "dir=$(git rev-parse --git-dir) && find \"$dir\" -maxdepth 5 -name '*.lock' -type f -delete";
    let command = Command {
        argv: ["bash", "-c", script].map(str::to_owned).to_vec(),
        env: crate::finish::quiet_git(),
        workdir: None,
        io: CommandIo::Output,
    };
    let mut output = sandbox.start(command).await?.output;
    let wait = async {
        // Where it fails the agent meets the lock, and git tells it what to do.
        while !matches!(output.next().await?, CommandEvent::Exited(_)) {}
        Ok(())
    };
    tokio::time::timeout(TIME, wait).await.unwrap_or(Ok(()))
}
