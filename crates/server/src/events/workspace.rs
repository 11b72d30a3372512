//! Who watches which tasks change.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use quire_api::Resync;
use quire_domain::access::Right;
use quire_domain::ids::TeamId;
use quire_store::ListFilter;

use super::batch::Changed;
use super::changes::Listening;
use super::frame;
use super::queue::{Item, Queue};
use super::reply::{Sent, Viewer};
use super::still::Still;
use crate::access::Who;
use crate::refusal::Result;
use crate::state::State;

/// Tasks that are read at once of what changed before.
const PAGE: u32 = 100;

/// One viewer.
pub(crate) struct WorkspaceViewer {
    state: Arc<State>,
    still: Still,
    queue: Arc<Queue>,
    _listening: Listening,
    /// The one team that is wanted; all if none.
    only: Option<TeamId>,
    teams: Vec<TeamId>,
    /// The last change that was looked at.
    after: u64,
    behind: bool,
    begun: bool,
}

impl WorkspaceViewer {
    /// Opens the stream for somebody, after the change `after`, or from now on.
    pub(crate) async fn open(
        state: Arc<State>,
        still: Still,
        who: &Who,
        only: Option<TeamId>,
        after: Option<u64>,
    ) -> Result<Self> {
        let queue = Arc::new(Queue::default());
        let listening = state.events.changes.listen(None, &queue).await?;
        let newest = state.store.newest_change().await?;
        // Of a store that was put back to an earlier state nothing is left out from here on.
        let after = after.map_or(newest, |after| after.min(newest));
        let mut viewer = Self {
            state,
            still,
            queue,
            _listening: listening,
            only,
            teams: Vec::new(),
            after,
            behind: after < newest,
            begun: false,
        };
        viewer.may_see(who);
        Ok(viewer)
    }

    /// Whether there is anything that they may see.
    fn may_see(&mut self, who: &Who) -> bool {
        self.teams = who.teams_with(Right::ReadTasks);
        self.teams.retain(|team| self.only.is_none_or(|only| only == *team));
        !self.teams.is_empty()
    }

    async fn catch_up(&mut self) -> Result<Sent> {
        let filter = ListFilter { teams: Some(self.teams.clone()), ..ListFilter::default() };
        let changes = self.state.store.changed_since(self.after, &filter, PAGE).await?;
        let mut bytes = BytesMut::new();
        for listed in changes.tasks {
            bytes.extend_from_slice(&Changed::new(listed).numbered());
        }
        // What of it was of others is not asked for again either.
        frame::id(&mut bytes, &changes.upto.to_string());
        bytes.extend_from_slice(b"\n");
        (self.after, self.behind) = (changes.upto, changes.more);
        Ok(Sent::Some(bytes.freeze()))
    }

    async fn step(&mut self) -> Result<Option<Sent>> {
        if !self.begun {
            self.begun = true;
            return Ok(Some(Sent::Some(format!("id: {}\n\n", self.after).into())));
        }
        if self.behind {
            let _ = self.queue.begin_anew();
            return self.catch_up().await.map(Some);
        }
        let look_again = self.still.next();
        tokio::select! {
            item = self.queue.next() => Ok(match item {
                Ok(Item::Changed(row)) if row.number > self.after => {
                    self.after = row.number;
                    let seen = self.teams.contains(&row.owner.team);
                    seen.then(|| Sent::Some(row.numbered()))
                }
                Ok(_) => None,
                Err(_) => {
                    let mut bytes = BytesMut::new();
                    frame::write(&mut bytes, "resync", &Resync { after: self.after.to_string() });
                    Some(Sent::Last(bytes.freeze()))
                }
            }),
            () = tokio::time::sleep_until(look_again) => {
                let who = self.still.who(&self.state).await;
                let may = who.is_some_and(|who| self.may_see(&who));
                Ok((!may).then(|| Sent::Last(Bytes::from_static(b": not yours any more\n\n"))))
            }
        }
    }
}

impl Viewer for WorkspaceViewer {
    async fn next(&mut self) -> Sent {
        loop {
            match self.step().await {
                Ok(Some(sent)) => return sent,
                Ok(None) => {}
                Err(refusal) => {
                    tracing::warn!(why = refusal.problem().detail, "a stream breaks off");
                    return Sent::Last(Bytes::from_static(b": come back\n\n"));
                }
            }
        }
    }
}
