//! The form of an event on the wire: lines of `id`, `event` and `data`, and an empty one.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

/// Writes an event without its id.
pub(super) fn write(into: &mut BytesMut, kind: &str, data: &impl Serialize) {
    into.put_slice(b"event: ");
    into.put_slice(kind.as_bytes());
    into.put_u8(b'\n');
    // What is written is made of strings, numbers, lists and what was JSON before.
    let data = serde_json::to_vec(data).unwrap_or_default();
    // JSON that was stored may have line ends between its parts; a line of data has none.
    for line in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        into.put_slice(b"data: ");
        into.put_slice(line);
        into.put_u8(b'\n');
    }
    into.put_u8(b'\n');
}

/// Writes the line that says where to go on after the event that follows.
pub(super) fn id(into: &mut BytesMut, id: &str) {
    into.put_slice(b"id: ");
    into.put_slice(id.as_bytes());
    into.put_u8(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_data_breaks_out_of_its_event() {
        let mut bytes = BytesMut::new();
        let stored = serde_json::value::RawValue::from_string("{\"a\":\r\n\n1}".to_owned());
        id(&mut bytes, "7");
        write(&mut bytes, "event", &stored.unwrap());
        assert_eq!(bytes, &b"id: 7\nevent: event\ndata: {\"a\":\ndata: \ndata: \ndata: 1}\n\n"[..]);
    }
}
