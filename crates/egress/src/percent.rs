//! Percent-encoding, strictly: an escape that is none is an error.

/// `bytes` with every `%XX` replaced; `None` where a `%` is not followed by two hex digits.
pub(crate) fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let (high, low) = (hex(*after.first()?)?, hex(*after.get(1)?)?);
            plain.push(high << 4 | low);
            rest = &after[2..];
        } else {
            plain.push(first);
            rest = after;
        }
    }
    Some(plain)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
