//! The outbox's pump: what happened is made out to those who asked for it, sent, and tried again
//! until it is taken or given up.
//!
//! At least once: a delivery has the same id at each try, so that who gets it twice knows.

mod address;
mod email;
mod subscribe;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use quire_domain::time::{Clock, Timestamp};
use quire_store::{
    Channel, Delivery, DeliveryState, NoticeKind, SealKey, Store, StoreError, Subscription, Tried,
};
use tokio_util::sync::CancellationToken;

pub use self::address::Targets;
pub use self::email::{Mail, MailError};
pub use self::subscribe::{CannotSubscribe, shown, shown_delivery};
pub use self::webhook::{SECRET_BYTES, signature};

/// How long to wait after each try, in seconds; after the last of them it is given up. A day and a
/// half in all: a weekend's outage is seen in the log of deliveries and sent again by hand.
const WAITS_S: [u64; 8] = [10, 60, 300, 1_800, 7_200, 21_600, 43_200, 64_800];

/// The status of what is gone for good.
const GONE: u16 = 410;

/// Tries at once.
const AT_ONCE: usize = 8;

/// Deliveries that are taken up at once.
const BATCH: u32 = 64;

/// The outbox is looked at this often though nothing was heard: another process may have written.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// After an error of the store.
const PAUSE: Duration = Duration::from_secs(5);

/// How long what was told is kept, in milliseconds.
const KEPT_MS: u64 = 30 * 24 * 3_600_000;

/// Opens the key that secrets of webhooks are sealed with. The error is for the person.
pub type OpenKey = dyn Fn() -> Result<Arc<SealKey>, String> + Send + Sync;

/// How people are told.
#[derive(Clone)]
pub struct Notices {
    /// What secrets of webhooks are sealed with.
    pub key: Arc<OpenKey>,
    /// Which addresses may be called.
    pub targets: Targets,
    /// The mail server; without one no e-mail is sent.
    pub mail: Option<Arc<Mail>>,
    /// Where people look at tasks: what links begin with.
    pub base_url: Option<String>,
}

impl Notices {
    /// Nobody can be told anything: there is no key.
    pub fn none() -> Self {
        let key: Arc<OpenKey> = Arc::new(|| Err("there is no key".to_owned()));
        Self { key, targets: Targets::default(), mail: None, base_url: None }
    }
}

/// What sends.
pub struct Deliverer {
    store: Store,
    clock: Arc<dyn Clock>,
    notices: Notices,
    webhooks: webhook::Sender,
}

/// How one try ended.
pub(crate) enum Sent {
    /// It was taken.
    Taken {
        /// The answer's status, where there is such a thing.
        status: Option<u16>,
    },
    /// It was not, and may be another time.
    NotNow {
        /// The answer's status, if there was one.
        status: Option<u16>,
        /// Why.
        why: String,
        /// When the other side wants to be asked again, in seconds.
        after_s: Option<u64>,
    },
    /// It will not be.
    Never {
        /// The answer's status, if there was one.
        status: Option<u16>,
        /// Why.
        why: String,
    },
}

impl Deliverer {
    /// A pump over `store`.
    ///
    /// # Errors
    ///
    /// In words, where no HTTP client can be made.
    pub fn new(store: Store, clock: Arc<dyn Clock>, notices: Notices) -> Result<Self, String> {
        let webhooks = webhook::Sender::new(notices.targets.clone())?;
        Ok(Self { store, clock, notices, webhooks })
    }

