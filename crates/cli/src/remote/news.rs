//! What is new of a task on a server: heard on its stream, or asked for where no stream comes
//! through.

use std::time::Duration;

use quire_api::{AttemptSummary, EventPage, Task, TaskEvent, TaskSummary};
use quire_client::{Call, ClientError, Heard};
use quire_domain::attempt::AttemptState;
use quire_domain::event::Event;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Remote, tasks};

/// How long one look at the stream waits.
const LOOK: Duration = Duration::from_millis(250);
/// How long a server may stay away before following ends.
pub const AWAY: Duration = Duration::from_mins(10);
/// Something comes on a stream this soon, or something in between holds it back.
const FIRST: Duration = Duration::from_secs(3);
/// A stream that was silent for so long is checked by asking.
const SILENT: Duration = Duration::from_secs(20);
/// How often the place in the queue is asked for; it is no part of the stream.
const PLACE: Duration = Duration::from_secs(2);
/// What may wait to be looked at.
const WAITING: usize = 256;

/// One attempt that is followed.
pub struct Followed {
    /// Where it stands.
    pub attempt: AttemptSummary,
    /// Its events so far, as far as this version knows them.
    pub events: Vec<Event>,
    next: u64,
}

impl Followed {
    /// Follows an attempt from its first event on.
    pub fn new(attempt: AttemptSummary) -> Self {
        Self { attempt, next: 1, events: Vec::new() }
    }

    /// Whether nothing more comes by itself.
    pub fn is_over(&self) -> bool {
        !matches!(
            self.attempt.state,
            AttemptState::Queued | AttemptState::Preparing | AttemptState::Working
        )
    }
}

/// What is new.
#[derive(Default)]
pub struct News {
    /// Events, each with the place of its attempt among those followed.
    pub events: Vec<(usize, quire_api::Event)>,
    /// What a person is told about the connection.
    pub notices: Vec<String>,
    /// Whether all is told that led to where the attempts stand.
    pub whole: bool,
}

/// Where news of one task come from.
pub struct Source {
    number: u64,
    stream: Option<Stream>,
}

/// The stream, read by a task of its own.
struct Stream {
    heard: mpsc::Receiver<Result<Heard, ClientError>>,
    reads: JoinHandle<()>,
    opened: Instant,
    came: Option<Instant>,
    place_at: Instant,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reads.abort();
    }
}

impl Source {
    /// Opens the stream of a task's newest turn.
    pub fn open(remote: &Remote, number: u64) -> Self {
        let call = Call::get(&["tasks", &number.to_string(), "events"]).query("live", false);
        let mut feed = remote.client.feed(call, None, AWAY);
        let (tell, heard) = mpsc::channel(WAITING);
        let reads = tokio::spawn(async move {
            loop {
                let one = feed.next().await;
                let over = one.is_err();
                if tell.send(one).await.is_err() || over {
                    return;
                }
            }
        });
        let now = Instant::now();
        let stream = Stream { heard, reads, opened: now, came: None, place_at: now };
        Self { number, stream: Some(stream) }
    }

    /// How long to wait before the next look; `None` where that is for who asks to say.
    pub fn pause(&self) -> Option<Duration> {
        self.stream.is_some().then_some(Duration::ZERO)
    }

    /// What is new; waits a moment for it.
    ///
    /// # Errors
    ///
    /// What a server answers that will not get better. One that is away is no error before ten
    /// minutes are over, unless it is being asked: then it is one each time.
    pub async fn news(
        &mut self,
        remote: &Remote,
        followed: &mut [Followed],
    ) -> Result<News, ClientError> {
        let Some(stream) = &mut self.stream else {
            return ask(remote, self.number, followed).await;
        };
        let mut news = News::default();
        let first = tokio::time::timeout(LOOK, stream.heard.recv()).await;
        let mut next = first.ok().flatten();
        let mut gone = None;
        while let Some(heard) = next.take() {
            match heard {
                Ok(heard) => {
                    stream.came = Some(Instant::now());
                    if !take(heard, followed, &mut news) {
                        gone = Some(None);
                        break;
                    }
                }
                Err(error) => {
                    gone = Some(Some(error));
                    break;
                }
            }
            if news.events.len() < WAITING {
                next = stream.heard.try_recv().ok();
            }
        }
        let silent = match stream.came {
            None => stream.opened.elapsed() > FIRST,
            Some(at) => at.elapsed() > SILENT,
        };
        match gone {
            // It worked before: the server itself says no, or is away for good.
            Some(Some(error)) if stream.came.is_some() => {
                self.stream = None;
                return Err(error);
            }
            Some(_) => self.stream = None,
            None if silent => {
                // Nothing happens, or something in between keeps it to itself.
                let asked = ask(remote, self.number, followed).await?;
                if stream.came.is_none() || !asked.events.is_empty() {
                    self.stream = None;
                } else {
                    stream.came = Some(Instant::now());
                }
                return Ok(asked);
            }
            None => {
                if stream.place_at.elapsed() > PLACE && followed.iter().any(is_queued) {
                    stream.place_at = Instant::now();
                    // Whether it is there is for the stream to say.
                    if let Ok(task) = newest(remote, self.number).await {
                        places(&task, followed);
                    }
                }
            }
        }
        Ok(news)
    }
}

