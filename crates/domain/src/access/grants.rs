//! What somebody who asks may do: their roles, within what the token they came with allows.

use std::collections::{BTreeMap, BTreeSet};

use super::{Right, Role};
use crate::ids::TeamId;

/// What a token narrows its owner's rights to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Only these; `None` is all that its owner has.
    pub rights: Option<BTreeSet<Right>>,
    /// Only in this team; `None` is all of them. No right over the whole installation then.
    pub team: Option<TeamId>,
}

/// What somebody may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    roles: BTreeMap<TeamId, Role>,
    server_admin: bool,
    limits: Limits,
}

impl Grants {
    /// Of a person who is `roles` in their teams and may be an administrator of the whole
    /// installation.
    pub fn new(roles: impl IntoIterator<Item = (TeamId, Role)>, server_admin: bool) -> Self {
        Self { roles: roles.into_iter().collect(), server_admin, limits: Limits::default() }
    }

    /// Of a service: it has these rights in one team, whoever made its token.
    pub fn of_service(team: TeamId, rights: BTreeSet<Right>) -> Self {
        let limits = Limits { rights: Some(rights), team: Some(team) };
        Self { roles: BTreeMap::from([(team, Role::Admin)]), server_admin: false, limits }
    }

    /// The same, narrowed to what a token allows.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Whether nothing narrows what the person may: no token, or one that is allowed everything.
    pub fn unlimited(&self) -> bool {
        self.limits == Limits::default()
    }

    /// What narrows it.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether `right` is there in `team`.
    ///
    /// An administrator of the installation sees no team's tasks by that: they make themselves a
    /// member, and that is written down.
    pub fn may_in(&self, team: TeamId, right: Right) -> bool {
        self.allowed(right)
            && self.limits.team.is_none_or(|only| only == team)
            && self.roles.get(&team).is_some_and(|role| role.may(right))
    }

    /// Whether `right` is there over the whole installation.
    pub fn may_everywhere(&self, right: Right) -> bool {
        let over_all = matches!(right, Right::ManageServer | Right::ReadAudit | Right::ReadUsage);
        over_all && self.server_admin && self.limits.team.is_none() && self.allowed(right)
    }

    /// Whether `right` is there anywhere: what a route asks before it knows which team it is about.
    pub fn may_somewhere(&self, right: Right) -> bool {
        self.may_everywhere(right) || self.roles.keys().any(|team| self.may_in(*team, right))
    }

    /// Whether somebody in `team`, in any role: to everybody else what is in it does not exist.
    pub fn belongs_to(&self, team: TeamId) -> bool {
        self.limits.team.is_none_or(|only| only == team) && self.roles.contains_key(&team)
    }

    /// The teams in which `right` is there.
    pub fn teams_with(&self, right: Right) -> Vec<TeamId> {
        self.roles.keys().copied().filter(|team| self.may_in(*team, right)).collect()
    }

    /// The role in a team, as far as the token shows it.
    pub fn role_in(&self, team: TeamId) -> Option<Role> {
        self.limits.team.is_none_or(|only| only == team).then(|| self.roles.get(&team).copied())?
    }

    fn allowed(&self, right: Right) -> bool {
        self.limits.rights.as_ref().is_none_or(|rights| rights.contains(&right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ONE: TeamId = TeamId(Uuid::from_u128(1));
    const OTHER: TeamId = TeamId(Uuid::from_u128(2));

    #[test]
    fn rights_in_one_team_are_none_in_another() {
        let admin = Grants::new([(ONE, Role::Admin)], false);
        for right in Right::ALL {
            assert!(!admin.may_in(OTHER, right) && !admin.may_everywhere(right));
        }
        assert!(admin.belongs_to(ONE) && !admin.belongs_to(OTHER));
        assert_eq!(admin.teams_with(Right::ManageTeam), [ONE]);
    }

    #[test]
    fn an_administrator_of_the_server_manages_it_and_reads_no_tasks() {
        let server = Grants::new([], true);
        assert!(server.may_everywhere(Right::ManageServer));
        assert!(!server.may_somewhere(Right::ReadTasks) && !server.may_in(ONE, Right::ReadTasks));
    }

    #[test]
    fn a_token_only_ever_narrows() {
        let full = Grants::new([(ONE, Role::Member), (OTHER, Role::Admin)], true);
        let rights = Some(BTreeSet::from([Right::ReadTasks, Right::ManageTeam]));
        let token = full.clone().within(Limits { rights, team: Some(ONE) });
        assert_eq!(token.teams_with(Right::ReadTasks), [ONE]);
        assert!(!token.may_somewhere(Right::ManageTeam), "a member does not manage");
        assert!(!token.may_somewhere(Right::WriteTasks), "not in its scopes");
        assert!(!token.may_somewhere(Right::ManageServer), "not in its scopes");
        assert!(!token.belongs_to(OTHER) && !token.unlimited() && full.unlimited());
        let of_team = full.within(Limits { rights: None, team: Some(ONE) });
        assert!(!of_team.may_everywhere(Right::ManageServer), "a team's token is of that team");
        let none = Grants::new([(ONE, Role::Admin)], true)
            .within(Limits { rights: Some(BTreeSet::new()), team: None });
        assert!(Right::ALL.iter().all(|right| !none.may_somewhere(*right)));
    }
}
