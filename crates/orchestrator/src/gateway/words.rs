//! What people read where a call is held.

use quire_domain::quota::{MonthLimit, Subject};

use super::ledger::Reached;

/// Of a limit of the month; on a server what waits goes on by itself.
pub(super) fn reached(reached: &Reached, by_itself: bool) -> String {
    let whose = match reached.subject {
        Subject::Server => "the server's",
        Subject::Team(_) => "the team's",
        Subject::User(_) => "the author's",
    };
    let used = match reached.limit {
        MonthLimit::Cost(_) => reached.used.cost.to_string(),
        MonthLimit::Tokens(_) => format!("{} tokens", reached.used.tokens),
    };
    let goes_on = if by_itself { "goes on by itself" } else { "can go on" };
    format!(
        "{whose} quota of {} for {} is used up ({used}): it {goes_on} on {} (UTC), or when the \
         quota is raised (`quire quota set`)",
        reached.limit,
        reached.month,
        reached.month.next().first_day(),
    )
}

/// Of a pause, e.g. `3 h 5 min`.
pub(super) fn pause(ms: u64) -> String {
    let seconds = ms.div_ceil(1000);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds.div_ceil(60)),
        _ => {
            let minutes = seconds.div_ceil(60);
            match minutes % 60 {
                0 => format!("{} h", minutes / 60),
                rest => format!("{} h {rest} min", minutes / 60),
            }
        }
    }
}
