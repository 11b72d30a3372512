//! How a server behaves, as an administrator has set it up.

use std::time::Duration;

/// The settings of a server. The default is that of one person on their own machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The version of Quire.
    pub version: String,
    /// Whether it has one user, who is signed in by a link or its token alone.
    pub single_user: bool,
    /// The most bytes that the body of a request may have; prompts and pictures are in it.
    pub max_body_bytes: usize,
    /// How long a request may take; streams and downloads may then go on.
    pub request_timeout: Duration,
    /// Connections that are open at once; further ones wait to be taken.
    pub max_connections: usize,
    /// Streams of events that are open at once, all viewers together.
    pub max_viewers: usize,
    /// Requests a second that one token, session or address may send for long.
    pub requests_per_second: u32,
    /// Requests that it may send at once on top of that.
    pub request_burst: u32,
    /// How long connections get to end after the server was told to.
    pub drain: Duration,
    /// How often a stream on which nothing happens says that it is there.
    pub keep_alive: Duration,
    /// How often it is asked whether the viewer of a stream may still see it.
    pub look_again: Duration,
    /// The hosts that a request may name in `Host`, lower case and without ports; any if empty.
    /// On a loopback address a page of another origin could reach the server under a name of its
    /// own otherwise.
    pub hosts: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: String::new(),
            single_user: true,
            max_body_bytes: 16 << 20,
            request_timeout: Duration::from_secs(30),
            max_connections: 4_096,
            max_viewers: 2_048,
            requests_per_second: 200,
            request_burst: 2_000,
            drain: Duration::from_secs(10),
            keep_alive: Duration::from_secs(15),
            look_again: Duration::from_secs(10),
            hosts: Vec::new(),
        }
    }
}
