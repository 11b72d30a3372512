//! How many tokens the next request will hold: the provider's count of the last one, and a
//! quarter of the bytes that came since.

use quire_domain::transcript::{Part, Reply, ReplyItem};

/// Bytes of text that make a token, roughly.
const BYTES_PER_TOKEN: u64 = 4;
/// What a picture is counted as, in bytes.
const IMAGE_BYTES: u64 = 6_000;

/// What is in the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weight {
    bytes: u64,
    counted_tokens: u64,
    bytes_since: u64,
}

impl Weight {
    /// Something was added.
    pub fn part(&mut self, part: &Part) {
        self.add(match part {
            Part::Text { text } => text.len() as u64,
            Part::Image { .. } => IMAGE_BYTES,
        });
    }

    /// Text was added.
    pub fn text(&mut self, bytes: usize) {
        self.add(bytes as u64);
    }

    /// A reply was added, with the provider's count of everything up to it.
    pub fn reply(&mut self, reply: &Reply) {
        for item in &reply.items {
            self.add(match item {
                ReplyItem::Text { text, .. } => text.len() as u64,
                ReplyItem::Reasoning { summary, .. } => summary.len() as u64,
                ReplyItem::ToolCall { call, .. } => {
                    (call.name.len() + call.input.as_str().len()) as u64
                }
            });
        }
        if reply.usage.input_tokens > 0 {
            self.counted_tokens = reply.usage.total_tokens();
            self.bytes_since = 0;
        }
    }

    /// The estimate. Where the provider does not count, all bytes are.
    pub fn tokens(self) -> u64 {
        let counted = self.counted_tokens + self.bytes_since / BYTES_PER_TOKEN;
        if self.counted_tokens == 0 { self.bytes / BYTES_PER_TOKEN } else { counted }
    }

    fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.bytes_since += bytes;
    }
}
