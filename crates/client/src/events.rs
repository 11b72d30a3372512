//! Server-sent events: read as they come, and gone on with where a connection was lost.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use reqwest::Response;
use reqwest::header::{ACCEPT, HeaderName, HeaderValue};
use tokio::time::Instant;
use uuid::Uuid;

use crate::connection::Client;
use crate::error::{ClientError, of_transport};
use crate::request::{Call, Once};

/// What is heard on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The stream is open and something came, if only a sign of life.
    Open,
    /// An event.
    Event {
        /// Its kind, as the server names it; `message` where it does not.
        kind: String,
        /// What it says.
        data: String,
    },
    /// The connection was lost, and the first try to have it back failed too; it is tried again, from
    /// the last event on.
    Lost {
        /// Why.
        why: String,
    },
    /// It is there again, after it was lost.
    Back,
}

/// A stream of events of a server.
pub struct Feed {
    client: Client,
    call: Call,
    response: Option<Response>,
    buffer: BytesMut,
    half: Half,
    heard: VecDeque<Heard>,
    last_id: Option<String>,
    failures: u32,
    away_since: Option<Instant>,
    /// Whether it was told that the connection is lost.
    told: bool,
    /// Whether something came on this connection.
    open: bool,
    /// How long to wait before coming back, as the server asked for.
    pause: Duration,
    /// How long it asked for once, as it cannot answer now.
    retry_after: Option<Duration>,
    patience: Duration,
    /// When something came last: a server that says nothing at all for long is gone.
    came_at: Instant,
}

/// The lines of an event so far.
#[derive(Default)]
struct Half {
    kind: String,
    data: String,
    any_data: bool,
    id: Option<String>,
}

/// A line, and an event, is at most this long, in bytes.
const MOST_EVENT: usize = 32 << 20;
/// A server says at least this often that it is there (every 15 s).
const SILENCE: Duration = Duration::from_mins(1);
/// The first pause before a lost connection is tried again; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const LEAST_PAUSE: Duration = Duration::from_millis(50);
/// The longest that a server which cannot answer now is left alone, if it asks for it.
const LONGEST_ASKED: Duration = Duration::from_mins(1);

impl Client {
    /// A stream of events, from `last_id` on where there is one. A server that is away for longer
    /// than `patience` ends it.
    pub fn feed(&self, call: Call, last_id: Option<String>, patience: Duration) -> Feed {
        let accept = HeaderValue::from_static("text/event-stream");
        Feed {
            client: self.clone(),
            call: Call { once: Once::Never, ..call.header(ACCEPT, accept) },
            response: None,
            buffer: BytesMut::new(),
            half: Half::default(),
            heard: VecDeque::new(),
            last_id,
            failures: 0,
            away_since: None,
            told: false,
            open: false,
            pause: PAUSE,
            retry_after: None,
            patience,
            came_at: Instant::now(),
        }
    }
}

impl Feed {
    /// What is heard next. May be dropped and called again without losing anything.
    ///
    /// # Errors
    ///
    /// What will not get better by trying again, and a server that stayed away for too long.
    pub async fn next(&mut self) -> Result<Heard, ClientError> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Ok(heard);
            }
            if self.response.is_none() {
                match self.connect().await {
                    Ok(()) => continue,
                    Err(error) => self.lost(error)?,
                }
                continue;
            }
            if let Err(error) = self.read().await {
                self.lost(error)?;
            }
        }
    }

    /// The id of the last event: where another stream may go on.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        if self.failures > 0 {
            tokio::time::sleep(self.pause()).await;
        }
        let mut call = self.call.clone();
        if let Some(value) = self.last_id.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
            call = call.header(HeaderName::from_static("last-event-id"), value);
        }
        let response = self.client.send(call).await?;
        let kind = response.headers().get(reqwest::header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            return Err(self.client.bad("it is no stream of events"));
        }
        self.response = Some(response);
        self.came_at = Instant::now();
        self.buffer.clear();
        self.half = Half::default();
        self.open = false;
        self.retry_after = None;
        Ok(())
    }

    /// How long to wait before the next try: twice as long each time, and never the same for two who
    /// were cut off together.
    fn pause(&self) -> Duration {
        if let Some(asked) = self.retry_after {
            return asked.min(LONGEST_ASKED);
        }
        let pause = (self.pause * 2_u32.pow(self.failures.min(10) - 1)).min(LONGEST_PAUSE);
        let (_, random) = Uuid::now_v7().as_u64_pair();
        let half = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) / 2;
        Duration::from_millis(half + random % (half + 1))
    }

    async fn read(&mut self) -> Result<(), ClientError> {
        let Some(response) = &mut self.response else { return Ok(()) };
        let inner = &self.client.inner;
        let away = |why: &str| ClientError::Unreachable {
            server: inner.server.clone(),
            why: why.to_owned(),
        };
        let piece = tokio::time::timeout_at(self.came_at + SILENCE, response.chunk()).await;
        let piece = piece.map_err(|_| away("it says nothing any more"))?;
        let piece =
            piece.map_err(|error| of_transport(&error, &inner.server, inner.config.timeout))?;
        let Some(piece) = piece else { return Err(away("it closed the connection")) };
        self.came_at = Instant::now();
        self.failures = 0;
        self.away_since = None;
        if !std::mem::replace(&mut self.open, true) {
            let back = std::mem::take(&mut self.told);
            self.heard.push_back(if back { Heard::Back } else { Heard::Open });
        }
        self.buffer.extend_from_slice(&piece);
        self.take_lines()?;
        if self.buffer.len() + self.half.data.len() > MOST_EVENT {
            return Err(self.client.bad(format!("an event is longer than {MOST_EVENT} bytes")));
        }
        Ok(())
    }

    fn take_lines(&mut self) -> Result<(), ClientError> {
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(end);
            self.buffer.advance(1);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            let line = std::str::from_utf8(line)
                .map_err(|_| self.client.bad("an event is not UTF-8"))?
                .to_owned();
            self.line(&line);
        }
        Ok(())
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            let half = std::mem::take(&mut self.half);
            // Only of a whole event: one that was cut off is asked for again.
            if half.id.is_some() {
                self.last_id = half.id;
            }
            if half.any_data {
                let kind = if half.kind.is_empty() { "message".to_owned() } else { half.kind };
                self.heard.push_back(Heard::Event { kind, data: half.data });
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.half.kind),
            "data" => {
                if self.half.any_data {
                    self.half.data.push('\n');
                }
                self.half.any_data = true;
                self.half.data.push_str(value);
            }
            "retry" => {
                if let Ok(pause) = value.parse() {
                    self.pause = Duration::from_millis(pause).clamp(LEAST_PAUSE, LONGEST_PAUSE);
                }
            }
            "id" if !value.contains('\0') => self.half.id = Some(value.to_owned()),
            // A comment says that the server is there.
            _ => {}
        }
    }

    /// Notes that the connection is lost; an error where trying again is of no use.
    fn lost(&mut self, error: ClientError) -> Result<(), ClientError> {
        self.response = None;
        let since = *self.away_since.get_or_insert_with(Instant::now);
        self.failures += 1;
        if let ClientError::Problem { retry_after, .. } = &error {
            self.retry_after = *retry_after;
        }
        // A stream that only ended is nothing to talk about, if it goes on at once.
        if self.failures > 1 && !std::mem::replace(&mut self.told, true) {
            self.heard.push_back(Heard::Lost { why: error.to_string() });
        }
        if !error.is_for_now() || since.elapsed() > self.patience {
            return Err(error);
        }
        Ok(())
    }
}
