//! The HTTP server of the scripted provider. It listens on this machine's loopback only.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::answer::{self, Answer};
use super::conversation::{self, Asked};
use super::played::Played;
use super::script::{Fault, Script, Turn};
use crate::catalogue::Dialect;

/// A request's body is at most this long.
const REQUEST_LIMIT: usize = 64 * 1024 * 1024;
/// Connections at the same time.
const CONNECTIONS_LIMIT: usize = 4_096;
/// A request's head comes within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Recorded requests: the oldest leave first.
const RECORDED_LIMIT: usize = 10_000;
const RECORDED_BYTES_LIMIT: usize = 512 * 1024 * 1024;
/// Requests whose faults are counted; forgotten all at once when there are more.
const MET_LIMIT: usize = 100_000;

/// What a server does beside playing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlayOptions {
    /// Keeps the bodies of requests for [`PlayServer::requests`].
    pub record: bool,
}

/// Why no server could be started.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The address is not on loopback.
    #[error("{0} is not an address of this machine alone: scripts are played on loopback only")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A request that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// Its path.
    pub path: String,
    /// Its body, byte for byte.
    pub body: Bytes,
    /// The status of its answer.
    pub status: u16,
}

/// A server that plays a script. Dropping it stops it.
pub struct PlayServer {
    address: SocketAddr,
    state: Arc<State>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

struct State {
    script: Script,
    options: PlayOptions,
    /// How often the bytes of a request were seen, where a fault waits for them.
    met: Mutex<HashMap<u64, u32>>,
    recorded: Mutex<Recorded>,
    asked: AtomicUsize,
}

#[derive(Default)]
struct Recorded {
    requests: std::collections::VecDeque<RecordedRequest>,
    bytes: usize,
}

/// Plays `script` at `address` (port 0 takes a free one) until the server is dropped.
pub async fn serve(
    script: Script,
    address: SocketAddr,
    options: PlayOptions,
) -> Result<PlayServer, PlayError> {
    if !address.ip().is_loopback() {
        return Err(PlayError::NotLoopback(address));
    }
    let listen_error = |source| PlayError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let state = Arc::new(State {
        script,
        options,
        met: Mutex::default(),
        recorded: Mutex::default(),
        asked: AtomicUsize::new(0),
    });
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(accept(listener, Arc::clone(&state), stopped));
    Ok(PlayServer { address, state, stop, task })
}

impl PlayServer {
    /// The base URL for a client, e.g. `http://127.0.0.1:4117/v1`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The base URL at which the conversation `name` is played; `run` is any word, e.g. to tell
    /// the recorded requests of several clients apart.
    pub fn url_of(&self, run: &str, name: &str) -> String {
        format!("http://{}/r/{run}/{name}/v1", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far, if they are recorded: at most the newest 10,000 or 512 MiB.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.recorded().requests.iter().cloned().collect()
    }

    /// How many turns were asked for, answered yet or not.
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::Relaxed)
    }

    /// Stops listening and closes all connections.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        // The task ends as soon as it sees the signal; that it was aborted is as good.
        let _ = (&mut self.task).await;
    }
}

impl Drop for PlayServer {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        self.task.abort();
    }
}

impl State {
    fn recorded(&self) -> std::sync::MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, path: &str, body: &Bytes, status: StatusCode) {
        if !self.options.record {
            return;
        }
        let mut recorded = self.recorded();
        recorded.bytes += body.len();
        recorded.requests.push_back(RecordedRequest {
            path: path.to_owned(),
            body: body.clone(),
            status: status.as_u16(),
        });
        while recorded.requests.len() > RECORDED_LIMIT || recorded.bytes > RECORDED_BYTES_LIMIT {
            let Some(oldest) = recorded.requests.pop_front() else { break };
            recorded.bytes -= oldest.body.len();
        }
    }

    /// The fault that this request meets, if it has not met it often enough.
    fn meet<'t>(&self, turn: &'t Turn, path: &str, body: &Bytes) -> Option<&'t Fault> {
        let fault = turn.fault.as_ref()?;
        if let Some(text) = &fault.when
            && !String::from_utf8_lossy(body).contains(text)
        {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        (path, body).hash(&mut hasher);
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.len() > MET_LIMIT {
            met.clear();
        }
        let times = met.entry(hasher.finish()).or_insert(0);
        *times += 1;
        (*times <= fault.times).then_some(fault)
    }
}

