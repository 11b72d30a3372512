//! Teams, and who is what in them.

use quire_domain::access::{LOCAL_TEAM, LOCAL_USER, Role, TeamName};
use quire_domain::ids::{TeamId, UserId};
use quire_domain::time::Timestamp;
use serde_json::json;

use crate::audit::Note;
use crate::connection::Promise;
use crate::error::StoreError;
use crate::read::not_found;
use crate::rows;
use crate::sql::{Connection, Row, query};
use crate::store::{Result, Store};
use crate::user;

/// A team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// What it is called.
    pub name: TeamName,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Somebody in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// What they are there.
    pub role: Role,
    /// Since when.
    pub added_at: Timestamp,
}

/// The most that are listed.
const MOST: u32 = 10_000;

impl Store {
    /// Makes a team. On disk when it returns.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`].
    pub async fn add_team(&self, name: &TeamName, now: Timestamp) -> Result<Team> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        if by_name(connection, name).await?.is_some() {
            return Err(StoreError::Taken { what: "team", name: name.to_string() });
        }
        let team = Team { id: TeamId(self.ids.uuid(now)), name: name.clone(), created_at: now };
        query("INSERT INTO teams (id, name, created_at) VALUES ($1, $2, $3)")
            .bind(team.id)
            .bind(name.as_str())
            .bind(now)
            .execute(connection)
            .await?;
        let note = Note {
            team: Some(team.id),
            action: "team.add",
            subject: format!("team {name}"),
            detail: json!({}),
        };
        self.write_down(connection, note, now).await?;
        transaction.commit().await?;
        Ok(team)
    }

    /// All teams, by name; at most 10,000.
    pub async fn teams(&self) -> Result<Vec<Team>> {
        let rows = query("SELECT id, name, created_at FROM teams ORDER BY name LIMIT $1")
            .bind(MOST)
            .fetch_all(self.database.reader().await?.connection()?)
            .await?;
        rows.iter().map(team).collect()
    }

    /// A team by name.
    pub async fn team_by_name(&self, name: &TeamName) -> Result<Team> {
        let found = by_name(self.database.reader().await?.connection()?, name).await?;
        found.ok_or_else(|| not_found("team", name))
    }

    /// A team by id.
    pub async fn team(&self, id: TeamId) -> Result<Team> {
        by_id(self.database.reader().await?.connection()?, id).await
    }

    /// Who is in a team, by name; at most 10,000.
    pub async fn members(&self, team: TeamId) -> Result<Vec<Member>> {
        let rows = query(
            "SELECT m.member, m.role, m.added_at, u.name FROM members m
             JOIN users u ON u.id = m.member WHERE m.team = $1 ORDER BY u.name LIMIT $2",
        )
        .bind(team)
        .bind(MOST)
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Member {
                    user: UserId(rows::id(row, "member")?),
                    name: rows::text(row, "name")?,
                    role: role(row)?,
                    added_at: Timestamp(rows::number(row, "added_at")?),
                })
            })
            .collect()
    }

    /// The teams somebody is in, with what they are there.
    pub async fn memberships(&self, user: UserId) -> Result<Vec<(Team, Role)>> {
        memberships(self.database.reader().await?.connection()?, user).await
    }

    /// Makes somebody a member, or gives them another role.
    pub async fn set_member(
        &self,
        team: TeamId,
        user: UserId,
        role: Role,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let (found, person) =
            (by_id(connection, team).await?, user::by_id(connection, user).await?);
        if (team, user) == (LOCAL_TEAM, LOCAL_USER) && role != Role::Admin {
            return Err(StoreError::Kept { what: "user", name: "local".to_owned() });
        }
        query(
            "INSERT INTO members (team, member, role, added_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (team, member) DO UPDATE SET role = excluded.role",
        )
        .bind(team)
        .bind(user)
        .bind(role.as_str())
        .bind(now)
        .execute(connection)
        .await?;
        let note = Note {
            team: Some(team),
            action: "team.member",
            subject: format!("user {}", person.name),
            detail: json!({ "team": found.name, "role": role }),
        };
        self.write_down(connection, note, now).await?;
        transaction.commit().await
    }

    /// Takes somebody out of a team; what they did there stays the team's. Their tokens for that
    /// team alone end.
    pub async fn remove_member(&self, team: TeamId, user: UserId, now: Timestamp) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let (found, person) =
            (by_id(connection, team).await?, user::by_id(connection, user).await?);
        if (team, user) == (LOCAL_TEAM, LOCAL_USER) {
            return Err(StoreError::Kept { what: "user", name: "local".to_owned() });
        }
        let removed = query("DELETE FROM members WHERE team = $1 AND member = $2")
            .bind(team)
            .bind(user)
            .execute(connection)
            .await?;
        if removed == 0 {
            return Err(not_found("member", &person.name));
        }
        query(
            "UPDATE tokens SET revoked_at = $3
             WHERE owner = $1 AND team = $2 AND service = 0 AND revoked_at IS NULL",
        )
        .bind(user)
        .bind(team)
        .bind(now)
        .execute(connection)
        .await?;
        let note = Note {
            team: Some(team),
            action: "team.member_removed",
            subject: format!("user {}", person.name),
            detail: json!({ "team": found.name }),
        };
        self.write_down(connection, note, now).await?;
        transaction.commit().await
    }
}

pub(crate) async fn memberships(
    connection: &mut Connection,
    user: UserId,
) -> Result<Vec<(Team, Role)>> {
    let rows = query(
        "SELECT t.id, t.name, t.created_at, m.role FROM members m
         JOIN teams t ON t.id = m.team WHERE m.member = $1 ORDER BY t.name LIMIT $2",
    )
    .bind(user)
    .bind(MOST)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok((team(row)?, role(row)?))).collect()
}

pub(crate) async fn by_id(connection: &mut Connection, id: TeamId) -> Result<Team> {
    let row = query("SELECT id, name, created_at FROM teams WHERE id = $1")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    team(&row.ok_or_else(|| not_found("team", id))?)
}

async fn by_name(connection: &mut Connection, name: &TeamName) -> Result<Option<Team>> {
    let row = query("SELECT id, name, created_at FROM teams WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(team).transpose()
}

fn team(row: &Row) -> Result<Team> {
    let name = rows::text(row, "name")?;
    Ok(Team {
        id: TeamId(rows::id(row, "id")?),
        name: TeamName::parse(&name).map_err(|_| StoreError::Damaged("column `name`".into()))?,
        created_at: Timestamp(rows::number(row, "created_at")?),
    })
}

fn role(row: &Row) -> Result<Role> {
    let word = rows::text(row, "role")?;
    word.parse().map_err(|_| StoreError::Damaged(format!("there is no role `{word}`")))
}
