//! The proxy as its clients meet it: real sockets, real TLS, real programs.

#![expect(clippy::unwrap_used, reason = "a test ends where its stage fails")]

mod abuse;
mod clients;
mod credentials;
mod far_end;
mod http;
mod limits;
mod names;
mod namespace;
mod origin;
mod parent;
mod probes;
mod rules;
mod stage;
mod tunnels;
