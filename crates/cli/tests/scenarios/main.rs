//! Scenarios: the built `quire` with a real sandbox, real git and a real store; only the model is
//! played. One file per subject, one program for all, as linking each would take longer than
//! running it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what is not there, or not as it should be, is a failed test"
)]

mod attempts;
mod bad_input;
mod bad_replies;
mod bad_setups;
mod batch;
mod cancel;
mod captures;
mod context;
mod crash;
mod death;
mod ends;
mod environments;
mod evidence;
mod follow_up;
mod full_disk;
mod images;
mod isolation;
mod lies;
mod lifecycle;
mod money;
mod nested;
mod network;
mod no_namespaces;
mod notices;
mod pictures;
mod plans;
mod prices;
mod private_registry;
mod questions;
mod receivers;
mod redaction;
mod registries;
mod remote;
mod run;
mod scene;
mod secrets;
mod serve;
mod served;
mod services;
mod setup;
mod setup_secrets;
mod tasks;
mod tls;
mod tokens;
mod trials;
