//! Sends what a person has in a checkout to a server, as the base of a task: HEAD, and what is not
//! committed on top of it, as one commit that nobody else sees.

use std::path::Path;

use quire_api::{CommitsAsked, CommitsKnown, NewRepository, Pushed, Repository, RepositoryList};
use quire_client::{Call, ClientError};
use quire_domain::ids::CommitId;
use quire_git::{Captured, Checkout, Git, Mirror, is_same_address};

use super::{Remote, told};
use crate::exit::{Exit, stop, usage};
use crate::installation::{data_dir_of, git_config};
use crate::settings::Settings;
use crate::show;

/// A checkout, looked at and taken in on this machine.
pub struct Local {
    /// Runs git.
    pub git: Git,
    /// As it was looked at.
    pub checkout: Checkout,
    /// What it has.
    pub mirror: Mirror,
    /// What of it is not committed.
    pub captured: Captured,
}

/// What was pushed, and where.
pub struct Sent {
    /// The repository, by its name on the server.
    pub repository: String,
    /// The answer.
    pub pushed: Pushed,
    /// Files of uncommitted work in it.
    pub uncommitted: u32,
    /// How many bytes had to be sent.
    pub bytes: u64,
}

/// A pack is at most this long, in bytes: as much as a server takes.
const MOST_PACK: u64 = 2 << 30;
/// How long a server may take to look at a repository that it has never seen.
const FIRST_LOOK: std::time::Duration = std::time::Duration::from_mins(15);
/// How long a push may take.
const LONGEST_PUSH: std::time::Duration = std::time::Duration::from_mins(35);
/// How many commits a server is told that it has.
const MOST_HAD: usize = 16;

/// Git on this machine, with its own data directory.
pub fn git(remote: &Remote) -> anyhow::Result<Git> {
    let settings = Settings::read(&remote.surroundings, None)?;
    let mut settings = settings;
    if let Some(dir) = &remote.data_dir {
        settings.data_dir = Some(dir.clone());
    }
    let data_dir = data_dir_of(&settings)?;
    Ok(Git::new(git_config(&remote.surroundings, &data_dir))?)
}

impl Local {
    /// Looks at the checkout that `path` lies in. Nothing in it is touched.
    pub async fn of(git: Git, path: &Path) -> anyhow::Result<Self> {
        let wrong = |error: quire_git::GitError| usage(error.to_string());
        let checkout = git.inspect(path).await.map_err(wrong)?;
        let mirror = git.mirror_checkout(&checkout).await.map_err(wrong)?;
        let captured = git.capture(&checkout, &mirror).await.map_err(wrong)?;
        for nested in &captured.nested {
            show::err(&format!("left out: {nested} is a repository of its own"));
        }
        Ok(Self { git, checkout, mirror, captured })
    }

    /// Sends it to the repository named, or to the one on the server that it comes from; one that
    /// the server has not is made, as one that people push to.
    pub async fn push(
        &self,
        remote: &Remote,
        named: Option<&str>,
        team: Option<&str>,
    ) -> anyhow::Result<Sent> {
        let repository = self.repository(remote, named, team).await?;
        let name = repository.name.as_str();
        let (base, head) = (&self.captured.base, &self.captured.head);
        let mut bytes = 0;
        if repository.pushed && base != head {
            // Committed history first: it is the repository's, and sent once.
            bytes += self.send(remote, name, head, team).await?.1;
        }
        let (pushed, sent) = self.send(remote, name, base, team).await?;
        Ok(Sent {
            repository: repository.name,
            pushed,
            uncommitted: self.captured.uncommitted,
            bytes: bytes + sent,
        })
    }

    /// Sends one commit with all that it needs and the server lacks.
    async fn send(
        &self,
        remote: &Remote,
        name: &str,
        commit: &CommitId,
        team: Option<&str>,
    ) -> anyhow::Result<(Pushed, u64)> {
        let source = self.captured.repository(&self.mirror);
        let source = source.repository();
        let mut sampled = self.git.sampled_history(source, commit).await?;
        // Another branch of the same server may be nearer than the own history.
        sampled.retain(|one| one != commit);
        let asked = CommitsAsked { commits: sampled.into_iter().map(String::from).collect() };
        let call = Call::post(&["repositories", name, "known"]).maybe("team", team).json(&asked);
        let known: CommitsKnown = patiently(remote, call).await?;
        let mut had = Vec::new();
        for text in known.commits.iter().take(MOST_HAD) {
            had.push(CommitId::parse(text)?);
        }
        let wanted = std::slice::from_ref(commit);
        let (file, length) = self.git.write_pack(source, wanted, &had, MOST_PACK).await?;
        let is_base = *commit == self.captured.base;
        let had: Vec<&str> = had.iter().map(CommitId::as_str).collect();
        let call = Call::post(&["repositories", name, "pushes"])
            .query("base", commit)
            .query("head", if is_base { &self.captured.head } else { commit })
            .maybe("branch", self.captured.branch.as_deref())
            .query("uncommitted", if is_base { self.captured.uncommitted } else { 0 })
            .query("had", had.join(","))
            .maybe("team", team)
            .patience(LONGEST_PUSH);
        if length > 8 << 20 {
            show::err(&format!("sends {} MB", length / 1_000_000));
        }
        let kind = "application/octet-stream";
        let pushed = remote.client.upload(call, file, length, kind).await.map_err(told)?;
        Ok((pushed, length))
    }

