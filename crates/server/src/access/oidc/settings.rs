//! What an administrator says of the provider.

use std::collections::BTreeMap;

use quire_domain::access::{Role, TeamName};
use quire_domain::secret::Secret;
use reqwest::Url;

/// A provider of sign-ins.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// What the button says: `Sign in with NAME`.
    pub name: String,
    /// The provider, exactly as its tokens name it.
    pub issuer: String,
    /// What the provider knows this server as.
    pub client_id: String,
    /// What proves that to it; none for a public client.
    pub client_secret: Option<Secret<String>>,
    /// Where browsers reach this server, without a path: the provider sends them back there.
    pub base_url: String,
    /// What is asked for; `openid` is always among it.
    pub scopes: Vec<String>,
    /// Domains of verified addresses that may come in, lower case; empty: the domain decides nothing.
    pub allowed_domains: Vec<String>,
    /// The claim that lists a person's groups.
    pub groups_claim: String,
    /// What each group is, and in which team.
    pub groups: BTreeMap<String, Vec<Grant>>,
    /// Certificates, as PEM, of authorities that are trusted beside the system's.
    pub authorities: Option<Vec<u8>>,
}

/// A role in a team, that a group gives: `web:member`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The team.
    pub team: TeamName,
    /// What its people are there.
    pub role: Role,
}

/// A setting of the provider that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadProvider(pub(super) String);

impl std::str::FromStr for Grant {
    type Err = BadProvider;

    fn from_str(text: &str) -> Result<Self, BadProvider> {
        let bad = || {
            BadProvider(format!(
                "`{text}` is no role in a team: write `team:role` with viewer, member or admin, as \
                 in `web:member`"
            ))
        };
        let (team, role) = text.rsplit_once(':').ok_or_else(bad)?;
        Ok(Self {
            team: TeamName::parse(team).map_err(|_| bad())?,
            role: role.parse().map_err(|_| bad())?,
        })
    }
}

impl ProviderSettings {
    /// Where the provider sends browsers back to; it has to be registered there.
    pub fn redirect_uri(&self) -> String {
        format!("{}/api/v1/sign-in/oidc/callback", self.base_url.trim_end_matches('/'))
    }

    pub(super) fn check(&self) -> Result<(), BadProvider> {
        encrypted(&self.issuer, "issuer").map_err(BadProvider)?;
        let base: Url = self
            .base_url
            .parse()
            .map_err(|error| BadProvider(format!("`{}` is no address: {error}", self.base_url)))?;
        if !matches!(base.scheme(), "http" | "https")
            || base.path() != "/"
            || base.query().is_some()
        {
            return Err(BadProvider(format!(
                "`{}`: give the address of the server without a path, as in https://quire.example",
                self.base_url
            )));
        }
        if self.client_id.is_empty() {
            return Err(BadProvider("`client_id` is empty".to_owned()));
        }
        Ok(())
    }
}

/// An address that is encrypted, or is on this machine: what goes there are secrets.
pub(super) fn encrypted(text: &str, what: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{what} `{text}` is no URL: {error}"))?;
    let host = url.host_str().unwrap_or_default();
    let here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    match url.scheme() {
        "https" => {}
        "http" if here => {}
        _ => {
            return Err(format!("{what} `{text}` is not encrypted: it has to begin with https://"));
        }
    }
    if host.is_empty() || !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{what} `{text}` has no host, or has a password in it"));
    }
    Ok(url)
}
