//! Who runs the server on their own machine: a file that only they can read, and a link that signs
//! a browser in once. Others on the machine reach its loopback too, so that being there is nothing.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use quire_domain::ids::UserId;
use quire_domain::secret::Secret;
use quire_domain::time::Timestamp;
use quire_store::{Store, StoreError};

use crate::access::secrets::{TOKEN, hash, mint};

/// The file in the data directory that holds the token of this machine while a server runs.
pub const TOKEN_FILE: &str = "serve.token";

/// How long a link that signs in holds, in milliseconds: an hour.
pub const LINK_MILLIS: u64 = 60 * 60 * 1000;

/// Makes the token of this machine and writes it to `<data-dir>/serve.token`, for nobody else to
/// read. Hand it to [`super::Access::with_machine_token`]. The one of a server before ends.
pub fn machine_token(data_dir: &Path) -> io::Result<Secret<String>> {
    let token = mint(TOKEN).map_err(io::Error::other)?;
    let unfinished = data_dir.join(format!("{TOKEN_FILE}.{}", std::process::id()));
    // A file of that name that is there already, or a link that leads elsewhere, is not written.
    let _ = fs::remove_file(&unfinished);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{}", token.reveal())?;
    fs::rename(&unfinished, data_dir.join(TOKEN_FILE))?;
    Ok(token)
}

/// The token of the machine's own server, if the file is there and only its owner can read it.
pub fn read_machine_token(data_dir: &Path) -> io::Result<Secret<String>> {
    use std::os::unix::fs::MetadataExt as _;
    let path = data_dir.join(TOKEN_FILE);
    if fs::symlink_metadata(&path)?.mode() & 0o077 != 0 {
        let what = format!("{} can be read by others: chmod 600", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    Ok(Secret::new(fs::read_to_string(path)?.trim().to_owned()))
}

/// The address of a page that signs somebody in once, within an hour. What signs in stands behind
/// `#`, which browsers send to nobody.
pub async fn sign_in_link(
    store: &Store,
    user: UserId,
    server: &str,
    now: Timestamp,
) -> Result<Secret<String>, StoreError> {
    let secret = mint("").map_err(|error| StoreError::Io(Box::new(error)))?;
    let until = now.plus_millis(LINK_MILLIS);
    store.add_sign_in_link(&hash(secret.reveal()), user, until, now).await?;
    Ok(Secret::new(format!("{}/sign-in#{}", server.trim_end_matches('/'), secret.reveal())))
}

/// Why a server does not listen where it was told to.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Others can reach the address, and nobody could sign in.
    #[error(
        "{0} can be reached from other machines, and there are no users: add one with `quire user \
         add NAME --password`, or listen on 127.0.0.1"
    )]
    NoUsers(IpAddr),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a server may listen there: where others reach it there have to be users, or a provider
/// that brings them.
pub async fn may_listen(store: &Store, at: IpAddr, provider: bool) -> Result<(), BindError> {
    if at.to_canonical().is_loopback() || provider || store.has_users().await? {
        return Ok(());
    }
    Err(BindError::NoUsers(at))
}

/// The hosts that a request may name on a loopback address: a page of another origin could have
/// its own name point here otherwise.
pub fn loopback_hosts() -> Vec<String> {
    ["localhost", "127.0.0.1", "[::1]", "::1"].map(str::to_owned).to_vec()
}
