//! Layers written entry by entry: what every tar can hold, and what only a hostile one does.

use std::io::Write as _;

/// A tar in the making.
#[derive(Default)]
pub struct Tar(Vec<u8>);

/// What an entry's header says beside its name.
#[derive(Clone)]
pub struct Head<'a> {
    pub kind: u8,
    pub mode: u32,
    pub owner: (u64, u64),
    pub link: &'a [u8],
    pub mtime: u64,
}

impl Default for Head<'_> {
    fn default() -> Self {
        Self { kind: b'0', mode: 0o644, owner: (0, 0), link: b"", mtime: 1_600_000_000 }
    }
}

impl Tar {
    /// Any entry; a name or link of more than 100 bytes in the GNU way.
    pub fn entry(mut self, name: impl AsRef<[u8]>, head: &Head<'_>, content: &[u8]) -> Self {
        let name = name.as_ref();
        for (kind, text) in [(b'L', name), (b'K', head.link)] {
            if text.len() > 100 {
                let long = Head { kind, ..Head::default() };
                self = self.block(b"././@LongLink", &long, &[text, b"\0"].concat());
            }
        }
        self.block(name, head, content)
    }

    /// A header as it is, and content.
    fn block(mut self, name: &[u8], head: &Head<'_>, content: &[u8]) -> Self {
        let mut block = header(name, head, content.len() as u64);
        seal(&mut block);
        self.0.extend_from_slice(&block);
        self.content(content)
    }

    /// A block of the test's own, its sum made right.
    pub fn raw(mut self, mut block: [u8; 512], content: &[u8]) -> Self {
        seal(&mut block);
        self.0.extend_from_slice(&block);
        self.content(content)
    }

    fn content(mut self, content: &[u8]) -> Self {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.entry(name, &Head::default(), content.as_ref())
    }

    pub fn program(self, name: &str, content: &[u8]) -> Self {
        self.entry(name, &Head { mode: 0o755, ..Head::default() }, content)
    }

    pub fn dir(self, name: impl AsRef<[u8]>) -> Self {
        self.entry(name, &Head { kind: b'5', mode: 0o755, ..Head::default() }, b"")
    }

    pub fn symlink(self, name: impl AsRef<[u8]>, link: &str) -> Self {
        let head = Head { kind: b'2', mode: 0o777, link: link.as_bytes(), ..Head::default() };
        self.entry(name, &head, b"")
    }

    pub fn hard(self, name: &str, link: &str) -> Self {
        self.entry(name, &Head { kind: b'1', link: link.as_bytes(), ..Head::default() }, b"")
    }

    /// An extended header for the entry after it.
    pub fn extended(self, records: &[(&str, &[u8])]) -> Self {
        let mut text = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            text.extend_from_slice(format!("{length} {key}=").as_bytes());
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        self.block(b"pax", &Head { kind: b'x', ..Head::default() }, &text)
    }

    /// The tar with its end.
    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    /// Compressed as most layers are.
    pub fn gzip(self) -> Vec<u8> {
        gzip(&self.end())
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// A header without its sum.
pub fn header(name: &[u8], head: &Head<'_>, size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    let short = name.len().min(100);
    block[..short].copy_from_slice(&name[..short]);
    let mut octal = |at: usize, width: usize, value: u64| {
        let text = format!("{value:0width$o}", width = width - 1);
        block[at..at + width - 1].copy_from_slice(&text.as_bytes()[..width - 1]);
    };
    octal(100, 8, head.mode.into());
    octal(108, 8, head.owner.0);
    octal(116, 8, head.owner.1);
    octal(124, 12, size);
    octal(136, 12, head.mtime);
    block[156] = head.kind;
    let short = head.link.len().min(100);
    block[157..157 + short].copy_from_slice(&head.link[..short]);
    block[257..265].copy_from_slice(b"ustar  \0");
    block
}

fn seal(block: &mut [u8; 512]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A root file system: a static busybox under its usual names.
pub fn busybox() -> Option<Tar> {
    let program = std::fs::read("/bin/busybox").or_else(|_| std::fs::read("/usr/bin/busybox"));
    let Ok(program) = program else {
        eprintln!("skipped: busybox-static is not installed");
        return None;
    };
    let mut tar = Tar::default()
        .dir("./")
        .dir("bin/")
        .program("bin/busybox", &program)
        .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    for name in ["sh", "cat", "ls", "stat", "id", "readlink", "test", "find", "sort", "touch", "wc"]
    {
        tar = tar.symlink(format!("bin/{name}"), "busybox");
    }
    Some(tar)
}
