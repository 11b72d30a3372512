//! `quire doctor`: what isolation and limits this host gives, and why.

use std::os::unix::fs::DirBuilderExt;

use quire_domain::sandbox::{Finding, FindingLevel, SandboxBackend};
use quire_git::{Git, GitConfig, MINIMUM_GIT};
use quire_sandbox::{NativeBackend, NativeConfig};

use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::installation::git_config;
use crate::settings::Settings;
use crate::show::{self, style::Style};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    let settings = Settings::read(&context.surroundings, None)?;
    let data_dir = context
        .data_dir
        .or(settings.data_dir)
        .map_or_else(|| std::env::temp_dir().join("quire-doctor"), |setting| setting.value);
    let style = Style::new(context.surroundings.colour());
    let zygote = match context.zygote {
        Ok(zygote) => zygote,
        Err(error) => {
            show::out(&format!("sandboxes cannot be made: the zygote does not start: {error}"));
            return Ok(Exit::NoSandbox);
        }
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&data_dir).map_err(|error| {
        if error.kind() == std::io::ErrorKind::StorageFull {
            return error.into();
        }
        usage(format!("cannot make the data directory {}: {error}", data_dir.display()))
    })?;
    let native = NativeConfig { state_dir: data_dir.join("sandboxes") };
    let git = git_finding(git_config(&context.surroundings, &data_dir)).await;
    let mut report = match NativeBackend::new(zygote, native).await {
        Ok(backend) => backend.report().await,
        Err(error) => {
            show::out(&format!("sandboxes cannot be made: {error}"));
            return Ok(Exit::NoSandbox);
        }
    };
    report.findings.push(git);
    if args.json {
        show::out(&serde_json::to_string_pretty(&report)?);
    } else {
        let widest = report.findings.iter().map(|f| f.name.chars().count()).max().unwrap_or(0);
        for finding in &report.findings {
            let word = match finding.level {
                FindingLevel::Good => style.good("good    "),
                FindingLevel::Degraded => style.warn("degraded"),
                FindingLevel::Missing => style.bad("missing "),
            };
            show::out(&format!("{word}  {:<widest$}  {}", finding.name, finding.detail));
            if let Some(remedy) = &finding.remedy {
                show::out(&format!("{:10}{:widest$}  → {remedy}", "", ""));
            }
        }
        let end = if report.usable {
            style.good("Sandboxes can be made on this host.")
        } else {
            style.bad("Sandboxes cannot be made on this host; see what is missing above.")
        };
        show::out(&format!("\n{end}\ndata in {}", data_dir.display()));
    }
    Ok(if report.usable { Exit::Done } else { Exit::NoSandbox })
}

/// What git there is, and whether it is new enough.
async fn git_finding(config: GitConfig) -> Finding {
    let version = match Git::new(config) {
        Ok(git) => git.version().await,
        Err(error) => Err(error),
    };
    let (level, detail) = match version {
        Ok(version) if version >= MINIMUM_GIT => (FindingLevel::Good, version.to_string()),
        Ok(version) => (FindingLevel::Missing, format!("{version} is too old")),
        Err(error) => (FindingLevel::Missing, error.to_string()),
    };
    let remedy = (level == FindingLevel::Missing)
        .then(|| format!("install git {MINIMUM_GIT} or later, or put it first in PATH"));
    Finding { name: "git".to_owned(), level, detail, remedy }
}
