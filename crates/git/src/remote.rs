//! Mirrors of repositories that are reached by a URL.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use quire_domain::ids::CommitId;

use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::mirror::{Mirror, prepare_bare};
use crate::refs::{Refs, is_object_name, is_ref_name, packed_refs};
use crate::repository::ObjectFormat;

/// A mirror of a remote repository and the commit that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteHead {
    /// The mirror.
    pub mirror: Mirror,
    /// The commit.
    pub commit: CommitId,
    /// The branch, if a branch was asked for or is the remote's default.
    pub branch: Option<String>,
    /// The address without credentials: what may be shown and stored.
    pub url: String,
}

const FETCH_TIMEOUT: Duration = Duration::from_hours(1);
const LIST_TIMEOUT: Duration = Duration::from_mins(1);

impl Git {
    /// The mirror of the repository at `url`, brought up to date, and the commit of `reference`
    /// (a branch, a tag or a full commit id) or else of the branch that the remote's HEAD names.
    ///
    /// # Errors
    ///
    /// [`GitError::BadUrl`], [`GitError::NoSuchRef`], [`GitError::NoCommits`], and
    /// [`GitError::Failed`] with git's words where the remote cannot be reached.
    pub async fn mirror_url(
        &self,
        url: &str,
        reference: Option<&str>,
    ) -> Result<RemoteHead, GitError> {
        let address = Address::parse(url)?;
        let listing = self.list_remote(&address).await?;
        let format = listing
            .refs
            .values()
            .next()
            .map(|oid| ObjectFormat::of(oid))
            .ok_or_else(|| GitError::NoCommits { path: address.public.clone().into() })?;
        let mirror = self.mirror_of(Path::new(&address.public), format);
        let _lock = self.lock_mirror(&mirror).await?;
        if !mirror.repository.git_dir().join("HEAD").exists() {
            let dir = mirror.repository.git_dir().to_owned();
            blocking("make the mirror", move || prepare_bare(&dir, format)).await?;
        }
        let wanted = listing.find(reference)?;
        self.fetch(&mirror, &address, &wanted).await?;
        let refs = self.shown_refs(&mirror, &listing).await?;
        mirror.write_refs(&refs, "")?;
        let repository = &mirror.repository;
        let commit = match self.resolve(repository, &wanted.oid).await {
            Err(GitError::NoSuchRef { .. }) => {
                return Err(GitError::NoSuchRef { text: reference.unwrap_or("HEAD").to_owned() });
            }
            other => other?,
        };
        mirror.remember(&commit)?;
        Ok(RemoteHead { mirror, commit, branch: wanted.branch, url: address.public })
    }

    /// The default branch of the repository at `url`, and the names of its branches, `most` at most.
    ///
    /// # Errors
    ///
    /// As [`Git::mirror_url`], where it cannot be reached.
    pub async fn remote_branches(
        &self,
        url: &str,
        most: usize,
    ) -> Result<(Option<String>, Vec<String>), GitError> {
        let listing = self.list_remote(&Address::parse(url)?).await?;
        let names = listing.refs.keys().filter_map(|name| name.strip_prefix("refs/heads/"));
        Ok((listing.default_branch.clone(), names.take(most).map(str::to_owned).collect()))
    }

    async fn list_remote(&self, address: &Address) -> Result<Listing, GitError> {
        // Somewhere that is no repository.
        let nowhere = self.quarantine_dir();
        let output = address
            .apply(self.network("reach the repository", &nowhere.join("none")))
            .args(["ls-remote", "--symref", "--end-of-options", &address.public])
            .timeout(LIST_TIMEOUT)
            .output()
            .await?;
        Ok(Listing::parse(&String::from_utf8_lossy(&output)))
    }