async fn accept(listener: TcpListener, state: Arc<State>, mut stopped: watch::Receiver<bool>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_LIMIT));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, say: others must close theirs first.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (state, mut stopped) = (Arc::clone(&state), stopped.clone());
        tokio::spawn(async move {
            let _seat = seat;
            tokio::select! {
                () = connection(stream, state) => {}
                _ = stopped.changed() => {}
            }
        });
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(&state, request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // The client went away or a script cut the connection: nobody is left to tell.
    drop(served);
}

async fn answer(state: &State, request: Request<Incoming>) -> Response<Played> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if head.method == Method::GET && path.ends_with("/models") {
        let list = json!({ "object": "list", "data": [{ "id": "demo", "object": "model" }] });
        return whole(StatusCode::OK, list.to_string());
    }
    let dialect = match path.rsplit('/').next() {
        Some("responses") => Dialect::Responses,
        Some("completions") => Dialect::Chat,
        Some("messages") => Dialect::Messages,
        _ => return error(StatusCode::NOT_FOUND, None, "nothing is played at this path"),
    };
    if head.method != Method::POST {
        return error(StatusCode::METHOD_NOT_ALLOWED, None, "turns are asked for by POST");
    }
    let Ok(body) = Limited::new(body, REQUEST_LIMIT).collect().await else {
        return error(StatusCode::PAYLOAD_TOO_LARGE, None, "the request is cut or over 64 MiB");
    };
    let body = body.to_bytes();
    state.asked.fetch_add(1, Ordering::Relaxed);
    let response = match serde_json::from_slice::<Value>(&body) {
        Ok(request) => play(state, dialect, &path, &request, &body).await,
        Err(problem) => {
            let words = format!("the request is not JSON: {problem}");
            error(StatusCode::BAD_REQUEST, Some("invalid_json"), &words)
        }
    };
    state.record(&path, &body, response.status());
    response
}

async fn play(
    state: &State,
    dialect: Dialect,
    path: &str,
    request: &Value,
    body: &Bytes,
) -> Response<Played> {
    let asked = conversation::read(dialect, request);
    let Some(conversation) = state.script.choose(name_in(path), &asked.first_message) else {
        let words = "no conversation of the script begins like this one";
        return error(StatusCode::NOT_FOUND, Some("no_such_conversation"), words);
    };
    let over;
    let turns = &conversation.turns;
    let turn = if conversation.repeat && !turns.is_empty() {
        &turns[asked.replies % turns.len()]
    } else if let Some(turn) = turns.get(asked.replies) {
        turn
    } else {
        over = Turn::say(format!("The script ends here, after {} turns.", turns.len()));
        &over
    };
    if turn.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(turn.delay_ms)).await;
    }
    let fault = state.meet(turn, path, body);
    if let Some(fault) = fault
        && let Some(status) = fault.status
    {
        return faulty(status, fault);
    }
    played(dialect, turn, &asked, body.len(), conversation.pace_ms, fault)
}

/// The name in `/r/<run>/<name>/…`.
fn name_in(path: &str) -> Option<&str> {
    let mut segments = path.split('/').skip(1);
    (segments.next() == Some("r")).then(|| segments.nth(1)).flatten()
}

fn played(
    dialect: Dialect,
    turn: &Turn,
    asked: &Asked,
    request_bytes: usize,
    pace_ms: u64,
    fault: Option<&Fault>,
) -> Response<Played> {
    let filled = answer::fill(turn, asked, request_bytes);
    let Answer { content_type, pieces } = answer::write(dialect, &filled, asked.stream);
    let body = Played::of(pieces, Duration::from_millis(pace_ms), fault);
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn faulty(status: u16, fault: &Fault) -> Response<Played> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = fault.message.as_deref().unwrap_or("the script wants this to fail");
    let mut response = error(status, fault.code.as_deref(), message);
    let headers =
        [(RETRY_AFTER.as_str(), &fault.retry_after), ("retry-after-ms", &fault.retry_after_ms)];
    for (name, value) in headers {
        if let Some(value) = value.as_deref().and_then(|v| HeaderValue::from_str(v).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn error(status: StatusCode, code: Option<&str>, message: &str) -> Response<Played> {
    let kind = code.unwrap_or("scripted_error");
    let body = json!({ "error": { "message": message, "type": kind, "code": code } });
    whole(status, body.to_string())
}

fn whole(status: StatusCode, text: String) -> Response<Played> {
    let body = Played::of(vec![text.into_bytes()], Duration::ZERO, None);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