    /// The repository on the server.
    async fn repository(
        &self,
        remote: &Remote,
        named: Option<&str>,
        team: Option<&str>,
    ) -> anyhow::Result<Repository> {
        let list = Call::get(&["repositories"]).maybe("team", team);
        let list: RepositoryList = remote.client.ask(list).await.map_err(told)?;
        if let Some(name) = named {
            if let Some(found) = list.repositories.into_iter().find(|one| one.name == name) {
                return Ok(found);
            }
            return self.make(remote, name, team).await;
        }
        let addresses = self.git.remote_addresses(&self.checkout).await?;
        let comes_from = |one: &&Repository| {
            let place = one.place.as_deref().unwrap_or_default();
            addresses.iter().any(|address| is_same_address(address, place))
        };
        if let Some(found) = list.repositories.iter().find(comes_from) {
            return Ok(found.clone());
        }
        let name = name_of(&self.checkout.top_level);
        match list.repositories.into_iter().find(|one| one.name == name) {
            Some(found) if found.pushed => Ok(found),
            Some(_) => Err(usage(format!(
                "the server has another repository `{name}`: name the one that this checkout \
                 belongs to with --repo"
            ))),
            None => self.make(remote, &name, team).await,
        }
    }

    async fn make(
        &self,
        remote: &Remote,
        name: &str,
        team: Option<&str>,
    ) -> anyhow::Result<Repository> {
        let new =
            NewRepository { name: name.to_owned(), place: None, team: team.map(str::to_owned) };
        let call = Call::post(&["repositories"]).json(&new);
        let made: Repository = remote.client.ask(call).await.map_err(told)?;
        show::err(&format!("the server has the repository `{name}` now; its team may name it"));
        Ok(made)
    }
}

/// The repository on the server that the checkout at `root` belongs to.
pub async fn repository_of(remote: &Remote, root: &Path) -> anyhow::Result<String> {
    let git = git(remote)?;
    let checkout = git.inspect(root).await.map_err(|error| usage(error.to_string()))?;
    let addresses = git.remote_addresses(&checkout).await?;
    let list: RepositoryList =
        remote.client.ask(Call::get(&["repositories"])).await.map_err(told)?;
    let name = name_of(&checkout.top_level);
    let is_it = |one: &&Repository| {
        let place = one.place.as_deref().unwrap_or_default();
        (one.pushed && one.name == name)
            || addresses.iter().any(|address| is_same_address(address, place))
    };
    let found = list.repositories.iter().find(is_it);
    found.map(|one| one.name.clone()).ok_or_else(|| {
        usage("the server has no repository that this checkout comes from (`quire repo list`)")
    })
}

/// A call that a server may take long over: what it began goes on when it is asked again.
async fn patiently<T: serde::de::DeserializeOwned>(
    remote: &Remote,
    call: Call,
) -> anyhow::Result<T> {
    let until = tokio::time::Instant::now() + FIRST_LOOK;
    let mut said = false;
    loop {
        match remote.client.ask(call.clone()).await {
            Err(ClientError::Problem { problem, .. })
                if problem.known() == Some(quire_api::ProblemKind::Timeout)
                    && tokio::time::Instant::now() < until =>
            {
                if !said {
                    show::err(
                        "the server is fetching the repository; this is longest the first time",
                    );
                    said = true;
                }
            }
            other => return other.map_err(told),
        }
    }
}

/// A name for a checkout that comes from nowhere the server knows.
pub fn name_of(top_level: &Path) -> String {
    let name = top_level.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().map(plain).take(100).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "repository".to_owned() } else { name.to_owned() }
}

/// What a command says that needs a checkout and stands in none.
pub fn no_checkout() -> anyhow::Error {
    stop(
        Exit::Usage,
        "there is no checkout here: change into one, or name a repository with --repo",
    )
}
