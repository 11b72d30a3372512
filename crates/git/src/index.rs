//! Reads git's index file (versions 2 to 4), and changes what it says of files' state in place.

use crate::error::GitError;
use crate::path::RepoPath;
use crate::sha1::sha1;
use sha2::{Digest, Sha256};

/// A parsed index file.
#[derive(Debug)]
pub(crate) struct Index {
    bytes: Vec<u8>,
    hash_len: usize,
    entries: Vec<Entry>,
    has_unknown_parts: bool,
}

/// One file of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where in the file its ten state fields start.
    offset: usize,
    /// Its path.
    pub path: RepoPath,
    /// As in a tree: `0o100644` and so on.
    pub mode: u32,
    /// Its blob.
    pub oid: Vec<u8>,
    /// Seconds and nanoseconds of its last modification.
    pub mtime: (u32, u32),
    /// Inode number, cut to 32 bits.
    pub ino: u32,
    /// Device number, cut to 32 bits.
    pub dev: u32,
    /// Size, cut to 32 bits; 0 also where git does not trust the rest.
    pub size: u32,
    /// Merge stage; 0 where there is no conflict.
    pub stage: u8,
    /// Whether git was told not to look at its file: `assume-unchanged`, `skip-worktree`.
    pub overlooked: bool,
}

/// What is known of a file's state on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    pub mtime: (u32, u32),
    pub ino: u32,
    pub dev: u32,
    pub size: u32,
}

impl Entry {
    /// Whether it is a submodule.
    pub(crate) fn is_gitlink(&self) -> bool {
        self.mode == 0o160_000
    }

    /// What the index knows of its state.
    pub(crate) fn state(&self) -> FileState {
        FileState { mtime: self.mtime, ino: self.ino, dev: self.dev, size: self.size }
    }
}

impl Index {
    /// Reads an index of SHA-1 or SHA-256 object names, told apart by its own checksum's place.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, GitError> {
        // The length of names is not written in the file: try the common one first.
        match parse_entries(&bytes, 20) {
            Ok((entries, unknown)) => {
                Ok(Self { bytes, hash_len: 20, entries, has_unknown_parts: unknown })
            }
            Err(first) => match parse_entries(&bytes, 32) {
                Ok((entries, unknown)) => {
                    Ok(Self { bytes, hash_len: 32, entries, has_unknown_parts: unknown })
                }
                Err(_) => Err(first),
            },
        }
    }

    /// Its entries, in git's order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether entries may be missing here: a split or sparse index.
    pub(crate) fn is_partial(&self) -> bool {
        self.has_unknown_parts
    }

    /// Writes what is known of the entry's file, as one of `owner` (user and group alike).
    /// Without a state: zeros, and git looks at the file itself.
    pub(crate) fn set_state(&mut self, entry: usize, state: Option<FileState>, owner: u32) {
        let Some(entry) = self.entries.get_mut(entry) else { return };
        let mut put = |field: usize, value: u32| {
            let at = entry.offset + field * 4;
            self.bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        };
        let FileState { mtime, ino, dev, size } =
            state.unwrap_or(FileState { mtime: (0, 0), ino: 0, dev: 0, size: 0 });
        // The change time is not compared where this index is used (`core.trustCtime=false`).
        let fields = [mtime.0, mtime.1, mtime.0, mtime.1, dev, ino];
        for (field, value) in fields.into_iter().enumerate() {
            put(field, value);
        }
        put(7, owner);
        put(8, owner);
        put(9, size);
        (entry.mtime, entry.ino, entry.dev, entry.size) = (mtime, ino, dev, size);
    }

    /// The file's bytes, with a new checksum.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        let end = self.bytes.len() - self.hash_len;
        let checksum = if self.hash_len == 20 {
            sha1(&self.bytes[..end]).to_vec()
        } else {
            Sha256::digest(&self.bytes[..end]).to_vec()
        };
        self.bytes[end..].copy_from_slice(&checksum);
        self.bytes
    }
}

