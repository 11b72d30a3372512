//! Reading a chunk from its files, finished or growing. Blocking.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use quire_domain::ids::{ChunkId, Sha256};
use quire_domain::journal::{ChunkSize, ChunkSummary};
use ring::digest::Context;

use super::part::{Part, Place};
use super::recording::later_parts;
use crate::digest;

/// The lines that were not kept, first and last, from 1.
type NotKept = Option<(u64, u64)>;

/// A chunk by the path of its first part.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    path: PathBuf,
}

impl Reading {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Whether its writer ended it.
    pub(super) fn finished(&self) -> io::Result<bool> {
        Ok(fs::metadata(&self.path)?.permissions().mode() & 0o200 == 0)
    }

    /// The files of its parts, in order.
    pub(super) fn files(&self) -> io::Result<Vec<(PathBuf, Place)>> {
        let mut files = vec![(self.path.clone(), Place::START)];
        match fs::read_dir(later_parts(&self.path)) {
            Ok(entries) => {
                for entry in entries {
                    let entry = entry?;
                    if let Some(place) = entry.file_name().to_str().and_then(Place::parse) {
                        files.push((entry.path(), place));
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        files.sort_by_key(|(_, place)| place.offset);
        Ok(files)
    }

    /// Its parts, in order. One that is dropped meanwhile is left out.
    fn parts(&self) -> io::Result<Vec<Part>> {
        let mut parts = Vec::new();
        for (path, place) in self.files()? {
            match Part::open(&path, place) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && place.offset > 0 => {}
                part => parts.push(part?),
            }
        }
        Ok(parts)
    }

    pub(super) fn size(&self) -> io::Result<ChunkSize> {
        size_of(&self.parts()?)
    }

    pub(super) fn not_kept(&self) -> io::Result<NotKept> {
        gap(&self.parts()?)
    }

    pub(super) fn sha256(&self) -> io::Result<Sha256> {
        digest_of(&self.parts()?)
    }

    /// What a finished chunk was finished with.
    pub(super) fn summary(&self, id: &ChunkId) -> io::Result<ChunkSummary> {
        let parts = self.parts()?;
        Ok(ChunkSummary {
            id: id.clone(),
            size: size_of(&parts)?,
            sha256: digest_of(&parts)?,
            not_kept: gap(&parts)?,
        })
    }

    /// The digest of all that is kept, from that of the first part, and what is not kept.
    pub(super) fn end_digest(&self, mut start: Context) -> io::Result<(Sha256, NotKept)> {
        let parts = self.parts()?;
        for part in parts.iter().skip(1) {
            part.for_each(|bytes| start.update(bytes))?;
        }
        Ok((digest::finish(start.finish()), gap(&parts)?))
    }

    /// The bytes of lines `first..=last` as far as they are kept, at most `limit`.
    pub(super) fn lines(&self, first: u64, last: u64, limit: usize) -> io::Result<Vec<u8>> {
        let parts = self.parts()?;
        let mut out = Vec::new();
        match gap(&parts)? {
            None => copy_lines(&parts, first, last, limit, &mut out)?,
            Some((lost_first, lost_last)) => {
                copy_lines(&parts, first, last.min(lost_first - 1), limit, &mut out)?;
                copy_lines(&parts, first.max(lost_last + 1), last, limit, &mut out)?;
            }
        }
        Ok(out)
    }

    /// At most `limit` bytes from `offset` on, or from where the next kept byte is.
    pub(super) fn piece(&self, offset: u64, limit: usize) -> io::Result<(u64, Vec<u8>)> {
        let parts = self.parts()?;
        let mut out = Vec::new();
        let Some(start) = parts.iter().find(|part| part.end() > offset) else {
            return Ok((offset, out));
        };
        let from = offset.max(start.place.offset);
        let mut at = from;
        for part in parts.iter().filter(|part| part.end() > from) {
            if part.place.offset > at || out.len() >= limit {
                break;
            }
            part.read(at, at + (limit - out.len()) as u64, &mut out)?;
            at = from + out.len() as u64;
        }
        Ok((from, out))
    }
}

fn digest_of(parts: &[Part]) -> io::Result<Sha256> {
    let mut context = digest::start();
    for part in parts {
        part.for_each(|bytes| context.update(bytes))?;
    }
    Ok(digest::finish(context.finish()))
}

fn size_of(parts: &[Part]) -> io::Result<ChunkSize> {
    let Some(last) = parts.last() else { return Ok(ChunkSize::default()) };
    let mut end = Vec::new();
    last.read(last.end().saturating_sub(1), last.end(), &mut end)?;
    let whole = match end.last() {
        Some(byte) => *byte == b'\n',
        None => last.place.at_line_start,
    };
    Ok(ChunkSize { bytes: last.end(), lines: last.newlines()? + u64::from(!whole) })
}

/// The lines between the first part and those of the end, counting as lost a line of which any
/// byte is.
fn gap(parts: &[Part]) -> io::Result<NotKept> {
    let [first, second, ..] = parts else { return Ok(None) };
    if first.end() == second.place.offset {
        return Ok(None);
    }
    let last = second.place.newlines + u64::from(!second.place.at_line_start);
    Ok(Some((first.newlines()? + 1, last)))
}

fn copy_lines(
    parts: &[Part],
    first: u64,
    last: u64,
    limit: usize,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    if first == 0 || first > last || out.len() >= limit {
        return Ok(());
    }
    let Some(from) = behind_newline(parts, first - 1)? else { return Ok(()) };
    let end = parts.last().map_or(0, Part::end);
    let most = from.saturating_add((limit - out.len()) as u64);
    let to = match behind_newline(parts, last)? {
        Some(to) => to.min(most),
        None => end.min(most),
    };
    for part in parts {
        part.read(from, to, out)?;
    }
    Ok(())
}

/// The offset behind newline number `n`; 0 for none.
fn behind_newline(parts: &[Part], n: u64) -> io::Result<Option<u64>> {
    if n == 0 {
        return Ok(Some(0));
    }
    // The last part that has fewer newlines before it: the newline is in it, or in none.
    match parts.iter().rev().find(|part| part.place.newlines < n) {
        Some(part) => part.behind_newline(n),
        None => Ok(None),
    }
}
