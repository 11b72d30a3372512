//! Makes one line of terminal output readable: control sequences go, overwritten text goes.

/// The text of a raw line (without its newline) as a terminal would leave it, roughly: escape
/// sequences removed, a progress bar's last state kept, backspaces applied, bytes that are not
/// UTF-8 replaced. A sequence that is cut off ends with the line.
pub fn readable(raw: &[u8]) -> String {
    if raw.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f || *byte == b'\t') {
        return String::from_utf8_lossy(raw).into_owned();
    }
    let plain = without_sequences(raw);
    let shown = last_overwrite(&plain);
    let mut out = Vec::with_capacity(shown.len());
    for &byte in shown {
        match byte {
            b'\t' => out.push(byte),
            0x08 => take_back(&mut out),
            0x00..=0x1f | 0x7f => {}
            _ => out.push(byte),
        }
    }
    match String::from_utf8(out) {
        Ok(text) => text,
        Err(bad) => String::from_utf8_lossy(bad.as_bytes()).into_owned(),
    }
}

/// What a carriage return left on the line: the last part that is not empty.
fn last_overwrite(line: &[u8]) -> &[u8] {
    line.rsplit(|byte| *byte == b'\r').find(|part| !part.is_empty()).unwrap_or(&[])
}

/// Removes the last character, all its bytes.
fn take_back(out: &mut Vec<u8>) {
    while let Some(byte) = out.pop() {
        if byte & 0xc0 != 0x80 {
            return;
        }
    }
}

/// Removes escape sequences by the grammar of ECMA-48: CSI, OSC, DCS and its kin, and the short
/// ones. The eight-bit forms are left alone, as their bytes are parts of UTF-8 characters.
fn without_sequences(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.iter().position(|byte| *byte == 0x1b) {
        out.extend_from_slice(&rest[..at]);
        rest = after_sequence(&rest[at + 1..]);
    }
    out.extend_from_slice(rest);
    out
}

/// What follows a sequence whose escape byte has been read.
fn after_sequence(rest: &[u8]) -> &[u8] {
    match rest.first() {
        Some(b'[') => {
            let end = rest[1..].iter().position(|byte| !(0x20..=0x3f).contains(byte));
            // A byte that cannot end it (a control character, a letter beyond ASCII) is text.
            end.map_or(&[], |at| {
                let last = rest[1 + at];
                &rest[1 + at + usize::from((0x40..=0x7e).contains(&last))..]
            })
        }
        Some(b']' | b'P' | b'X' | b'^' | b'_') => after_string(&rest[1..]),
        Some(0x20..=0x2f) => {
            let end = rest.iter().position(|byte| !(0x20..=0x2f).contains(byte));
            end.map_or(&[], |at| &rest[at + 1..])
        }
        Some(0x30..=0x7e) => &rest[1..],
        Some(_) | None => rest,
    }
}

/// What follows a string sequence: it ends at BEL or at `ESC \`.
fn after_string(rest: &[u8]) -> &[u8] {
    match rest.iter().position(|byte| matches!(byte, 0x07 | 0x1b)) {
        Some(at) if rest[at] == 0x07 => &rest[at + 1..],
        Some(at) if rest.get(at + 1) == Some(&b'\\') => &rest[at + 2..],
        Some(at) => &rest[at..],
        None => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_a_terminal_would_leave_it() {
        for (raw, text) in [
            (&b"plain \ttext"[..], "plain \ttext"),
            (b"\x1b[1;31merror\x1b[0m: no", "error: no"),
            (b"\x1b]0;title\x07body", "body"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            (b"\x1bP1$r0m\x1b\\after", "after"),
            (b"\x1b(Btext\x1b=", "text"),
            (b" 10%\r 50%\r100%", "100%"),
            (b"done\r", "done"),
            (b"a\x08\x08b", "b"),
            ("é\u{8}e".as_bytes(), "e"),
            (b"bad \xff byte", "bad \u{fffd} byte"),
            (b"bell\x07 and\x00 null", "bell and null"),
            (b"cut \x1b[38;5", "cut "),
            (b"cut \x1b]0;tit", "cut "),
            (b"cut \x1b", "cut "),
            (b"\x1b[\xc3\xa9t", "ét"),
        ] {
            assert_eq!(readable(raw), text, "{raw:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_leave_a_control_character_behind(raw: Vec<u8>) {
            let line: Vec<u8> = raw.into_iter().filter(|byte| *byte != b'\n').collect();
            let text = readable(&line);
            proptest::prop_assert!(text.chars().all(|c| c == '\t' || !c.is_ascii_control()));
        }
    }
}
