//! A part of a chunk: a run of bytes in one file, with the count of lines at every 64 KiB beside it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Every so many bytes the number of newlines before them is written down, eight bytes each, in a
/// file beside the part. The index is a cache: what it lacks is counted.
pub(super) const STRIDE: u64 = 64 * 1024;

/// How much is read at once: as much as lies between two marks.
const BUFFER: usize = 64 * 1024;

/// Where a part lies in the output of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes before it.
    pub(super) offset: u64,
    /// Newlines before it.
    pub(super) newlines: u64,
    /// Whether the byte before it is a newline, or it is the first.
    pub(super) at_line_start: bool,
}

impl Place {
    pub(super) const START: Self = Self { offset: 0, newlines: 0, at_line_start: true };

    /// The name of a later part: all that must be known of it, so that a crash leaves no part that
    /// is not described.
    pub(super) fn file_name(self) -> String {
        let cut = if self.at_line_start { "line" } else { "cut" };
        format!("{}-{}-{cut}", self.offset, self.newlines)
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        let (offset, rest) = name.split_once('-')?;
        let (newlines, cut) = rest.split_once('-')?;
        let at_line_start = match cut {
            "line" => true,
            "cut" => false,
            _ => return None,
        };
        Some(Self { offset: offset.parse().ok()?, newlines: newlines.parse().ok()?, at_line_start })
    }
}

/// A part that is being written.
#[derive(Debug)]
pub(super) struct PartWriter {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// Bytes in it.
    pub(super) len: u64,
    /// Newlines up to its end, those before it included.
    pub(super) newlines: u64,
    /// Made when it is first needed: most chunks never have one.
    index: Option<File>,
}

impl PartWriter {
    /// Makes the file, which must not be there.
    pub(super) fn create(path: PathBuf, place: Place) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, file, len: 0, newlines: place.newlines, index: None })
    }

    /// Adds bytes; in the file, not synced, when it returns.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            // What was written in part is not counted, so it must not be there.
            self.file.set_len(self.len)?;
            return Err(error);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let to_mark = STRIDE - self.len % STRIDE;
            let take = rest.len().min(usize::try_from(to_mark).unwrap_or(usize::MAX));
            let (now, later) = rest.split_at(take);
            self.newlines += newlines_in(now);
            self.len += now.len() as u64;
            if self.len.is_multiple_of(STRIDE) {
                self.mark()?;
            }
            rest = later;
        }
        Ok(())
    }

    fn mark(&mut self) -> io::Result<()> {
        let index = match &mut self.index {
            Some(index) => index,
            none => none.insert(create_index(&self.path)?),
        };
        index.write_all(&self.newlines.to_le_bytes())
    }
}

/// A part to read, as long as it is by now.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) place: Place,
    pub(super) len: u64,
    file: File,
    index: Option<File>,
    /// How many entries of the index hold.
    marks: u64,
}

impl Part {
    pub(super) fn open(path: &Path, place: Place) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let index = match File::open(index_path(path)) {
            Ok(index) => Some(index),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let marks = match &index {
            Some(index) => (index.metadata()?.len() / 8).min(len / STRIDE),
            None => 0,
        };
        Ok(Self { place, len, file, index, marks })
    }

    /// Where it ends in the output.
    pub(super) fn end(&self) -> u64 {
        self.place.offset + self.len
    }

    /// Newlines up to its end, those before it included.
    pub(super) fn newlines(&self) -> io::Result<u64> {
        let mut count = self.marked(self.marks)?;
        self.scan(self.marks * STRIDE, |bytes| {
            count += newlines_in(bytes);
            None::<()>
        })?;
        Ok(count)
    }

