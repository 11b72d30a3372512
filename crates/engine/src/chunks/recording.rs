//! Recording one chunk: its first part, and above the cap a ring of later parts.
//!
//! Half of the cap is for the start. What comes then goes to parts of a sixteenth of the cap, of
//! which the newest eight are kept: so at least seven sixteenths of the cap are the newest end.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use quire_domain::ids::ChunkId;
use quire_domain::journal::{ChunkSize, ChunkSummary};
use ring::digest::Context;

use super::part::{PartWriter, Place, index_again, index_path};
use super::reading::Reading;
use crate::{digest, disk};

/// How many later parts are kept.
const LATER_PARTS: usize = 8;

/// The smallest cap that can be divided so.
const MIN_CAP: u64 = 16;

/// A chunk that is being written. Blocking.
pub(super) struct Recording {
    id: ChunkId,
    /// The first part's file; later parts lie in a directory beside it.
    path: PathBuf,
    cap: u64,
    part: PartWriter,
    /// The first part, once it is full, and the digest of all before the later parts.
    first: Option<(PartWriter, Context)>,
    /// The later parts that are full, oldest first.
    full: VecDeque<PartWriter>,
    size: ChunkSize,
    ends_in_newline: bool,
    /// Of everything so far; given up when a part is dropped.
    digest: Option<Context>,
}

impl Recording {
    /// Begins a chunk at `path`, which must not be there.
    pub(super) fn create(id: ChunkId, path: PathBuf, cap: u64) -> io::Result<Self> {
        let part = PartWriter::create(path.clone(), Place::START)?;
        Ok(Self {
            id,
            path,
            cap: cap.max(MIN_CAP),
            part,
            first: None,
            full: VecDeque::new(),
            size: ChunkSize::default(),
            ends_in_newline: true,
            digest: Some(digest::start()),
        })
    }

    pub(super) fn size(&self) -> ChunkSize {
        self.size
    }

    /// Adds bytes; in the file, not synced, when it returns.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.part.len >= self.room() {
                self.next_part()?;
            }
            let room = usize::try_from(self.room() - self.part.len).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(rest.len().min(room));
            self.part.write(now)?;
            if let Some(context) = &mut self.digest {
                context.update(now);
            }
            self.ends_in_newline = now.ends_with(b"\n");
            self.size.bytes += now.len() as u64;
            self.size.lines = self.part.newlines + u64::from(!self.ends_in_newline);
            rest = later;
        }
        Ok(())
    }

    /// How much the current part takes.
    fn room(&self) -> u64 {
        if self.first.is_none() { self.cap / 2 } else { self.cap / 16 }
    }

    fn next_part(&mut self) -> io::Result<()> {
        let later = later_parts(&self.path);
        if self.first.is_none() {
            fs::create_dir(&later)?;
        }
        let place = Place {
            offset: self.size.bytes,
            newlines: self.part.newlines,
            at_line_start: self.ends_in_newline,
        };
        if self.full.len() + 1 >= LATER_PARTS {
            self.drop_oldest()?;
        }
        let next = PartWriter::create(later.join(place.file_name()), place)?;
        let before = std::mem::replace(&mut self.part, next);
        match &self.digest {
            Some(context) if self.first.is_none() => self.first = Some((before, context.clone())),
            _ => self.full.push_back(before),
        }
        Ok(())
    }

    fn drop_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.full.pop_front() else { return Ok(()) };
        // The digest is then that of the first part and, read again at the end, of what will be
        // the end: no need to hash all that is between.
        self.digest = None;
        fs::remove_file(&oldest.path)?;
        remove_if_there(&index_path(&oldest.path))
    }

    /// Ends the chunk: synced, and from now on read-only, which is how a finished one is known.
    pub(super) fn finish(self) -> io::Result<ChunkSummary> {
        let first = self.first.as_ref().map_or(&self.part, |(first, _)| first);
        if self.first.is_some() {
            for part in self.full.iter().chain([&self.part]) {
                part.file.sync_data()?;
            }
            disk::sync_directory(&later_parts(&self.path))?;
        }
        seal(&first.file)?;
        let (sha256, not_kept) = match (self.digest, self.first) {
            (None, Some((_, start))) => Reading::new(self.path).end_digest(start)?,
            (digest, _) => (digest::finish(digest.unwrap_or_else(digest::start).finish()), None),
        };
        Ok(ChunkSummary { id: self.id, size: self.size, sha256, not_kept })
    }
}

/// Makes the first part read-only and durable. Its directory is not synced too: ext4, XFS and btrfs
/// carry a new file's name with its own sync, and this stands between a command and the next
/// request to the model.
fn seal(first: &fs::File) -> io::Result<()> {
    first.set_permissions(fs::Permissions::from_mode(0o400))?;
    first.sync_all()
}

/// Finishes a chunk whose writer is gone: the index is made anew, as a crash of the machine may
/// have left anything in it.
pub(super) fn finish_interrupted(id: &ChunkId, path: &Path) -> io::Result<ChunkSummary> {
    let reading = Reading::new(path.to_owned());
    if !reading.finished()? {
        for (file, place) in reading.files()? {
            remove_if_there(&index_path(&file))?;
            index_again(&file, place)?;
        }
        seal(&fs::File::open(path)?)?;
    }
    reading.summary(id)
}

/// The directory of the parts behind the first.
pub(super) fn later_parts(first: &Path) -> PathBuf {
    let mut path = first.as_os_str().to_owned();
    path.push(".end");
    path.into()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
