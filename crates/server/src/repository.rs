//! From the name of a repository to its place.

use quire_domain::ids::TeamId;
use quire_store::StoreError;

use crate::desk::Place;
use crate::refusal::{Refusal, Result};
use crate::state::State;

/// Where the repository is that a request names.
///
/// With several users only what is registered: a path or an address of somebody's choosing would
/// let them read what the server can. Alone on a machine, what the person could read anyway.
pub(crate) async fn place(state: &State, team: TeamId, named: &str) -> Result<Place> {
    match state.store.repository(team, named).await {
        Ok(found) => Ok(Place::Registered(found)),
        Err(StoreError::NotFound { .. })
            if state.settings.single_user && (named.starts_with('/') || named.contains("://")) =>
        {
            Ok(Place::Named(named.to_owned()))
        }
        Err(StoreError::NotFound { .. }) => Err(Refusal::not_found("repository", named)),
        Err(error) => Err(error.into()),
    }
}
