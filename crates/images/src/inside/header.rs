//! A tar's header block: what stands where, and its numbers.

/// Every header, and what file content is padded to.
pub const BLOCK: usize = 512;

/// One header, its sum checked.
pub struct Header(Box<[u8; BLOCK]>);

/// The old GNU form of a file with holes: the first pieces, whether more follow, the real size.
pub type Holes = (Vec<(u64, u64)>, bool, u64);

impl Header {
    /// Checks the sum, which some writers form over signed bytes.
    pub fn check(block: Box<[u8; BLOCK]>) -> Option<Self> {
        let stored = number(&block[148..156])?;
        let (mut unsigned, mut signed) = (0_u64, 0_i64);
        for (index, byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&index) { b' ' } else { *byte };
            unsigned += u64::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        (stored == unsigned || i64::try_from(stored).ok() == Some(signed)).then_some(Self(block))
    }

    /// The kind, by its letter.
    pub fn kind(&self) -> u8 {
        self.0[156]
    }

    /// The name, with its prefix where there is one.
    pub fn name(&self) -> Vec<u8> {
        let name = text(&self.0[..100]);
        let prefix = text(&self.0[345..500]);
        if self.0[257..263] == *b"ustar\0" && !prefix.is_empty() {
            let mut whole = prefix.to_vec();
            whole.push(b'/');
            whole.extend_from_slice(name);
            return whole;
        }
        name.to_vec()
    }

    /// What a link leads to.
    pub fn link(&self) -> Vec<u8> {
        text(&self.0[157..257]).to_vec()
    }

    /// Permissions, with set-user-id and the like.
    pub fn mode(&self) -> Option<u32> {
        Some(u32::try_from(number(&self.0[100..108])?).ok()? & 0o7777)
    }

    /// The owner.
    pub fn uid(&self) -> Option<u64> {
        number(&self.0[108..116])
    }

    /// The group.
    pub fn gid(&self) -> Option<u64> {
        number(&self.0[116..124])
    }

    /// Bytes that follow.
    pub fn size(&self) -> Option<u64> {
        number(&self.0[124..136])
    }

    /// Seconds since 1970; 0 where they cannot be read.
    pub fn mtime(&self) -> i64 {
        number(&self.0[136..148]).and_then(|time| i64::try_from(time).ok()).unwrap_or(0)
    }

    /// The holes of an old GNU sparse file.
    pub fn sparse(&self) -> Option<Holes> {
        let pieces = pieces(&self.0[386..482])?;
        Some((pieces, self.0[482] != 0, number(&self.0[483..495])?))
    }
}

/// Pieces of a sparse file from a table of 24 bytes each, up to the first empty one.
pub fn pieces(table: &[u8]) -> Option<Vec<(u64, u64)>> {
    let used = table.chunks_exact(24).take_while(|piece| piece[0] != 0);
    used.map(|piece| Some((number(&piece[..12])?, number(&piece[12..])?))).collect()
}

/// Octal digits between spaces and zeros; or, where the first bit is set, big-endian binary.
/// Negative numbers are refused.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        if field[0] & 0x40 != 0 {
            return None;
        }
        return field.iter().enumerate().try_fold(0_u64, |all, (index, byte)| {
            let byte = if index == 0 { byte & 0x3f } else { *byte };
            all.checked_mul(256)?.checked_add(u64::from(byte))
        });
    }
    let digits = field.iter().copied().skip_while(|byte| *byte == b' ' || *byte == 0);
    digits.take_while(|byte| *byte != b' ' && *byte != 0).try_fold(
        0_u64,
        |all, digit| match digit {
            b'0'..=b'7' => all.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
            _ => None,
        },
    )
}

fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}
