//! Commits of a repository of ours: what they say of themselves, and how they are related.

use quire_domain::ids::CommitId;

use crate::config::Git;
use crate::error::GitError;
use crate::repository::Repository;
use crate::run::Run;

/// A commit, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its id.
    pub id: CommitId,
    /// Its parents.
    pub parents: Vec<CommitId>,
    /// `Name <address>`, decoded lossily.
    pub author: String,
    /// The author's date, in seconds since 1970.
    pub authored_at: i64,
    /// The committer's date, in seconds since 1970.
    pub committed_at: i64,
    /// The first line of its message, at most 1,000 characters.
    pub subject: String,
    /// The rest of its message, at most 64 KiB.
    pub body: String,
}

impl Git {
    /// What a commit says of itself.
    pub async fn commit_info(
        &self,
        repository: &Repository,
        commit: &CommitId,
    ) -> Result<CommitInfo, GitError> {
        let run = self.read("read the commit", repository).args(["log", "-1"]);
        let commits = read_log(run.arg(format!("{commit}^{{commit}}"))).await?;
        commits.into_iter().next().ok_or_else(|| GitError::malformed("git's output", "no commit"))
    }

    /// The commits that `head` reaches and `base` does not, oldest first; of more than `limit`
    /// the newest.
    pub async fn log(
        &self,
        repository: &Repository,
        base: &CommitId,
        head: &CommitId,
        limit: usize,
    ) -> Result<Vec<CommitInfo>, GitError> {
        let run = self
            .read("list the commits", repository)
            .args(["log", "--topo-order", &format!("--max-count={limit}")])
            .args([&format!("{head}^{{commit}}"), &format!("^{base}")]);
        let mut commits = read_log(run).await?;
        commits.reverse();
        Ok(commits)
    }

    /// The commit that two have in common; `None` if their histories have none.
    pub async fn merge_base(
        &self,
        repository: &Repository,
        one: &CommitId,
        other: &CommitId,
    ) -> Result<Option<CommitId>, GitError> {
        let ended = self
            .read("find the common commit", repository)
            .args(["merge-base", one.as_str(), other.as_str()])
            .output_limit(4096)
            .end()
            .await?;
        match ended.code {
            Some(0) => {
                let text = String::from_utf8_lossy(&ended.output);
                CommitId::parse(text.trim())
                    .map(Some)
                    .map_err(|e| GitError::malformed("git's output", e.to_string()))
            }
            Some(1) => Ok(None),
            _ => Err(ended.failed("find the common commit")),
        }
    }

    /// Whether `ancestor` is `commit` or one of its ancestors.
    pub async fn is_ancestor(
        &self,
        repository: &Repository,
        ancestor: &CommitId,
        commit: &CommitId,
    ) -> Result<bool, GitError> {
        if ancestor == commit {
            return Ok(true);
        }
        let ended = self
            .read("compare commits", repository)
            .args(["merge-base", "--is-ancestor", ancestor.as_str(), commit.as_str()])
            .end()
            .await?;
        match ended.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(ended.failed("compare commits")),
        }
    }
}

/// Fields of a commit end with a unit separator, which git takes out of none of them; so each is
/// bounded by position, and the last ends with the NUL of the record.
const LOG_FORMAT: &str = "--format=tformat:%H%x1f%P%x1f%at%x1f%ct%x1f%an <%ae>%x1f%s%x1f%b";

async fn read_log(run: Run<'_>) -> Result<Vec<CommitInfo>, GitError> {
    let output = run
        .args(["-z", LOG_FORMAT, "--encoding=UTF-8", "--no-show-signature", "--no-decorate"])
        .args(["--no-patch", "--no-notes", "--no-mailmap", "--no-color", "--"])
        .output_limit(64 << 20)
        .output()
        .await?;
    output.split(|b| *b == 0).filter(|record| !record.is_empty()).map(parse_commit).collect()
}

fn parse_commit(record: &[u8]) -> Result<CommitInfo, GitError> {
    const BODY_LIMIT: usize = 64 * 1024;
    let bad = || GitError::malformed("git's output", "a commit is not as asked for");
    let text = String::from_utf8_lossy(record);
    let mut fields = text.splitn(5, '\u{1f}');
    let mut next = || fields.next().ok_or_else(bad);
    let (id, parents, authored, committed, rest) = (next()?, next()?, next()?, next()?, next()?);
    // A name or subject may itself hold the separator: what cannot be told apart is kept whole.
    let (author, rest) = rest.split_once('\u{1f}').ok_or_else(bad)?;
    let (subject, body) = rest.split_once('\u{1f}').ok_or_else(bad)?;
    let mut end = body.len().min(BODY_LIMIT);
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    Ok(CommitInfo {
        id: CommitId::parse(id).map_err(|_| bad())?,
        parents: parents
            .split(' ')
            .filter(|p| !p.is_empty())
            .map(|p| CommitId::parse(p).map_err(|_| bad()))
            .collect::<Result<_, _>>()?,
        author: author.chars().take(1000).collect(),
        authored_at: authored.parse().unwrap_or(0),
        committed_at: committed.parse().unwrap_or(0),
        subject: subject.chars().take(1000).collect(),
        body: body[..end].trim_end().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    proptest::proptest! {
        #[test]
        fn no_output_makes_the_parser_panic(bytes: Vec<u8>) {
            let _ = super::parse_commit(&bytes);
        }
    }
}
