//! A person or a token, and what they may in which team.

use std::net::IpAddr;

use quire_api::ProblemKind;
use quire_domain::access::{Grants, Owner, Right, Role};
use quire_domain::ids::{TeamId, TokenId, UserId};
use quire_store::{Actor, Session, Store, Team, User};

use crate::access::sign_in::shown;
use crate::refusal::{Refusal, Result};
use crate::state::State;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The user.
    pub user: UserId,
    /// What they type to sign in.
    pub name: String,
    /// Whether they administer the whole installation, with what they came with.
    pub admin: bool,
    /// The teams that they may reach, and what they are there; those of the token, if it is
    /// limited to one.
    pub teams: Vec<In>,
    /// The token that they came with; `None` for a session.
    pub token: Option<TokenId>,
    /// What the token is limited to; `None` if it is not.
    pub scopes: Option<Vec<Right>>,
    /// The session that they came with; `None` for a token.
    pub session: Option<Session>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    grants: Grants,
}

/// What somebody is in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct In {
    /// The team.
    pub team: TeamId,
    /// Its name.
    pub name: String,
    /// What they are in it.
    pub role: Role,
}

impl Who {
    pub(super) fn new(
        user: &User,
        teams: Vec<(Team, Role)>,
        grants: Grants,
        token: Option<TokenId>,
        session: Option<Session>,
        address: Option<IpAddr>,
    ) -> Self {
        let teams = teams.into_iter();
        Self {
            user: user.id,
            name: user.name.to_string(),
            admin: grants.may_everywhere(Right::ManageServer),
            teams: teams
                .map(|(team, role)| In { team: team.id, name: team.name.to_string(), role })
                .collect(),
            token,
            scopes: grants.limits().rights.as_ref().map(|rights| rights.iter().copied().collect()),
            session,
            address,
            grants,
        }
    }

    /// What they may do.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// The store, for what they do: each change is written down as theirs.
    pub fn store(&self, state: &State) -> Store {
        state.store.acting(self.actor())
    }

    /// Whether they have a right in a team. An administrator of the installation has only those
    /// rights in a team that they have as a member.
    pub fn may(&self, right: Right, team: TeamId) -> bool {
        self.grants.may_in(team, right)
    }

    /// Whether they have a right in some team, or in the installation.
    pub fn may_somewhere(&self, right: Right) -> bool {
        self.grants.may_somewhere(right)
    }

    /// The teams in which they have a right.
    pub fn teams_with(&self, right: Right) -> Vec<TeamId> {
        self.grants.teams_with(right)
    }

    /// Lets them do what needs `right` to a thing of `team`.
    ///
    /// # Errors
    ///
    /// Not found if they see nothing of that team, not allowed if they may see it and no more.
    pub fn needs(
        &self,
        right: Right,
        team: TeamId,
        what: &str,
        name: impl std::fmt::Display,
    ) -> Result<()> {
        if self.may(right, team) {
            return Ok(());
        }
        let sees = match right {
            Right::WriteTasks | Right::ManageTeam | Right::ReadAudit => Some(Right::ReadTasks),
            Right::WriteEnvironments => Some(Right::ReadEnvironments),
            _ => None,
        };
        if sees.is_some_and(|sees| self.may(sees, team)) {
            return Err(not_allowed(right));
        }
        Err(Refusal::not_found(what, name))
    }

    /// The team that something new is to belong to: the one named, by name or id, or the only one
    /// in which they have `right`.
    pub fn team_for(&self, right: Right, named: Option<&str>) -> Result<TeamId> {
        match named {
            Some(named) => {
                let found = self
                    .teams
                    .iter()
                    .find(|one| one.name == named || one.team.to_string() == named)
                    .ok_or_else(|| Refusal::not_found("team", named))?;
                self.needs(right, found.team, "team", named)?;
                Ok(found.team)
            }
            None => match self.teams_with(right)[..] {
                [only] => Ok(only),
                [] => Err(not_allowed(right)),
                _ => {
                    Err(Refusal::invalid("you are in several teams", "name one of them as `team`"))
                }
            },
        }
    }

    /// Who they are, for the record of what was done.
    pub fn actor(&self) -> Actor {
        Actor { user: Some(self.user), token: self.token, address: shown(self.address) }
    }

    /// Whose something new of theirs is.
    pub fn owner(&self, team: TeamId) -> Owner {
        Owner { team, author: self.user }
    }
}

/// The right is missing.
pub(super) fn not_allowed(right: Right) -> Refusal {
    let word = serde_json::to_value(right).ok();
    let word = word.as_ref().and_then(|word| word.as_str()).unwrap_or_default().to_owned();
    Refusal::new(
        ProblemKind::NotAllowed,
        format!("the right `{word}` is missing"),
        "ask an administrator of the team for it, or use a token that has it",
    )
}
