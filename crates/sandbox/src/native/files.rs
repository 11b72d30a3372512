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
use crate::frames::{answer, ask};
use crate::wire::{self, u32_at};

/// Reads a regular file of at most `limit` bytes.
pub async fn read(
    guest: &Arc<Guest>,
    path: &Path,
    limit: u64,
    owner: Option<u32>,
) -> Result<Bytes, FileError> {
    let request = [path.as_os_str().as_bytes()];
    let (low, high) = ((limit & u64::from(u32::MAX)) as u32, (limit >> 32) as u32);
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
    let _ = (root, changes);
    let answered = call(guest, [ask::CHANGE, 0, 0, 0], &[b"x"], 4096, owner).await?;
    match answered.code {
        answer::DONE => Ok(()),
        _ => Err(denied(String::from_utf8_lossy(&answered.content).into_owned(), answered.errno)),
    }
}

fn denied(path: String, errno: i32) -> FileError {
    if matches!(errno, libc::ENOSPC | libc::EDQUOT | libc::EFBIG) {
        return FileError::Sandbox(SandboxError::DiskFull);
    }
    let message = io::Error::from_raw_os_error(errno).to_string();
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
