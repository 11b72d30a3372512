//! Somebody who is to be told, from what a person asked for: checked, and a webhook with a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_api::{NewSubscription, NoticeAbout, NoticeChannel};
use quire_domain::ids::{TeamId, UserId};
use quire_domain::time::Timestamp;
use quire_store::{Channel, DeliveryState, NoticeKind, Sealed};
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;

use super::{Mail, Notices, SECRET_BYTES};

/// Why somebody cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum CannotSubscribe {
    /// The address of a webhook.
    #[error("{0}")]
    Target(String),
    /// The address of e-mail.
    #[error("`{0}` is no e-mail address")]
    Email(String),
    /// Tests are news of nothing.
    #[error("nobody is told of tests")]
    Test,
    /// There is nothing to send e-mail with.
    #[error("the server has no mail server")]
    NoMailServer,
    /// A webhook's secret could not be made or sealed.
    #[error("cannot seal the secret of the webhook: {0}")]
    Secret(String),
}

impl CannotSubscribe {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Target(_) => "name an address that can be called",
            Self::Email(_) => "give one like `name@example.com`",
            Self::Test => "`POST /api/v1/subscriptions/{id}/test` sends one",
            Self::NoMailServer => "ask who administers it to set `[notices] mail_server`",
            Self::Secret(_) => "the server's log says more",
        }
    }
}

impl Notices {
    /// Makes a subscription of what was asked for, to be written down. With it, the secret of a webhook as
    /// it is shown once: `whsec_` and base64.
    ///
    /// # Errors
    ///
    /// What is wrong with the address, or with this installation.
    pub fn subscription(
        &self,
        new: &NewSubscription,
        team: TeamId,
        owner: UserId,
        now: Timestamp,
    ) -> Result<(quire_store::Subscription, Option<String>), CannotSubscribe> {
        if new.kinds.iter().flatten().any(|kind| *kind == NoticeAbout::Test) {
            return Err(CannotSubscribe::Test);
        }
        let id = Uuid::now_v7();
        let (channel, secret) = match new.channel {
            NoticeChannel::Webhook => {
                self.targets.check(&new.target).map_err(CannotSubscribe::Target)?;
                (Channel::Webhook, Some(self.new_secret(id)?))
            }
            NoticeChannel::Email if !Mail::is_address(&new.target) => {
                return Err(CannotSubscribe::Email(new.target.clone()));
            }
            NoticeChannel::Email if self.mail.is_none() => {
                return Err(CannotSubscribe::NoMailServer);
            }
            NoticeChannel::Email => (Channel::Email, None),
        };
        let (sealed, shown) = secret.unzip();
        let kinds = match &new.kinds {
            None => NoticeKind::DEFAULT.to_vec(),
            Some(kinds) => kinds.iter().copied().map(kind).collect(),
        };
        let target = new.target.clone();
        let subscription = quire_store::Subscription {
            id,
            team,
            owner,
            channel,
            target,
            kinds,
            secret: sealed,
            created_at: now,
        };
        Ok((subscription, shown))
    }

    /// What the webhook of a subscription is signed with from now on: sealed, and as it is shown once.
    ///
    /// # Errors
    ///
    /// [`CannotSubscribe::Secret`].
    pub fn new_secret(&self, id: Uuid) -> Result<(Sealed, String), CannotSubscribe> {
        let mut secret = [0; SECRET_BYTES];
        let filled = SystemRandom::new().fill(&mut secret);
        filled.map_err(|_| CannotSubscribe::Secret("no random bytes".to_owned()))?;
        let key = (self.key)().map_err(CannotSubscribe::Secret)?;
        let sealed = key.seal(&quire_store::Subscription::place(id), &secret);
        let sealed = sealed.map_err(|error| CannotSubscribe::Secret(error.to_string()))?;
        Ok((sealed, format!("whsec_{}", STANDARD.encode(secret))))
    }
}

/// A subscription as people are shown it; with its secret only when it was just made.
pub fn shown(one: &quire_store::Subscription, secret: Option<String>) -> quire_api::Subscription {
    quire_api::Subscription {
        id: one.id,
        team: one.team.0,
        channel: match one.channel {
            Channel::Webhook => NoticeChannel::Webhook,
            Channel::Email => NoticeChannel::Email,
        },
        target: one.target.clone(),
        kinds: one.kinds.iter().copied().map(about).collect(),
        created_at: one.created_at.0,
        secret,
    }
}

/// A delivery as people are shown it.
pub fn shown_delivery(one: quire_store::Delivery) -> quire_api::Delivery {
    quire_api::Delivery {
        id: one.id,
        about: about(one.notice.kind),
        task: one.notice.task,
        state: one.state.as_str().to_owned(),
        tries: one.tries,
        due_at: (one.state == DeliveryState::Waiting).then_some(one.due_at.0),
        status: one.status,
        detail: one.detail,
        updated_at: one.updated_at.0,
    }
}

fn about(kind: NoticeKind) -> NoticeAbout {
    match kind {
        NoticeKind::NeedsYou => NoticeAbout::NeedsYou,
        NoticeKind::Ended => NoticeAbout::Ended,
        NoticeKind::Progress => NoticeAbout::Progress,
        NoticeKind::Test => NoticeAbout::Test,
    }
}

fn kind(about: NoticeAbout) -> NoticeKind {
    match about {
        NoticeAbout::NeedsYou => NoticeKind::NeedsYou,
        NoticeAbout::Ended => NoticeKind::Ended,
        NoticeAbout::Progress => NoticeKind::Progress,
        NoticeAbout::Test => NoticeKind::Test,
    }
}
