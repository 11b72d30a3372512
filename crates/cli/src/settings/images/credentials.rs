//! Who we are to registries: from files that the configuration names, read when an image is needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_domain::secret::Secret;
use quire_images::Credential;
use serde::Deserialize;

use super::read;

/// A password or token is at most this long, in bytes.
const MOST_SECRET: u64 = 64 << 10;

/// A Docker configuration is at most this long, in bytes.
const MOST_DOCKER: u64 = 1 << 20;

/// A credential as it is written: `user` with `password_file`, or `token_file`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialWords {
    user: Option<String>,
    password_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
}

/// How one is written.
#[derive(Debug)]
enum Way<'a> {
    Password { user: &'a str, file: &'a Path },
    Token { file: &'a Path },
}

impl CredentialWords {
    /// Whether it is one; else why not, naming the key.
    pub(super) fn check(&self, registry: &str) -> Result<(), String> {
        let key = format!("`images.credentials.\"{registry}\"`");
        let way = self.way().ok_or_else(|| {
            format!("{key} has to have `user` and `password_file`, or `token_file` alone")
        })?;
        let (Way::Password { file, .. } | Way::Token { file }) = way;
        if !file.is_absolute() {
            return Err(format!("{key}: {} must be an absolute path", file.display()));
        }
        Ok(())
    }

    fn way(&self) -> Option<Way<'_>> {
        match (&self.user, &self.password_file, &self.token_file) {
            (Some(user), Some(file), None) => Some(Way::Password { user, file }),
            (None, None, Some(file)) => Some(Way::Token { file }),
            _ => None,
        }
    }

    /// What people are shown of it.
    pub(super) fn shown(&self) -> String {
        match self.way() {
            Some(Way::Password { user, file }) => {
                format!("as {user}, by the password in {}", file.display())
            }
            Some(Way::Token { file }) => format!("by the token in {}", file.display()),
            None => String::new(),
        }
    }

    /// Reads it; the error reads after its key.
    pub(super) fn open(&self) -> Result<Credential, String> {
        match self.way() {
            Some(Way::Password { user, file }) => {
                Ok(Credential::Basic { user: user.to_owned(), password: secret(file)? })
            }
            Some(Way::Token { file }) => Ok(Credential::Bearer(secret(file)?)),
            None => Err("has neither password nor token".to_owned()),
        }
    }
}

/// What a file holds, without the line break that editors put at its end.
fn secret(file: &Path) -> Result<Secret<String>, String> {
    let failed = |why: String| format!("{}: {why}", file.display());
    let bytes = read(file, MOST_SECRET).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|_| failed("is not UTF-8".to_owned()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.contains(['\r', '\n']) {
        return Err(failed("has to hold one line".to_owned()));
    }
    Ok(Secret::new(text.to_owned()))
}

/// The parts of a Docker configuration that are read. Programs that it names to keep passwords
/// (`credsStore`, `credHelpers`) are not run.
#[derive(Deserialize)]
struct Docker {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// The credentials in a Docker configuration, by registry.
pub(super) fn of_docker(file: &Path) -> Result<BTreeMap<String, Credential>, String> {
    let text = read(file, MOST_DOCKER)?;
    // The words of the parser would quote what is in the file.
    let found: Docker = serde_json::from_slice(&text).map_err(|error| {
        format!("is no Docker configuration: line {}, column {}", error.line(), error.column())
    })?;
    let mut all = BTreeMap::new();
    for (name, entry) in found.auths {
        // Written with a scheme and a path by some: the host is what counts.
        let host = name.split_once("://").map_or(name.as_str(), |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default().to_ascii_lowercase();
        if let Some(credential) = credential(entry).map_err(|why| format!("`{host}`: {why}"))? {
            all.insert(host, credential);
        }
    }
    Ok(all)
}

fn credential(entry: Entry) -> Result<Option<Credential>, String> {
    if let Some(token) = entry.identitytoken.filter(|token| !token.is_empty()) {
        return Ok(Some(Credential::Identity(Secret::new(token))));
    }
    if let (Some(user), Some(password)) = (entry.username, entry.password) {
        return Ok(Some(Credential::Basic { user, password: Secret::new(password) }));
    }
    let Some(auth) = entry.auth.filter(|auth| !auth.is_empty()) else { return Ok(None) };
    let bad = || "its `auth` is not the base64 of `user:password`".to_owned();
    let bytes = STANDARD.decode(auth.trim()).map_err(|_| bad())?;
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    let (user, password) = text.split_once(':').ok_or_else(bad)?;
    let password = Secret::new(password.trim_end_matches('\0').to_owned());
    Ok(Some(Credential::Basic { user: user.to_owned(), password }))
}
