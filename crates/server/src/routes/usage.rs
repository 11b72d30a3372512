//! What models were used: by people of one's teams, or by everybody for who administers the
//! installation.

use axum::Json;
use quire_api::{Problems, UsageLine, UsageList, UsageQuery};
use quire_domain::access::Right;
use quire_domain::ids::TeamId;
use quire_domain::quota::Month;
use quire_store::{UsageBy, UsageFilter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::access::{May, ReadUsage, Who};
use crate::extract::Query;
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(list))
}

/// What was used in a month.
#[utoipa::path(
    get, path = "/api/v1/usage", tag = "usage", params(UsageQuery),
    responses((status = 200, description = "What was used.", body = UsageList), Problems),
)]
async fn list(
    Here(state): Here,
    May { who, .. }: May<ReadUsage>,
    Query(query): Query<UsageQuery>,
) -> Result<Json<UsageList>> {
    let month = match &query.month {
        None => Month::of(state.clock.now()),
        Some(text) => Month::parse(text)
            .map_err(|error| Refusal::invalid(error.to_string(), "name a month as YYYY-MM"))?,
    };
    let by = match query.by {
        quire_api::UsageBy::Day => UsageBy::Day,
        quire_api::UsageBy::Person => UsageBy::Person,
        quire_api::UsageBy::Team => UsageBy::Team,
        quire_api::UsageBy::Repository => UsageBy::Repository,
        quire_api::UsageBy::Model => UsageBy::Model,
    };
    let filter = UsageFilter {
        from: month.first_day(),
        until: month.next().first_day(),
        teams: teams(&state, &who, query.team.as_deref()).await?,
        author: None,
    };
    let lines = state.store.usage(by, &filter).await?.into_iter().map(|line| UsageLine {
        key: line.key,
        calls: line.sum.calls,
        input_tokens: line.sum.input_tokens,
        cached_tokens: line.sum.cached_tokens,
        output_tokens: line.sum.output_tokens,
        micro_dollars: line.sum.cost.0,
        unpriced_calls: line.sum.unpriced,
    });
    Ok(Json(UsageList { month: month.to_string(), lines: lines.collect() }))
}

/// The teams that are meant; `None` is everything.
async fn teams(state: &State, who: &Who, named: Option<&str>) -> Result<Option<Vec<TeamId>>> {
    match named {
        None if who.admin => Ok(None),
        None => Ok(Some(who.teams_with(Right::ReadUsage))),
        Some(named) if who.admin => {
            let mut teams = state.store.teams().await?;
            teams.retain(|team| team.name.as_str() == named || team.id.to_string() == named);
            let team = teams.pop().ok_or_else(|| Refusal::not_found("team", named))?;
            Ok(Some(vec![team.id]))
        }
        Some(named) => Ok(Some(vec![who.team_for(Right::ReadUsage, Some(named))?])),
    }
}
