//! Servers that a person signed in to, and the one that a command speaks to.

pub mod follow;
pub mod news;
pub mod pushing;
mod servers;
pub mod tasks;

use std::io::Read;
use std::path::{Path, PathBuf};

use quire_client::{Client, ClientError, Config, ServerAddress};
use quire_domain::secret::Secret;

use crate::exit::{Exit, stop, usage};
use crate::nearest::nearest;
use crate::settings::{Setting, Settings};
use crate::surroundings::Surroundings;

pub use self::servers::{Known, Servers};

/// A server to speak to.
pub struct Remote {
    /// The name it was signed in to by.
    pub name: String,
    /// What has to be added to a command for it to mean this server again, with a space before it;
    /// nothing where it is meant anyway.
    pub flag: String,
    /// The way there.
    pub client: Client,
    /// What surrounds the process.
    pub surroundings: Surroundings,
    /// `--data-dir`, for what is kept on this side.
    pub data_dir: Option<Setting<PathBuf>>,
}

/// The variable that names the server to speak to.
pub const VARIABLE: &str = "QUIRE_REMOTE";
/// A file of authorities is read to this length, in bytes.
const MOST_PEM: u64 = 4 << 20;
/// What stands for "none" where a server is named, over what variable and settings say.
const NONE: &str = "none";

/// Which server is meant: by the flag `--remote[=NAME]`, else by `QUIRE_REMOTE`, else by the setting
/// `remote`. `None` is this machine's own data.
///
/// # Errors
///
/// [`Exit::Usage`] for a name that nobody signed in to.
pub fn chosen(
    flag: Option<&str>,
    settings: &Settings,
    surroundings: &Surroundings,
) -> anyhow::Result<Option<Remote>> {
    let variable = surroundings.variable(VARIABLE);
    let setting = settings.remote.as_ref().map(|setting| setting.value.as_str());
    let named = match (flag, variable.or(setting)) {
        // The flag alone means the one that is known anyway.
        (Some(""), other) => other.filter(|name| *name != NONE).unwrap_or(""),
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => return Ok(None),
    };
    if named == NONE {
        return Ok(None);
    }
    let servers = Servers::read(surroundings)?;
    let remote = open(&servers, named, surroundings)?;
    let flag = match (flag, servers.meant()) {
        (None, _) => String::new(),
        (Some(_), Some(meant)) if meant.name == remote.name => " --remote".to_owned(),
        (Some(_), _) => format!(" --remote={}", remote.name),
    };
    Ok(Some(Remote { flag, ..remote }))
}

/// Opens the way to a server by its name; the empty name means the default one.
fn open(servers: &Servers, name: &str, surroundings: &Surroundings) -> anyhow::Result<Remote> {
    let known = if name.is_empty() { servers.meant() } else { servers.find(name) };
    let Some(known) = known else {
        return Err(usage(not_known(servers, name)));
    };
    let address = ServerAddress::parse(&known.url).map_err(|error| usage(error.to_string()))?;
    let token = Some(Secret::new(known.token.clone()));
    let client = connect(address, token, known.ca.as_deref(), surroundings)?;
    Ok(Remote {
        name: known.name.clone(),
        flag: String::new(),
        client,
        surroundings: surroundings.clone(),
        data_dir: None,
    })
}

fn not_known(servers: &Servers, name: &str) -> String {
    match (servers.list.as_slice(), name) {
        ([], _) => "you have not signed in to a server yet: `quire login URL` does".to_owned(),
        (_, "") => "several servers are known: name one with --remote=NAME (`quire login --list`)"
            .to_owned(),
        (list, name) => {
            let near = nearest(name, list.iter().map(|known| known.name.as_str()));
            let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            format!("you have not signed in to a server `{name}`{near} (`quire login --list`)")
        }
    }
}

/// Sets up the way to a server.
pub fn connect(
    address: ServerAddress,
    token: Option<Secret<String>>,
    ca: Option<&Path>,
    surroundings: &Surroundings,
) -> anyhow::Result<Client> {
    let mut config = Config::new(address, token);
    // A company's own authorities, as other programs are told of them too.
    if let Some(file) = surroundings.variable("SSL_CERT_FILE") {
        config.authorities = authorities(Path::new(file), "SSL_CERT_FILE")?;
    }
    if let Some(file) = ca {
        config.authorities.push(b'\n');
        config.authorities.extend(authorities(file, "`quire login --ca`")?);
    }
    Client::new(config).map_err(told)
}

/// Certificates of authorities, as a PEM file has them; at least one.
fn authorities(file: &Path, from: &str) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    let wrong = |why: String| usage(format!("cannot use {shown} (from {from}): {why}"));
    let mut pem = Vec::new();
    let opened = std::fs::File::open(file).map_err(|error| wrong(error.to_string()))?;
    opened.take(MOST_PEM).read_to_end(&mut pem).map_err(|error| wrong(error.to_string()))?;
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(wrong("it holds no certificate (`-----BEGIN CERTIFICATE-----`)".to_owned()));
    }
    Ok(pem)
}

/// An error of a server with its exit code and what to do about it.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub fn told(error: ClientError) -> anyhow::Error {
    use quire_api::ProblemKind::{
        Changed, Invalid, KeyReused, NotAllowed, NotFound, NotPossible, NotSignedIn, Quota,
        Refused, TooLarge,
    };
    let exit = match error.kind() {
        Some(NotSignedIn) => {
            return stop(
                Exit::Usage,
                "the server does not know your token (it ended, or was taken back): sign in again \
                 with `quire login`",
            );
        }
        Some(Refused) => Exit::Refused,
        Some(Quota) => Exit::Suspended,
        Some(Invalid | NotAllowed | NotFound | NotPossible | Changed | KeyReused | TooLarge) => {
            Exit::Usage
        }
        _ if matches!(
            error,
            ClientError::Setup { .. }
                | ClientError::NotQuire { .. }
                | ClientError::Untrusted { .. }
        ) =>
        {
            Exit::Usage
        }
        _ => Exit::Failed,
    };
    stop(exit, error.to_string())
}
