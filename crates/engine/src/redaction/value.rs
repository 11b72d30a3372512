//! Which values can be redacted: what is too short or too common would take harmless text along,
//! and show by that what it was.

/// The shortest value that is redacted, in bytes.
pub const SHORTEST: usize = 8;

/// Words of one case are redacted from this length on, in bytes: shorter ones stand in any text.
const SHORTEST_WORD: usize = 12;

/// Numbers are redacted from this length on, in bytes.
const SHORTEST_NUMBER: usize = 8;

/// Different bytes that a value has at least.
const LEAST_DIFFERENT: usize = 3;

/// Why a value is not redacted, to be read after "as it"; `None` if it is.
pub fn why_not(value: &[u8]) -> Option<&'static str> {
    let value = value.trim_ascii();
    let all = |kind: fn(&u8) -> bool| value.iter().all(kind);
    let mut seen = [false; 256];
    for byte in value {
        seen[usize::from(*byte)] = true;
    }
    if value.len() < SHORTEST {
        Some("is shorter than 8 bytes")
    } else if seen.iter().filter(|seen| **seen).count() < LEAST_DIFFERENT {
        Some("is made of one or two characters")
    } else if value.len() < SHORTEST_NUMBER && all(u8::is_ascii_digit) {
        Some("is a number of less than 8 digits")
    } else if value.len() < SHORTEST_WORD && is_word(value) {
        Some("is a plain word of less than 12 letters")
    } else {
        None
    }
}

/// Whether it is letters of one case, as words and names are; the first may be a capital.
fn is_word(value: &[u8]) -> bool {
    let Some((first, rest)) = value.split_first() else { return true };
    let small = |byte: &u8| byte.is_ascii_lowercase() || b"_-".contains(byte);
    let large = |byte: &u8| byte.is_ascii_uppercase() || b"_-".contains(byte);
    (first.is_ascii_alphabetic() && rest.iter().all(small)) || value.iter().all(large)
}
