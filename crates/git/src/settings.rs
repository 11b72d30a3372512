//! The settings that hold in a checkout, as git itself reads them; remembered for as long as no
//! file that git would read has changed, so that a start needs one process of git less.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::{Git, GitConfig, blocking, make_private_dir};
use crate::discover::Found;
use crate::error::GitError;
use crate::mirror::write_whole;

/// The last value of each setting, names in lower case as git lists them.
pub(crate) type Settings = BTreeMap<String, String>;

/// What of them anything here asks for, and what may change what a file becomes when it is
/// captured. The rest is not kept: addresses and headers of remotes may hold credentials.
const KEPT: &[&str] = &["author.", "committer.", "core.", "extensions.", "filter.", "user."];

/// File systems keep times in steps; two changes within one cannot be told apart.
const STEP: Duration = Duration::from_millis(100);

/// What was read is remembered up to this many bytes of it.
const MOST_BYTES: usize = 256 << 10;

/// Raised when what is kept changes its form.
const FORM: u32 = 1;

impl Git {
    /// The settings of a checkout of the person's own.
    pub(crate) async fn settings(&self, found: &Found) -> Result<Settings, GitError> {
        let memory = Memory::of(&self.inner.config, found);
        let (memory, recalled) = blocking("look at the settings", move || {
            let recalled = memory.recall();
            Ok((memory, recalled))
        })
        .await?;
        if let Some(settings) = recalled {
            return Ok(settings);
        }
        // Before git reads them: what changes in between is told by its stamp.
        let stamps = memory.stamps();
        let read = self.read_settings(found).await?;
        blocking("remember the settings", move || {
            memory.keep(stamps, &read);
            Ok(read.settings)
        })
        .await
    }

    /// Asks git.
    pub(crate) async fn read_settings(&self, found: &Found) -> Result<Read, GitError> {
        let output = self
            .person_settings("read the settings", &found.git_dir, &found.top_level)
            .args(["config", "-z", "--list", "--show-origin"])
            .output_limit(4 << 20)
            .output()
            .await?;
        let mut read = Read { settings: Settings::new(), files: Vec::new(), includes: false };
        let mut fields = output.split(|byte| *byte == 0);
        while let (Some(origin), Some(entry)) = (fields.next(), fields.next()) {
            if let Some(file) = String::from_utf8_lossy(origin).strip_prefix("file:") {
                let file = found.top_level.join(file);
                if read.files.last() != Some(&file) {
                    read.files.push(file);
                }
            }
            let text = String::from_utf8_lossy(entry);
            // A name alone means true.
            let (name, value) = text.split_once('\n').unwrap_or((&text, "true"));
            read.includes |= name == "include.path" || name.starts_with("includeif.");
            if KEPT.iter().any(|kept| name.starts_with(kept)) {
                read.settings.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(read)
    }
}

/// What git said.
pub(crate) struct Read {
    /// The settings of [`KEPT`].
    pub settings: Settings,
    /// The files that it took any from.
    files: Vec<PathBuf>,
    /// Whether one of them includes another.
    includes: bool,
}

/// A file as it was; `None` if there was none.
type Stamp = Option<(u64, u64, u64, i64, i64, i64, i64)>;

/// What is kept on disk.
#[derive(Serialize, Deserialize)]
struct Kept {
    form: u32,
    stamps: Vec<(PathBuf, Stamp)>,
    settings: Settings,
}

/// Where the settings of one checkout are remembered, and all that they hang on.
struct Memory {
    at: PathBuf,
    /// Every file that git may read them from, and git itself.
    files: Vec<PathBuf>,
}

impl Memory {
    fn of(config: &GitConfig, found: &Found) -> Self {
        let mut files = vec![config.git.clone()];
        // The system's settings lie where git was told when it was built.
        files.push(PathBuf::from("/etc/gitconfig"));
        let program = std::fs::canonicalize(&config.git).unwrap_or_else(|_| config.git.clone());
        for program in [&config.git, &program] {
            if let Some(prefix) = program.parent().and_then(Path::parent) {
                files.push(prefix.join("etc/gitconfig"));
            }
        }
        let person = &config.person;
        files.extend(person.home.iter().map(|home| home.join(".gitconfig")));
        let config_home =
            person.config_home.clone().or_else(|| Some(person.home.as_ref()?.join(".config")));
        files.extend(config_home.map(|home| home.join("git/config")));
        files.push(found.common_dir.join("config"));
        files.push(found.git_dir.join("config.worktree"));
        let mut hasher = Sha256::new();
        for path in [&found.git_dir, &found.common_dir, &found.top_level].into_iter().chain(&files)
        {
            let bytes = path.as_os_str().as_encoded_bytes();
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        }
        let name = hasher.finalize().iter().take(16).fold(String::new(), |mut name, byte| {
            let _ = std::fmt::Write::write_fmt(&mut name, format_args!("{byte:02x}"));
            name
        });
        Self { at: config.data_dir.join("settings").join(name), files }
    }

    fn stamps(&self) -> Vec<(PathBuf, Stamp)> {
        self.files.iter().map(|file| (file.clone(), stamp(file))).collect()
    }

    fn recall(&self) -> Option<Settings> {
        let kept: Kept = serde_json::from_slice(&std::fs::read(&self.at).ok()?).ok()?;
        (kept.form == FORM && kept.stamps == self.stamps()).then_some(kept.settings)
    }

    /// Remembers what was read, unless a change of it could go unseen. What cannot be written is
    /// read again the next time.
    fn keep(&self, stamps: Vec<(PathBuf, Stamp)>, read: &Read) {
        // Of a program that is searched for it is not known where its own settings lie.
        if !self.files.first().is_some_and(|program| program.is_absolute()) {
            return;
        }
        // What is included may depend on the branch, and lies in files of any name.
        let known = !read.includes && read.files.iter().all(|file| self.files.contains(file));
        if !known || !stamps.iter().all(|(_, stamp)| is_old(stamp.as_ref())) {
            return;
        }
        let kept = Kept { form: FORM, stamps, settings: read.settings.clone() };
        if let (Ok(text), Some(dir)) = (serde_json::to_vec(&kept), self.at.parent())
            && text.len() <= MOST_BYTES
            && make_private_dir(dir).is_ok()
        {
            let _ = write_whole(&self.at, &text);
        }
    }
}

/// A file's identity, size and times, of what a link leads to.
fn stamp(file: &Path) -> Stamp {
    let meta = std::fs::metadata(file).ok()?;
    Some((
        meta.dev(),
        meta.ino(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
    ))
}

/// Whether another change would be seen by another time.
fn is_old(stamp: Option<&(u64, u64, u64, i64, i64, i64, i64)>) -> bool {
    let Some((.., seconds, nanos)) = stamp else { return true };
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return false };
    let (Ok(seconds), Ok(nanos)) = (u64::try_from(*seconds), u32::try_from(*nanos)) else {
        return true;
    };
    Duration::new(seconds, nanos) + STEP < now
}

#[cfg(test)]
mod tests {
    use super::{Duration, is_old};
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    fn what_changed_a_moment_ago_is_not_remembered() {
        let at = |ago: u64| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let then = now.checked_sub(Duration::from_millis(ago)).unwrap();
            (1, 1, 1, 0, 0, i64::try_from(then.as_secs()).unwrap(), i64::from(then.subsec_nanos()))
        };
        assert!(!is_old(Some(&at(1))));
        assert!(is_old(Some(&at(500))));
        assert!(is_old(None));
    }
}
