//! What a command printed, kept for JSON: the beginning of it.

/// Of each stream so much is kept, in bytes.
const MOST: usize = 1 << 20;

/// What was printed.
#[derive(Debug, Default)]
pub struct Captured {
    out: Vec<u8>,
    err: Vec<u8>,
    cut: bool,
}

impl Captured {
    /// Takes a piece of standard output.
    pub fn push_out(&mut self, bytes: &[u8]) {
        self.cut |= take(&mut self.out, bytes);
    }

    /// Takes a piece of standard error.
    pub fn push_err(&mut self, bytes: &[u8]) {
        self.cut |= take(&mut self.err, bytes);
    }

    /// Standard output, what is no text of it replaced.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Standard error, the same way.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.err).into_owned()
    }

    /// Whether there was more.
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

/// Whether not all of it was taken.
fn take(kept: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let room = MOST.saturating_sub(kept.len()).min(bytes.len());
    kept.extend_from_slice(&bytes[..room]);
    room < bytes.len()
}
