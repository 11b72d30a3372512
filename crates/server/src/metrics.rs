//! Figures for Prometheus: what was asked of the server and how long it took, and how much is
//! waiting.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use quire_store::{Store, StoreError};

use crate::state::State;

/// Bounds in seconds: from an answer out of memory to a request that is given up.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// A request, as far as figures tell requests apart. The path is the route's own, so that there are
/// as many as there are routes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: String,
    path: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: String,
}

/// What is counted.
pub struct Metrics {
    registry: Registry,
    requests: Family<Asked, Counter>,
    seconds: Family<Route, Histogram>,
    tasks: Family<InState, Gauge>,
    queued: Gauge,
    undelivered: Gauge,
    viewers: Gauge,
    resident: Gauge<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("quire");
        let requests = Family::default();
        registry.register("http_requests", "Requests that were answered", requests.clone());
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        registry.register("http_request_seconds", "Time to the head of an answer", seconds.clone());
        let tasks = Family::default();
        registry.register("tasks", "Tasks that are not archived, by state", tasks.clone());
        let queued = Gauge::default();
        registry.register("attempts_queued", "Attempts that wait for a worker", queued.clone());
        let undelivered = Gauge::default();
        registry.register("deliveries_waiting", "Notices on their way", undelivered.clone());
        let viewers = Gauge::default();
        registry.register("stream_viewers", "Streams of events that are open", viewers.clone());
        let resident = Gauge::default();
        registry.register("resident_bytes", "Memory of the server's process", resident.clone());
        Self { registry, requests, seconds, tasks, queued, undelivered, viewers, resident }
    }
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

impl Metrics {
    /// All figures as OpenMetrics text, those of the store read anew. `viewers` have streams open.
    pub async fn text(&self, store: &Store, viewers: usize) -> Result<String, StoreError> {
        let found = store.figures().await?;
        // States that no task is in any more are none, not what they were.
        self.tasks.clear();
        for (state, tasks) in found.tasks {
            let state = state.replace(' ', "_");
            self.tasks.get_or_create(&InState { state }).set(signed(tasks));
        }
        self.queued.set(signed(found.offered));
        self.undelivered.set(signed(found.undelivered));
        self.viewers.set(i64::try_from(viewers).unwrap_or(i64::MAX));
        self.resident.set(resident());
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        Ok(text)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Bytes of memory that this process has, as the kernel counts them; 0 where it does not say.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    pages * 4096
}

/// Counts a request and its time.
pub async fn measure(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let path = matched.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        // Anybody can make one up.
        _ => "other",
    };
    let method = method.to_owned();
    let begun = Instant::now();
    let response = next.run(request).await;
    let seconds = begun.elapsed().as_secs_f64();
    let status = response.status().as_u16();
    state.metrics.seconds.get_or_create(&Route { path: path.clone() }).observe(seconds);
    state.metrics.requests.get_or_create(&Asked { method, path, status }).inc();
    response
}