fn parse_entries(bytes: &[u8], hash_len: usize) -> Result<(Vec<Entry>, bool), GitError> {
    let bad = |why: &str| GitError::malformed("the index", why);
    let header = bytes.get(..12).ok_or_else(|| bad("it is too short"))?;
    if &header[..4] != b"DIRC" {
        return Err(bad("it does not begin as one"));
    }
    let version = be32(header, 4);
    if !(2..=4).contains(&version) {
        return Err(bad("its version is not known"));
    }
    let end = bytes.len().checked_sub(hash_len).ok_or_else(|| bad("it is too short"))?;
    let count = be32(header, 8) as usize;
    // An entry has at least 62 bytes: a count that lies reserves nothing.
    let mut entries = Vec::with_capacity(count.min(end / 62));
    let mut at = 12;
    let mut previous: Vec<u8> = Vec::new();
    for _ in 0..count {
        let entry = parse_entry(&bytes[..end], at, version, hash_len, &mut previous)
            .ok_or_else(|| bad("an entry is cut short"))?;
        at = entry.1;
        entries.push(entry.0);
    }
    let mut partial = entries.iter().any(|e| e.mode == 0o40_000);
    while at + 8 <= end {
        let size = be32(bytes, at + 4) as usize;
        let name = &bytes[at..at + 4];
        partial |= name == b"link" || name == b"sdir";
        at = at.checked_add(8 + size).ok_or_else(|| bad("an extension is too long"))?;
    }
    if at != end {
        return Err(bad("it does not end where it should"));
    }
    Ok((entries, partial))
}

fn parse_entry(
    bytes: &[u8],
    start: usize,
    version: u32,
    hash_len: usize,
    previous: &mut Vec<u8>,
) -> Option<(Entry, usize)> {
    let fixed = 40 + hash_len + 2;
    let head = bytes.get(start..start + fixed)?;
    let flags = u16::from_be_bytes([head[fixed - 2], head[fixed - 1]]);
    let mut at = start + fixed;
    let mut overlooked = flags & 0x8000 != 0;
    if flags & 0x4000 != 0 {
        if version < 3 {
            return None;
        }
        overlooked |= bytes.get(at)? & 0x40 != 0;
        at += 2;
    }
    let path = if version == 4 {
        let strip = read_varint(bytes, &mut at)?;
        let keep = previous.len().checked_sub(strip)?;
        let len = bytes.get(at..)?.iter().position(|b| *b == 0)?;
        let mut path = previous[..keep].to_vec();
        path.extend_from_slice(&bytes[at..at + len]);
        at += len + 1;
        previous.clone_from(&path);
        path
    } else {
        let len = bytes.get(at..)?.iter().position(|b| *b == 0)?;
        let path = bytes[at..at + len].to_vec();
        // Padded with one to eight NULs to a multiple of eight, counted from the entry's start.
        at = start + (at - start + len + 8) / 8 * 8;
        path
    };
    if at > bytes.len() {
        return None;
    }
    let field = |n: usize| be32(head, n * 4);
    let entry = Entry {
        offset: start,
        path: RepoPath::new(path),
        mode: field(6),
        oid: head[40..40 + hash_len].to_vec(),
        mtime: (field(2), field(3)),
        ino: field(5),
        dev: field(4),
        size: field(9),
        stage: u8::try_from((flags >> 12) & 3).unwrap_or(0),
        overlooked,
    };
    Some((entry, at))
}

/// git's own variable-length number, as in pack offsets.
fn read_varint(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut byte = *bytes.get(*at)?;
    *at += 1;
    let mut value = usize::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        byte = *bytes.get(*at)?;
        *at += 1;
        value = value.checked_add(1)?.checked_mul(128)?.checked_add(usize::from(byte & 0x7f))?;
    }
    Some(value)
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
