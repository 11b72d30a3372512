//! The forms in which a value is looked for: as it is, its lines, in base64 at each of the three
//! places it can have in a group, percent-encoded, escaped as in JSON, in hexadecimal, and in UTF-16.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::value::{SHORTEST, why_not};

/// Longer values are looked for in blocks of this many bytes, which bounds what is held back of a
/// stream; a part of a long value is found as well then.
const BLOCK: usize = 1_024;

/// All forms of a value.
pub fn of(value: &[u8]) -> Vec<Vec<u8>> {
    of_parts(parts(value))
}

/// All forms of a value, and of its lines only those that are no common text: of a key in JSON,
/// `"type": "account"` stands in many a file.
pub fn telling(value: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = parts(value).into_iter();
    let whole = parts.next();
    of_parts(whole.into_iter().chain(parts.filter(|line| is_key_material(line))).collect())
}

fn of_parts(parts: Vec<&[u8]>) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for part in parts {
        for block in blocks(part) {
            forms.push(block.to_vec());
            in_base64(block, &mut forms);
            percent_encoded(block, &mut forms);
            escaped(block, &mut forms);
            hexadecimal(block, &mut forms);
            wide(block, &mut forms);
        }
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// A value as it is, and its lines.
pub fn plain(value: &[u8]) -> Vec<Vec<u8>> {
    parts(value).into_iter().flat_map(blocks).map(<[u8]>::to_vec).collect()
}

/// The value, and each of its lines: a key that is printed in part, or with other line ends, is
/// found by them. The dashed frame of such a file is no secret.
fn parts(value: &[u8]) -> Vec<&[u8]> {
    let value = value.trim_ascii();
    if !value.contains(&b'\n') {
        return vec![value];
    }
    let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines = lines.filter(|line| !line.starts_with(b"-----") && why_not(line).is_none());
    // Whole as well: in base64 its lines are not found.
    std::iter::once(value).chain(lines).collect()
}

/// Whether a line is of the kind that keys are made of: long, and of the letters of base64.
fn is_key_material(line: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
    line.len() >= 20 && line.iter().all(is_digit)
}

/// Blocks of a value; a last one that is too short to be looked for belongs to the one before.
fn blocks(value: &[u8]) -> Vec<&[u8]> {
    let mut blocks = Vec::new();
    let mut rest = value;
    while rest.len() >= BLOCK + SHORTEST {
        let (block, more) = rest.split_at(BLOCK);
        blocks.push(block);
        rest = more;
    }
    blocks.push(rest);
    blocks
}

/// What of the base64 of any text that holds the value depends on the value alone.
fn in_base64(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    for before in 0..3_usize {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(value);
        // A character holds 6 bits: those that also hold bits of a neighbour are left out.
        let first = (before * 8).div_ceil(6);
        let last = bytes.len() * 8 / 6;
        for engine in [&STANDARD, &URL_SAFE] {
            let text = engine.encode(&bytes);
            if let Some(own) = text.as_bytes().get(first..last) {
                forms.push(own.to_vec());
            }
        }
    }
}

/// As in addresses and forms: all but what never has to be encoded, and what libraries leave as it
/// is; in both cases of the digits.
fn percent_encoded(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    for kept in ["-_.~", "-_.~!'()*", "-_.", "-_.*", "-_.~/"] {
        for plus in [false, true] {
            let (mut upper, mut lower) = (String::new(), String::new());
            for byte in value {
                if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(byte) {
                    upper.push(char::from(*byte));
                    lower.push(char::from(*byte));
                } else if plus && *byte == b' ' {
                    upper.push('+');
                    lower.push('+');
                } else {
                    // Writing to a text cannot fail.
                    let _ = write!(upper, "%{byte:02X}");
                    let _ = write!(lower, "%{byte:02x}");
                }
            }
            forms.extend([upper.into_bytes(), lower.into_bytes()]);
        }
    }
}

/// As inside of a JSON text: with only what must be escaped, with slashes, and all in ASCII.
fn escaped(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    let Ok(text) = std::str::from_utf8(value) else { return };
    let Ok(quoted) = serde_json::to_string(text) else { return };
    let plain = quoted[1..quoted.len() - 1].to_owned();
    let (mut lower, mut upper) = (String::new(), String::new());
    for c in plain.chars() {
        if c.is_ascii() {
            lower.push(c);
            upper.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(lower, "\\u{unit:04x}");
                let _ = write!(upper, "\\u{unit:04X}");
            }
        }
    }
    // As some encoders make text safe to stand in a page.
    let page = plain
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\'', "\\u0027");
    let slashes = plain.replace('/', "\\/");
    // As it stands in a text that is itself inside of a JSON text: a log line in an event.
    let twice = serde_json::to_string(&plain).unwrap_or_default();
    let twice = twice.get(1..twice.len().saturating_sub(1)).unwrap_or_default().to_owned();
    forms.extend([plain, lower, upper, page, slashes, twice].map(String::into_bytes));
}

/// In digits of either case, without anything between them.
fn hexadecimal(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    let (mut lower, mut upper) = (String::new(), String::new());
    for byte in value {
        // Writing to a text cannot fail.
        let _ = write!(lower, "{byte:02x}");
        let _ = write!(upper, "{byte:02X}");
    }
    forms.extend([lower.into_bytes(), upper.into_bytes()]);
}

/// As some programs keep texts. Of the other byte order the same bytes are in the middle, so both are
/// found by what lies between the first byte and the last.
fn wide(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    let Ok(text) = std::str::from_utf8(value) else { return };
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    if text.is_ascii() {
        // A first byte is `c`, a last one 0: `c 0 d 0 e` is in both.
        forms.push(bytes[..bytes.len().saturating_sub(1)].to_vec());
    } else {
        forms.push(bytes);
        forms.push(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
    }
}
