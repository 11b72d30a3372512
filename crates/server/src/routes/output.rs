//! What commands printed: by bytes while it grows, by lines, and whole.

use axum::Json;
use axum::body::Body;
use axum::response::Response;
use quire_api::{LineQuery, OutputLines, OutputPiece, PieceQuery, Problems};
use quire_domain::access::Right;
use quire_domain::ids::{AttemptId, ChunkId};
use quire_engine::AttemptChunks;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Routes;
use crate::access::{May, ReadTasks, Who};
use crate::download::{Kind, download};
use crate::extract::{Path, Query};
use crate::find;
use crate::refusal::{Refusal, Result};
use crate::rendered::rendered;
use crate::state::{Here, State};

/// The most bytes that lines are read from at once.
const LINE_BYTES: usize = 4 << 20;

/// How many lines may be asked for at once.
const MOST_LINES: u64 = 10_000;

/// Bytes of a download that are read at once.
const PIECE: usize = 256 << 10;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(piece)).routes(routes!(lines)).routes(routes!(raw))
}

/// A piece of what a command printed, from a byte on; of one that still runs, what is there.
#[utoipa::path(
    get, path = "/api/v1/attempts/{attempt}/outputs/{chunk}", tag = "attempts",
    params(
        ("attempt" = Uuid, Path, description = "The attempt's id."),
        ("chunk" = String, Path, pattern = "^[0-9a-f]{6}$", description = "The output's id."),
        PieceQuery,
    ),
    responses((status = 200, description = "The piece.", body = OutputPiece), Problems),
)]
async fn piece(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path((attempt, chunk)): Path<(Uuid, String)>,
    Query(query): Query<PieceQuery>,
) -> Result<Json<OutputPiece>> {
    let limit = query.limit.unwrap_or(64 << 10);
    if !(1..=1 << 20).contains(&limit) {
        return Err(Refusal::invalid(format!("`limit` is {limit}"), "ask for 1 byte to 1 MiB"));
    }
    let (chunks, chunk) = opened(&state, &who, attempt, &chunk).await?;
    let size = chunks.read(&chunk).await?.size();
    // Beyond the end there is nothing, however far beyond.
    let offset = query.offset.unwrap_or(0).min(size.bytes);
    let piece = chunks.piece(&chunk, offset, limit as usize).await?;
    Ok(Json(OutputPiece {
        offset: piece.offset,
        next: piece.offset + piece.bytes.len() as u64,
        text: String::from_utf8_lossy(&piece.bytes).into_owned(),
        bytes: size.bytes,
        lines: size.lines,
    }))
}

/// Lines of what a command printed.
#[utoipa::path(
    get, path = "/api/v1/attempts/{attempt}/outputs/{chunk}/lines", tag = "attempts",
    params(
        ("attempt" = Uuid, Path, description = "The attempt's id."),
        ("chunk" = String, Path, pattern = "^[0-9a-f]{6}$", description = "The output's id."),
        LineQuery,
    ),
    responses((status = 200, description = "The lines.", body = OutputLines), Problems),
)]
async fn lines(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path((attempt, chunk)): Path<(Uuid, String)>,
    Query(query): Query<LineQuery>,
) -> Result<Json<OutputLines>> {
    let first = query.first.unwrap_or(1);
    let last = query.last.unwrap_or(first.saturating_add(999));
    if first == 0 || last < first || last - first >= MOST_LINES {
        return Err(Refusal::invalid(
            "`first` is 0, or `last` before it or 10,000 or more after it",
            "ask for 1 to 10,000 lines",
        ));
    }
    let (chunks, chunk) = opened(&state, &who, attempt, &chunk).await?;
    let reader = chunks.read(&chunk).await?;
    let count = reader.size().lines;
    let last = last.min(count);
    let bytes = if first > last {
        bytes::Bytes::new()
    } else {
        reader.lines(first, last, LINE_BYTES).await?
    };
    let text = String::from_utf8_lossy(&bytes);
    let show = |line: &str| {
        if query.rendered.unwrap_or(false) { rendered(line) } else { line.to_owned() }
    };
    let not_kept = reader.not_kept();
    Ok(Json(OutputLines {
        first,
        lines: text.split_terminator('\n').map(show).collect(),
        count,
        not_kept_first: not_kept.map(|lines| lines.0),
        not_kept_last: not_kept.map(|lines| lines.1),
    }))
}

/// All that was kept of what a command printed, byte for byte, as a file.
#[utoipa::path(
    get, path = "/api/v1/attempts/{attempt}/outputs/{chunk}/raw", tag = "attempts",
    params(
        ("attempt" = Uuid, Path, description = "The attempt's id."),
        ("chunk" = String, Path, pattern = "^[0-9a-f]{6}$", description = "The output's id."),
    ),
    responses(
        (status = 200, description = "The output.", body = String,
            content_type = "application/octet-stream"),
        Problems,
    ),
)]
async fn raw(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path((attempt, chunk)): Path<(Uuid, String)>,
) -> Result<Response> {
    let (chunks, chunk) = opened(&state, &who, attempt, &chunk).await?;
    // Of one that grows, as much as there is now: a download has an end.
    let end = chunks.read(&chunk).await?.size().bytes;
    let name = format!("{chunk}.log");
    let pieces = futures::stream::try_unfold(
        (chunks, chunk, 0),
        move |(chunks, chunk, offset)| async move {
            if offset >= end {
                return Ok(None);
            }
            let piece = chunks.piece(&chunk, offset, PIECE).await?;
            if piece.bytes.is_empty() || piece.offset >= end {
                return Ok(None);
            }
            let next = piece.offset + piece.bytes.len() as u64;
            Ok::<_, quire_domain::journal::JournalError>(Some((piece.bytes, (chunks, chunk, next))))
        },
    );
    Ok(download(Kind::Bytes, &name, Body::from_stream(pieces)))
}

/// The outputs that an attempt may show, and the one that is meant.
async fn opened(
    state: &State,
    who: &Who,
    attempt: Uuid,
    chunk: &str,
) -> Result<(AttemptChunks, ChunkId)> {
    let attempt = AttemptId(attempt);
    find::attempt(state, who, Right::ReadTasks, attempt).await?;
    let chunk = ChunkId::parse(chunk).map_err(|_| Refusal::not_found("output", chunk))?;
    let continued = state.store.continued(attempt).await?;
    Ok((state.chunks.of(attempt, continued), chunk))
}
