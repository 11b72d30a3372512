//! The record of what people and tokens did: listed, and exported.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use quire_api::{AuditPage, AuditQuery, AuditRow, Problems};
use quire_domain::access::Right;
use quire_domain::time::Timestamp;
use quire_store::{AuditFilter, Note};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Routes, users};
use crate::access::{May, ReadAudit, Who};
use crate::extract::Query;
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(export))
}

/// A part of the record, newest first: of one's own teams, or of everything for who administers
/// the installation.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "access", params(AuditQuery),
    responses((status = 200, description = "The rows.", body = AuditPage), Problems),
)]
async fn list(
    Here(state): Here,
    May { who, .. }: May<ReadAudit>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>> {
    let filter = filter(&state, &who, query).await?;
    let rows = state.store.audit(&filter).await?;
    let full = rows.len() as u64 >= u64::from(filter.limit);
    let next = rows.last().filter(|_| full).map(|row| row.number);
    Ok(Json(AuditPage { rows: rows.into_iter().map(shown).collect(), next }))
}

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Form {
    /// `jsonl` (an object in each line, the default) or `csv`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Jsonl,
    Csv,
}

/// All of the record that fits, newest first, as a file. `limit` does not count here.
#[utoipa::path(
    get, path = "/api/v1/audit/export", tag = "access", params(AuditQuery, Form),
    responses((status = 200, description = "The rows.", body = String,
        content_type = "application/jsonl"), Problems),
)]
async fn export(
    Here(state): Here,
    May { who, .. }: May<ReadAudit>,
    Query(query): Query<AuditQuery>,
    Query(Form { format }): Query<Form>,
) -> Result<Response> {
    let filter = AuditFilter { limit: 1000, ..filter(&state, &who, query).await? };
    let detail = serde_json::json!({ "format": format!("{format:?}").to_lowercase() });
    let note = Note { team: None, action: "audit.export", subject: "audit".to_owned(), detail };
    who.store(&state).note(note, state.clock.now()).await?;
    let (kind, name) = match format {
        Format::Jsonl => ("application/jsonl", "audit.jsonl"),
        Format::Csv => ("text/csv; charset=utf-8", "audit.csv"),
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(pages(state, filter, format))).into_response())
}

/// The record page by page: a reader that is slow holds one page.
fn pages(
    state: Arc<State>,
    filter: AuditFilter,
    format: Format,
) -> impl futures::Stream<Item = std::result::Result<Bytes, Infallible>> + Send {
    let head = matches!(format, Format::Csv).then(|| CSV_HEAD.to_owned());
    stream::unfold((Some(filter), head), move |(filter, head)| {
        let state = state.clone();
        async move {
            if let Some(head) = head {
                return Some((Ok(Bytes::from(head)), (filter, None)));
            }
            let filter = filter?;
            let rows = state.store.audit(&filter).await.inspect_err(|error| {
                tracing::warn!(%error, "the record could not be read to its end");
            });
            let rows = rows.ok()?;
            let last = rows.last()?.number;
            let more = rows.len() as u64 >= u64::from(filter.limit);
            let text: String = rows.into_iter().map(|row| line(&shown(row), format)).collect();
            let next = more.then_some(AuditFilter { before: Some(last), ..filter });
            Some((Ok(Bytes::from(text)), (next, None)))
        }
    })
}

const CSV_HEAD: &str = "number,at,actor,token,team,action,subject,detail,address\r\n";

fn line(row: &AuditRow, format: Format) -> String {
    match format {
        Format::Jsonl => serde_json::to_string(row).unwrap_or_default() + "\n",
        Format::Csv => {
            let fields = [
                row.number.to_string(),
                row.at.to_string(),
                row.actor_name.clone().unwrap_or_default(),
                row.token.map(|token| token.to_string()).unwrap_or_default(),
                row.team_name.clone().unwrap_or_default(),
                row.action.clone(),
                row.subject.clone(),
                row.detail.to_string(),
                row.address.clone(),
            ];
            fields.map(|field| cell(&field)).join(",") + "\r\n"
        }
    }
}

/// A cell of a table: quoted, and never a formula to the program that opens it.
fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

async fn filter(state: &State, who: &Who, query: AuditQuery) -> Result<AuditFilter> {
    let everywhere = who.grants().may_everywhere(Right::ReadAudit);
    let teams = match &query.team {
        None if everywhere => None,
        None => Some(who.teams_with(Right::ReadAudit)),
        Some(named) if everywhere => {
            let mut teams = state.store.teams().await?;
            teams.retain(|team| team.name.as_str() == named || team.id.to_string() == *named);
            let team = teams.pop().ok_or_else(|| Refusal::not_found("team", named))?;
            Some(vec![team.id])
        }
        Some(named) => Some(vec![who.team_for(Right::ReadAudit, Some(named))?]),
    };
    let actor = match &query.actor {
        None => None,
        Some(name) => Some(users::found(state, name).await?.id),
    };
    Ok(AuditFilter {
        actor,
        teams,
        action: query.action.filter(|action| !action.is_empty()),
        since: query.since.map(Timestamp),
        until: query.until.map(Timestamp),
        before: query.before,
        limit: query.limit.unwrap_or(100).clamp(1, 1000),
    })
}

fn shown(row: quire_store::AuditRow) -> AuditRow {
    AuditRow {
        number: row.number,
        at: row.at.0,
        actor: row.actor.map(|actor| actor.0),
        actor_name: row.actor_name,
        token: row.token.map(|token| token.0),
        team: row.team.map(|team| team.0),
        team_name: row.team_name,
        action: row.action,
        subject: row.subject,
        detail: row.detail,
        address: row.address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_and_no_formula() {
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
        assert_eq!(cell("a \"b\",\n"), "\"a \"\"b\"\",\n\"");
    }
}
