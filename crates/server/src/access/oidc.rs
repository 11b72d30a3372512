//! Signing in with the organisation's provider: OpenID Connect, the authorization code flow with
//! PKCE.
//!
//! The provider is a peer like any other: what it answers is bounded in time and size, its keys are
//! looked at before they are used, and what it says of a person is a claim until the signature,
//! the issuer, the audience, the times and the nonce were checked. Nothing is asked of it before
//! somebody signs in: one that is down stops nobody's server.

mod claims;
mod keys;
mod keyset;
mod people;
mod provider;
mod round;
mod settings;
mod wire;

pub(crate) use people::admit;
pub(crate) use provider::{Callback, Oidc};
pub use settings::{BadProvider, Grant, ProviderSettings};
pub(crate) use wire::plain;

/// Why somebody was not signed in. What is shown to them is a word of a closed list, which the page
/// `/sign-in` has sentences for; the log has the rest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The answer is of no sign-in that this browser began, or of one that is over.
    #[error("the answer belongs to no sign-in that this browser began within ten minutes")]
    NotBegun,
    /// The person, or the provider, said no.
    #[error("the provider said `{0}`")]
    Denied(String),
    /// It cannot be reached, is too slow, or says what cannot be read.
    #[error("cannot {doing}: {why}")]
    Unreachable {
        /// What was attempted.
        doing: &'static str,
        /// Why it did not work.
        why: String,
    },
    /// Too many sign-ins at once.
    #[error("too many people sign in at once")]
    Busy,
    /// The token that says who it is does not hold.
    #[error("the provider's id_token is not taken: {0}")]
    Token(String),
    /// No address for mail of which the provider says that it is theirs.
    #[error("the provider does not say that the address `{0}` is verified")]
    Unverified(String),
    /// Of no domain and no group that may come in.
    #[error("{0}")]
    Outside(String),
    /// Was here before and may not any more.
    #[error("user {0} is disabled")]
    Disabled(String),
    /// Something of ours.
    #[error("cannot write the sign-in down")]
    Ours(#[from] quire_store::StoreError),
}

impl Refused {
    /// The word for the page `/sign-in`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotBegun => "again",
            Self::Denied(_) => "denied",
            Self::Unreachable { .. } => "unreachable",
            Self::Busy => "busy",
            Self::Token(_) => "token",
            Self::Unverified(_) => "unverified",
            Self::Outside(_) => "outside",
            Self::Disabled(_) => "disabled",
            Self::Ours(_) => "failed",
        }
    }
}
