//! JSON in the one form that is hashed and signed: RFC 8785, whole numbers only.
//!
//! Members are sorted by their names' UTF-16 code units, there is no white space, and strings
//! escape only what they must. Numbers with a fraction or an exponent are refused, as languages
//! disagree on printing them; whole numbers are written digit by digit, also above 2^53.

use serde_json::Value;

/// A value that has no canonical form here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A number with a fraction or an exponent.
    #[error("`{0}` is not a whole number, and only those can be hashed")]
    Float(String),
    /// Deeper than [`MAX_DEPTH`].
    #[error("the value is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// The deepest nesting that is written.
pub const MAX_DEPTH: usize = 128;

/// Takes canonical text piece by piece: a hasher or a buffer.
pub trait Sink {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for crate::digest::Hasher {
    fn put(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

/// The canonical text of a value.
pub fn to_vec(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(256);
    write(value, &mut out)?;
    Ok(out)
}

/// Writes the canonical text of a value.
pub fn write(value: &Value, sink: &mut dyn Sink) -> Result<(), CanonicalError> {
    write_at(value, sink, 0)
}

fn write_at(value: &Value, sink: &mut dyn Sink, depth: usize) -> Result<(), CanonicalError> {
    if depth > MAX_DEPTH {
        return Err(CanonicalError::TooDeep);
    }
    match value {
        Value::Null => sink.put(b"null"),
        Value::Bool(true) => sink.put(b"true"),
        Value::Bool(false) => sink.put(b"false"),
        Value::Number(number) if number.is_u64() || number.is_i64() => {
            sink.put(number.to_string().as_bytes());
        }
        Value::Number(number) => return Err(CanonicalError::Float(number.to_string())),
        Value::String(text) => write_str(text, sink),
        Value::Array(items) => {
            sink.put(b"[");
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    sink.put(b",");
                }
                write_at(item, sink, depth + 1)?;
            }
            sink.put(b"]");
        }
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_unstable_by(|(a, _), (b, _)| by_utf16(a, b));
            sink.put(b"{");
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    sink.put(b",");
                }
                write_str(name, sink);
                sink.put(b":");
                write_at(member, sink, depth + 1)?;
            }
            sink.put(b"}");
        }
    }
    Ok(())
}

/// The order of two names by UTF-16 code units, which for ASCII is that of their bytes.
fn by_utf16(a: &str, b: &str) -> std::cmp::Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// Writes a string with its quotes; runs that need no escape go out whole.
pub(crate) fn write_str(text: &str, sink: &mut dyn Sink) {
    let bytes = text.as_bytes();
    sink.put(b"\"");
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            0x08 => b"\\b",
            0x09 => b"\\t",
            0x0a => b"\\n",
            0x0c => b"\\f",
            0x0d => b"\\r",
            0x00..=0x1f => b"",
            _ => continue,
        };
        sink.put(&bytes[from..at]);
        if escape.is_empty() {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            sink.put(&[b'\\', b'u', b'0', b'0', high, low]);
        } else {
            sink.put(escape);
        }
        from = at + 1;
    }
    sink.put(&bytes[from..]);
    sink.put(b"\"");
}

/// Turns every number that cannot be hashed into a string of the same digits. For what comes
/// from outside (a provider's own items) before it becomes an event. Says whether it met one.
pub fn floats_to_text(value: &mut Value) -> bool {
    match value {
        Value::Number(number) if !number.is_u64() && !number.is_i64() => {
            *value = Value::String(number.to_string());
            true
        }
        Value::Array(items) => items.iter_mut().fold(false, |met, item| floats_to_text(item) | met),
        Value::Object(members) => {
            members.values_mut().fold(false, |met, member| floats_to_text(member) | met)
        }
        _ => false,
    }
}
