//! Whose turn it is. Pure: the same queue and the same work give the same pick.

use std::cmp::Reverse;
use std::collections::HashMap;

use quire_domain::ids::{AttemptId, TeamId, UserId};
use quire_domain::time::Timestamp;

/// The first of those that one person has waiting in one team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) attempt: AttemptId,
    pub(crate) author: UserId,
    pub(crate) team: TeamId,
    /// Higher ones go first, whoever has how much at work.
    pub(crate) priority: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) ordinal: u8,
}

/// What is at work now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AtWork {
    pub(crate) all: u32,
    pub(crate) authors: HashMap<UserId, u32>,
    pub(crate) teams: HashMap<TeamId, u32>,
}

impl AtWork {
    /// Notes `count` more.
    pub(crate) fn add(&mut self, author: UserId, team: TeamId, count: u32) {
        self.all = self.all.saturating_add(count);
        let of_author = self.authors.entry(author).or_default();
        *of_author = of_author.saturating_add(count);
        let of_team = self.teams.entry(team).or_default();
        *of_team = of_team.saturating_add(count);
    }

    pub(crate) fn of_author(&self, author: UserId) -> u32 {
        self.authors.get(&author).copied().unwrap_or(0)
    }

    fn of_team(&self, team: TeamId) -> u32 {
        self.teams.get(&team).copied().unwrap_or(0)
    }
}

/// How much may be at work at once; who is not named may have any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AtOnce {
    pub(crate) server: Option<u32>,
    pub(crate) authors: HashMap<UserId, u32>,
    pub(crate) teams: HashMap<TeamId, u32>,
}

impl AtOnce {
    fn allows(&self, head: &Head, at_work: &AtWork) -> bool {
        let below = |limit: Option<u32>, work: u32| limit.is_none_or(|limit| work < limit);
        below(self.server, at_work.all)
            && below(self.authors.get(&head.author).copied(), at_work.of_author(head.author))
            && below(self.teams.get(&head.team).copied(), at_work.of_team(head.team))
    }
}

/// The place in `heads` of the one that goes next: whose person has the fewest at work, then whose
/// team has, then the oldest. `None` where all are over a limit, or nobody waits.
pub(crate) fn pick(heads: &[Head], at_work: &AtWork, at_once: &AtOnce) -> Option<usize> {
    let allowed = heads.iter().enumerate().filter(|(_, head)| at_once.allows(head, at_work));
    let next = allowed.min_by_key(|(_, head)| {
        (
            Reverse(head.priority),
            at_work.of_author(head.author),
            at_work.of_team(head.team),
            (head.created_at, head.ordinal, head.attempt),
        )
    });
    next.map(|(place, _)| place)
}

/// What one person has waiting, beside somebody who asks for their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// At work now.
    pub(crate) at_work: u64,
    /// Waiting.
    pub(crate) count: u64,
    /// Waiting for longer than who asks.
    pub(crate) older: u64,
}

/// How many go before somebody whose person has `at_work` at work and `before` waiting ahead of
/// them, if nothing ended meanwhile: everybody's next goes when they have as many at work as the
/// others. A limit, where one is reached, makes it longer.
pub(crate) fn ahead(at_work: u64, before: u64, others: &[Waiting]) -> u64 {
    let level = at_work + before;
    let of_others = others.iter().map(|other| {
        // Those that bring the other to this level, and the one at the same level if it is older.
        let below = level.saturating_sub(other.at_work);
        let tie = u64::from(level >= other.at_work && other.older > below);
        other.count.min(below + tie)
    });
    before + of_others.sum::<u64>()
}

#[cfg(test)]
mod tests {
    use quire_domain::ids::{AttemptId, TeamId, UserId};
    use quire_domain::time::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn head(attempt: u128, author: u128, team: u128, at: u64) -> Head {
        Head {
            attempt: AttemptId(Uuid::from_u128(attempt)),
            author: UserId(Uuid::from_u128(author)),
            team: TeamId(Uuid::from_u128(team)),
            priority: 0,
            created_at: Timestamp(at),
            ordinal: 1,
        }
    }

    #[test]
    fn who_has_the_fewest_at_work_is_next_then_their_team_then_the_oldest() {
        let heads = [head(1, 1, 1, 10), head(2, 2, 1, 20), head(3, 3, 2, 30)];
        let free = AtOnce::default();
        let mut at_work = AtWork::default();
        let mut order = Vec::new();
        for _ in 0..6 {
            let next = pick(&heads, &at_work, &free).unwrap();
            order.push(next + 1);
            at_work.add(heads[next].author, heads[next].team, 1);
        }
        assert_eq!(order, [1, 3, 2, 3, 1, 2], "3's team has less at work");
    }

    #[test]
    fn a_limit_of_one_holds_up_nobody_else_and_the_servers_holds_up_all() {
        let heads = [head(1, 1, 1, 10), head(2, 2, 2, 20)];
        let mut at_work = AtWork::default();
        let mut at_once = AtOnce { server: Some(3), ..AtOnce::default() };
        at_once.authors.insert(heads[0].author, 0);
        at_once.teams.insert(heads[1].team, 2);
        assert_eq!(pick(&heads, &at_work, &at_once), Some(1));
        at_work.add(heads[1].author, heads[1].team, 2);
        assert_eq!(pick(&heads, &at_work, &at_once), None, "one may have none, the other has two");
        at_once.authors.clear();
        assert_eq!(pick(&heads, &at_work, &at_once), Some(0));
        at_work.add(heads[0].author, heads[0].team, 1);
        assert_eq!(pick(&heads, &at_work, &at_once), None);
    }

    #[test]
    fn what_matters_more_goes_first_whoever_asked_for_it() {
        let urgent = Head { priority: 1, ..head(2, 1, 1, 99) };
        let heads = [head(1, 2, 2, 1), urgent];
        let mut at_work = AtWork::default();
        at_work.add(urgent.author, urgent.team, 7);
        assert_eq!(pick(&heads, &at_work, &AtOnce::default()), Some(1));
    }

    #[test]
    fn a_place_is_the_one_that_picking_gives() {
        // One person has 40 waiting and 2 at work; who comes next with nothing at work waits for
        // nobody, and their third for one of them each.
        let many = Waiting { at_work: 2, count: 40, older: 40 };
        assert_eq!(ahead(0, 0, &[many]), 0);
        assert_eq!(ahead(0, 1, &[many]), 1);
        assert_eq!(ahead(0, 2, &[many]), 3, "the other has two at work too, and an older one");
        assert_eq!(ahead(2, 0, &[Waiting { older: 0, ..many }]), 0, "theirs is the older one");
        assert_eq!(ahead(5, 0, &[many]), 4, "three to be level, and an older one");
        assert_eq!(ahead(100, 3, &[many]), 43);
    }
}
