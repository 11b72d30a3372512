//! Where a person's checkout comes from: the addresses of its remotes, and whether two are the same.

use crate::config::Git;
use crate::error::GitError;
use crate::inspect::Checkout;
use crate::remote::public_address;

impl Git {
    /// The addresses of a checkout's remotes, without credentials, `origin` first; at most 50.
    pub async fn remote_addresses(&self, checkout: &Checkout) -> Result<Vec<String>, GitError> {
        let ended = self
            .person("read the remotes", &checkout.git_dir, &checkout.top_level)
            .args(["config", "--null", "--get-regexp", r"^remote\..*\.url$"])
            .output_limit(1 << 20)
            .end()
            .await?;
        let text = String::from_utf8_lossy(&ended.output);
        let mut found: Vec<(bool, String)> = text
            .split('\0')
            .filter_map(|entry| entry.split_once('\n'))
            .filter_map(|(key, url)| {
                Some((key != "remote.origin.url", public_address(url.trim()).ok()?))
            })
            .collect();
        found.sort_by_key(|(is_other, _)| *is_other);
        found.truncate(50);
        Ok(found.into_iter().map(|(_, url)| url).collect())
    }
}

/// Whether two addresses lead to the same repository: by whatever scheme, with or without a name to
/// log in by and `.git` at the end.
pub fn is_same_address(one: &str, other: &str) -> bool {
    let (one, other) = (bare(one), bare(other));
    !one.is_empty() && one == other
}

/// Host and path alone.
fn bare(address: &str) -> String {
    let rest = match address.split_once("://") {
        Some((_, rest)) => rest.to_owned(),
        // As in `git@host:team/name`.
        None => address.replacen(':', "/", 1),
    };
    let (host, path) = rest.split_once('/').unwrap_or((&rest, ""));
    let host = host.rsplit('@').next().unwrap_or(host).to_ascii_lowercase();
    let path = path.trim_matches('/');
    format!("{host}/{}", path.strip_suffix(".git").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_by_ssh_and_https() {
        for other in ["git@Host.example:team/shop.git", "ssh://git@host.example/team/shop"] {
            assert!(is_same_address("https://host.example/team/shop.git", other), "{other}");
        }
        assert!(!is_same_address("https://host.example/team/shop", "git@host.example:team/shops"));
        assert!(is_same_address("file:///srv/a.git", "file:///srv/a"));
    }
}