    async fn fetch(
        &self,
        mirror: &Mirror,
        address: &Address,
        wanted: &Wanted,
    ) -> Result<(), GitError> {
        let mut run = address
            .apply(self.network("fetch the repository", mirror.repository.git_dir()))
            .setting("transfer.fsckObjects=false")
            .setting("fetch.recurseSubmodules=false")
            .setting("fetch.writeCommitGraph=false")
            .args([
                "fetch",
                "--quiet",
                "--force",
                "--no-write-fetch-head",
                "--no-tags",
                "--no-auto-gc",
            ])
            .args(["--end-of-options", &address.public])
            .args(["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]);
        if wanted.is_unnamed {
            run = run.arg(format!("+{}:refs/quire/wanted/{}", wanted.oid, wanted.oid));
        }
        run.timeout(FETCH_TIMEOUT).success().await
    }

    /// What was fetched, as refs that `log` and `branch` show inside: remote branches, tags, and
    /// the default branch as a local one.
    async fn shown_refs(&self, mirror: &Mirror, listing: &Listing) -> Result<Refs, GitError> {
        let mut refs = self.list_refs(mirror.repository.git_dir()).await?;
        if let Some(branch) = &listing.default_branch
            && let Some(oid) = refs.get(&format!("refs/remotes/origin/{branch}")).cloned()
        {
            refs.insert(format!("refs/heads/{branch}"), oid);
        }
        let git_dir = mirror.repository.git_dir().to_owned();
        let oids: BTreeSet<String> = refs.values().cloned().collect();
        let existing = self.existing(&git_dir, &oids).await?;
        refs.retain(|_, oid| existing.contains(oid));
        let text = packed_refs(&refs);
        blocking("write the refs", move || {
            // All of them are in one file from here on.
            crate::mirror::write_whole(&git_dir.join("packed-refs"), text.as_bytes())?;
            for name in ["refs/remotes", "refs/tags", "refs/heads"] {
                let _ = std::fs::remove_dir_all(git_dir.join(name));
            }
            Ok(())
        })
        .await?;
        Ok(refs)
    }
}

/// What a remote says it has.
struct Listing {
    default_branch: Option<String>,
    refs: Refs,
}

struct Wanted {
    oid: String,
    branch: Option<String>,
    /// Asked for by its id: no branch or tag may lead to it.
    is_unnamed: bool,
}

impl Listing {
    fn parse(text: &str) -> Self {
        let mut listing = Self { default_branch: None, refs: Refs::new() };
        for line in text.lines() {
            let Some((left, name)) = line.split_once('\t') else { continue };
            if let Some(target) = left.strip_prefix("ref: ") {
                if name == "HEAD" {
                    listing.default_branch = target
                        .strip_prefix("refs/heads/")
                        .filter(|branch| is_ref_name(&format!("refs/heads/{branch}")))
                        .map(str::to_owned);
                }
            } else if is_object_name(left) && is_ref_name(name.trim_end_matches("^{}")) {
                listing.refs.insert(name.to_owned(), left.to_owned());
            }
        }
        listing
    }

    fn find(&self, reference: Option<&str>) -> Result<Wanted, GitError> {
        let Some(text) = reference else {
            let oid = self.refs.get("HEAD").cloned();
            let oid = oid.ok_or_else(|| GitError::NoSuchRef { text: "HEAD".to_owned() })?;
            return Ok(Wanted { oid, branch: self.default_branch.clone(), is_unnamed: false });
        };
        let short = text.strip_prefix("refs/heads/").unwrap_or(text);
        if let Some(oid) = self.refs.get(&format!("refs/heads/{short}")) {
            let branch = Some(short.to_owned());
            return Ok(Wanted { oid: oid.clone(), branch, is_unnamed: false });
        }
        let tag = text.strip_prefix("refs/tags/").unwrap_or(text);
        if let Some(oid) = self.refs.get(&format!("refs/tags/{tag}")) {
            return Ok(Wanted { oid: oid.clone(), branch: None, is_unnamed: false });
        }
        if is_object_name(text) {
            let is_unnamed = !self.refs.values().any(|oid| oid == text);
            return Ok(Wanted { oid: text.to_owned(), branch: None, is_unnamed });
        }
        Err(GitError::NoSuchRef { text: text.chars().take(200).collect() })
    }
}

/// A URL, its credentials apart.
struct Address {
    /// Without credentials: may be shown, stored, and stand on a command line.
    public: String,
    /// As given, where it had credentials.
    private: Option<String>,
}

/// An address as it may be shown and kept: without credentials. It is what tasks name their
/// repository by.
///
/// # Errors
///
/// [`GitError::BadUrl`].
pub fn public_address(url: &str) -> Result<String, GitError> {
    Address::parse(url).map(|address| address.public)
}

impl Address {
    fn parse(url: &str) -> Result<Self, GitError> {
        let public = |text: &str| text.chars().filter(|c| !c.is_control()).take(300).collect();
        let bad = |shown: &str, why| GitError::BadUrl { url: public(shown), why };
        if url.is_empty() || url.len() > 4096 || url.chars().any(|c| c.is_control() || c == ' ') {
            return Err(bad("", "it is empty, too long, or has white space"));
        }
        if url.starts_with('-') {
            return Err(bad(url, "it reads as an option"));
        }
        if let Some((scheme, rest)) = url.split_once("://") {
            if !matches!(scheme, "https" | "http" | "ssh" | "git" | "file") {
                return Err(bad(scheme, "only https, http, ssh, git and file are allowed"));
            }
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let Some((user, host)) = host.rsplit_once('@') else {
                return Ok(Self { public: url.to_owned(), private: None });
            };
            if host.starts_with('-') {
                return Err(bad(scheme, "its host reads as an option"));
            }
            if matches!(scheme, "ssh") && !user.contains(':') {
                // A name to log in by is no secret, and part of the address.
                return Ok(Self { public: url.to_owned(), private: None });
            }
            let clean = format!("{scheme}://{host}/{path}");
            return Ok(Self { public: clean, private: Some(url.to_owned()) });
        }
        if url.contains("::") {
            return Err(bad(url, "helpers are not allowed"));
        }
        if url.starts_with('/') {
            return Ok(Self { public: format!("file://{url}"), private: None });
        }
        match url.split_once(':') {
            Some((host, _)) if !host.contains('/') && !host.is_empty() => {
                Ok(Self { public: url.to_owned(), private: None })
            }
            _ => Err(bad(url, "give a URL, `user@host:path`, or an absolute path")),
        }
    }

    /// Tells git the credentials where no other user can read them: not on its command line.
    fn apply<'a>(&self, run: crate::run::Run<'a>) -> crate::run::Run<'a> {
        match &self.private {
            None => run,
            Some(private) => run
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", format!("url.{private}.insteadOf"))
                .env("GIT_CONFIG_VALUE_0", &self.public),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_kept_apart_and_odd_addresses_refused() {
        let parse = |url: &str| Address::parse(url).map(|a| (a.public, a.private));
        assert_eq!(
            parse("https://me:tok@host/a/b.git").unwrap(),
            ("https://host/a/b.git".to_owned(), Some("https://me:tok@host/a/b.git".to_owned()))
        );
        assert_eq!(parse("git@host:a/b.git").unwrap(), ("git@host:a/b.git".to_owned(), None));
        assert_eq!(parse("ssh://git@host/a").unwrap().1, None);
        for bad in ["", "-x", "ext::sh -c x", "ext::x", "ftp://h/x", "a b", "x", "https://u@-o/x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let error = parse("ftp://me:tok@host/x").unwrap_err().to_string();
        assert!(!error.contains("tok"), "{error}");
    }
}
