//! Extended headers: `LENGTH KEY=VALUE\n`, where a value may hold any byte.

/// What an extended header says of the entry after it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Extended {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<(i64, u32)>,
    /// Extended attributes by their name.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// The pieces of a sparse file (versions 0.0 and 0.1).
    pub pieces: Vec<(u64, u64)>,
    /// The real size of a sparse file.
    pub real_size: Option<u64>,
    /// Version 1.0: the pieces are listed before the content.
    pub pieces_in_content: bool,
}

/// Reads one; `None` where it is malformed.
pub fn read(mut text: &[u8]) -> Option<Extended> {
    let mut all = Extended::default();
    while !text.is_empty() {
        // Some writers pad with zeros.
        if text.iter().all(|byte| *byte == 0) {
            break;
        }
        let space = text.iter().position(|byte| *byte == b' ')?;
        let length = usize::try_from(decimal(&text[..space])?).ok()?;
        let record = text.get(space + 1..length)?.strip_suffix(b"\n")?;
        text = &text[length..];
        let equals = record.iter().position(|byte| *byte == b'=')?;
        take(&mut all, &record[..equals], &record[equals + 1..])?;
    }
    Some(all)
}

fn take(all: &mut Extended, key: &[u8], value: &[u8]) -> Option<()> {
    match key {
        b"path" => all.path.get_or_insert(value.to_vec()).clone_from(&value.to_vec()),
        b"linkpath" => all.link = Some(value.to_vec()),
        b"size" => all.size = Some(decimal(value)?),
        b"uid" => all.uid = Some(decimal(value)?),
        b"gid" => all.gid = Some(decimal(value)?),
        b"mtime" => all.mtime = time(value),
        b"GNU.sparse.name" => all.path = Some(value.to_vec()),
        b"GNU.sparse.size" | b"GNU.sparse.realsize" => all.real_size = Some(decimal(value)?),
        b"GNU.sparse.major" => all.pieces_in_content = value == b"1",
        b"GNU.sparse.offset" => all.pieces.push((decimal(value)?, 0)),
        b"GNU.sparse.numbytes" => all.pieces.last_mut()?.1 = decimal(value)?,
        b"GNU.sparse.map" => {
            let numbers: Option<Vec<u64>> =
                value.split(|byte| *byte == b',').map(decimal).collect();
            all.pieces = numbers?.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        }
        _ => {
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                all.attributes.push((name.to_vec(), value.to_vec()));
            }
        }
    }
    Some(())
}

/// A number of at most 20 digits.
pub fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |all, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        all.checked_mul(10)?.checked_add(digit)
    })
}

/// Seconds with a fraction; those before 1970 become 0.
fn time(value: &[u8]) -> Option<(i64, u32)> {
    if value.first() == Some(&b'-') {
        return Some((0, 0));
    }
    let (seconds, fraction) = match value.iter().position(|byte| *byte == b'.') {
        Some(point) => (&value[..point], &value[point + 1..]),
        None => (value, &value[..0]),
    };
    let mut nanos = 0;
    for index in 0..9 {
        let digit = fraction.get(index).copied().unwrap_or(b'0');
        nanos = nanos * 10 + u32::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    Some((i64::try_from(decimal(seconds)?).ok()?, nanos))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn values_may_hold_line_breaks_and_zeros() {
        let text =
            b"14 path=a\nb\0c\n30 SCHILY.xattr.user.x=\n\n=\0\x01\xff\n20 mtime=12.5000000\n";
        let all = read(text).unwrap();
        assert_eq!(all.path.as_deref(), Some(&b"a\nb\0c"[..]));
        assert_eq!(all.attributes, [(b"user.x".to_vec(), b"\n\n=\0\x01\xff".to_vec())]);
        assert_eq!(all.mtime, Some((12, 500_000_000)));
    }

    #[test]
    fn what_is_malformed_is_refused_and_never_panics() {
        for text in [
            &b"5 a=b"[..],
            b"x",
            b"99 a=b\n",
            b"0 a=b\n",
            b"4 a\n",
            b"10 size=-1\n",
            b" \n",
            b"3 \n",
            b"24 GNU.sparse.numbytes=1\n",
            b"99999999999999999999999 a=b\n",
        ] {
            assert_eq!(read(text), None, "{}", String::from_utf8_lossy(text));
        }
    }
}