    /// Sends until told to stop. What is on its way then is tried again by the next one.
    pub async fn run(&self, stop: CancellationToken) {
        let mut commits = self.store.commits();
        loop {
            let wait = match self.step().await {
                Ok(Some(wait)) => wait,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(%error, "cannot read what is to be delivered");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                // Both at once: what was committed is taken up, though not more often than this.
                () = async {
                    tokio::time::sleep(Duration::from_millis(200).min(wait)).await;
                    let _ = tokio::time::timeout(wait, commits.changed()).await;
                } => {}
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// Makes out what is new and tries what is due. `None` if there is more at once, else how long
    /// there is nothing to do, unless something is committed.
    async fn step(&self) -> Result<Option<Duration>, StoreError> {
        let now = self.clock.now();
        if self.store.make_out_deliveries(now).await? > 0 {
            self.store.forget_deliveries(Timestamp(now.0.saturating_sub(KEPT_MS))).await?;
        }
        let due = self.store.due_deliveries(now, BATCH).await?;
        if due.is_empty() {
            let next = self.store.next_delivery().await?;
            let wait = next.map_or(LOOK_EVERY, |at| Duration::from_millis(at.millis_since(now)));
            return Ok(Some(wait.min(LOOK_EVERY)));
        }
        let tries = stream::iter(due).map(|delivery| async move {
            let sent = self.send(&delivery).await;
            let gone = matches!(sent, Sent::Never { status: Some(GONE), .. });
            let now = self.clock.now();
            self.store.delivery_tried(delivery.id, &tried(&delivery, sent, now), now).await?;
            if gone { self.take_away(&delivery, now).await } else { Ok(()) }
        });
        let mut tries = tries.buffer_unordered(AT_ONCE);
        while let Some(noted) = tries.next().await {
            noted?;
        }
        Ok(None)
    }

    async fn send(&self, delivery: &Delivery) -> Sent {
        let never = |why: String| Sent::Never { status: None, why };
        let to = match self.store.subscription(delivery.subscription).await {
            Ok(to) => to,
            Err(error) => {
                return Sent::NotNow { status: None, why: error.to_string(), after_s: None };
            }
        };
        let link = self.notices.base_url.as_ref().map(|url| {
            let url = url.trim_end_matches('/');
            delivery
                .notice
                .task
                .map_or_else(|| url.to_owned(), |task| format!("{url}/tasks/{task}"))
        });
        match (to.channel, &self.notices.mail) {
            (Channel::Webhook, _) => match self.secret(&to) {
                Ok(secret) => {
                    let now = self.clock.now();
                    self.webhooks.send(&to.target, &secret, delivery, link.as_deref(), now).await
                }
                Err(why) => never(why),
            },
            (Channel::Email, Some(mail)) => mail.send(&to.target, delivery, link.as_deref()).await,
            (Channel::Email, None) => {
                never("there is no mail server: `[notices] mail_server`".to_owned())
            }
        }
    }

    /// Who says that they are gone for good is told no more.
    async fn take_away(&self, delivery: &Delivery, now: Timestamp) -> Result<(), StoreError> {
        let to = self.store.subscription(delivery.subscription).await?;
        tracing::warn!(subscription = %to.id, "a webhook answered 410: it is told no more");
        match self.store.unsubscribe(to.team, to.id, now).await {
            // Another of its deliveries was faster.
            Err(StoreError::NotFound { .. }) => Ok(()),
            done => done,
        }
    }

    /// What a webhook is signed with.
    fn secret(&self, to: &Subscription) -> Result<Vec<u8>, String> {
        let sealed = to.secret.as_ref().ok_or("the webhook has no secret: make it anew")?;
        let opened = (self.notices.key)()?.open(&Subscription::place(to.id), sealed);
        opened.map(|secret| secret.reveal().clone()).map_err(|error| error.to_string())
    }
}

/// What is noted of a try.
fn tried(delivery: &Delivery, sent: Sent, now: Timestamp) -> Tried {
    let done = |state, status, detail| Tried { state, due_at: now, status, detail };
    match sent {
        Sent::Taken { status } => done(DeliveryState::Delivered, status, String::new()),
        Sent::Never { status, why } => done(DeliveryState::GivenUp, status, why),
        // Somebody waits to see how it ends.
        Sent::NotNow { status, why, .. } if delivery.notice.kind == NoticeKind::Test => {
            done(DeliveryState::GivenUp, status, why)
        }
        Sent::NotNow { status, why, after_s } => {
            match WAITS_S.get(delivery.tries as usize) {
                None => done(DeliveryState::GivenUp, status, why),
                Some(wait_s) => {
                    // Nobody may put it off for longer than the longest wait of our own.
                    let longest = WAITS_S.last().copied().unwrap_or(0);
                    let wait_s = after_s.unwrap_or(0).clamp(*wait_s, longest);
                    let due_at = now.plus_millis(wait_s * 1_000);
                    Tried { state: DeliveryState::Waiting, due_at, status, detail: why }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quire_store::Notice;

    fn after(tries: u32, after_s: Option<u64>) -> Tried {
        let notice = Notice {
            kind: NoticeKind::Ended,
            task: Some(1),
            title: "t".into(),
            repository: "r".into(),
            state: "changed".into(),
            detail: None,
            at: Timestamp(0),
        };
        let delivery = Delivery {
            id: uuid::Uuid::nil(),
            subscription: uuid::Uuid::nil(),
            notice,
            state: DeliveryState::Waiting,
            tries,
            due_at: Timestamp(0),
            status: None,
            detail: String::new(),
            updated_at: Timestamp(0),
        };
        let sent = Sent::NotNow { status: Some(503), why: "down".into(), after_s };
        tried(&delivery, sent, Timestamp(0))
    }

    #[test]
    fn each_try_waits_longer_and_the_last_is_given_up() {
        let mut before = 0;
        for tries in 0..8 {
            let tried = after(tries, None);
            assert_eq!(tried.state, DeliveryState::Waiting);
            assert!(tried.due_at.0 > before, "{tries}");
            before = tried.due_at.0;
        }
        assert_eq!(after(8, None).state, DeliveryState::GivenUp);
    }

    #[test]
    fn who_asks_for_patience_is_given_it_within_bounds() {
        assert_eq!(after(0, Some(120)).due_at, Timestamp(120_000));
        assert_eq!(after(0, Some(1)).due_at, Timestamp(10_000));
        assert_eq!(after(0, Some(u64::MAX)).due_at, Timestamp(64_800_000));
    }
}
