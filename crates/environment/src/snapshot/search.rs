//! Looks for the values of secrets in everything that setup left: what files hold, what they are
//! called, where links lead, extended attributes. Nothing of it is trusted, and nothing is followed.
//!
//! It runs outside, over what the sandbox wrote, after the last of its processes has ended.

use std::collections::HashSet;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, SeekFrom, Stat};

/// The values that are looked for.
pub trait Values: Send + Sync {
    /// The length of the longest form of any, in bytes: pieces overlap by it.
    fn longest(&self) -> usize;

    /// The name of the first secret whose value is in `bytes`, in any of its forms.
    fn find(&self, bytes: &[u8]) -> Option<String>;
}

/// Opens what this process may not: what is at a path (its bytes) below what is searched.
pub type Opener<'a> = &'a dyn Fn(&[u8]) -> io::Result<OwnedFd>;

/// A value that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// The secret's name.
    pub secret: String,
    /// Where, relative to what was searched: never with a value in it.
    pub path: String,
    /// In what of it.
    pub part: Part,
}

/// What of a file holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its content.
    Content,
    /// Its path.
    Path,
    /// What a link leads to.
    Target,
    /// An extended attribute.
    Attribute,
}

/// Why the search did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// Something cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Directories in directories beyond what is followed.
    #[error("directories are nested more than {DEPTH} deep at {0}")]
    TooDeep(String),
    /// It took too long.
    #[error("there was too much to search")]
    TooLong,
    /// Nobody waits for it any more.
    #[error("the search was given up")]
    GivenUp,
}

/// What is read at once, in bytes.
const PIECE: usize = 256 << 10;

/// The deepest directory: each takes a descriptor.
const DEPTH: usize = 256;

/// For so many bytes of a form there is one more of overlap, twice: the shortest lines that an encoder
/// breaks its output into have 60 characters.
const LINE: usize = 60;

/// Leaks that are told; the search ends with the last of them.
const TOLD: usize = 8;

/// The longest path that is shown whole, in characters.
const SHOWN: usize = 240;

/// Files with several names that are remembered, so that each is read once.
const REMEMBERED: usize = 1_000_000;

/// The longest list of attributes, and the longest attribute, that the kernel has, in bytes.
const MOST_ATTRIBUTE: usize = 64 << 10;

/// How far a search goes.
pub struct Bounds<'a> {
    /// When it ends at the latest.
    pub deadline: Instant,
    /// Is set when nobody waits for it any more.
    pub given_up: &'a AtomicBool,
}

/// Searches all below `top`. Memory is bounded by a piece and the depth, whatever lies there.
pub fn search(
    top: &Path,
    values: &dyn Values,
    opener: Opener<'_>,
    bounds: &Bounds<'_>,
) -> Result<Vec<Leak>, SearchError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match rustix::fs::open(top, flags, Mode::empty()) {
        Ok(opened) => Ok(opened),
        Err(error) if is_denied(error) => opener(b""),
        Err(error) => Err(error.into()),
    };
    let mut search = Search {
        values,
        opener,
        bounds,
        buffer: vec![0; PIECE + overlap(values)],
        unbroken: Vec::new(),
        path: Vec::new(),
        seen: HashSet::new(),
        leaks: Vec::new(),
    };
    let opened = opened.map_err(|source| search.failed(source))?;
    search.directory(opened, 0)?;
    Ok(search.leaks)
}

struct Search<'a> {
    values: &'a dyn Values,
    opener: Opener<'a>,
    bounds: &'a Bounds<'a>,
    buffer: Vec<u8>,
    /// What of it is looked through once more, without its line ends.
    unbroken: Vec<u8>,
    /// Where it is, relative to the top.
    path: Vec<u8>,
    seen: HashSet<(u64, u64)>,
    leaks: Vec<Leak>,
}

