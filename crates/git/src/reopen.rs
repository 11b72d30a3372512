//! Mirrors and layers met again by the names that were stored with a task.

use std::path::PathBuf;

use quire_domain::ids::CommitId;

use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::inspect::Checkout;
use crate::layer::{CheckoutLayer, open_layer};
use crate::mirror::Mirror;
use crate::path::RepoPath;
use crate::repository::{ObjectFormat, Repository};

impl Git {
    /// The mirror with this key.
    ///
    /// # Errors
    ///
    /// [`GitError::NotARepository`] if there is none any more.
    pub async fn mirror_by_key(&self, key: &str) -> Result<Mirror, GitError> {
        let git_dir = self.mirrors_dir().join(format!("{}.git", hex_only(key)));
        let key = hex_only(key);
        blocking("open the mirror", move || {
            let config = std::fs::read_to_string(git_dir.join("config"))
                .map_err(|_| GitError::NotARepository { path: git_dir.clone() })?;
            let format =
                if config.contains("sha256") { ObjectFormat::Sha256 } else { ObjectFormat::Sha1 };
            Ok(Mirror { repository: Repository::at(git_dir, format), key })
        })
        .await
    }

    /// The layer with this key, if it is still there.
    pub async fn layer_by_key(&self, key: &str) -> Result<Option<CheckoutLayer>, GitError> {
        let key = hex_only(key);
        let dir: PathBuf = self.layers_dir().join(&key);
        blocking("look for the layer", move || open_layer(&dir, &key)).await
    }

    /// The pack that brings `head` into a repository that has `base`, thin. At most 512 MiB.
    pub async fn pack(
        &self,
        repository: &Repository,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Vec<u8>, GitError> {
        self.ours("pack the result", repository.git_dir())
            .args(["pack-objects", "--revs", "--thin", "--stdout", "-q", "--delta-base-offset"])
            .input(format!("{head}\n^{base}\n"))
            .output_limit(512 << 20)
            .output()
            .await
    }

    /// Whether the mirror has a branch of this name.
    pub fn is_branch(&self, mirror: &Mirror, name: &str) -> bool {
        let wanted = format!(" refs/heads/{name}");
        let refs = std::fs::read_to_string(mirror.packed_refs_file());
        refs.is_ok_and(|refs| refs.lines().any(|line| line.ends_with(&wanted)))
    }

    /// Those of `paths` (directories, relative to the top level) that the checkout's rules ignore
    /// and its index does not hold.
    pub async fn ignored_among(
        &self,
        checkout: &Checkout,
        paths: Vec<String>,
    ) -> Result<Vec<String>, GitError> {
        let mut input = Vec::new();
        for path in &paths {
            input.extend_from_slice(path.as_bytes());
            input.extend_from_slice(b"/\0");
        }
        let ended = self
            .person("ask what is ignored", &checkout.git_dir, &checkout.top_level)
            .args(["check-ignore", "-z", "--stdin"])
            .input(input)
            .end()
            .await?;
        // It ends with 1 where nothing is ignored.
        if !matches!(ended.code, Some(0 | 1)) {
            return Err(ended.failed("ask what is ignored"));
        }
        let ignored: Vec<RepoPath> =
            ended.output.split(|byte| *byte == 0).map(RepoPath::new).collect();
        Ok(paths
            .into_iter()
            .filter(|path| {
                ignored.iter().any(|ignored| {
                    ignored.to_str().map(|text| text.trim_end_matches('/')) == Some(path)
                })
            })
            .collect())
    }
}

/// Keys are hex digits; nothing else may become part of a path.
fn hex_only(key: &str) -> String {
    key.chars().filter(char::is_ascii_hexdigit).collect()
}
