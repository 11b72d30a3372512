//! From what a provider says of a person to a user of ours: by issuer and subject, and by nothing
//! else. An address for mail or a name may pass to somebody else, and some providers let people
//! choose them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use quire_domain::access::{Role, TeamName, UserName};
use quire_store::{Actor, Identity, NewUser, Store, StoreError, User};
use ring::digest::{SHA256, digest};

use super::Refused;
use super::claims::Claims;
use super::settings::ProviderSettings;
use crate::access::sign_in::shown;
use crate::state::State;

/// The user of a person who came back; added where they come for the first time.
///
/// Who may come in is asked each time. In the teams that the groups speak of a person is what
/// their groups say; other teams are left as they are.
pub(crate) async fn admit(
    state: &State,
    settings: &ProviderSettings,
    claims: &Claims,
    from: Option<IpAddr>,
) -> Result<User, Refused> {
    let identity = Identity { issuer: settings.issuer.clone(), subject: claims.sub.clone() };
    let known = state.store.user_by_identity(&identity).await?;
    let roles = may_come_in(settings, claims, known.is_some())?;
    if let Some(user) = known.as_ref().filter(|user| user.disabled_at.is_some()) {
        return Err(Refused::Disabled(user.name.to_string()));
    }
    let actor = |user| Actor { user, token: None, address: shown(from) };
    let user = match known {
        Some(user) => user,
        None => add(&state.store.acting(actor(None)), identity, claims, state).await?,
    };
    let store = state.store.acting(actor(Some(user.id)));
    for team in spoken_of(settings) {
        let id = match store.team_by_name(team).await {
            Ok(team) => team.id,
            Err(StoreError::NotFound { .. }) => {
                tracing::warn!(%team, "serve.oidc.groups names a team that is not there");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let member = store.memberships(user.id).await?.into_iter().find(|(it, _)| it.id == id);
        match (roles.get(team), member) {
            (Some(role), Some((_, is))) if *role == is => {}
            (Some(role), _) => store.set_member(id, user.id, *role, state.clock.now()).await?,
            (None, Some(_)) => store.remove_member(id, user.id, state.clock.now()).await?,
            (None, None) => {}
        }
    }
    Ok(user)
}

/// All teams that groups give something in.
fn spoken_of(settings: &ProviderSettings) -> Vec<&TeamName> {
    let mut teams: Vec<&TeamName> =
        settings.groups.values().flatten().map(|grant| &grant.team).collect();
    teams.sort();
    teams.dedup();
    teams
}

/// What somebody's groups make them, if they may come in.
fn may_come_in(
    settings: &ProviderSettings,
    claims: &Claims,
    known: bool,
) -> Result<BTreeMap<TeamName, Role>, Refused> {
    let groups = claims.groups(&settings.groups_claim);
    let mut roles = BTreeMap::new();
    for grant in groups.iter().filter_map(|name| settings.groups.get(*name)).flatten() {
        let role = roles.entry(grant.team.clone()).or_insert(grant.role);
        if rank(grant.role) > rank(*role) {
            *role = grant.role;
        }
    }
    if !settings.allowed_domains.is_empty() {
        let email = claims.email.as_deref().unwrap_or_default();
        let domain = email.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
        if !domain.is_some_and(|domain| settings.allowed_domains.contains(&domain)) {
            let why = "the person's address is of none of `serve.oidc.allowed_domains`";
            return Err(Refused::Outside(why.to_owned()));
        }
        if !claims.email_verified() {
            return Err(Refused::Unverified(super::wire::plain(email)));
        }
    } else if !settings.groups.is_empty() {
        if roles.is_empty() {
            let why = format!(
                "none of the person's {} groups (claim `{}`) is in `serve.oidc.groups`",
                groups.len(),
                settings.groups_claim
            );
            return Err(Refused::Outside(why));
        }
    } else if !known {
        let why =
            "set `serve.oidc.allowed_domains` or `serve.oidc.groups`: without them nobody comes in";
        return Err(Refused::Outside(why.to_owned()));
    }
    Ok(roles)
}

fn rank(role: Role) -> u8 {
    match role {
        Role::Viewer => 0,
        Role::Member => 1,
        Role::Admin => 2,
    }
}

/// Adds somebody, by a name that nobody has: whoever has it stays who they are.
async fn add(
    store: &Store,
    identity: Identity,
    claims: &Claims,
    state: &State,
) -> Result<User, Refused> {
    let wanted = wanted_name(claims);
    let email = claims.email.clone().filter(|email| claims.email_verified() && email.len() <= 254);
    let mut last = None;
    for round in 1..=20_u8 {
        let text = match round {
            1 => wanted.clone(),
            20 => format!("{}-{}", wanted, short(&identity.subject)),
            _ => format!("{wanted}-{round}"),
        };
        let Ok(name) = UserName::parse(&text) else { continue };
        let new = NewUser {
            name,
            email: email.clone(),
            admin: false,
            password: None,
            identity: Some(identity.clone()),
            now: state.clock.now(),
        };
        match store.add_user(new).await {
            Ok(user) => return Ok(user),
            // They came twice at once.
            Err(error @ StoreError::Taken { what: "identity", .. }) => {
                return store.user_by_identity(&identity).await?.ok_or(Refused::Ours(error));
            }
            Err(error @ StoreError::Taken { .. }) => last = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    let nobody = || StoreError::Taken { what: "user", name: wanted.clone() };
    Err(Refused::Ours(last.unwrap_or_else(nobody)))
}

/// What somebody is called here: what the provider calls them, else the beginning of their address;
/// without the letters that names here do not have.
fn wanted_name(claims: &Claims) -> String {
    let local = claims.email.as_deref().and_then(|email| email.split('@').next());
    let called = claims.preferred_username.as_deref().map(|it| it.split('@').next().unwrap_or(it));
    for text in [called, local].into_iter().flatten() {
        let known = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let name: String = text.chars().filter(known).take(40).collect();
        let name = name.trim_start_matches(['.', '_', '-']).to_ascii_lowercase();
        if UserName::parse(&name).is_ok() && name != "local" {
            return name;
        }
    }
    format!("user-{}", short(&claims.sub))
}

/// Eight hex digits that stand for a subject.
fn short(subject: &str) -> String {
    let hash = digest(&SHA256, subject.as_bytes());
    hash.as_ref().iter().take(4).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
