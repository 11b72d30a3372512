//! Where tokens are kept: in this installation's store, or on a server.

use std::collections::{BTreeSet, HashMap};

use quire_api::{Me, NewToken, TeamList, TokenInfo, TokenList, TokenMade};
use quire_client::Call;
use quire_domain::access::{LOCAL_USER, Limits};
use quire_domain::ids::{TokenId, UserId};
use quire_domain::time::Clock;
use quire_server::access::secrets;
use quire_store::{Store, Token};
use uuid::Uuid;

use crate::administration::{self, open, team, user};
use crate::commands::Context;
use crate::exit::usage;
use crate::installation::WallClock;
use crate::remote::{self, Remote};

/// A day, in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// Where.
pub(super) enum Place {
    /// The store of this installation.
    Here(Box<Store>),
    /// A server.
    There(Box<Remote>),
}

/// Whose tokens.
pub(super) enum Whose {
    /// Of whoever asks; all where they run the machine.
    Mine,
    /// Of a person with this name.
    Person(String),
    /// Of the services of this team.
    Services(String),
}

impl Whose {
    pub(super) fn read(service: Option<String>, user: Option<String>) -> Self {
        match (service, user) {
            (Some(team), _) => Self::Services(team),
            (None, Some(name)) => Self::Person(name),
            (None, None) => Self::Mine,
        }
    }
}

impl Place {
    pub(super) async fn of(context: &Context) -> anyhow::Result<Self> {
        Ok(match context.remote()? {
            Some(remote) => Self::There(Box::new(remote)),
            None => Self::Here(Box::new(open(context).await?)),
        })
    }

    pub(super) async fn create(&self, new: NewToken, whose: Whose) -> anyhow::Result<TokenMade> {
        let store = match self {
            Self::Here(store) => store,
            Self::There(remote) => {
                let call = match &whose {
                    Whose::Mine => Call::post(&["me", "tokens"]),
                    Whose::Services(team) => Call::post(&["teams", team, "tokens"]),
                    Whose::Person(_) => return Err(own_alone()),
                };
                return remote.client.ask(call.json(&new)).await.map_err(remote::told);
            }
        };
        let now = WallClock.now();
        let (owner, service, named) = match whose {
            Whose::Mine if everybody(store).await?.len() > 1 => {
                return Err(usage("say whose it is: `--user NAME`, or `--service TEAM`"));
            }
            Whose::Mine => (LOCAL_USER, false, new.team),
            Whose::Person(name) => (user(store, &name).await?, false, new.team),
            Whose::Services(team) => (LOCAL_USER, true, Some(team)),
        };
        let of_team = match named {
            Some(name) => Some(team(store, &name).await?),
            None => None,
        };
        let limits = Limits { rights: new.scopes.map(BTreeSet::from_iter), team: of_team };
        let days = u64::from(new.days.unwrap_or(90));
        let secret = secrets::mint(secrets::TOKEN)?;
        let kept = quire_store::NewToken {
            hash: secrets::hash(secret.reveal()),
            owner,
            name: new.name,
            service,
            limits,
            expires_at: (days > 0).then(|| now.plus_millis(days * DAY)),
            now,
        };
        let kept = store.add_token(kept).await.map_err(administration::told)?;
        Ok(TokenMade { token: secret.reveal().clone(), info: info(&kept) })
    }

    pub(super) async fn list(&self, whose: Whose) -> anyhow::Result<Vec<TokenInfo>> {
        let store = match self {
            Self::Here(store) => store,
            Self::There(remote) => {
                let call = match &whose {
                    Whose::Mine => Call::get(&["me", "tokens"]),
                    Whose::Services(team) => Call::get(&["teams", team, "tokens"]),
                    Whose::Person(_) => return Err(own_alone()),
                };
                let found: TokenList = remote.client.ask(call).await.map_err(remote::told)?;
                return Ok(found.tokens);
            }
        };
        let found = match whose {
            Whose::Person(name) => store.tokens_of(user(store, &name).await?).await?,
            Whose::Services(name) => store.service_tokens(team(store, &name).await?).await?,
            Whose::Mine => {
                let mut all = Vec::new();
                for person in everybody(store).await? {
                    all.extend(store.tokens_of(person.0).await?);
                }
                for one in store.teams().await? {
                    all.extend(store.service_tokens(one.id).await?);
                }
                all.sort_by_key(|token| std::cmp::Reverse(token.created_at));
                all
            }
        };
        Ok(found.iter().map(info).collect())
    }

    pub(super) async fn revoke(&self, id: Uuid) -> anyhow::Result<()> {
        match self {
            Self::Here(store) => {
                let gone = store.revoke_token(TokenId(id), WallClock.now()).await;
                gone.map_err(administration::told)
            }
            Self::There(remote) => {
                let call = Call::delete(&["tokens", &id.to_string()]);
                remote.client.tell(call).await.map_err(remote::told)
            }
        }
    }

    /// The names of people and teams that tokens speak of, as far as one may know them.
    pub(super) async fn names(&self) -> anyhow::Result<HashMap<Uuid, String>> {
        let mut names = HashMap::new();
        match self {
            Self::Here(store) => {
                for (id, name) in everybody(store).await? {
                    names.insert(id.0, name);
                }
                let teams = store.teams().await?;
                names.extend(teams.into_iter().map(|team| (team.id.0, team.name.to_string())));
            }
            Self::There(remote) => {
                let me: Me = remote.client.ask(Call::get(&["me"])).await.map_err(remote::told)?;
                names.insert(me.user, me.name);
                let teams = remote.client.ask(Call::get(&["teams"])).await;
                let teams: TeamList = teams.map_err(remote::told)?;
                names.extend(teams.teams.into_iter().map(|team| (team.id, team.name)));
            }
        }
        Ok(names)
    }
}

/// Everybody with a name, and who runs the machine.
async fn everybody(store: &Store) -> anyhow::Result<Vec<(UserId, String)>> {
    let mut all: Vec<_> =
        store.users().await?.into_iter().map(|user| (user.id, user.name.to_string())).collect();
    if !all.iter().any(|(id, _)| *id == LOCAL_USER) {
        all.push((LOCAL_USER, "this machine".to_owned()));
    }
    Ok(all)
}

fn own_alone() -> anyhow::Error {
    usage("on a server tokens are your own: leave `--user` out")
}

fn info(token: &Token) -> TokenInfo {
    TokenInfo {
        id: token.id.0,
        name: token.name.clone(),
        service: token.service,
        owner: token.owner.0,
        scopes: token.limits.rights.as_ref().map(|rights| rights.iter().copied().collect()),
        team: token.limits.team.map(|team| team.0),
        created_at: token.created_at.0,
        expires_at: token.expires_at.map(|at| at.0),
        used_at: token.used_at.map(|at| at.0),
        revoked_at: token.revoked_at.map(|at| at.0),
    }
}
