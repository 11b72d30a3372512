//! Language models behind [`quire_domain::model::Model`]: which there are, and how they are asked.
//!
//! [`catalogue`] knows the providers, [`settings`] is what the caller hands in, [`client`]
//! asks. A dialect is a file (`responses`, `chat`, `messages`) that writes a request and
//! folds a stream of events into a reply. [`play`] is the scripted provider, [`probe`] a live
//! test. Nothing here reads the environment.

mod arrival;
mod body;
pub mod catalogue;
mod chat;
pub mod client;
mod dialect;
mod fault;
mod fold;
pub mod gateway;
mod http;
mod images;
mod messages;
pub mod pace;
pub mod play;
mod price;
pub mod probe;
mod resolve;
mod responses;
mod retry_after;
pub mod settings;
mod sse;

pub use catalogue::{Catalogue, CatalogueError};
pub use client::{Client, Closed, connect};
pub use resolve::{ResolveError, ResolvedModel};
pub use settings::Settings;
