//! One checkpoint: git inside commits and packs the working tree, git on the host checks the pack.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quire_agent::ContractError;
use quire_domain::ids::CommitId;
use quire_domain::sandbox::{
    Command, CommandControl, CommandEvent, CommandIo, CommandOutput, CommandSignal,
};
use quire_git::{GitError, ReceiveLimits, ResultStore};
use tokio::io::{AsyncWriteExt, DuplexStream};

use crate::finish::{AttemptFinish, quiet_git};
use crate::prepare::causes;

const INSIDE: &str = include_str!("inside.sh");

/// The largest file that is taken.
const FILE_BYTES: u64 = 16 << 20;

/// What is taken at once, before it is packed.
const TAKEN_BYTES: u64 = 128 << 20;

/// How many changed files are taken at once.
const FILES: u32 = 20_000;

/// The largest pack of one checkpoint.
const PACK_BYTES: u64 = 160 << 20;

/// How long one may take.
const TIME: Duration = Duration::from_secs(20);

/// The lines before the pack.
const HEADER_BYTES: usize = 128 << 10;

/// A name of a file that is told.
const NAME_CHARS: usize = 200;

/// What is held of a pack on its way.
const PIPE_BYTES: usize = 256 << 10;

/// The checkpoint before.
#[derive(Clone, Copy)]
pub(super) struct Last<'a> {
    pub(super) commit: Option<&'a CommitId>,
    /// Its tree and its parent.
    pub(super) held: Option<&'a (CommitId, CommitId)>,
}

/// What came of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nothing that would be in it changed.
    Same { left_out: Vec<String>, more: u32 },
    /// It is kept.
    New {
        commit: CommitId,
        /// Its tree and its parent.
        held: (CommitId, CommitId),
        bytes: u64,
        left_out: Vec<String>,
        more: u32,
    },
}

/// Puts the working tree away in `store`, in `room` bytes at most. The error is for the person.
pub(super) async fn take(
    finish: &AttemptFinish,
    store: &ResultStore,
    last: Last<'_>,
    room: u64,
) -> Result<Taken, String> {
    let sandbox = finish.sandbox.sandbox().await.map_err(|error| causes(&error))?;
    let base = finish.base();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let argv = vec![
        "bash".to_owned(),
        "-c".to_owned(),
        INSIDE.to_owned(),
        "checkpoint".to_owned(),
        base.to_string(),
        or_none(last.commit.map(ToString::to_string)),
        or_none(last.held.map(|(tree, parent)| format!("{tree} {parent}"))),
        FILE_BYTES.to_string(),
        TAKEN_BYTES.to_string(),
        FILES.to_string(),
    ];
    let command = Command { argv, env: quiet_git(), workdir: None, io: CommandIo::Separate };
    let started = sandbox.start(command).await.map_err(|error| causes(&error))?;
    // Given up in the midst of it, nothing goes on inside.
    let mut inside = Inside { control: Some(started.control), output: started.output };
    let receive = async {
        let (header, rest) = inside.header().await?;
        let facts = parse(&header).ok_or("git inside does not answer as it should")?;
        let Some((held, commit)) = facts.new else {
            inside.end().await?;
            return Ok(Taken::Same { left_out: facts.left_out, more: facts.more });
        };
        let limits = ReceiveLimits {
            pack_bytes: PACK_BYTES.min(room),
            objects: 200_000,
            cpu_seconds: 10,
            timeout: TIME,
            ..ReceiveLimits::default()
        };
        let (to_git, from_sandbox) = tokio::io::duplex(PIPE_BYTES);
        let git = &finish.worker.git;
        let receiving = git.receive_checkpoint(store, base, &commit, from_sandbox, &limits);
        let (pumped, received) = tokio::join!(inside.pump(rest, to_git), receiving);
        received.map_err(|error: GitError| causes(&error))?;
        let bytes = pumped?;
        Ok(Taken::New { commit, held, bytes, left_out: facts.left_out, more: facts.more })
    };
    match tokio::time::timeout(TIME, receive).await {
        Ok(taken) => taken,
        Err(_) => Err(format!("it took longer than {} s", TIME.as_secs())),
    }
}

/// The command inside; killed when it is dropped before its end.
struct Inside {
    control: Option<Arc<dyn CommandControl>>,
    output: Box<dyn CommandOutput>,
}

