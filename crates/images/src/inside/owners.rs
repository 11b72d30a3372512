//! Which owners can be given here: the ids that this sandbox has.

use std::fs;

use rustix::fs::{Gid, Uid};

/// The ranges of ids inside.
pub struct Owners {
    users: Vec<(u32, u32)>,
    groups: Vec<(u32, u32)>,
}

impl Owners {
    /// Reads them. Asked of the kernel and not found out by trying: where there is one id only, a
    /// filter may say of every change of owner that it was done.
    pub fn read() -> Self {
        Self { users: ranges("/proc/self/uid_map"), groups: ranges("/proc/self/gid_map") }
    }

    /// The pair, if both can be given.
    pub fn of(&self, uid: u64, gid: u64) -> Option<(Uid, Gid)> {
        let uid = within(&self.users, uid)?;
        Some((Uid::from_raw(uid), Gid::from_raw(within(&self.groups, gid)?)))
    }
}

fn within(ranges: &[(u32, u32)], id: u64) -> Option<u32> {
    // All ones mean "as it is" to the kernel.
    let id = u32::try_from(id).ok().filter(|id| *id != u32::MAX)?;
    let inside = |(first, count): &(u32, u32)| id >= *first && id - first < *count;
    ranges.iter().any(inside).then_some(id)
}

/// The first id inside, and how many; none where it cannot be read.
fn ranges(path: &str) -> Vec<(u32, u32)> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let range = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let first = fields.next()?.parse().ok()?;
        Some((first, fields.nth(1)?.parse().ok()?))
    };
    text.lines().filter_map(range).collect()
}