    /// The offset in the output behind newline number `n` (from 1), if it is in this part.
    pub(super) fn behind_newline(&self, n: u64) -> io::Result<Option<u64>> {
        if n <= self.place.newlines {
            return Ok(None);
        }
        // The last mark with fewer newlines before it than `n`.
        let (mut low, mut high) = (0, self.marks);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if self.marked(middle)? < n { low = middle } else { high = middle - 1 }
        }
        let mut before = self.marked(low)?;
        let mut offset = self.place.offset + low * STRIDE;
        self.scan(low * STRIDE, |bytes| {
            let here = newlines_in(bytes);
            if before + here < n {
                before += here;
                offset += bytes.len() as u64;
                return None;
            }
            bytes
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte == b'\n')
                .nth(usize::try_from(n - before - 1).unwrap_or(usize::MAX))
                .map(|(at, _)| offset + at as u64 + 1)
        })
    }

    /// Appends to `out` the bytes from `from` to `to` of the output that are in this part.
    pub(super) fn read(&self, from: u64, to: u64, out: &mut Vec<u8>) -> io::Result<()> {
        let from = from.max(self.place.offset);
        let to = to.min(self.end());
        if from >= to {
            return Ok(());
        }
        let old = out.len();
        let wanted = usize::try_from(to - from).map_err(io::Error::other)?;
        out.resize(old + wanted, 0);
        let mut at = 0;
        while at < wanted {
            let offset = from - self.place.offset + at as u64;
            match self.file.read_at(&mut out[old + at..], offset)? {
                0 => break,
                read => at += read,
            }
        }
        out.truncate(old + at);
        Ok(())
    }

    /// Hands all its bytes to `each`.
    pub(super) fn for_each(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        self.scan(0, |bytes| {
            each(bytes);
            None::<()>
        })
        .map(|_| ())
    }

    /// The newlines before mark `n`; mark 0 is the beginning.
    fn marked(&self, n: u64) -> io::Result<u64> {
        match (&self.index, n.checked_sub(1)) {
            (Some(index), Some(entry)) => {
                let mut bytes = [0; 8];
                index.read_exact_at(&mut bytes, entry * 8)?;
                Ok(u64::from_le_bytes(bytes))
            }
            _ => Ok(self.place.newlines),
        }
    }

    /// Hands the bytes from `from` (in the part) on to `look`, until it finds something.
    fn scan<T>(
        &self,
        from: u64,
        mut look: impl FnMut(&[u8]) -> Option<T>,
    ) -> io::Result<Option<T>> {
        let room = usize::try_from(self.len.saturating_sub(from)).unwrap_or(BUFFER).min(BUFFER);
        let mut buffer = vec![0; room];
        let mut at = from;
        while at < self.len {
            let most = usize::try_from(self.len - at).unwrap_or(BUFFER).min(BUFFER);
            let mut read = 0;
            while read < most {
                match self.file.read_at(&mut buffer[read..most], at + read as u64)? {
                    0 => break,
                    more => read += more,
                }
            }
            if read == 0 {
                break;
            }
            if let Some(found) = look(&buffer[..read]) {
                return Ok(Some(found));
            }
            at += read as u64;
        }
        Ok(None)
    }
}

/// Where the index of a part lies.
pub(super) fn index_path(part: &Path) -> PathBuf {
    let mut path = part.as_os_str().to_owned();
    path.push(".lines");
    path.into()
}

fn create_index(part: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(index_path(part))
}

/// Writes the index of a part that has none from its bytes.
pub(super) fn index_again(path: &Path, place: Place) -> io::Result<()> {
    let part = Part::open(path, place)?;
    if part.len < STRIDE {
        return Ok(());
    }
    let mut index = io::BufWriter::new(create_index(path)?);
    let mut newlines = place.newlines;
    let mut result = Ok(());
    // The buffer is as long as the stride, so each full one ends at a mark.
    part.for_each(|bytes| {
        newlines += newlines_in(bytes);
        if bytes.len() as u64 == STRIDE && result.is_ok() {
            result = index.write_all(&newlines.to_le_bytes());
        }
    })?;
    result.and_then(|()| index.flush())
}

/// How many newlines there are. Sums of 192 fit a byte, which the compiler turns into vectors.
pub(super) fn newlines_in(bytes: &[u8]) -> u64 {
    bytes
        .chunks(192)
        .map(|some| u64::from(some.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>()))
        .sum()
}
