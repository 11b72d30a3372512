//! How registries are reached and how much is taken from them: values handed in by who wires.

use std::collections::BTreeMap;
use std::time::Duration;

use quire_domain::secret::Secret;

/// How registries are reached and how much is taken from them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The registry of names that have none, e.g. `registry.example`; such names are refused where
    /// there is none.
    pub default_registry: Option<String>,
    /// What stands before a name of a single part on the default registry; `library` by custom.
    pub default_namespace: Option<String>,
    /// Registries spoken to without TLS, as `host` or `host:port`. Loopback addresses are without
    /// being listed. For an administrator, never for a repository.
    pub plain_http: Vec<String>,
    /// Which private addresses may be reached.
    pub private_hosts: PrivateHosts,
    /// Who we are, by registry (`host` or `host:port`).
    pub credentials: BTreeMap<String, Credential>,
    /// Certificate authorities believed beside the machine's own, as PEM.
    pub authorities_pem: Vec<Vec<u8>>,
    /// The proxy that the worker itself has to go through, as `http://[user:password@]host:port`.
    pub proxy: Option<Secret<String>>,
    /// Hosts reached around the proxy, as `NO_PROXY` has them.
    pub no_proxy: String,
    /// How much is taken.
    pub limits: Limits,
    /// How long is waited.
    pub timing: Timing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_registry: None,
            default_namespace: Some("library".to_owned()),
            plain_http: Vec::new(),
            private_hosts: PrivateHosts::Listed(Vec::new()),
            credentials: BTreeMap::new(),
            authorities_pem: Vec::new(),
            proxy: None,
            no_proxy: String::new(),
            limits: Limits::default(),
            timing: Timing::default(),
        }
    }
}

/// Which hosts may have private, loopback or link-local addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrivateHosts {
    /// Any: the person's own machine and network.
    Any,
    /// These (`host` or `host:port`): what a server may be made to reach by those who use it.
    Listed(Vec<String>),
}

/// Who we are to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password or access token.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret<String>,
    },
    /// A token sent to the registry as it is.
    Bearer(Secret<String>),
    /// A refresh token, exchanged for access tokens (`identitytoken` of a Docker configuration).
    Identity(Secret<String>),
}

/// How much is taken from a registry or a tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Layers of an image; 256 by default (the sandbox takes 400, snapshots among them).
    pub layers: usize,
    /// Bytes of all its layers as they come; 20 GiB by default.
    pub download_bytes: u64,
    /// Bytes of all its layers unpacked; 60 GiB by default.
    pub unpacked_bytes: u64,
    /// Files, directories and links of one layer; 2 million by default.
    pub entries: u64,
    /// Above a GiB, how many times as large a layer may be as what it came in; 200 by default.
    pub ratio: u64,
    /// Bytes of a manifest or a configuration; 4 MiB by default.
    pub manifest_bytes: u64,
    /// Bytes of unpacked layers that are kept; 40 GiB by default.
    pub kept_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self {
            layers: 256,
            download_bytes: 20 * GIB,
            unpacked_bytes: 60 * GIB,
            entries: 2_000_000,
            ratio: 200,
            manifest_bytes: 4 << 20,
            kept_bytes: 40 * GIB,
        }
    }
}

/// How long is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For a connection; 10 s by default.
    pub connect: Duration,
    /// For the next bytes; 30 s by default.
    pub stall: Duration,
    /// Over which time [`Self::slowest`] is measured; a minute by default.
    pub window: Duration,
    /// Bytes that have to come in a window; 64 KiB by default.
    pub slowest: u64,
    /// Tries of one request; 5 by default. A try that brought bytes of a layer starts the count anew.
    pub tries: u32,
    /// Before the second try; doubled for each further one, a minute at most. 500 ms by default.
    pub backoff: Duration,
    /// How long a registry may ask us to wait; 2 minutes by default.
    pub longest_wait: Duration,
    /// For one layer to be unpacked; 30 minutes by default.
    pub unpack: Duration,
    /// For another process that makes the same; an hour by default.
    pub others: Duration,
    /// How long the answer to "what does this tag stand for" is believed; an hour by default.
    pub tag_lifetime: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            window: Duration::from_mins(1),
            slowest: 64 << 10,
            tries: 5,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_mins(2),
            unpack: Duration::from_mins(30),
            others: Duration::from_hours(1),
            tag_lifetime: Duration::from_hours(1),
        }
    }
}
