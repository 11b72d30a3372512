//! Teams: who is in them, and their services' tokens.

use std::collections::BTreeSet;

use axum::Json;
use axum::http::StatusCode;
use quire_api::{
    Member, MemberList, MemberRole, NewTeam, NewToken, ProblemKind, Problems, Team, TeamList,
    TokenList, TokenMade,
};
use quire_domain::access::{Limits, Right, TeamName};
use quire_domain::ids::TeamId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Routes, account, users};
use crate::access::{ManageServer, ManageTeam, May, SignedIn, Who};
use crate::extract::{Body, Path};
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(members))
        .routes(routes!(set_member, remove_member))
        .routes(routes!(tokens, create_token))
}

/// The teams that one is in; all of them for who administers the installation.
#[utoipa::path(
    get, path = "/api/v1/teams", tag = "access",
    responses((status = 200, description = "The teams.", body = TeamList), Problems),
)]
async fn list(Here(state): Here, May { who, .. }: May<SignedIn>) -> Result<Json<TeamList>> {
    let mut teams = state.store.teams().await?;
    teams.retain(|team| who.admin || who.grants().belongs_to(team.id));
    Ok(Json(TeamList { teams: teams.iter().map(shown).collect() }))
}

/// Makes a team. Nobody is in it yet.
#[utoipa::path(
    post, path = "/api/v1/teams", tag = "access", request_body = NewTeam,
    responses((status = 201, description = "It was made.", body = Team), Problems),
)]
async fn add(
    Here(state): Here,
    May { who, .. }: May<ManageServer>,
    Body(new): Body<NewTeam>,
) -> Result<(StatusCode, Json<Team>)> {
    let name = TeamName::parse(&new.name)
        .map_err(|error| Refusal::invalid(error.to_string(), "take another one"))?;
    let team = who.store(&state).add_team(&name, state.clock.now()).await?;
    Ok((StatusCode::CREATED, Json(shown(&team))))
}

/// Who is in a team.
#[utoipa::path(
    get, path = "/api/v1/teams/{team}/members", tag = "access",
    params(("team" = String, Path, description = "Its name or id.")),
    responses((status = 200, description = "The members.", body = MemberList), Problems),
)]
async fn members(
    Here(state): Here,
    May { who, .. }: May<SignedIn>,
    Path(team): Path<String>,
) -> Result<Json<MemberList>> {
    let team = seen(&state, &who, &team).await?;
    let members = state.store.members(team.id).await?.into_iter().map(|member| Member {
        user: member.user.0,
        name: member.name,
        role: member.role,
        added_at: member.added_at.0,
    });
    Ok(Json(MemberList { members: members.collect() }))
}

/// Makes somebody a member of a team, or gives them another role.
#[utoipa::path(
    put, path = "/api/v1/teams/{team}/members/{user}", tag = "access", request_body = MemberRole,
    params(
        ("team" = String, Path, description = "Its name or id."),
        ("user" = String, Path, description = "Their name."),
    ),
    responses((status = 204, description = "They are."), Problems),
)]
async fn set_member(
    Here(state): Here,
    May { who, .. }: May<SignedIn>,
    Path((team, user)): Path<(String, String)>,
    Body(wished): Body<MemberRole>,
) -> Result<StatusCode> {
    let team = managed(&state, &who, &team).await?;
    let user = users::found(&state, &user).await?;
    who.store(&state).set_member(team, user.id, wished.role, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes somebody out of a team.
#[utoipa::path(
    delete, path = "/api/v1/teams/{team}/members/{user}", tag = "access",
    params(
        ("team" = String, Path, description = "Its name or id."),
        ("user" = String, Path, description = "Their name."),
    ),
    responses((status = 204, description = "They are out."), Problems),
)]
async fn remove_member(
    Here(state): Here,
    May { who, .. }: May<SignedIn>,
    Path((team, user)): Path<(String, String)>,
) -> Result<StatusCode> {
    let team = managed(&state, &who, &team).await?;
    let user = users::found(&state, &user).await?;
    who.store(&state).remove_member(team, user.id, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The tokens of a team's services.
#[utoipa::path(
    get, path = "/api/v1/teams/{team}/tokens", tag = "access",
    params(("team" = String, Path, description = "Its name or id.")),
    responses((status = 200, description = "The tokens.", body = TokenList), Problems),
)]
async fn tokens(
    Here(state): Here,
    May { who, .. }: May<ManageTeam>,
    Path(team): Path<String>,
) -> Result<Json<TokenList>> {
    let team = who.team_for(Right::ManageTeam, Some(&team))?;
    let tokens = state.store.service_tokens(team).await?;
    Ok(Json(TokenList { tokens: tokens.iter().map(account::shown).collect() }))
}

/// Makes a token for a service: it has the rights that it names, in this team, whoever comes and
/// goes. It is in the answer, and never shown again.
#[utoipa::path(
    post, path = "/api/v1/teams/{team}/tokens", tag = "access", request_body = NewToken,
    params(("team" = String, Path, description = "Its name or id.")),
    responses((status = 201, description = "It was made.", body = TokenMade), Problems),
)]
async fn create_token(
    Here(state): Here,
    May { who, .. }: May<ManageTeam>,
    Path(team): Path<String>,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<TokenMade>)> {
    let team = who.team_for(Right::ManageTeam, Some(&team))?;
    account::own(&who)?;
    let rights: BTreeSet<Right> = new.scopes.iter().flatten().copied().collect();
    if rights.is_empty() || new.team.is_some() {
        let advice = "send `scopes`, and no `team`: it stands in the path";
        return Err(Refusal::invalid("a service's token names what it may", advice));
    }
    if let Some(right) = rights.iter().find(|right| !who.may(**right, team)) {
        let detail = format!("you do not have the right `{}` there", right.as_str());
        return Err(Refusal::new(ProblemKind::NotAllowed, detail, "leave it out"));
    }
    let limits = Limits { rights: Some(rights), team: Some(team) };
    let made = account::make(&state, &who, new, true, limits).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// A team that one is in, or may see as who administers the installation.
async fn seen(state: &State, who: &Who, named: &str) -> Result<quire_store::Team> {
    let mut teams = state.store.teams().await?;
    let of_name =
        |team: &quire_store::Team| team.name.as_str() == named || team.id.to_string() == named;
    teams.retain(|team| of_name(team) && (who.admin || who.grants().belongs_to(team.id)));
    teams.pop().ok_or_else(|| Refusal::not_found("team", named))
}

/// A team whose members one decides about.
async fn managed(state: &State, who: &Who, named: &str) -> Result<TeamId> {
    let team = seen(state, who, named).await?.id;
    if !who.admin {
        who.needs(Right::ManageTeam, team, "team", named)?;
    }
    Ok(team)
}

fn shown(team: &quire_store::Team) -> Team {
    Team { id: team.id.0, name: team.name.to_string(), created_at: team.created_at.0 }
}
