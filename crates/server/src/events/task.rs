//! Who watches one task: its attempts, those that begin later included, and where it stands.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use quire_api::{Resync, StreamEnd};
use quire_domain::access::Right;
use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::ids::{AttemptId, Seq};
use quire_store::Listed;

use super::batch::{Changed, Stored};
use super::changes::Listening;
use super::frame;
use super::position::Position;
use super::queue::{Item, Queue};
use super::readers::Watching;
use super::reply::{Sent, Viewer};
use super::still::Still;
use crate::log;
use crate::refusal::{Refusal, Result};
use crate::state::State;

/// Events that are read at once of what came before, and about how many bytes.
const PAGE: (u32, usize) = (500, 256 << 10);

/// What a viewer asked for.
pub(crate) struct From {
    /// What it has seen.
    pub position: Position,
    /// Whether of attempts that it has not seen only what comes is wanted.
    pub now: bool,
    /// Whether it ends with the newest turn.
    pub end: bool,
    /// Whether it is shown what is not stored.
    pub live: bool,
}

/// One viewer.
///
/// An attempt that is `behind` is read from its log; the others come through the queue. What a
/// row says about an attempt was in its log before: so where a row tells of another state the log
/// is read first, and the row is sent after what led to it.
pub(crate) struct TaskViewer {
    state: Arc<State>,
    still: Still,
    task: Listed,
    queue: Arc<Queue>,
    _listening: Listening,
    wanted: From,
    followed: Vec<Followed>,
    /// The newest turn whose attempts are followed.
    newest: u32,
    /// Whether the row has to be read from the store.
    stale: bool,
    /// A row that came and is not yet looked at.
    came: Option<Arc<Changed>>,
    /// A row to be sent when all is sent that was before it.
    row: Option<Arc<Changed>>,
    /// The change of the row that was looked at last.
    changed: u64,
    /// Whether it was told where it begins.
    begun: bool,
}

/// An attempt that is followed.
struct Followed {
    attempt: AttemptId,
    turn: u32,
    state: AttemptState,
    /// Whether it was ever claimed: there is a log then.
    claimed: bool,
    /// The last event that was sent.
    seq: u64,
    behind: bool,
    watching: Option<Watching>,
}

impl TaskViewer {
    /// Opens the stream of a task for somebody who may see it.
    ///
    /// # Errors
    ///
    /// Invalid, if the position names an attempt of something else.
    pub(crate) async fn open(
        state: Arc<State>,
        still: Still,
        task: Listed,
        wanted: From,
    ) -> Result<Self> {
        let mut oldest = task.turns;
        let mut unknown: Vec<AttemptId> = wanted.position.attempts().collect();
        if !unknown.is_empty() {
            for turn in state.store.turns(task.task.id).await?.iter().rev() {
                for attempt in state.store.attempts(turn.id).await? {
                    if wanted.position.of(attempt.id).is_some() {
                        unknown.retain(|one| *one != attempt.id);
                        oldest = turn.ordinal;
                    }
                }
                if unknown.is_empty() {
                    break;
                }
            }
        }
        if let Some(unknown) = unknown.first() {
            return Err(Refusal::invalid(
                format!("`{unknown}` is no attempt of task {}", task.task.number),
                "give ids of this task's own stream, or none to begin at the start",
            ));
        }
        let queue = Arc::new(Queue::default());
        let listening = state.events.changes.listen(Some(task.task.id), &queue).await?;
        Ok(Self {
            state,
            still,
            task,
            queue,
            _listening: listening,
            wanted,
            followed: Vec::new(),
            newest: oldest.saturating_sub(1),
            stale: true,
            came: None,
            row: None,
            changed: 0,
            begun: false,
        })
    }

    /// Takes note of where the task stands. Nothing is noted if it is cancelled.
    async fn look(&mut self, row: Arc<Changed>) -> Result<()> {
        let mut found: Vec<(u32, Attempt)> = Vec::new();
        if row.listed.turns > self.newest + 1 {
            for turn in self.state.store.turns(row.task).await? {
                if turn.ordinal > self.newest && turn.ordinal < row.listed.turns {
                    let attempts = self.state.store.attempts(turn.id).await?;
                    found.extend(attempts.into_iter().map(|attempt| (turn.ordinal, attempt)));
                }
            }
        }
        found.extend(row.listed.attempts.iter().cloned().map(|one| (row.listed.turns, one)));
        let mut new = Vec::new();
        for (turn, attempt) in &found {
            if self.followed.iter().any(|one| one.attempt == attempt.id) {
                continue;
            }
            let named = self.wanted.position.of(attempt.id);
            let now = self.wanted.now && !self.begun;
            let seq = match (named, now) {
                (None, false) => 0,
                (named, _) => {
                    let head = self.state.log.head(attempt.id).await?.seq.0;
                    // Of a log that was put back to an earlier state nothing more is left out.
                    named.map_or(head, |named| named.min(head))
                }
            };
            new.push(Followed {
                attempt: attempt.id,
                turn: *turn,
                state: attempt.state.clone(),
                claimed: attempt.epoch.0 > 0,
                seq,
                behind: attempt.epoch.0 > 0,
                watching: None,
            });
        }
        self.followed.extend(new);
        for (_, attempt) in found {
            let one = self.followed.iter_mut().find(|one| one.attempt == attempt.id);
            let Some(one) = one else { continue };
            let claimed = attempt.epoch.0 > 0;
            if one.state != attempt.state || one.claimed != claimed {
                (one.state, one.claimed, one.behind) = (attempt.state, claimed, claimed);
            }
        }
        self.newest = self.newest.max(row.listed.turns);
        self.changed = row.number;
        self.row = Some(row);
        Ok(())
    }

