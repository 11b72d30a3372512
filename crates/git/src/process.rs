//! A started process: what it prints, within bounds, and how it ended.

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;

use crate::error::GitError;

/// How much of what a process complains of is kept, in bytes.
pub(crate) const COMPLAINT_LIMIT: usize = 16 * 1024;

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it printed.
    pub output: Vec<u8>,
    /// Whether there was more: it was ended at the limit.
    pub cut: bool,
    /// What it complained of, cut at 16 KiB.
    pub complaint: Vec<u8>,
}

impl Ended {
    /// The error for an end with another code than 0.
    pub(crate) fn failed(&self, doing: &'static str) -> GitError {
        // The third is git's own, where a write came back short.
        const FULL: [&str; 3] =
            ["No space left on device", "Disk quota exceeded", "write error. Out of diskspace"];
        let text = String::from_utf8_lossy(&self.complaint);
        if FULL.iter().any(|words| text.contains(words)) {
            return GitError::DiskFull { doing };
        }
        GitError::Failed { doing, message: self.first_error_line() }
    }

    /// The line that says what was wrong: the first that begins with `fatal:` or `error:`, else
    /// the first at all; at most 300 characters, control characters taken out.
    pub(crate) fn first_error_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.complaint);
        let lines = || text.lines().map(str::trim).filter(|l| !l.is_empty());
        let marked =
            lines().find_map(|l| l.strip_prefix("fatal: ").or_else(|| l.strip_prefix("error: ")));
        match (marked.or_else(|| lines().next()), self.code) {
            (Some(line), _) => line.chars().filter(|c| !c.is_control()).take(300).collect(),
            (None, Some(code)) => format!("git ended with exit code {code}"),
            (None, None) => "git was ended by a signal: out of its time or memory".to_owned(),
        }
    }
}

/// Ends the process and what it started when dropped before it was waited for.
pub(crate) struct Group(pub Child);

impl Drop for Group {
    fn drop(&mut self) {
        // `id` is `None` once it was waited for; then the group may be someone else's.
        let pid = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }
}

/// What was read from a stream.
#[derive(Default)]
pub(crate) struct Read {
    /// As they came.
    pub bytes: Vec<u8>,
    /// Whether the limit was reached with more to come.
    pub more: bool,
}

/// Reads to the end, or to `limit`: then it stops if `strict`, else the rest is read and dropped.
pub(crate) async fn read_bounded<R: AsyncRead + Unpin>(
    from: Option<R>,
    limit: usize,
    strict: bool,
) -> std::io::Result<Read> {
    let mut read = Read::default();
    let Some(mut from) = from else { return Ok(read) };
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(read);
        }
        let room = limit - read.bytes.len();
        read.bytes.extend_from_slice(&buffer[..n.min(room)]);
        if n > room {
            read.more = true;
            if strict {
                return Ok(read);
            }
        }
        if read.bytes.len() > 64 * 1024 && buffer.len() < 256 * 1024 {
            buffer.resize(256 * 1024, 0);
        }
    }
}
