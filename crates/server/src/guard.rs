//! What stands before every route: how often, how long, under which name, and what every answer
//! says to a browser.

mod headers;
mod pace;
mod rates;

use std::net::SocketAddr;

pub(crate) use headers::{hosts, safe_headers};
pub(crate) use pace::{caught, pace};
pub(crate) use rates::{Rates, limit};

/// Where a connection came from; an extension of each of its requests.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);