    /// Reads on in the log of one that is behind.
    async fn catch_up(&mut self, place: usize) -> Result<Option<Bytes>> {
        let one = &self.followed[place];
        let (attempt, from) = (one.attempt, Seq(one.seq + 1));
        if one.watching.is_none() && one.is_open() {
            // First, so that nothing is written between the last look and the first batch.
            let watching = self.state.events.readers.watch(attempt, &self.queue).await?;
            self.followed[place].watching = Some(watching);
        }
        let (events, more) = log::page(&self.state, attempt, from, PAGE.0, PAGE.1).await?;
        let one = &mut self.followed[place];
        one.behind = more;
        if !more && !one.is_open() {
            one.watching = None;
        }
        if events.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.take(place, &Stored::new(attempt, events))))
    }

    /// What of a batch is new to the viewer; it counts as seen.
    fn take(&mut self, place: usize, batch: &Stored) -> Bytes {
        let before = self.followed[place].seq;
        let bytes = if self.followed.len() == 1 {
            batch.after(before)
        } else {
            batch.after_among(before, &mut self.position())
        };
        self.followed[place].seq = batch.last().max(before);
        // Who has seen something of a later turn needs not name an earlier one any more.
        let seen = self.followed.iter().filter(|one| one.seq > 0).map(|one| one.turn).max();
        self.followed
            .retain(|one| one.behind || one.is_open() || seen.is_none_or(|seen| one.turn >= seen));
        bytes
    }

    fn position(&self) -> Position {
        let mut position = Position::default();
        for one in self.followed.iter().filter(|one| one.seq > 0) {
            position.reached(one.attempt, one.seq);
        }
        position
    }

    fn is_over(&self) -> bool {
        let newest = self.followed.iter().filter(|one| one.turn == self.newest);
        newest.clone().count() > 0 && newest.clone().all(|one| !one.is_open() && !one.behind)
    }

    /// What one thing out of the queue means to this viewer.
    fn heard(&mut self, item: Item) -> Option<Sent> {
        let place = |attempt| self.followed.iter().position(|one| one.attempt == attempt);
        match item {
            Item::Stored(batch) => {
                let place = place(batch.attempt)?;
                let seen = self.followed[place].seq;
                if batch.first > seen + 1 {
                    self.followed[place].behind = true;
                } else if batch.last() > seen {
                    return Some(Sent::Some(self.take(place, &batch)));
                }
                None
            }
            // What was stored after them has them whole.
            Item::Live(pieces) if self.wanted.live => {
                let seen = self.followed[place(pieces.attempt)?].seq;
                (pieces.after >= seen).then(|| Sent::Some(pieces.frames.clone()))
            }
            Item::Live(_) => None,
            Item::Changed(row) => {
                self.came = Some(row).filter(|row| row.number > self.changed);
                None
            }
            Item::Broken => Some(Sent::Last(Bytes::from_static(b": come back\n\n"))),
        }
    }

    /// The last words to one who has to come back.
    fn resync(&self) -> Sent {
        let mut bytes = BytesMut::new();
        frame::write(&mut bytes, "resync", &Resync { after: self.position().to_string() });
        Sent::Last(bytes.freeze())
    }

    async fn step(&mut self) -> Result<Option<Sent>> {
        if self.stale {
            let listed = self.state.store.listed(self.task.task.number).await?;
            self.look(Arc::new(Changed::new(listed))).await?;
            self.stale = false;
        }
        if let Some(row) = self.came.clone() {
            self.look(row).await?;
            self.came = None;
        }
        if !self.begun {
            self.begun = true;
            if self.wanted.now {
                let mut bytes = BytesMut::new();
                frame::id(&mut bytes, &self.position().to_string());
                bytes.extend_from_slice(b"\n");
                return Ok(Some(Sent::Some(bytes.freeze())));
            }
        }
        if let Some(place) = self.followed.iter().position(|one| one.behind) {
            if self.queue.begin_anew() {
                // All of it is in the log: no reason to send anybody away.
                self.stale = true;
                for one in &mut self.followed {
                    one.behind = one.claimed;
                }
                return Ok(None);
            }
            return Ok(self.catch_up(place).await?.map(Sent::Some));
        }
        if let Some(row) = self.row.take() {
            return Ok(Some(Sent::Some(row.plain())));
        }
        if self.wanted.end && self.is_over() {
            let mut bytes = BytesMut::new();
            frame::write(&mut bytes, "end", &StreamEnd { after: self.position().to_string() });
            return Ok(Some(Sent::Last(bytes.freeze())));
        }
        let look_again = self.still.next();
        tokio::select! {
            item = self.queue.next() => Ok(match item {
                Ok(item) => self.heard(item),
                Err(_) => Some(self.resync()),
            }),
            () = tokio::time::sleep_until(look_again) => {
                let who = self.still.who(&self.state).await;
                let may = who.is_some_and(|who| who.may(Right::ReadTasks, self.task.owner.team));
                Ok((!may).then(|| Sent::Last(Bytes::from_static(b": not yours any more\n\n"))))
            }
        }
    }
}

impl Followed {
    fn is_open(&self) -> bool {
        !matches!(self.state, AttemptState::Done { .. })
    }
}

impl Viewer for TaskViewer {
    async fn next(&mut self) -> Sent {
        loop {
            match self.step().await {
                Ok(Some(sent)) => return sent,
                Ok(None) => {}
                Err(refusal) => {
                    let why = &refusal.problem().detail;
                    tracing::warn!(task = %self.task.task.number, why, "a stream breaks off");
                    return Sent::Last(Bytes::from_static(b": come back\n\n"));
                }
            }
        }
    }
}
