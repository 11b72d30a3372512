//! Where it is kept who is told: in this installation's store, or on a server.

use std::sync::Arc;

use quire_api::{Delivery, NewSubscription, Subscription};
use quire_client::Call;
use quire_domain::access::LOCAL_USER;
use quire_domain::ids::TeamId;
use quire_domain::time::Clock;
use quire_orchestrator::secrets_key::SecretsKey;
use quire_server::deliver::{self, Notices};
use quire_store::{Channel, Store};
use uuid::Uuid;

use crate::administration::{self, open, settings, team};
use crate::commands::Context;
use crate::commands::serve::notices::notices;
use crate::exit::usage;
use crate::installation::{WallClock, data_dir_of};
use crate::remote::{self, Remote};

/// As many as a server shows.
const SHOWN: u32 = 100;

/// Where.
pub(super) enum Place {
    /// The store of this installation, and how it tells people.
    Here(Box<(Store, Notices)>),
    /// A server.
    There(Box<Remote>),
}

impl Place {
    pub(super) async fn of(context: &Context) -> anyhow::Result<Self> {
        if let Some(remote) = context.remote()? {
            return Ok(Self::There(Box::new(remote)));
        }
        let store = open(context).await?;
        let settings = settings(context)?;
        let key = match &settings.secrets_key_file {
            Some(file) => SecretsKey::named(file.value.clone()),
            None => SecretsKey::beside(&data_dir_of(&settings)?),
        };
        Ok(Self::Here(Box::new((store, notices(&settings.notices, &Arc::new(key))?))))
    }

    pub(super) async fn add(&self, new: NewSubscription) -> anyhow::Result<Subscription> {
        match self {
            Self::There(remote) => {
                let call = Call::post(&["subscriptions"]).json(&new);
                remote.client.ask(call).await.map_err(remote::told)
            }
            Self::Here(here) => {
                let (store, notices) = &**here;
                let team = meant(store, new.team.as_deref()).await?;
                let made = notices.subscription(&new, team, LOCAL_USER, WallClock.now());
                let (made, secret) =
                    made.map_err(|error| usage(format!("{error}: {}", error.advice())))?;
                store.subscribe(&made).await.map_err(administration::told)?;
                Ok(deliver::shown(&made, secret))
            }
        }
    }

    pub(super) async fn list(&self, team: Option<&str>) -> anyhow::Result<Vec<Subscription>> {
        match self {
            Self::There(remote) => {
                let call = Call::get(&["subscriptions"]).maybe("team", team);
                remote.client.ask(call).await.map_err(remote::told)
            }
            Self::Here(here) => {
                let found = here.0.subscriptions(meant(&here.0, team).await?).await?;
                Ok(found.iter().map(|one| deliver::shown(one, None)).collect())
            }
        }
    }

    pub(super) async fn remove(&self, id: Uuid) -> anyhow::Result<()> {
        match self {
            Self::There(remote) => {
                let call = Call::delete(&["subscriptions", &id.to_string()]);
                remote.client.tell(call).await.map_err(remote::told)
            }
            Self::Here(here) => {
                let store = &here.0;
                let found = store.subscription(id).await.map_err(administration::told)?;
                let gone = store.unsubscribe(found.team, id, WallClock.now()).await;
                gone.map_err(administration::told)
            }
        }
    }

    pub(super) async fn log(&self, id: Uuid) -> anyhow::Result<Vec<Delivery>> {
        match self {
            Self::There(remote) => {
                let call = Call::get(&["subscriptions", &id.to_string(), "deliveries"]);
                remote.client.ask(call).await.map_err(remote::told)
            }
            Self::Here(here) => {
                let store = &here.0;
                store.subscription(id).await.map_err(administration::told)?;
                let found = store.deliveries(id, SHOWN).await?;
                Ok(found.into_iter().map(deliver::shown_delivery).collect())
            }
        }
    }

    /// Sends a test; gives its delivery as it stands now.
    pub(super) async fn test(&self, id: Uuid) -> anyhow::Result<Delivery> {
        match self {
            Self::There(remote) => {
                let call = Call::post(&["subscriptions", &id.to_string(), "test"]);
                remote.client.ask(call).await.map_err(remote::told)
            }
            Self::Here(here) => {
                let store = &here.0;
                let found = store.subscription(id).await.map_err(administration::told)?;
                let sent = store.send_test(found.team, id, WallClock.now()).await;
                let sent = store.delivery(sent.map_err(administration::told)?).await?;
                Ok(deliver::shown_delivery(sent))
            }
        }
    }

    /// Makes a webhook's secret anew.
    pub(super) async fn rotate(&self, id: Uuid) -> anyhow::Result<Subscription> {
        match self {
            Self::There(remote) => {
                let call = Call::post(&["subscriptions", &id.to_string(), "rotate"]);
                remote.client.ask(call).await.map_err(remote::told)
            }
            Self::Here(here) => {
                let (store, notices) = &**here;
                let found = store.subscription(id).await.map_err(administration::told)?;
                if found.channel == Channel::Email {
                    return Err(usage("e-mail is not signed: there is no secret"));
                }
                let made = notices.new_secret(id);
                let (sealed, secret) =
                    made.map_err(|error| usage(format!("{error}: {}", error.advice())))?;
                let done = store.sign_anew(found.team, id, &sealed, WallClock.now()).await;
                done.map_err(administration::told)?;
                Ok(deliver::shown(&found, Some(secret)))
            }
        }
    }

    pub(super) async fn resend(&self, id: Uuid, delivery: Uuid) -> anyhow::Result<()> {
        match self {
            Self::There(remote) => {
                let (id, delivery) = (id.to_string(), delivery.to_string());
                let path = ["subscriptions", &*id, "deliveries", &*delivery, "redeliver"];
                remote.client.tell(Call::post(&path)).await.map_err(remote::told)
            }
            Self::Here(here) => {
                let store = &here.0;
                let found = store.subscription(id).await.map_err(administration::told)?;
                let again = store.redeliver(found.team, delivery, WallClock.now()).await;
                again.map_err(administration::told)
            }
        }
    }
}

/// The team that is meant; it may be left out where there is one alone.
async fn meant(store: &Store, name: Option<&str>) -> anyhow::Result<TeamId> {
    if let Some(name) = name {
        return team(store, name).await;
    }
    match store.teams().await?.as_slice() {
        [one] => Ok(one.id),
        _ => Err(usage("there are several teams: name one with `--team` (`quire team list`)")),
    }
}
