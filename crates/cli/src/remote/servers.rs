//! The file of servers that a person signed in to: `servers.toml` beside their configuration, with
//! their tokens, readable by nobody else.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::usage;
use crate::surroundings::Surroundings;

/// The servers that a person signed in to.
#[derive(Debug, Clone, Default)]
pub struct Servers {
    /// They, in the order in which they were signed in to.
    pub list: Vec<Known>,
    /// The one that is meant where none is named.
    default: Option<String>,
    path: PathBuf,
}

/// A server that a person signed in to.
#[derive(Clone, Serialize, Deserialize)]
pub struct Known {
    /// What people type.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Who one is there.
    pub token: String,
    /// As whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The file of the authority that its certificate is signed by, where it is not the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("name", &self.name).field("url", &self.url).finish()
    }
}

#[derive(Default, Serialize, Deserialize)]
struct File {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    #[serde(default, rename = "server")]
    servers: Vec<Known>,
}

/// The file is at most this long, in bytes.
const MOST_BYTES: u64 = 1 << 20;

impl Servers {
    /// Reads the file; nothing is known where there is none.
    ///
    /// # Errors
    ///
    /// It cannot be read, or others can read it: tokens may then be known already.
    pub fn read(surroundings: &Surroundings) -> anyhow::Result<Self> {
        let Some(dir) = surroundings.config_dir() else {
            return Err(usage(
                "there is no home directory to keep sign-ins in: set XDG_CONFIG_HOME",
            ));
        };
        let path = dir.join("servers.toml");
        let shown = path.display();
        let found = match std::fs::metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { path, ..Self::default() });
            }
            Err(error) => return Err(usage(format!("cannot read {shown}: {error}"))),
        };
        if found.mode() & 0o077 != 0 {
            return Err(usage(format!(
                "{shown} holds tokens and others may read it: run `chmod 600 {shown}`, and take \
                 back tokens that somebody may have seen"
            )));
        }
        if found.len() > MOST_BYTES {
            return Err(usage(format!("{shown} is longer than {MOST_BYTES} bytes")));
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|error| usage(format!("cannot read {shown}: {error}")))?;
        // The message of a parser may show the line, and with it a token.
        let file: File = toml::from_str(&text).map_err(|_| {
            usage(format!("{shown} cannot be understood: sign in anew after moving it away"))
        })?;
        Ok(Self { list: file.servers, default: file.default, path })
    }

    /// The server of this name, or at this address.
    pub fn find(&self, name: &str) -> Option<&Known> {
        let name = name.trim_end_matches('/');
        self.list.iter().find(|known| known.name == name || known.url == name)
    }

    /// The server that is meant where none is named: the one that was said to be, else the only one.
    pub fn meant(&self) -> Option<&Known> {
        match &self.default {
            Some(name) => self.find(name),
            None => self.list.first().filter(|_| self.list.len() == 1),
        }
    }

    /// Adds a server, in the place of one of the same name.
    pub fn put(&mut self, known: Known, default: bool) {
        if default {
            self.default = Some(known.name.clone());
        }
        self.list.retain(|other| other.name != known.name);
        self.list.push(known);
    }

    /// Takes a server away; gives it.
    pub fn remove(&mut self, name: &str) -> Option<Known> {
        let found = self.find(name)?.clone();
        self.list.retain(|other| other.name != found.name);
        if self.default.as_deref() == Some(&found.name) {
            self.default = None;
        }
        Some(found)
    }

    /// A name for a server at `host` that no other address has.
    pub fn name_for(&self, host: &str, url: &str) -> String {
        let taken =
            |name: &str| self.list.iter().any(|known| known.name == name && known.url != url);
        let others = self.list.len();
        let more = (2..=others + 2).map(|n| format!("{host}-{n}"));
        let mut names = std::iter::once(host.to_owned()).chain(more);
        // So many cannot all be taken.
        names.find(|name| !taken(name)).unwrap_or_else(|| host.to_owned())
    }

    /// Writes the file, in one step and readable by nobody else.
    pub fn write(&self) -> anyhow::Result<()> {
        let file = File { default: self.default.clone(), servers: self.list.clone() };
        let text = toml::to_string(&file)?;
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        let shown = self.path.display();
        let written = || -> std::io::Result<()> {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            let half = dir.join(format!(".servers.{}", std::process::id()));
            let _ = std::fs::remove_file(&half);
            let mut file =
                std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&half, &self.path)
        };
        written().map_err(|error| usage(format!("cannot write {shown}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_is_meant_without_a_name_and_of_several_the_one_that_was_said() {
        let known = |name: &str| Known {
            name: name.to_owned(),
            url: format!("https://{name}"),
            token: "quire_x".to_owned(),
            user: None,
            ca: None,
        };
        let mut servers = Servers::default();
        assert!(servers.meant().is_none());
        servers.put(known("a"), false);
        assert_eq!(servers.meant().unwrap().name, "a");
        servers.put(known("b"), false);
        assert!(servers.meant().is_none());
        servers.put(known("b"), true);
        assert_eq!(servers.meant().unwrap().name, "b");
        assert_eq!(servers.name_for("a", "https://a"), "a");
        assert_eq!(servers.name_for("a", "https://other"), "a-2");
        assert_eq!(servers.remove("https://b").unwrap().name, "b");
        assert_eq!(servers.meant().unwrap().name, "a");
        assert!(!format!("{servers:?}").contains("quire_x"));
    }
}
