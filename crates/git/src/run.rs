//! Starts git, and is the only place that does: a bare environment, a limit on everything.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::config::Git;
use crate::error::GitError;
use crate::process::{COMPLAINT_LIMIT, Ended, Group, read_bounded};
use crate::transfer::read_pack_header;

/// What git may believe of the place it runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A repository of ours: no configuration but its own and what is given here.
    Ours,
    /// A person's own checkout: their configuration counts (what is ignored, how lines end),
    /// and nothing of it that starts a program but a filter of theirs.
    Person,
    /// As [`Place::Ours`], and may talk to a remote repository with the person's means.
    Network,
}

/// One run of git.
pub(crate) struct Run<'a> {
    git: &'a Git,
    place: Place,
    /// Without our own settings, which would hide the person's.
    as_they_are: bool,
    doing: &'static str,
    overrides: Vec<OsString>,
    named: Vec<(String, String)>,
    bound: bool,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    input: Vec<u8>,
    output_limit: usize,
    cut_output: bool,
    timeout: Duration,
    cpu_seconds: Option<u64>,
    /// Where its output goes instead of being read, and how many bytes of it.
    into: Option<(std::fs::File, u64)>,
}

/// Settings that hold for every run. Nothing a repository configures may start a program.
const OVERRIDES: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.sshCommand=false",
    "core.alternateRefsCommand=false",
    "core.splitIndex=false",
    "index.sparse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "log.showSignature=false",
    "commit.gpgSign=false",
    "protocol.allow=never",
    "safe.directory=*",
    "credential.helper=",
    "core.bigFileThreshold=8m",
    "advice.detachedHead=false",
];

/// Private memory of a run that reads what is not trusted.
const UNTRUSTED_MEMORY_BYTES: u64 = 1 << 30;