fn is_queued(one: &Followed) -> bool {
    matches!(one.attempt.state, AttemptState::Queued)
}

async fn newest(remote: &Remote, number: u64) -> Result<Task, ClientError> {
    remote.client.ask(Call::get(&["tasks", &number.to_string()])).await
}

fn places(task: &Task, followed: &mut [Followed]) {
    for attempt in &task.summary.attempts {
        if let Some(one) = followed.iter_mut().find(|one| one.attempt.id == attempt.id) {
            one.attempt.queue_place = attempt.queue_place;
        }
    }
}

/// Takes in what was heard; whether it can be gone on with.
fn take(heard: Heard, followed: &mut [Followed], news: &mut News) -> bool {
    let (kind, data) = match heard {
        Heard::Event { kind, data } => (kind, data),
        Heard::Lost { why } => {
            news.notices.push(format!("{why}; the task goes on, and this tries again"));
            return true;
        }
        Heard::Back => {
            news.notices.push("the server is there again".to_owned());
            return true;
        }
        Heard::Open => return true,
    };
    match kind.as_str() {
        "event" => {
            let Ok(TaskEvent { attempt, event }) = serde_json::from_str(&data) else {
                return false;
            };
            let Some(index) = followed.iter().position(|one| one.attempt.id == attempt) else {
                return true;
            };
            let one = &mut followed[index];
            if event.seq > one.next {
                return false;
            }
            // What was asked for meanwhile is known.
            if event.seq == one.next {
                one.next += 1;
                one.events.extend(tasks::event(&event));
                news.events.push((index, event));
            }
            true
        }
        "task" => {
            let Ok(row) = serde_json::from_str::<TaskSummary>(&data) else { return false };
            for attempt in row.attempts {
                if let Some(one) = followed.iter_mut().find(|one| one.attempt.id == attempt.id) {
                    let queue_place = one.attempt.queue_place.filter(|_| attempt.epoch == 0);
                    one.attempt = AttemptSummary { queue_place, ..attempt };
                }
            }
            news.whole = true;
            true
        }
        _ => true,
    }
}

/// Asks for what is new of all that are followed: where they stand first, so that the events read
/// then are all that there are of one that is over.
async fn ask(remote: &Remote, number: u64, followed: &mut [Followed]) -> Result<News, ClientError> {
    let task = newest(remote, number).await?;
    let attempts = task.history.iter().flat_map(|turn| &turn.attempts);
    for attempt in attempts.chain(&task.summary.attempts) {
        if let Some(one) = followed.iter_mut().find(|one| one.attempt.id == attempt.id) {
            one.attempt = attempt.clone();
        }
    }
    let mut news = News { whole: true, ..News::default() };
    for (index, one) in followed.iter_mut().enumerate() {
        if is_queued(one) && one.attempt.epoch == 0 {
            continue;
        }
        let id = one.attempt.id.to_string();
        loop {
            let call = Call::get(&["attempts", &id, "events"]).query("from", one.next);
            let page: EventPage = remote.client.ask(call).await?;
            let Some(last) = page.events.last() else { break };
            one.next = last.seq + 1;
            one.events.extend(tasks::known(&page.events));
            news.events.extend(page.events.into_iter().map(|event| (index, event)));
            if page.next.is_none() {
                break;
            }
        }
    }
    Ok(news)
}
