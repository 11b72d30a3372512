//! What went wrong with a request: for good, or worth another try.

use std::error::Error;
use std::time::Duration;

use super::Registries;
use super::hosts::{PrivateAddress, Refused};
use crate::error::ImageError;
use crate::reference::Reference;

/// Why a request did not work.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It will not work.
    Stop(ImageError),
    /// It may.
    Passing {
        /// What to say where it does not.
        error: ImageError,
        /// When, if the registry said.
        after: Option<Duration>,
        /// Whether much came before it broke off.
        moved: bool,
    },
}

impl Registries {
    /// A connection that failed or broke off.
    pub(crate) fn cut(&self, reference: &Reference, error: &reqwest::Error) -> Trouble {
        let registry = reference.registry.clone();
        if let Some(refused) = find::<Refused>(error) {
            return refused_by(reference, refused.clone());
        }
        if let Some(private) = find::<PrivateAddress>(error) {
            return refused_by(reference, Refused::Private(private.clone()));
        }
        let why = innermost(error);
        if is_certificate(error) {
            return Trouble::Stop(ImageError::Certificate { registry, why });
        }
        let error = if error.is_timeout() && !error.is_connect() {
            let what = format!("no bytes for {:?}", self.settings.timing.stall);
            ImageError::Slow { registry, what }
        } else if error.is_timeout() {
            let why = format!("no answer within {:?}", self.settings.timing.connect);
            ImageError::Unreachable { registry, why }
        } else {
            ImageError::Unreachable { registry, why }
        };
        Trouble::Passing { error, after: None, moved: false }
    }
}

/// Somewhere that must not be reached.
pub(crate) fn refused_by(reference: &Reference, refused: Refused) -> Trouble {
    Trouble::Stop(match refused {
        Refused::Private(PrivateAddress { host, address }) => ImageError::Private { host, address },
        Refused::Plain(what) => ImageError::Unreachable {
            registry: reference.registry.clone(),
            why: format!(
                "it leads to `{what}`, which is not https; an administrator can list the \
                 host as plain"
            ),
        },
    })
}

/// Whether the far end showed a certificate that is not believed.
pub(crate) fn is_certificate(error: &reqwest::Error) -> bool {
    matches!(find::<rustls::Error>(error), Some(rustls::Error::InvalidCertificate(_)))
}

/// Whether the far end does not speak TLS.
pub(crate) fn is_not_tls(error: &reqwest::Error) -> bool {
    matches!(
        find::<rustls::Error>(error),
        Some(rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. })
    )
}

/// What happened, without what to do about it.
pub(crate) fn short(error: &ImageError, reference: &Reference) -> String {
    let registry = &reference.registry;
    match error {
        ImageError::Server { status, .. } => format!("`{registry}` answered {status}"),
        ImageError::RateLimited { .. } => format!("`{registry}` asks to wait"),
        ImageError::Unreachable { why, .. } => format!("`{registry}`: {why}"),
        ImageError::Slow { what, .. } => format!("`{registry}`: {what}"),
        other => other.to_string(),
    }
}

/// The first cause of a kind. An I/O error hides what it was made of from the chain.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        if let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref())
            && let Some(found) = find::<E>(inner)
        {
            return Some(found);
        }
        current = error.source();
    }
    None
}

fn innermost(error: &reqwest::Error) -> String {
    let mut last: &dyn Error = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string().chars().filter(|c| !c.is_control()).take(300).collect()
}
