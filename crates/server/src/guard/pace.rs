//! How long a request may take, and that nothing half done is left of one that is given up.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State as Given};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use quire_api::ProblemKind;

use crate::refusal::Refusal;
use crate::state::State;

/// How long a push may take.
const LONGEST_PUSH: Duration = Duration::from_mins(35);

/// Gives a request its time. What writes runs to its end on its own, also when nobody waits for it
/// any more: neither a hang-up nor the time limit cuts a write in two.
pub(crate) async fn pace(
    Given(state): Given<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    // What is pushed takes as long as its sender's network does.
    let pushes = request.uri().path().ends_with("/pushes");
    let limit = if pushes { LONGEST_PUSH } else { state.settings.request_timeout };
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if reads {
        return match tokio::time::timeout(limit, next.run(request)).await {
            Ok(response) => response,
            Err(_) => too_long("nothing was changed; ask for less, or try again").into_response(),
        };
    }
    let work = tokio::spawn(next.run(request));
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => Refusal::internal("answer the request", &error).into_response(),
        Err(_) => {
            too_long("it may still be done: look, or send it again with the same idempotency key")
                .into_response()
        }
    }
}

fn too_long(advice: &str) -> Refusal {
    Refusal::new(ProblemKind::Timeout, "the server could not do it in time", advice)
}

/// The answer where a route panicked: a bug of ours, never told in its own words.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over so")]
pub(crate) fn caught(panic: Box<dyn Any + Send>) -> Response {
    let words = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(words, "a route panicked");
    Refusal::new(
        ProblemKind::Internal,
        "something of ours is broken",
        "try again; the server's log says more",
    )
    .into_response()
}
