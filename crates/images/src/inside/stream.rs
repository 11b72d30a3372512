//! The bytes of a layer: decompressed, counted, bounded and hashed on the way.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{Fault, Job, Said, say};
use crate::digest::{Digest, Hasher};

/// Below this, a layer may be any number of times as large as its blob.
const RATIO_FROM: u64 = 1 << 30;
/// The largest window of zstd that is taken, as a power of two: 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 27;
/// How often the host is told.
const TELL: Duration = Duration::from_millis(200);

/// The tar's bytes.
pub struct Stream {
    inner: Box<dyn Read>,
    tally: Rc<RefCell<Tally>>,
}

struct Tally {
    hasher: Hasher,
    bytes: u64,
    most: u64,
    ratio_most: u64,
    told: Instant,
    /// The limit that was met: said in place of the error that reading then gives.
    met: Option<Fault>,
}

/// Asks afterwards what came through.
pub struct Ledger(Rc<RefCell<Tally>>);

impl Stream {
    /// Opens a blob of whichever compression its first bytes name.
    pub fn open(job: &Job, blob: &Path) -> Result<(Self, Ledger), Fault> {
        let broken = |error: io::Error| Fault::Malformed(error.to_string());
        let mut file = File::open(blob).map_err(broken)?;
        let size = file.metadata().map_err(broken)?.len();
        let mut magic = [0; 6];
        let mut filled = 0;
        while filled < magic.len() {
            match file.read(&mut magic[filled..]).map_err(broken)? {
                0 => break,
                read => filled += read,
            }
        }
        let head = io::Cursor::new(magic[..filled].to_vec());
        let whole = BufReader::with_capacity(128 << 10, head.chain(file));
        let inner: Box<dyn Read> = match &magic[..filled] {
            [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                let mut decoder = zstd::Decoder::with_buffer(whole).map_err(broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(broken)?;
                Box::new(decoder)
            }
            [b'B', b'Z', b'h', ..] => return Err(unsupported("bzip2")),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => return Err(unsupported("xz")),
            _ => Box::new(whole),
        };
        let tally = Tally {
            hasher: Hasher::default(),
            bytes: 0,
            // Headers and padding come on top of what files hold.
            most: job.max_bytes.saturating_add(job.max_entries.saturating_mul(4096)),
            ratio_most: size.saturating_mul(job.max_ratio).max(RATIO_FROM),
            told: Instant::now(),
            met: None,
        };
        let tally = Rc::new(RefCell::new(tally));
        Ok((Self { inner, tally: Rc::clone(&tally) }, Ledger(tally)))
    }
}

fn unsupported(what: &str) -> Fault {
    Fault::Malformed(format!("it is compressed with {what}; gzip, zstd and none are supported"))
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let mut tally = self.tally.borrow_mut();
        tally.hasher.update(&buffer[..read]);
        tally.bytes += read as u64;
        let met = if tally.bytes > tally.most {
            Some(Fault::Bytes)
        } else if tally.bytes > tally.ratio_most {
            Some(Fault::Ratio)
        } else {
            None
        };
        if met.is_some() {
            tally.met = met;
            return Err(io::Error::other("a limit was met"));
        }
        if tally.told.elapsed() > TELL {
            tally.told = Instant::now();
            say(&Said::Bytes(tally.bytes));
        }
        Ok(read)
    }
}

impl Ledger {
    /// The digest of all that was read. Call it when the stream is at its end.
    pub fn digest(&self) -> Digest {
        self.0.borrow().hasher.clone().finish()
    }

    /// Why reading failed.
    pub fn fault(&self, error: &io::Error) -> Fault {
        let met = self.0.borrow().met.clone();
        met.unwrap_or_else(|| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Malformed("it is cut off".to_owned()),
            _ => Fault::Malformed(error.to_string()),
        })
    }
}
