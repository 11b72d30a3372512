//! How long failed sign-ins lock: a name from one address soon, an address later, a name alone
//! hardly, so that nobody can lock somebody else out for long.

use std::net::IpAddr;

/// A second, in milliseconds.
const SECOND: u64 = 1000;

/// What a try is counted under, with how long so many failures lock it.
pub(super) struct Counted {
    pub(super) subject: String,
    pub(super) lock: fn(u32) -> u64,
}

/// What a try to sign in as `name` from `address` is counted under.
pub(super) fn counted(name: &str, address: Option<IpAddr>) -> [Counted; 3] {
    let from = address.map_or("nowhere".to_owned(), |address| network(address).to_string());
    [
        Counted { subject: format!("{name} from {from}"), lock: of_both },
        Counted { subject: format!("from {from}"), lock: of_address },
        Counted { subject: format!("as {name}"), lock: of_name },
    ]
}

/// From the fifth failure a second, each time twice as long, to 15 minutes.
fn of_both(failures: u32) -> u64 {
    doubled(failures, 5, 15 * 60 * SECOND)
}

/// From the thirtieth, to 15 minutes.
fn of_address(failures: u32) -> u64 {
    doubled(failures, 30, 15 * 60 * SECOND)
}

/// From the hundredth, to one minute: enough against guessing from everywhere at once.
fn of_name(failures: u32) -> u64 {
    doubled(failures, 100, 60 * SECOND)
}

fn doubled(failures: u32, from: u32, most: u64) -> u64 {
    match failures.checked_sub(from) {
        None => 0,
        Some(times) => SECOND.checked_shl(times.min(40)).unwrap_or(most).min(most),
    }
}

/// An address as one machine has it: of IPv6 the network.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & (u128::MAX << 64)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_locks_longer_each_time_and_never_for_ever() {
        let seconds = |failures| of_both(failures) / SECOND;
        assert_eq!([1, 4, 5, 6, 10].map(seconds), [0, 0, 1, 2, 32]);
        assert_eq!([15, 100, u32::MAX].map(seconds), [900, 900, 900]);
        assert_eq!(of_name(99), 0);
        assert_eq!(of_name(u32::MAX), 60 * SECOND);
    }
}
