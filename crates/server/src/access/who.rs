//! A person or a token, and what they may in which team.

use std::net::IpAddr;

use quire_api::ProblemKind;
use quire_domain::access::{Owner, Right, Role};
use quire_domain::ids::{TeamId, UserId};
use uuid::Uuid;

use crate::refusal::{Refusal, Result};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The user.
    pub user: UserId,
    /// What they type to sign in.
    pub name: String,
    /// Whether they administer the whole installation.
    pub admin: bool,
    /// The teams that they may reach, and what they are there; those of the token, if it is
    /// limited to one.
    pub teams: Vec<In>,
    /// The token that they came with; `None` for a session.
    pub token: Option<Uuid>,
    /// What the token is limited to; `None` if it is not.
    pub scopes: Option<Vec<Right>>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
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
    /// Whether what they came with lets them use `right` at all.
    fn in_scope(&self, right: Right) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.contains(&right))
    }

    /// Whether they have a right in a team. An administrator of the installation has only those
    /// rights in a team that they have as a member.
    pub fn may(&self, right: Right, team: TeamId) -> bool {
        let role = self.teams.iter().find(|one| one.team == team).map(|one| one.role);
        self.in_scope(right) && role.is_some_and(|role| role.may(right))
    }

    /// Whether they have a right in some team, or in the installation.
    pub fn may_somewhere(&self, right: Right) -> bool {
        let everywhere = self.admin && right.least_role().is_none();
        self.in_scope(right) && (everywhere || self.teams.iter().any(|one| one.role.may(right)))
    }

    /// The teams in which they have a right.
    pub fn teams_with(&self, right: Right) -> Vec<TeamId> {
        self.teams.iter().map(|one| one.team).filter(|team| self.may(right, *team)).collect()
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
