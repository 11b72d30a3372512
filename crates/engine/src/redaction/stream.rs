//! Redaction of bytes that come in pieces: the same as of all of them at once.

use std::ops::Range;
use std::sync::Arc;

use super::{Known, WORD};
use crate::chunks::Redactor;

/// Takes values out of a stream of bytes. Holds back an end that could be the beginning of one:
/// less than the longest form has.
pub struct Stream {
    known: Option<Arc<Known>>,
    held: Vec<u8>,
    /// How many bytes at the beginning of `held` belong to a value that was found.
    covered: usize,
    /// Whether the word for the value that the last byte belonged to stands in this line.
    said: bool,
}

impl Stream {
    pub(super) fn new(known: Option<Arc<Known>>) -> Self {
        Self { known, held: Vec::new(), covered: 0, said: false }
    }

    /// Appends to `out` what may be recorded of what came so far.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Some(known) = self.known.clone() else {
            out.extend_from_slice(bytes);
            return;
        };
        if self.held.is_empty() && !bytes.is_empty() && !known.any.is_match(bytes) {
            // Nearly always: nothing is copied but the end.
            let open = known.open_end(bytes);
            let (free, held) = bytes.split_at(open);
            self.pass(free, out);
            self.held.extend_from_slice(held);
            return;
        }
        let mut buffer = std::mem::take(&mut self.held);
        buffer.extend_from_slice(bytes);
        let open = known.open_end(&buffer);
        self.release(&known, &buffer, open, out);
        buffer.drain(..open);
        self.held = buffer;
    }

    /// Appends what was held back.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let Some(known) = self.known.clone() else { return };
        let buffer = std::mem::take(&mut self.held);
        self.release(&known, &buffer, buffer.len(), out);
        self.said = false;
    }

    /// Appends the first `open` bytes, the values in them replaced.
    fn release(&mut self, known: &Known, buffer: &[u8], open: usize, out: &mut Vec<u8>) {
        let mut found: Vec<Range<usize>> = Vec::new();
        if self.covered > 0 {
            found.push(0..self.covered);
        }
        if known.any.is_match(buffer) {
            found.extend(known.all.find_overlapping_iter(buffer).map(|one| one.range()));
        }
        found.sort_by_key(|range| range.start);
        let mut at = 0;
        self.covered = 0;
        for range in found {
            self.covered = self.covered.max(range.end.saturating_sub(open));
            let (start, end) = (range.start.min(open), range.end.min(open));
            if end <= at {
                continue;
            }
            if start > at {
                self.pass(&buffer[at..start], out);
                at = start;
            }
            self.hide(&buffer[at..end], out);
            at = end;
        }
        self.pass(&buffer[at..open], out);
    }

    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if !bytes.is_empty() {
            self.said = false;
            out.extend_from_slice(bytes);
        }
    }

    /// One word for each line of a value; the line ends stay.
    fn hide(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            if *byte == b'\n' {
                out.push(b'\n');
                self.said = false;
            } else if !self.said {
                out.extend_from_slice(WORD.as_bytes());
                self.said = true;
            }
        }
    }
}

impl Redactor for Stream {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        Self::push(self, bytes, out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        Self::finish(self, out);
    }
}
