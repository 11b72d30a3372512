//! Why a base cannot be had, and what to do about it.

use std::time::Duration;

use quire_domain::sandbox::SandboxError;

use crate::base::Lack;
use crate::digest::Digest;
use crate::reference::BadReference;

/// Why a base cannot be had. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It is the host's view, which has no layers.
    #[error("the host's view is no image")]
    Host,
    /// The name cannot be read.
    #[error("cannot read the image's name: {0}")]
    Reference(#[from] BadReference),
    /// The settings cannot be used.
    #[error("cannot use the settings for registries: {0}")]
    Settings(String),
    /// Nobody answers under this name.
    #[error(
        "cannot reach the registry `{registry}`: {why}; check the name, the network and whether a \
         proxy is needed"
    )]
    Unreachable {
        /// Which.
        registry: String,
        /// What happened.
        why: String,
    },
    /// Its certificate is not believed.
    #[error(
        "the certificate of `{registry}` is not believed: {why}; if it is a company's own, name its \
         authority's certificate: `ca_file = \"/path/to/ca.pem\"` under `[images]` in your \
         config.toml"
    )]
    Certificate {
        /// Which.
        registry: String,
        /// What happened.
        why: String,
    },
    /// An address that may not be reached.
    #[error(
        "`{host}` has a private address ({address}), which is not reached unasked; if it is meant, \
         add `private = [\"{host}\"]` under `[images]` in your config.toml"
    )]
    Private {
        /// Which host.
        host: String,
        /// Where it leads.
        address: String,
    },
    /// The registry does not let us.
    #[error("{}", denied(registry, repository, user.as_deref()))]
    Denied {
        /// Which registry.
        registry: String,
        /// What was asked for.
        repository: String,
        /// As whom: a user's name, `a token`, or `None` for nobody.
        user: Option<String>,
    },
    /// There is no such image, tag or digest.
    #[error(
        "the registry `{registry}` has no {what}; check the spelling, or whether it needs a \
         credential (private images look absent to strangers)"
    )]
    NotFound {
        /// Which registry.
        registry: String,
        /// E.g. `team/tool:latest`.
        what: String,
    },
    /// Too many requests.
    #[error(
        "the registry `{registry}` asks to wait{}; try later, or name a credential \
         (`[images.credentials.\"{registry}\"]` in your config.toml): strangers are limited first", wait(*.retry_after)
    )]
    RateLimited {
        /// Which registry.
        registry: String,
        /// How long, if it said.
        retry_after: Option<Duration>,
    },
    /// The registry fails.
    #[error("the registry `{registry}` fails with status {status}, {tries} times; try later")]
    Server {
        /// Which registry.
        registry: String,
        /// The last status.
        status: u16,
        /// How often it was tried.
        tries: u32,
    },
    /// It is too slow, or says nothing any more. What came is kept.
    #[error("the registry `{registry}` is too slow: {what}; what came is kept, try again")]
    Slow {
        /// Which registry.
        registry: String,
        /// What was waited for.
        what: String,
    },
    /// What came is not what its digest says.
    #[error(
        "what came from {registry} is not what was asked for: {what} should be {expected} and is \
         {found}; nothing of it is kept; have the image pushed anew, or ask who runs the registry"
    )]
    Lied {
        /// Which registry.
        registry: String,
        /// A layer, a manifest, a configuration.
        what: String,
        /// The digest or size it should have.
        expected: String,
        /// What it has.
        found: String,
    },
    /// What came cannot be read as what it should be.
    #[error("cannot read {what}: {why}")]
    Malformed {
        /// A manifest, a configuration, a layer.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// There is none for this machine.
    #[error(
        "`{image}` is not there for {wanted}, only for {}; name an image or a tag that is built \
         for {wanted}", .there.join(", ")
    )]
    Architecture {
        /// Which image.
        image: String,
        /// What this machine is, e.g. `linux/amd64`.
        wanted: String,
        /// What there is.
        there: Vec<String>,
    },
    /// More than is taken.
    #[error(
        "{what} is too large: {limit}; if it is meant, raise {} under `[images.limits]` in your \
         config.toml", .limit.key()
    )]
    TooLarge {
        /// A layer, the image, a manifest.
        what: String,
        /// Which limit.
        limit: TooLarge,
    },
    /// A layer that the registry may not hand out.
    #[error(
        "layer {layer} of `{image}` is not distributed by the registry (a foreign layer); choose an \
         image without"
    )]
    Foreign {
        /// Which image.
        image: String,
        /// Counted from 1.
        layer: usize,
    },
    /// It has no layers at all.
    #[error("`{0}` is empty: it has no layers, and so no shell to run commands with")]
    Empty(String),
    /// Something in a tar or layer cannot be unpacked.
    #[error("cannot unpack {what}: entry `{entry}`: {why}")]
    Entry {
        /// Which tar or layer.
        what: String,
        /// Its name, lossily, at most 200 characters.
        entry: String,
        /// What is wrong.
        why: String,
    },
    /// The unpacker ended in another way than it should.
    #[error("unpacking {what} ended early: {why}")]
    Unpack {
        /// Which tar or layer.
        what: String,
        /// How it ended.
        why: String,
    },
    /// No command could run over it.
    #[error("{}", unusable(lacks))]
    Unusable {
        /// What is missing.
        lacks: Vec<Lack>,
    },
    /// A directory or tar that cannot be used.
    #[error("cannot use `{path}` as a base: {why}")]
    Path {
        /// Which.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The sandbox in which layers are unpacked cannot be had.
    #[error("cannot make the sandbox that layers are unpacked in")]
    Sandbox(#[from] SandboxError),
    /// The disk is full.
    #[error(
        "the disk that holds {path} is full; make room there, then try again: what came is kept"
    )]
    DiskFull {
        /// What it holds.
        path: String,
    },
    /// The store cannot be read or written.
    #[error("cannot {doing}")]
    Store {
        /// What was attempted.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process that makes the same did not come to an end.
    #[error("another process is still busy with {what} after {waited:?}; end it, or try later")]
    Busy {
        /// With what.
        what: String,
        /// How long was waited.
        waited: Duration,
    },
    /// It was called off.
    #[error("preparing the base was called off; what came is kept")]
    Cancelled,
}

