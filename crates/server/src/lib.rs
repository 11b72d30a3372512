//! The HTTP API of an installation: routes, event streams, access, deliveries.
//!
//! [`serve()`] takes connections, [`router()`] knows the routes, [`State`] is what they reach. What a
//! route needs of the worker's side it asks of the [`Desk`]; the rest it reads from store, log,
//! chunks and results itself. Who asks, and what they may, is [`access`].

pub mod access;
mod change;
mod convert;
pub mod deliver;
mod desk;
mod download;
mod events;
pub mod extract;
mod find;
mod guard;
mod log;
mod metrics;
mod refusal;
mod rendered;
mod repository;
mod routes;
mod serve;
mod settings;
mod state;
mod tagged;
mod wish;

pub use desk::{
    Branches, Desk, DeskError, Followed, Forked, ModelOffer, Place, Recipe, Submitted, Wish,
};
pub use refusal::{Refusal, Result};
pub use routes::{openapi, router};
pub use serve::{Tls, TlsError, serve, serve_with};
pub use settings::Settings;
pub use state::{Here, Parts, State};
