//! Reads server-sent events from bytes that may be split anywhere.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SseEvent {
    /// Its `event:` field; empty if it had none.
    pub(crate) name: String,
    /// Its `data:` lines, joined by newlines. Bytes that are not UTF-8 are replaced.
    pub(crate) data: String,
}

/// An event or a line is longer than the bound.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Takes pieces of a stream and gives the events that are complete.
#[derive(Debug)]
pub(crate) struct SseReader {
    /// The line that has begun.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a carriage return: a line feed right after it ends no further line.
    after_return: bool,
    first_line: bool,
    limit: usize,
}

impl SseReader {
    /// A reader that refuses an event of more than `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            name: Vec::new(),
            data: Vec::new(),
            has_data: false,
            after_return: false,
            first_line: true,
            limit,
        }
    }

    /// Takes the next bytes; `each` is called with every event that they complete, and stops the
    /// reading with an error of its own.
    pub(crate) fn take<E: From<TooLong>>(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(SseEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r'));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + self.data.len() + part.len() > self.limit {
                return Err(TooLong.into());
            }
            let Some(end) = end else {
                self.line.extend_from_slice(part);
                return Ok(());
            };
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let event = if self.line.is_empty() {
                self.end_line(part)
            } else {
                self.line.extend_from_slice(part);
                let line = std::mem::take(&mut self.line);
                let event = self.end_line(&line);
                self.line = line;
                self.line.clear();
                event
            };
            if let Some(event) = event {
                each(event)?;
            }
        }
        Ok(())
    }

    /// The event that was begun and not ended by a blank line when the stream closed, if it is
    /// whole enough to look at. Some servers forget the last blank line.
    pub(crate) fn rest(&mut self) -> Option<SseEvent> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(&line);
        }
        self.end_line(b"")
    }

    fn end_line(&mut self, line: &[u8]) -> Option<SseEvent> {
        let line = if std::mem::take(&mut self.first_line) {
            line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
        } else {
            line
        };
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let data = std::mem::take(&mut self.data);
            return std::mem::take(&mut self.has_data)
                .then(|| SseEvent { name: lossy(name), data: lossy(data) });
        }
        let (field, value) = match line.iter().position(|b| *b == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => value.clone_into(&mut self.name),
            // Comments (an empty field), `id`, `retry` and what we do not know.
            _ => {}
        }
        None
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut reader = SseReader::new(1024);
        let mut events = Vec::new();
        for piece in pieces {
            let taken: Result<(), TooLong> = reader.take(piece, |event| {
                events.push((event.name, event.data));
                Ok(())
            });
            taken.unwrap();
        }
        events.extend(reader.rest().map(|event| (event.name, event.data)));
        events
    }

    const STREAM: &[u8] = b"\xef\xbb\xbf: hello\r\nevent: one\r\ndata: 1\r\n\r\nid: 7\rdata:2\r\
        data: 3\r\r\n\ndata\n\nretry: 5\nevent: nothing\n\nevent: last\ndata: \xc3\xa9\xff {\"a\":1}";

    #[test]
    fn events_are_read_whatever_ends_their_lines() {
        let expected = [("one", "1"), ("", "2\n3"), ("", ""), ("last", "\u{e9}\u{fffd} {\"a\":1}")];
        let expected: Vec<_> =
            expected.iter().map(|(n, d)| ((*n).to_owned(), (*d).to_owned())).collect();
        assert_eq!(read(&[STREAM]), expected);
    }

    #[test]
    fn events_are_the_same_wherever_the_stream_is_split() {
        let whole = read(&[STREAM]);
        for first in 0..STREAM.len() {
            for second in first..STREAM.len() {
                let (a, rest) = STREAM.split_at(first);
                let (b, c) = rest.split_at(second - first);
                assert_eq!(read(&[a, b, c]), whole, "split at {first} and {second}");
            }
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut reader = SseReader::new(1024);
        let mut take = |bytes: &[u8]| reader.take::<TooLong>(bytes, |_| Ok(()));
        assert_eq!(take(&[b'x'; 1000]), Ok(()));
        assert_eq!(take(&[b'x'; 1000]), Err(TooLong));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_fail(bytes in proptest::collection::vec(any::<u8>(), 0..900)) {
            read(&[&bytes]);
        }
    }
}