impl ImageError {
    /// Whether trying again, later or after making room, may help without changing the recipe.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::RateLimited { .. }
                | Self::Server { .. }
                | Self::Slow { .. }
                | Self::DiskFull { .. }
                | Self::Busy { .. }
                | Self::Cancelled
        )
    }

    /// Something could not be done with the store.
    pub(crate) fn store(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| {
            use std::io::ErrorKind::{QuotaExceeded, StorageFull};
            if matches!(source.kind(), StorageFull | QuotaExceeded) {
                return Self::DiskFull { path: "the image store".to_owned() };
            }
            Self::Store { doing, source }
        }
    }

    pub(crate) fn lied(registry: &str, what: &str, expected: &Digest, found: &Digest) -> Self {
        Self::Lied {
            registry: registry.to_owned(),
            what: what.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}

impl TooLarge {
    /// The key of the settings that raises it.
    fn key(&self) -> &'static str {
        match self {
            Self::Layers { .. } => "`layers`",
            Self::Bytes { .. } => "`download_gib` or `unpacked_gib`",
            Self::Entries { .. } => "`files`",
            Self::Ratio { .. } => "`ratio`",
        }
    }
}

/// Which limit was met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// Too many layers.
    #[error("{found} layers, where {limit} are allowed")]
    Layers {
        /// How many there are.
        found: usize,
        /// How many may be.
        limit: usize,
    },
    /// Too many bytes.
    #[error("more than {limit} bytes")]
    Bytes {
        /// How many may be.
        limit: u64,
    },
    /// Too many files.
    #[error("more than {limit} entries")]
    Entries {
        /// How many may be.
        limit: u64,
    },
    /// It grows too much when unpacked.
    #[error("it unpacks to more than {limit} times its size")]
    Ratio {
        /// How many times it may be.
        limit: u64,
    },
}

fn denied(registry: &str, repository: &str, user: Option<&str>) -> String {
    match user {
        Some(user) => format!(
            "the registry `{registry}` does not let {user} read `{repository}`; check the credential \
             for `{registry}` (`quire config show`) and what it may read"
        ),
        None => format!(
            "the registry `{registry}` lets nobody read `{repository}` without a credential, or there \
             is no such image; a credential is named under \
             `[images.credentials.\"{registry}\"]` in your config.toml, by `user` and \
             `password_file`"
        ),
    }
}

fn wait(after: Option<Duration>) -> String {
    after.map(|after| format!(" {} s", after.as_secs())).unwrap_or_default()
}

fn unusable(lacks: &[Lack]) -> String {
    let lines: Vec<String> =
        lacks.iter().map(|lack| format!("{}: {}", lack.what, lack.remedy)).collect();
    format!("this base cannot be worked in: {}", lines.join("; "))
}