impl Inside {
    /// What it prints up to the empty line, and what of the rest came with it.
    async fn header(&mut self) -> Result<(Vec<u8>, Bytes), String> {
        let mut header = Vec::new();
        loop {
            let Some(bytes) = self.next().await? else {
                return Err("git inside cannot put the working tree away".to_owned());
            };
            let from = header.len().saturating_sub(1);
            header.extend_from_slice(&bytes);
            if let Some(at) = header[from..].windows(2).position(|two| two == b"\n\n") {
                let rest = Bytes::copy_from_slice(&header[from + at + 2..]);
                header.truncate(from + at + 1);
                return Ok((header, rest));
            }
            if header.len() > HEADER_BYTES {
                return Err("git inside says too much".to_owned());
            }
        }
    }

    /// The rest into `pack`; gives how much it was.
    async fn pump(&mut self, rest: Bytes, mut pack: DuplexStream) -> Result<u64, String> {
        let mut sum = rest.len() as u64;
        // The reader leaves where it refuses the pack; that is its error to tell.
        let mut gone = pack.write_all(&rest).await.is_err();
        while let Some(bytes) = self.next().await? {
            sum += bytes.len() as u64;
            gone = gone || pack.write_all(&bytes).await.is_err();
            if gone {
                return Ok(sum);
            }
        }
        let _ = pack.shutdown().await;
        Ok(sum)
    }

    async fn end(&mut self) -> Result<(), String> {
        while self.next().await?.is_some() {}
        Ok(())
    }

    /// The next piece of its output; `None` at an end without failure.
    async fn next(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            match self.output.next().await {
                Ok(CommandEvent::Output(bytes)) => return Ok(Some(bytes)),
                Ok(CommandEvent::Error(_)) => {}
                Ok(CommandEvent::Exited(exit)) => {
                    self.control = None;
                    if exit.success() {
                        return Ok(None);
                    }
                    return Err("git inside cannot put the working tree away".to_owned());
                }
                Err(error) => return Err(causes(&ContractError::from(error))),
            }
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let (Some(control), Ok(runtime)) =
            (self.control.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(async move { control.signal(CommandSignal::Kill).await });
        }
    }
}

/// What is said before the pack.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    left_out: Vec<String>,
    more: u32,
    /// Tree and parent, and the commit; `None` where nothing changed.
    new: Option<((CommitId, CommitId), CommitId)>,
}

fn parse(header: &[u8]) -> Option<Facts> {
    let text = String::from_utf8_lossy(header);
    let mut facts = Facts { left_out: Vec::new(), more: 0, new: None };
    let (mut held, mut commit, mut same) = (None, None, false);
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("left", name)) if facts.left_out.len() < 20 => {
                facts.left_out.push(name.chars().take(NAME_CHARS).collect());
            }
            Some(("more", count)) => facts.more = count.parse().ok()?,
            Some(("state", state)) => {
                let (tree, parent) = state.split_once(' ')?;
                held = Some((CommitId::parse(tree).ok()?, CommitId::parse(parent).ok()?));
            }
            Some(("commit", id)) => commit = Some(CommitId::parse(id).ok()?),
            None if line == "same" => same = true,
            _ => {}
        }
    }
    match (held, commit, same) {
        (Some(held), Some(commit), false) => facts.new = Some((held, commit)),
        (None, None, true) => {}
        _ => return None,
    }
    Some(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_inside_says_is_read_and_garbage_is_not() {
        let id = |digit: &str| CommitId::parse(&digit.repeat(40)).unwrap();
        let text = format!(
            "head {}\nleft a big one\nmore 3\nstate {} {}\ncommit {}\n",
            id("a"),
            id("b"),
            id("a"),
            id("c")
        );
        let facts = parse(text.as_bytes()).unwrap();
        assert_eq!(facts.left_out, ["a big one"]);
        assert_eq!((facts.more, facts.new), (3, Some(((id("b"), id("a")), id("c")))));
        assert_eq!(parse(b"head x\nmore 0\nsame\n").unwrap().new, None);
        assert_eq!(parse(b"more 0\n"), None);
        assert_eq!(parse(b"state a b\nmore 0\n"), None);
        assert_eq!(parse(b"\xff\xfe"), None);
    }
}
