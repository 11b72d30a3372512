//! What surrounds the process: the only file that reads the environment, the home directory and
//! the terminal.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use quire_environment::host::HostFacts;
use quire_environment::toolchains::TOOLCHAIN_VARIABLES;

use crate::exit::usage;

/// What surrounds the process, read once.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// All variables that are UTF-8.
    pub variables: BTreeMap<String, String>,
    /// The person's home directory: `HOME`, else the user database.
    pub home: Option<PathBuf>,
    /// Where the command was started.
    pub current_dir: PathBuf,
    /// Whether standard output is a terminal.
    pub stdout_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_terminal: bool,
    /// Whether standard input is a terminal.
    pub stdin_terminal: bool,
}

impl Surroundings {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// The directory it was started in cannot be told: it was deleted, or may not be read.
    pub fn read() -> anyhow::Result<Self> {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
            .collect();
        let home = variables
            .get("HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from)
            .or_else(std::env::home_dir)
            .filter(|home| home.is_absolute());
        Ok(Self {
            home,
            current_dir: current_dir()?,
            stdout_terminal: std::io::stdout().is_terminal(),
            stderr_terminal: std::io::stderr().is_terminal(),
            stdin_terminal: std::io::stdin().is_terminal(),
            variables,
        })
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where data lies unless configured: `$XDG_DATA_HOME/quire`, else `~/.local/share/quire`.
    /// Without a home directory there is none.
    pub fn default_data_dir(&self) -> Option<PathBuf> {
        self.xdg("XDG_DATA_HOME", ".local/share")
    }

    /// Where a person's configuration lies: `$XDG_CONFIG_HOME/quire`, else `~/.config/quire`.
    pub fn config_dir(&self) -> Option<PathBuf> {
        self.xdg("XDG_CONFIG_HOME", ".config")
    }

    fn xdg(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        self.variable(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| self.home.as_ref().map(|home| home.join(below_home)))
            .map(|dir| dir.join("quire"))
    }

    /// Whether to use colour on standard error and output: a terminal, no `NO_COLOR`, and not a
    /// dumb one.
    pub fn colour(&self) -> bool {
        self.stderr_terminal
            && self.variable("NO_COLOR").is_none()
            && self.variable("TERM").is_some_and(|term| term != "dumb")
    }

    /// What of the machine an environment may show (DESIGN section 8).
    pub fn host_facts(&self, more: &[PathBuf]) -> HostFacts {
        let path = self
            .variable("PATH")
            .map(|path| std::env::split_paths(path).filter(|p| p.is_absolute()).collect())
            .unwrap_or_default();
        let carried = TOOLCHAIN_VARIABLES.iter().chain(&["LANG", "LC_ALL", "TZ"]);
        let variables = carried
            .filter_map(|name| Some(((*name).to_owned(), self.variable(name)?.to_owned())))
            .collect();
        let private = self.config_dir().into_iter().collect();
        HostFacts { home: self.home.clone(), path, variables, more: more.to_vec(), private }
    }

    /// `path` with the home directory as `~`, for people.
    pub fn short(&self, path: &Path) -> String {
        match self.home.as_ref().and_then(|home| path.strip_prefix(home).ok()) {
            Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
            Some(rest) => format!("~/{}", rest.display()),
            None => path.display().to_string(),
        }
    }
}

/// The checkout that `path` lies in, by its files: the nearest directory above it with a `.git`
/// that can be one.
pub fn checkout_of(path: &Path) -> Option<&Path> {
    path.ancestors().find(|dir| {
        let git = dir.join(".git");
        // Of a worktree or a submodule it is a file.
        git.join("HEAD").symlink_metadata().is_ok() || git.is_file()
    })
}

fn current_dir() -> anyhow::Result<PathBuf> {
    std::env::current_dir().map_err(|error| {
        usage(if error.kind() == std::io::ErrorKind::NotFound {
            "the directory this was started in was deleted: change to another one".to_owned()
        } else {
            format!("the directory this was started in cannot be told: {error}")
        })
    })
}

fn text(value: OsString) -> Option<String> {
    value.into_string().ok()
}
