//! Files of a sandbox, read and changed by children of its guest.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use quire_domain::sandbox::{FileChange, FileError, SandboxError};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::command::read_pipe;
use super::guest::{Guest, PATIENCE, creating};
use crate::frames::{self, answer, ask};
use crate::guest::change;
use crate::wire::{self, u32_at};

/// The most content of one change of files.
const CHANGES_LIMIT: usize = 256 << 20;

/// Reads a regular file of at most `limit` bytes.
pub async fn read(
    guest: &Arc<Guest>,
    path: &Path,
    limit: u64,
    owner: Option<u32>,
) -> Result<Bytes, FileError> {
    let request = [path.as_os_str().as_bytes()];
    let (low, high) = frames::halves(limit);
    let answered = call(guest, [ask::READ, 0, low, high], &request, limit, owner).await?;
    let name = path.display().to_string();
    match answered.code {
        answer::DONE => Ok(answered.content),
        answer::NOT_FOUND => Err(FileError::NotFound(name)),
        answer::NOT_A_FILE => Err(FileError::NotAFile(name)),
        answer::TOO_LARGE => Err(FileError::TooLarge { path: name, bytes: answered.number, limit }),
        _ => Err(denied(name, answered.errno)),
    }
}

/// Changes files below `root`: all or none.
pub async fn change(
    guest: &Arc<Guest>,
    root: &Path,
    changes: &[FileChange],
    owner: Option<u32>,
) -> Result<(), FileError> {
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let root = root.as_os_str().as_bytes();
    let mut heads = vec![[&length(root.len())[..], root].concat()];
    let mut contents: Vec<&[u8]> = vec![&[]];
    for change in changes {
        let (kind, path, from, content) = match change {
            FileChange::Write { path, moved_from, content } => {
                (change::WRITE, path, moved_from.as_ref(), &content[..])
            }
            FileChange::Remove { path } => (change::REMOVE, path, None, &[][..]),
        };
        let path = path.as_str().as_bytes();
        let from = from.map_or(&[][..], |from| from.as_str().as_bytes());
        let size = (content.len() as u64).to_le_bytes();
        let (path_length, from_length) = (length(path.len()), length(from.len()));
        heads.push([&[kind], &path_length[..], path, &from_length, from, &size].concat());
        contents.push(content);
    }
    if contents.iter().map(|content| content.len()).sum::<usize>() > CHANGES_LIMIT {
        return Err(denied(String::new(), libc::E2BIG));
    }
    let parts: Vec<&[u8]> = heads
        .iter()
        .map(Vec::as_slice)
        .zip(contents)
        .flat_map(|(head, content)| [head, content])
        .collect();
    let answered = call(guest, [ask::CHANGE, 0, 0, 0], &parts, 8192, owner).await?;
    let path = String::from_utf8_lossy(&answered.content).into_owned();
    match answered.code {
        answer::DONE => Ok(()),
        answer::NOT_FOUND => Err(FileError::NotFound(path)),
        answer::NOT_A_FILE => Err(FileError::NotAFile(path)),
        _ => Err(denied(path, answered.errno)),
    }
}

/// Whether nothing runs and nothing is lost when all processes end; saves `/tmp` if so.
pub async fn may_fold(guest: &Arc<Guest>, owner: Option<u32>) -> Result<bool, SandboxError> {
    let answered = call(guest, [ask::FOLD, 0, 0, 0], &[b"-"], 0, owner).await?;
    Ok(answered.code == answer::DONE)
}

fn denied(path: String, errno: i32) -> FileError {
    if matches!(errno, libc::ENOSPC | libc::EDQUOT) {
        return FileError::Sandbox(SandboxError::HostDiskFull);
    }
    if errno == libc::EFBIG {
        return FileError::Sandbox(SandboxError::DiskFull);
    }
    let message = match errno {
        libc::EAGAIN => "as many processes run as the sandbox's limit allows".to_owned(),
        errno => io::Error::from_raw_os_error(errno).to_string(),
    };
    FileError::Denied { path, message }
}

/// What a helper answered.
struct Answered {
    code: u32,
    errno: i32,
    number: u64,
    content: Bytes,
}

/// Asks for a helper and reads its answer, at most `limit` bytes of content.
async fn call(
    guest: &Arc<Guest>,
    packet: [u32; 4],
    request: &[&[u8]],
    limit: u64,
    owner: Option<u32>,
) -> Result<Answered, SandboxError> {
    let request = wire::memory_file(request).map_err(creating("write the request"))?;
    let (from, to) = read_pipe(owner).map_err(creating("make a pipe"))?;
    guest.send(packet, &[request.as_fd(), to.as_fd()]).await?;
    drop((request, to));
    let reading = read_all(&from, limit.saturating_add(answer::HEAD as u64));
    let bytes = timeout(PATIENCE, reading).await.map_err(|_| SandboxError::Timeout(PATIENCE))?;
    if bytes.len() < answer::HEAD {
        return Err(guest.gone());
    }
    let number = u64::from(u32_at(&bytes, 8)) | u64::from(u32_at(&bytes, 12)) << 32;
    Ok(Answered {
        code: u32_at(&bytes, 0),
        errno: u32_at(&bytes, 4).cast_signed(),
        number,
        content: bytes.slice(answer::HEAD..),
    })
}

/// Reads until the end or `limit`.
async fn read_all(from: &AsyncFd<OwnedFd>, limit: u64) -> Bytes {
    let mut all = BytesMut::new();
    let mut scratch = vec![0; 64 * 1024];
    while (all.len() as u64) < limit {
        let room = scratch.len().min(usize::try_from(limit).unwrap_or(usize::MAX) - all.len());
        let read = from
            .async_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, &mut scratch[..room])?))
            .await
            .unwrap_or(0);
        if read == 0 {
            break;
        }
        all.extend_from_slice(&scratch[..read]);
    }
    all.freeze()
}