impl Search<'_> {
    fn directory(&mut self, opened: OwnedFd, depth: usize) -> Result<(), SearchError> {
        if depth == DEPTH {
            return Err(SearchError::TooDeep(self.shown()));
        }
        self.attributes(&opened)?;
        let mut directory = Dir::new(opened).map_err(|error| self.failed(error.into()))?;
        while let Some(entry) = directory.read() {
            let entry = entry.map_err(|error| self.failed(error.into()))?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            self.go_on()?;
            if self.leaks.len() >= TOLD {
                return Ok(());
            }
            let before = self.path.len();
            if before > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name.to_bytes());
            self.name(name.to_bytes().len());
            let at = directory.fd().map_err(|error| self.failed(error.into()))?;
            self.entry(at, name, entry.file_type(), depth)?;
            self.path.truncate(before);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        at: impl AsFd,
        name: &CStr,
        kind: FileType,
        depth: usize,
    ) -> Result<(), SearchError> {
        match kind {
            FileType::RegularFile | FileType::Directory | FileType::Symlink | FileType::Unknown => {
            }
            // Marks of what was removed, pipes, sockets: they hold nothing.
            _ => return Ok(()),
        }
        if kind == FileType::Symlink {
            return self.link(at, name);
        }
        let opened = match below(at, name) {
            Ok(opened) => opened,
            Err(error) if is_denied(error) => {
                (self.opener)(&self.path).map_err(|source| self.failed(source))?
            }
            Err(error) => return Err(self.failed(error.into())),
        };
        let stat = rustix::fs::fstat(&opened).map_err(|error| self.failed(error.into()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.file(&opened, &stat),
            FileType::Directory => self.directory(opened, depth + 1),
            FileType::Symlink => self.link_that(&opened),
            _ => Ok(()),
        }
    }

    fn file(&mut self, file: &OwnedFd, stat: &Stat) -> Result<(), SearchError> {
        if stat.st_nlink > 1 {
            let first =
                self.seen.len() >= REMEMBERED || self.seen.insert((stat.st_dev, stat.st_ino));
            if !first {
                return Ok(());
            }
        }
        self.attributes(file)?;
        let found = self.content(file, stat)?;
        self.note(found, Part::Content);
        Ok(())
    }

    /// Looks through what a file holds; what it only claims to hold is passed over.
    fn content(&mut self, file: &OwnedFd, stat: &Stat) -> Result<Option<String>, SearchError> {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let has_holes = u64::try_from(stat.st_blocks).unwrap_or(0) * 512 < size;
        let mut at = 0;
        while at < size {
            let mut end = size;
            if has_holes {
                match rustix::fs::seek(file, SeekFrom::Data(at)) {
                    Ok(data) => at = data,
                    Err(rustix::io::Errno::NXIO) => return Ok(None),
                    // A file system that does not tell: all of it is read.
                    Err(_) => {}
                }
                end = rustix::fs::seek(file, SeekFrom::Hole(at)).unwrap_or(size).min(size);
            }
            if let Some(found) = self.stretch(file, at, end)? {
                return Ok(Some(found));
            }
            at = end.max(at + 1);
        }
        Ok(None)
    }

    /// Looks through the bytes from `at` to `end`.
    fn stretch(
        &mut self,
        file: &OwnedFd,
        mut at: u64,
        end: u64,
    ) -> Result<Option<String>, SearchError> {
        let overlap = overlap(self.values);
        let mut kept = 0;
        while at < end {
            self.go_on()?;
            let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(PIECE);
            let read = rustix::io::pread(file, &mut self.buffer[kept..kept + most], at);
            let read = match read {
                Ok(0) => return Ok(None),
                Ok(read) => read,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(self.failed(error.into())),
            };
            at += read as u64;
            let full = kept + read;
            if let Some(found) = self.find(full) {
                return Ok(Some(found));
            }
            kept = overlap.min(full);
            self.buffer.copy_within(full - kept..full, 0);
        }
        Ok(None)
    }

    /// Finds a value in the first bytes of the buffer, also where an encoder broke it into lines.
    fn find(&mut self, full: usize) -> Option<String> {
        let bytes = self.buffer.get(..full)?;
        if let Some(found) = self.values.find(bytes) {
            return Some(found);
        }
        self.unbroken.clear();
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[from..end];
            self.unbroken.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
            from = end + 1;
        }
        if from == 0 {
            return None;
        }
        self.unbroken.extend_from_slice(&bytes[from..]);
        self.values.find(&self.unbroken)
    }

    fn link(&mut self, at: impl AsFd, name: &CStr) -> Result<(), SearchError> {
        match rustix::fs::readlinkat(at, name, Vec::new()) {
            Ok(target) => {
                let found = self.values.find(target.to_bytes());
                self.note(found, Part::Target);
                Ok(())
            }
            Err(error) if is_denied(error) => {
                let opened = (self.opener)(&self.path).map_err(|source| self.failed(source))?;
                self.link_that(&opened)
            }
            Err(error) => Err(self.failed(error.into())),
        }
    }

    fn link_that(&mut self, opened: &OwnedFd) -> Result<(), SearchError> {
        let target = rustix::fs::readlinkat(opened, c"", Vec::new());
        let target = target.map_err(|error| self.failed(error.into()))?;
        let found = self.values.find(target.to_bytes());
        self.note(found, Part::Target);
        Ok(())
    }

    /// Looks at names and values of extended attributes; links and the like have none to write to.
    fn attributes(&mut self, file: &OwnedFd) -> Result<(), SearchError> {
        // Nearly always: there are none, or the file system has none.
        if !rustix::fs::flistxattr_query(file).is_ok_and(|length| length > 0) {
            return Ok(());
        }
        let mut names = vec![0; MOST_ATTRIBUTE];
        let length = rustix::fs::flistxattr(file, names.as_mut_slice());
        names.truncate(length.map_err(|error| self.failed(error.into()))?);
        let mut value = vec![0; MOST_ATTRIBUTE];
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let found = self.values.find(name);
            self.note(found, Part::Attribute);
            let length = match rustix::fs::fgetxattr(file, name, value.as_mut_slice()) {
                Ok(length) => length,
                // Of what the script itself could write, nothing is passed over.
                Err(error) if name.starts_with(b"user.") && !is_of_overlayfs(name) => {
                    return Err(self.failed(error.into()));
                }
                Err(_) => continue,
            };
            let found = self.values.find(&value[..length]);
            self.note(found, Part::Attribute);
        }
        Ok(())
    }

    /// Looks at the end of the path that the last name, of this length, can be part of a value in.
    fn name(&mut self, length: usize) {
        let from = self.path.len().saturating_sub(length + self.values.longest());
        let found = self.values.find(&self.path[from..]);
        self.note(found, Part::Path);
    }

    fn note(&mut self, found: Option<String>, part: Part) {
        if let Some(secret) = found {
            let leak = Leak { secret, path: self.shown(), part };
            if !self.leaks.contains(&leak) {
                self.leaks.push(leak);
            }
        }
    }

    /// The path for people: only what is above a name that holds a value.
    fn shown(&self) -> String {
        let mut path = self.path.as_slice();
        let mut cut = false;
        while self.values.find(path).is_some() {
            let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            path = &path[..end];
            cut = true;
        }
        let text = String::from_utf8_lossy(path).replace(char::is_control, "?");
        if let Some((end, _)) = text.char_indices().nth(SHOWN) {
            return format!("{}…", &text[..end]);
        }
        if cut { format!("{text}/…") } else { text }
    }

    fn failed(&self, source: io::Error) -> SearchError {
        SearchError::Io { path: self.shown(), source }
    }

    fn go_on(&self) -> Result<(), SearchError> {
        if self.bounds.given_up.load(Ordering::Relaxed) {
            return Err(SearchError::GivenUp);
        }
        if Instant::now() > self.bounds.deadline {
            return Err(SearchError::TooLong);
        }
        Ok(())
    }
}

/// Whether overlayfs keeps the attribute for itself: inside, nobody can write those.
fn is_of_overlayfs(name: &[u8]) -> bool {
    let own = name.strip_prefix(b"user.overlay.").unwrap_or_default();
    matches!(
        own,
        b"opaque" | b"redirect" | b"origin" | b"impure" | b"nlink" | b"metacopy" | b"uuid"
    )
}

/// How many bytes of a piece are looked at once more with the next one.
fn overlap(values: &dyn Values) -> usize {
    let longest = values.longest();
    longest + 2 * (longest / LINE + 1)
}

fn below(at: impl AsFd, name: &CStr) -> Result<OwnedFd, rustix::io::Errno> {
    rustix::fs::openat2(
        at,
        name,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV,
    )
}

/// Whether another may open it. A link that the directory calls of unknown kind is one as well.
fn is_denied(error: rustix::io::Errno) -> bool {
    matches!(error, rustix::io::Errno::ACCESS | rustix::io::Errno::PERM | rustix::io::Errno::LOOP)
}
