//! Where the workspace lies, and cargo run in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::outcome::Verdict;

/// The root of the checkout this binary was built from.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// `cargo <args>` in the workspace, not started yet.
///
/// What cargo tells the xtask it started about itself is taken away again: left in place, it
/// would mark every build script that looks at it as changed.
pub fn command(args: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).current_dir(root());
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        let told_by_cargo = name_text.starts_with("CARGO_PKG_")
            || name_text.starts_with("CARGO_MANIFEST_")
            || matches!(&*name_text, "CARGO_PRIMARY_PACKAGE" | "OUT_DIR");
        if told_by_cargo {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a step of a chore and says what it is.
///
/// # Errors
///
/// If the program cannot be started.
pub fn step(name: &str, command: &mut Command) -> anyhow::Result<Verdict> {
    eprintln!("── {name}");
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    Ok(Verdict::of(status))
}

/// Whether `cargo <subcommand>` is installed, asked by its `--version`.
pub fn has(subcommand: &str) -> bool {
    command(&[subcommand, "--version"]).output().is_ok_and(|output| output.status.success())
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// How `quire` is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Soonest there: what the tests are built with.
    Dev,
    /// What people install, and what is measured.
    Release,
}

/// Builds `quire` and gives its path.
///
/// # Errors
///
/// If it does not build; cargo has said why.
pub fn build_quire(profile: Profile) -> anyhow::Result<PathBuf> {
    let mut build = command(&["build", "--package", "quire"]);
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => {
            build.arg("--release");
            "release"
        }
    };
    if step("build quire", &mut build)? == Verdict::Bad {
        bail!("quire does not build");
    }
    Ok(target_dir().join(folder).join("quire"))
}
