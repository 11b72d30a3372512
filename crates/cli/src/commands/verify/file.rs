//! Reads a file that may be anything: in the place of evidence or a key may lie a pipe, a
//! directory, a device or garbage.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Why there is no text of a file.
#[derive(Debug)]
pub enum Unread {
    /// Nothing is there.
    Absent,
    /// A directory, a pipe, a device or a socket.
    NoFile,
    /// More bytes than these, which were allowed.
    TooLong(u64),
    /// Not UTF-8.
    NoText,
    /// Anything else.
    Io(io::Error),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("there is no such file"),
            Self::NoFile => f.write_str("it is not a regular file"),
            Self::TooLong(most) => write!(f, "it is longer than {most} bytes"),
            Self::NoText => f.write_str("it is not text"),
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
        }
    }
}

/// The text of a regular file of at most `most` bytes. Never waits for a writer.
pub fn text(path: &Path, most: u64) -> Result<String, Unread> {
    // A FIFO must not make us wait, a terminal must not become ours.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Unread::Absent),
        // A socket, or a device that nothing drives.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            return Err(Unread::NoFile);
        }
        Err(error) => return Err(Unread::Io(error)),
    };
    let found = file.metadata().map_err(Unread::Io)?;
    if !found.is_file() {
        return Err(Unread::NoFile);
    }
    if found.len() > most {
        return Err(Unread::TooLong(most));
    }
    // It may grow while it is read.
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(Unread::Io)?;
    if bytes.len() as u64 > most {
        return Err(Unread::TooLong(most));
    }
    String::from_utf8(bytes).map_err(|_| Unread::NoText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_of_text_within_the_bound_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("text"), "12345").unwrap();
        std::fs::write(at("bytes"), [0xff, 0xfe]).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(text(&at("text"), 5).unwrap(), "12345");
        assert!(matches!(text(&at("text"), 4), Err(Unread::TooLong(4))));
        assert!(matches!(text(&at("bytes"), 5), Err(Unread::NoText)));
        assert!(matches!(text(&at("absent"), 5), Err(Unread::Absent)));
        for name in ["pipe", "socket", "."] {
            assert!(matches!(text(&at(name), 5), Err(Unread::NoFile)), "{name}");
        }
        assert!(matches!(text(Path::new("/dev/zero"), 5), Err(Unread::NoFile)));
    }
}
