//! Reads a tar entry by entry: ustar, GNU and POSIX extensions; every length has a bound.

use std::io::{self, Read};

use super::header::{BLOCK, Header};
use super::pax::{self, Extended};
use super::sparse;

/// The longest extended header, and the longest name in the GNU way.
const MAX_EXTENDED: u64 = 1 << 20;
const MAX_NAME: u64 = 64 << 10;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    HardLink,
    Symlink,
    Directory,
    Fifo,
    Device,
    Unknown,
}

/// One entry. Its content is read with [`Reader::content`] or left to be skipped.
#[derive(Debug)]
pub struct Entry {
    pub kind: Kind,
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub mtime: (i64, u32),
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of the file, holes included.
    pub size: u64,
    /// Where the stored bytes belong; one piece for an ordinary file.
    pub pieces: Vec<(u64, u64)>,
}

/// Reads a tar.
pub struct Reader<R> {
    stream: R,
    /// Bytes of the current entry that were not read yet, and their padding.
    left: u64,
    padding: u64,
    buffer: Vec<u8>,
}

impl<R: Read> Reader<R> {
    pub fn new(stream: R) -> Self {
        Self { stream, left: 0, padding: 0, buffer: vec![0; 128 << 10] }
    }

    /// The next entry; `None` at the end, up to which the stream is read.
    pub fn next(&mut self) -> io::Result<Option<Entry>> {
        self.skip(self.left + self.padding)?;
        (self.left, self.padding) = (0, 0);
        let mut extended = Extended::default();
        let (mut long_name, mut long_link) = (None, None);
        loop {
            let Some(header) = self.header()? else {
                self.drain()?;
                return Ok(None);
            };
            let size = header.size().ok_or_else(|| bad("a size cannot be read"))?;
            match header.kind() {
                b'x' => {
                    let text = self.text(size, MAX_EXTENDED)?;
                    extended =
                        pax::read(&text).ok_or_else(|| bad("an extended header is malformed"))?;
                }
                b'g' => drop(self.text(size, MAX_EXTENDED)?),
                b'L' => long_name = Some(self.name(size)?),
                b'K' => long_link = Some(self.name(size)?),
                _ => return self.entry(&header, extended, long_name, long_link).map(Some),
            }
        }
    }

    /// Hands the stored bytes of the current entry with their place in the file to `sink`.
    pub fn content<E: From<io::Error>>(
        &mut self,
        entry: &Entry,
        mut sink: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for (offset, length) in &entry.pieces {
            let mut done = 0;
            while done < *length {
                let most = usize::try_from(length - done).unwrap_or(usize::MAX);
                let most = most.min(self.buffer.len());
                let read = self.stream.read(&mut self.buffer[..most])?;
                if read == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                sink(offset + done, &self.buffer[..read])?;
                done += read as u64;
                self.left -= read as u64;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        header: &Header,
        extended: Extended,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> io::Result<Entry> {
        let wrong = |what: &str| bad(&format!("{what} of an entry cannot be read"));
        let path = extended.path.or(long_name).unwrap_or_else(|| header.name());
        let kind = match header.kind() {
            b'0' | 0 if path.ends_with(b"/") => Kind::Directory,
            b'0' | b'7' | b'S' | 0 => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' | b'4' => Kind::Device,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            _ => Kind::Unknown,
        };
        let stored = extended.size.or_else(|| header.size()).ok_or_else(|| wrong("the size"))?;
        // Links, directories and the like have no content, whatever their size says.
        let has_content = matches!(kind, Kind::File | Kind::Unknown);
        self.left = if has_content { stored } else { 0 };
        self.padding = self.left.next_multiple_of(BLOCK as u64) - self.left;
        let mut pieces = extended.pieces;
        let mut size = self.left;
        if header.kind() == b'S' {
            let (first, more, real_size) = header.sparse().ok_or_else(|| wrong("the holes"))?;
            pieces = first;
            if more {
                sparse::more_tables(&mut self.stream, &mut pieces)?;
            }
            size = real_size;
        } else if extended.pieces_in_content {
            let taken = sparse::list_before(&mut self.stream, &mut pieces)?;
            self.left = self.left.checked_sub(taken).ok_or_else(|| wrong("the holes"))?;
            size = extended.real_size.ok_or_else(|| wrong("the size"))?;
        } else if let Some(real_size) = extended.real_size.filter(|_| !pieces.is_empty()) {
            size = real_size;
        } else {
            pieces = vec![(0, self.left)];
        }
        if kind == Kind::File && !sparse::fits(&pieces, self.left, size) {
            return Err(wrong("the holes"));
        }
        Ok(Entry {
            kind,
            path,
            link: extended.link.or(long_link).unwrap_or_else(|| header.link()),
            mode: header.mode().ok_or_else(|| wrong("the mode"))?,
            uid: extended.uid.or_else(|| header.uid()).unwrap_or(0),
            gid: extended.gid.or_else(|| header.gid()).unwrap_or(0),
            mtime: extended.mtime.unwrap_or_else(|| (header.mtime(), 0)),
            attributes: extended.attributes,
            size,
            pieces,
        })
    }

    /// The next header; `None` where zeros or the end of the stream end the tar.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut block = Box::new([0; BLOCK]);
        let mut filled = 0;
        while filled < BLOCK {
            match self.stream.read(&mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        Header::check(block).map(Some).ok_or_else(|| bad("it is no tar, or a header is damaged"))
    }

    /// A name in the GNU way: up to the first zero.
    fn name(&mut self, size: u64) -> io::Result<Vec<u8>> {
        let mut name = self.text(size, MAX_NAME)?;
        if let Some(end) = name.iter().position(|byte| *byte == 0) {
            name.truncate(end);
        }
        Ok(name)
    }

    fn text(&mut self, size: u64, most: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(size).ok().filter(|_| size <= most);
        let mut text = vec![0; length.ok_or_else(|| bad("a header is too long"))?];
        self.stream.read_exact(&mut text)?;
        self.skip(size.next_multiple_of(BLOCK as u64) - size)?;
        Ok(text)
    }

    fn skip(&mut self, mut bytes: u64) -> io::Result<()> {
        while bytes > 0 {
            let most = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.buffer.len());
            match self.stream.read(&mut self.buffer[..most])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => bytes -= read as u64,
            }
        }
        Ok(())
    }

    /// The digest is over all of it, what follows the end included.
    fn drain(&mut self) -> io::Result<()> {
        while self.stream.read(&mut self.buffer)? > 0 {}
        Ok(())
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
