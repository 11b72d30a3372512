//! The section `[serve.oidc]`: the organisation's provider of sign-ins. Only a person's or an
//! administrator's own files may have it, never a repository's.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use quire_domain::secret::Secret;
use quire_server::access::{Grant, ProviderSettings};
use serde::Deserialize;

use crate::exit::usage;
use crate::surroundings::Surroundings;

/// A file with a secret or certificates is at most this long, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// The section as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderWords {
    issuer: String,
    client_id: String,
    client_secret_file: Option<PathBuf>,
    client_secret_variable: Option<String>,
    name: Option<String>,
    base_url: Option<String>,
    scopes: Option<Vec<String>>,
    #[serde(default)]
    allowed_domains: Vec<String>,
    groups_claim: Option<String>,
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
    ca: Option<PathBuf>,
}

impl ProviderWords {
    /// The provider.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Reads what it names. `base_url` is where people reach the server, unless it says so itself.
    pub fn read(
        &self,
        base_url: Option<&str>,
        surroundings: &Surroundings,
        origin: &str,
    ) -> anyhow::Result<ProviderSettings> {
        let told = |what: String| usage(format!("{origin}: `serve.oidc`: {what}"));
        let base_url = self.base_url.as_deref().or(base_url).ok_or_else(|| {
            told(
                "say with `base_url` how browsers reach this server, e.g. https://quire.example"
                    .to_owned(),
            )
        })?;
        let client_secret = match (&self.client_secret_file, &self.client_secret_variable) {
            (Some(_), Some(_)) => {
                let both = "`client_secret_file` and `client_secret_variable`: one of them";
                return Err(told(both.to_owned()));
            }
            (Some(path), None) => Some(secret(path).map_err(told)?),
            (None, Some(name)) => {
                let value = surroundings.variable(name);
                let value = value.ok_or_else(|| told(format!("{name} is not set")))?;
                Some(value.to_owned())
            }
            (None, None) => None,
        };
        let mut groups = BTreeMap::new();
        for (group, roles) in &self.groups {
            let grants: Result<Vec<Grant>, _> = roles.iter().map(|text| text.parse()).collect();
            groups.insert(group.clone(), grants.map_err(|error| told(error.to_string()))?);
        }
        let domains = self.allowed_domains.iter();
        let authorities = self.ca.as_deref().map(read).transpose().map_err(told)?;
        Ok(ProviderSettings {
            name: self.name.clone().unwrap_or_else(|| "the organisation".to_owned()),
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            client_secret: client_secret.map(|text| Secret::new(text.trim().to_owned())),
            base_url: base_url.to_owned(),
            scopes: self
                .scopes
                .clone()
                .unwrap_or_else(|| ["openid", "email", "profile"].map(str::to_owned).to_vec()),
            allowed_domains: domains
                .map(|domain| domain.trim_start_matches('@').to_ascii_lowercase())
                .collect(),
            groups_claim: self.groups_claim.clone().unwrap_or_else(|| "groups".to_owned()),
            groups,
            authorities,
        })
    }
}

/// A file's text, if not everybody on the machine can read it.
fn secret(path: &Path) -> Result<String, String> {
    let bytes = read(path)?;
    let mode = path.metadata().map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o004 != 0 {
        return Err(format!("everybody can read {}: chmod o-r", path.display()));
    }
    String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    if !path.is_absolute() {
        return Err(format!("{} is no absolute path", path.display()));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