impl Git {
    /// A run of git in a repository of ours.
    pub(crate) fn ours(&self, doing: &'static str, git_dir: &Path) -> Run<'_> {
        Run::new(self, Place::Ours, doing, git_dir).env("GIT_DIR", git_dir)
    }

    /// A run of git in a person's checkout.
    pub(crate) fn person(&self, doing: &'static str, git_dir: &Path, top_level: &Path) -> Run<'_> {
        Run::new(self, Place::Person, doing, top_level)
            .env("GIT_DIR", git_dir)
            .env("GIT_WORK_TREE", top_level)
    }

    /// A run of git that reads a person's settings as they are, and starts nothing they name.
    pub(crate) fn person_settings(
        &self,
        doing: &'static str,
        git_dir: &Path,
        top_level: &Path,
    ) -> Run<'_> {
        let mut run = self.person(doing, git_dir, top_level);
        run.as_they_are = true;
        run
    }

    /// A run of git that reads what a person set for all their checkouts, and no repository.
    pub(crate) fn person_alone(&self, doing: &'static str) -> Run<'_> {
        let mut run = Run::new(self, Place::Person, doing, Path::new("/"));
        run.as_they_are = true;
        run
    }

    /// A run of git that may talk to a remote repository.
    pub(crate) fn network(&self, doing: &'static str, git_dir: &Path) -> Run<'_> {
        Run::new(self, Place::Network, doing, &self.quarantine_dir()).env("GIT_DIR", git_dir)
    }
}

impl<'a> Run<'a> {
    fn new(git: &'a Git, place: Place, doing: &'static str, cwd: &Path) -> Self {
        Self {
            git,
            place,
            as_they_are: false,
            doing,
            overrides: Vec::new(),
            named: Vec::new(),
            bound: false,
            args: Vec::new(),
            env: Vec::new(),
            cwd: cwd.to_owned(),
            input: Vec::new(),
            output_limit: 64 << 20,
            cut_output: false,
            timeout: Duration::from_mins(2),
            cpu_seconds: None,
            into: None,
        }
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Adds one argument.
    pub(crate) fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    /// Adds a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Takes paths among the arguments for names, not for patterns.
    pub(crate) fn literal_paths(self) -> Self {
        self.env("GIT_LITERAL_PATHSPECS", "1")
    }

    /// Adds a setting, `name=value`; wins over every file.
    pub(crate) fn setting(mut self, setting: impl Into<OsString>) -> Self {
        self.overrides.push(setting.into());
        self
    }

    /// As [`Run::setting`], for a name that may hold anything: on the command line it would end at
    /// its first `=`.
    pub(crate) fn named_setting(mut self, name: &str, value: &str) -> Self {
        self.named.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Ends it when the thread that starts it ends, also by a kill: for what writes where the next
    /// process would go on. Costs a slower start.
    pub(crate) fn dies_with_us(mut self) -> Self {
        self.bound = true;
        self
    }

    /// What it is given on standard input.
    pub(crate) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// How much it may print, in bytes.
    pub(crate) fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Beyond its limit its output is cut instead of being an error.
    pub(crate) fn cut_output(mut self) -> Self {
        self.cut_output = true;
        self
    }

    /// How long it may take.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// For input that is not trusted: how much processor time it may take; memory is bounded too.
    pub(crate) fn cpu_seconds(mut self, seconds: u64) -> Self {
        self.cpu_seconds = Some(seconds);
        self
    }

    /// Writes what it prints to `file`, instead of giving it back: at most so many bytes, beyond
    /// which it is ended by a signal.
    pub(crate) fn into_file(mut self, file: std::fs::File, most_bytes: u64) -> Self {
        self.into = Some((file, most_bytes));
        self
    }

    fn command(&self) -> Command {
        let config = &self.git.inner.config;
        let mut command = Command::new(&config.git);
        command.env_clear().env("PATH", &config.path_env).env("LC_ALL", "C").env("TZ", "UTC");
        let null = "/dev/null";
        match self.place {
            Place::Ours => {
                command.env("HOME", "/nonexistent");
                command.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", null)]);
                command.envs([("GIT_ATTR_NOSYSTEM", "1"), ("GIT_ALLOW_PROTOCOL", "")]);
            }
            Place::Person => {
                match &config.person.home {
                    Some(home) => command.env("HOME", home),
                    None => command.env("HOME", "/nonexistent").env("GIT_CONFIG_GLOBAL", null),
                };
                if let Some(xdg) = &config.person.config_home {
                    command.env("XDG_CONFIG_HOME", xdg);
                }
                command.env("GIT_ALLOW_PROTOCOL", "");
            }
            Place::Network => {
                command.env(
                    "HOME",
                    config.person.home.as_deref().unwrap_or(Path::new("/nonexistent")),
                );
                command.envs(config.person.network_env.iter().map(|(k, v)| (k, v)));
                command.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", null)]);
                command.env("GIT_ALLOW_PROTOCOL", "https:http:ssh:git:file");
                command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=20");
            }
        }
        command.envs([
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", "false"),
            ("SSH_ASKPASS", "false"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_EDITOR", "false"),
            ("GIT_ADVICE", "0"),
        ]);
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        for setting in OVERRIDES {
            let skip = match self.place {
                Place::Network => {
                    matches!(*setting, "protocol.allow=never" | "core.sshCommand=false")
                }
                Place::Ours | Place::Person => false,
            };
            if !skip && (!self.as_they_are || *setting == "safe.directory=*") {
                command.arg("-c").arg(setting);
            }
        }
        if self.place == Place::Ours {
            command.args([
                "-c",
                "core.attributesFile=/dev/null",
                "-c",
                "core.excludesFile=/dev/null",
            ]);
        }
        for setting in &self.overrides {
            command.arg("-c").arg(setting);
        }
        if !self.named.is_empty() {
            command.env("GIT_CONFIG_COUNT", self.named.len().to_string());
            for (index, (name, value)) in self.named.iter().enumerate() {
                command.env(format!("GIT_CONFIG_KEY_{index}"), name);
                command.env(format!("GIT_CONFIG_VALUE_{index}"), value);
            }
        }
        if self.bound {
            let die = || {
                let kill = Some(rustix::process::Signal::KILL);
                rustix::process::set_parent_process_death_signal(kill).map_err(Into::into)
            };
            // SAFETY: the closure makes one system call and allocates nothing.
            unsafe { command.pre_exec(die) };
        }
        command.args(&self.args).current_dir(&self.cwd).kill_on_drop(true).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn spawn(&self) -> Result<Group, GitError> {
        let mut command = self.command();
        if let Some((file, _)) = &self.into {
            let file = file.try_clone().map_err(GitError::io(self.doing, "<output of git>"))?;
            command.stdout(Stdio::from(file));
        }
        let child = command.spawn().map_err(|source| {
            if std::fs::metadata(&self.cwd).is_err() {
                return GitError::io(self.doing, &self.cwd)(source);
            }
            GitError::NoGit { program: self.git.inner.config.git.clone(), source }
        })?;
        // Set from outside, so that the start stays a plain spawn: the first microseconds
        // without a limit read nothing yet. Failure means that it ended already.
        let limit = |n| Rlimit { current: Some(n), maximum: Some(n) };
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let (Some((_, most)), Some(pid)) = (&self.into, pid) {
            let _ = rustix::process::prlimit(Some(pid), Resource::Fsize, limit(*most));
        }
        if let (Some(seconds), Some(pid)) = (self.cpu_seconds, pid) {
            let _ = rustix::process::prlimit(Some(pid), Resource::Cpu, limit(seconds));
            let _ =
                rustix::process::prlimit(Some(pid), Resource::Data, limit(UNTRUSTED_MEMORY_BYTES));
        }
        Ok(Group(child))
    }

    /// Runs it to its end, whatever its exit code.
    pub(crate) async fn end(mut self) -> Result<Ended, GitError> {
        let input = std::mem::take(&mut self.input);
        self.end_with(&mut input.as_slice()).await
    }

    /// Runs it to its end with `input` streamed to it. An error of `input` itself is told.
    pub(crate) async fn end_with<R>(self, input: &mut R) -> Result<Ended, GitError>
    where
        R: AsyncRead + Unpin + ?Sized,
    {
        let mut group = self.spawn()?;
        let (doing, timeout, limit) = (self.doing, self.timeout, self.output_limit);
        let cut_output = self.cut_output;
        let work = async {
            let child = &mut group.0;
            let stdin = child.stdin.take();
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            let feed = async {
                let Some(mut stdin) = stdin else { return Ok(()) };
                let mut buffer = vec![0; 64 * 1024];
                loop {
                    let n =
                        input.read(&mut buffer).await.map_err(GitError::io(doing, "<input>"))?;
                    // A broken pipe is git giving up: its own words say why.
                    if n == 0 || stdin.write_all(&buffer[..n]).await.is_err() {
                        return Ok(());
                    }
                }
            };
            let read = async {
                tokio::join!(
                    read_bounded(stdout, limit, true),
                    read_bounded(stderr, COMPLAINT_LIMIT, false)
                )
            };
            tokio::pin!(feed, read);
            let mut fed = false;
            let (output, complaint) = loop {
                tokio::select! {
                    // Its output has ended, and so has it: what is left of the input is of no use.
                    both = &mut read => break both,
                    result = &mut feed, if !fed => {
                        result?;
                        fed = true;
                    }
                }
            };
            let output = output.map_err(GitError::io(doing, "<output of git>"))?;
            let complaint = complaint.map_err(GitError::io(doing, "<output of git>"))?.bytes;
            if output.more {
                if cut_output {
                    return Ok(Ended { code: None, output: output.bytes, cut: true, complaint });
                }
                return Err(GitError::OverLimit { what: "git's output", limit: limit as u64 });
            }
            let status = child.wait().await.map_err(GitError::io(doing, "<git>"))?;
            Ok(Ended { code: status.code(), output: output.bytes, cut: false, complaint })
        };
        let ended = tokio::time::timeout(timeout, work).await;
        match ended {
            Ok(result) => result,
            Err(_) => Err(GitError::Timeout { doing, after: timeout }),
        }
    }

    /// Runs it to its end and gives what it printed.
    ///
    /// # Errors
    ///
    /// [`GitError::Failed`] with git's first error line if it ends with another code than 0.
    pub(crate) async fn output(self) -> Result<Vec<u8>, GitError> {
        let doing = self.doing;
        let ended = self.end().await?;
        if ended.code == Some(0) { Ok(ended.output) } else { Err(ended.failed(doing)) }
    }

    /// Runs it to its end.
    pub(crate) async fn success(self) -> Result<(), GitError> {
        self.output().await.map(drop)
    }

    /// Starts it, reads how many objects the pack it prints will have, and pipes the pack into
    /// the run that `next` chooses by that number.
    pub(crate) async fn pipe_pack_into<'b>(
        mut self,
        next: impl FnOnce(u32) -> Run<'b>,
    ) -> Result<(), GitError> {
        let (doing, timeout) = (self.doing, self.timeout);
        let input = std::mem::take(&mut self.input);
        let mut group = self.spawn()?;
        let (stdin, stdout, stderr) =
            (group.0.stdin.take(), group.0.stdout.take(), group.0.stderr.take());
        let Some(mut stdout) = stdout else { return Ok(()) };
        let feed = async move {
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(&input).await;
            }
        };
        // Owns the pipe: when the second ends early, the first is not left writing into it.
        let consume = async move {
            let Some((objects, header)) = read_pack_header(&mut stdout).await? else {
                return Ok(None);
            };
            next(objects).end_with(&mut header.chain(stdout)).await.map(Some)
        };
        let work = async {
            let ((), complaint, ended) =
                tokio::join!(feed, read_bounded(stderr, COMPLAINT_LIMIT, false), consume);
            let ended = ended?;
            let status = group.0.wait().await.map_err(GitError::io(doing, "<git>"))?;
            // Ended by a signal means that the second ended first, and knows why.
            if status.code().is_some_and(|code| code != 0) {
                let complaint = complaint.unwrap_or_default().bytes;
                return Err(Ended {
                    code: status.code(),
                    output: Vec::new(),
                    cut: false,
                    complaint,
                }
                .failed(doing));
            }
            match ended {
                Some(ended) if ended.code == Some(0) => Ok(()),
                Some(ended) => Err(ended.failed(doing)),
                None => Err(GitError::malformed("the pack", "it has no header")),
            }
        };
        tokio::time::timeout(timeout, work)
            .await
            .unwrap_or(Err(GitError::Timeout { doing, after: timeout }))
    }
}
