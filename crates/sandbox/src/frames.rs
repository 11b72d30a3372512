//! The words between host and guest: packets of a few little-endian numbers, content in memory
//! files and pipes that travel with them.

/// The longest packet either way.
pub const PACKET: usize = 32;

/// Host to guest.
pub mod ask {
    /// `[START, id, io, columns, rows]` with the request's memory file and the command's ends.
    pub const START: u32 = 1;
    /// `[SIGNAL, pid, signal]`: to the process and its group.
    pub const SIGNAL: u32 = 2;
    /// `[READ, id, limit low, limit high]` with the path and a pipe for the answer.
    pub const READ: u32 = 3;
    /// `[CHANGE, id]` with the changes and a pipe for the answer.
    pub const CHANGE: u32 = 4;
    /// `[FOLD, id]` with a memory file that is not read and a pipe for the answer: may this
    /// sandbox be folded? If so `/tmp` is saved.
    pub const FOLD: u32 = 5;
    /// `[RESIZE, pid, columns, rows]`: of the terminal that the command was given.
    pub const RESIZE: u32 = 6;
}

/// How a command is connected, in `START`.
pub mod io {
    /// Output and error to one pipe.
    pub const OUTPUT: u32 = 0;
    /// The same, and input from a pipe.
    pub const INPUT_OUTPUT: u32 = 1;
    /// Output and error to a pipe each.
    pub const SEPARATE: u32 = 2;
    /// A terminal, relayed by two pipes.
    pub const TERMINAL: u32 = 3;
    /// Output and error to a pipe each, input from a third.
    pub const INPUT_SEPARATE: u32 = 4;
}

/// Guest to host.
pub mod tell {
    /// `[STARTED, id, pid, errno]`; `errno` is 0 if it runs.
    pub const STARTED: u32 = 1;
    /// `[EXITED, id, kind, value]`: kind 0 a code, 1 a signal; with it, which of [`FULL`] are,
    /// where the command failed.
    pub const EXITED: u32 = 2;
    /// The bits of the kind that say that file systems in memory are full, and which.
    pub const FULL: [(u32, &std::ffi::CStr); 3] =
        [(0x100, c"/tmp"), (0x200, c"/dev/shm"), (0x400, c"/var")];
}

/// What a helper writes first to its pipe: `[code, errno, number low, number high]`.
pub mod answer {
    /// Done; content may follow.
    pub const DONE: u32 = 0;
    /// No such file.
    pub const NOT_FOUND: u32 = 1;
    /// No regular file.
    pub const NOT_A_FILE: u32 = 2;
    /// Larger than asked for; the number is its size.
    pub const TOO_LARGE: u32 = 3;
    /// Refused; the error number says why. A path may follow.
    pub const DENIED: u32 = 4;
    /// Not now: something runs, or must not be lost.
    pub const BUSY: u32 = 5;

    /// The length of the head.
    pub const HEAD: usize = 16;
}

/// Packs numbers into a packet.
pub fn pack<const N: usize>(numbers: [u32; N]) -> ([u8; PACKET], usize) {
    let mut packet = [0; PACKET];
    for (index, number) in numbers.iter().enumerate().take(PACKET / 4) {
        packet[index * 4..index * 4 + 4].copy_from_slice(&number.to_le_bytes());
    }
    (packet, (N * 4).min(PACKET))
}

/// The low and the high half of a number.
pub fn halves(number: u64) -> (u32, u32) {
    let bytes = number.to_le_bytes();
    (crate::wire::u32_at(&bytes, 0), crate::wire::u32_at(&bytes, 4))
}
