//! Who may do what: roles in a team, and the rights that come with them.

mod grants;
mod names;

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{TeamId, UserId};

pub use grants::{Grants, Limits};
pub use names::{BadName, MAX_NAME_BYTES, TeamName, UserName};

/// Who uses an installation alone; there from the start.
pub const LOCAL_USER: UserId = UserId(Uuid::from_u128(0x7000_8000_0000_0000_0001));

/// The team of who uses an installation alone; there from the start.
pub const LOCAL_TEAM: TeamId = TeamId(Uuid::from_u128(0x7000_8000_0000_0000_0002));

/// Whose something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// Who in it sees it.
    pub team: TeamId,
    /// Who asked for it.
    pub author: UserId,
}

impl Owner {
    /// Of who uses an installation alone.
    pub const LOCAL: Self = Self { team: LOCAL_TEAM, author: LOCAL_USER };
}

impl Default for Owner {
    fn default() -> Self {
        Self::LOCAL
    }
}

/// Whose environments and secrets those of a team are, as they are kept: what was there before
/// there were teams is `local`.
pub fn environments_of(team: TeamId) -> String {
    if team == LOCAL_TEAM { "local".to_owned() } else { team.to_string() }
}

/// What somebody is in a team. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Submits tasks, speaks to them, and takes their results.
    Member,
    /// Decides about members, repositories, environments, secrets, quotas and notices.
    Admin,
}

/// What a route needs. A token has a list of these, a role comes with some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Tasks, their events, logs, files, diffs and evidence.
    ReadTasks,
    /// Submitting, following up, speaking to tasks, ending and archiving them.
    WriteTasks,
    /// Environments, their versions, and the names of their secrets.
    ReadEnvironments,
    /// Environments and the values of their secrets.
    WriteEnvironments,
    /// The team: its members, repositories and notices.
    ManageTeam,
    /// What the team has used.
    ReadUsage,
    /// What was done, by whom.
    ReadAudit,
    /// Users and teams of the whole installation; its health in detail.
    ManageServer,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ReadTasks,
        Self::WriteTasks,
        Self::ReadEnvironments,
        Self::WriteEnvironments,
        Self::ManageTeam,
        Self::ReadUsage,
        Self::ReadAudit,
        Self::ManageServer,
    ];

    /// The word used in JSON and at the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadTasks => "read_tasks",
            Self::WriteTasks => "write_tasks",
            Self::ReadEnvironments => "read_environments",
            Self::WriteEnvironments => "write_environments",
            Self::ManageTeam => "manage_team",
            Self::ReadUsage => "read_usage",
            Self::ReadAudit => "read_audit",
            Self::ManageServer => "manage_server",
        }
    }

    /// The least role in a team that has it; `None` for what only an administrator of the whole
    /// installation has.
    pub fn least_role(self) -> Option<Role> {
        match self {
            Self::ReadTasks | Self::ReadEnvironments | Self::ReadUsage => Some(Role::Viewer),
            Self::WriteTasks => Some(Role::Member),
            Self::WriteEnvironments | Self::ManageTeam | Self::ReadAudit => Some(Role::Admin),
            Self::ManageServer => None,
        }
    }
}

impl Role {
    /// The word used in JSON and at the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    /// Whether it comes with `right`.
    pub fn may(self, right: Right) -> bool {
        right.least_role().is_some_and(|least| self >= least)
    }
}

/// A word that names no role or right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} `{word}`: it is one of {known}")]
pub struct UnknownWord {
    /// `role` or `right`.
    pub what: &'static str,
    /// What was given, at most 40 characters.
    pub word: String,
    /// All there are.
    pub known: String,
}

impl FromStr for Role {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let all = [Self::Viewer, Self::Member, Self::Admin];
        find("role", text, &all, Self::as_str)
    }
}

impl FromStr for Right {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        find("right", text, &Self::ALL, Self::as_str)
    }
}

fn find<T: Copy>(
    what: &'static str,
    word: &str,
    all: &[T],
    of: fn(T) -> &'static str,
) -> Result<T, UnknownWord> {
    all.iter().copied().find(|one| of(*one) == word).ok_or_else(|| UnknownWord {
        what,
        word: word.chars().take(40).collect(),
        known: all.iter().map(|one| of(*one)).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_rights_and_roles_are_those_of_their_json() {
        for right in Right::ALL {
            assert_eq!(serde_json::to_value(right).unwrap(), right.as_str());
            assert_eq!(right.as_str().parse(), Ok(right));
        }
        for role in [Role::Viewer, Role::Member, Role::Admin] {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("owner".parse::<Role>().is_err() && "".parse::<Right>().is_err());
    }

    #[test]
    fn a_viewer_reads_a_member_writes_and_an_admin_manages() {
        assert!(Role::Viewer.may(Right::ReadTasks) && !Role::Viewer.may(Right::WriteTasks));
        assert!(Role::Member.may(Right::WriteTasks) && !Role::Member.may(Right::ManageTeam));
        assert!(Role::Admin.may(Right::ManageTeam) && !Role::Admin.may(Right::ManageServer));
    }

    #[test]
    fn the_ids_of_one_alone_are_those_of_the_migration() {
        assert_eq!(LOCAL_USER.to_string(), "00000000-0000-7000-8000-000000000001");
        assert_eq!(LOCAL_TEAM.to_string(), "00000000-0000-7000-8000-000000000002");
    }
}
