//! Files with holes: where the pieces that were stored belong.

use std::io::{self, Read};

use super::header::{BLOCK, pieces};
use super::pax::decimal;

/// The most pieces of one file.
const MAX_PIECES: usize = 1 << 20;

/// Reads the tables that follow an old GNU header.
pub fn more_tables(stream: &mut impl Read, all: &mut Vec<(u64, u64)>) -> io::Result<()> {
    loop {
        let mut block = [0; BLOCK];
        stream.read_exact(&mut block)?;
        all.extend(pieces(&block[..504]).ok_or_else(malformed)?);
        if all.len() > MAX_PIECES {
            return Err(malformed());
        }
        if block[504] == 0 {
            return Ok(());
        }
    }
}

/// Reads the list that stands before the content in version 1.0 of the extended format; gives the
/// bytes that it took, with its padding.
pub fn list_before(stream: &mut impl Read, all: &mut Vec<(u64, u64)>) -> io::Result<u64> {
    let (mut block, mut at, mut taken) = ([0; BLOCK], BLOCK, 0_u64);
    let mut next = |stream: &mut dyn Read, taken: &mut u64| -> io::Result<u64> {
        let mut digits = Vec::new();
        loop {
            if at == BLOCK {
                stream.read_exact(&mut block)?;
                *taken += BLOCK as u64;
                at = 0;
            }
            let byte = block[at];
            at += 1;
            if byte == b'\n' {
                return decimal(&digits).ok_or_else(malformed);
            }
            digits.push(byte);
            if digits.len() > 20 {
                return Err(malformed());
            }
        }
    };
    let count = usize::try_from(next(stream, &mut taken)?).map_err(|_| malformed())?;
    if count > MAX_PIECES {
        return Err(malformed());
    }
    for _ in 0..count {
        let offset = next(stream, &mut taken)?;
        all.push((offset, next(stream, &mut taken)?));
    }
    Ok(taken)
}

/// Whether the pieces lie in order within `real_size` and hold `stored` bytes together.
pub fn fits(all: &[(u64, u64)], stored: u64, real_size: u64) -> bool {
    let mut end = 0_u64;
    let mut sum = 0_u64;
    for (offset, length) in all {
        let Some(next) =
            offset.checked_add(*length).filter(|next| *offset >= end && *next <= real_size)
        else {
            return false;
        };
        end = next;
        sum += length;
    }
    sum == stored
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the table of a sparse file is malformed")
}
