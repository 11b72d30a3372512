//! The extractor that names the right a route needs.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request;

use crate::access::rights::Needs;
use crate::access::who::{Who, not_allowed};
use crate::refusal::Refusal;
use crate::state::State;

/// Somebody who has the right `R` in some team. Whether they have it for the thing at hand is
/// asked of [`Who`] with the thing.
pub struct May<R: Needs> {
    /// Who.
    pub who: Who,
    right: PhantomData<R>,
}

impl<R: Needs> FromRequestParts<Arc<State>> for May<R> {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut request::Parts,
        state: &Arc<State>,
    ) -> Result<Self, Refusal> {
        let who = state.access.who(parts, state).await?;
        match R::RIGHT {
            Some(right) if !who.may_somewhere(right) => Err(not_allowed(right)),
            _ => Ok(Self { who, right: PhantomData }),
        }
    }
}
