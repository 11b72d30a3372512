//! Who is measured: our own release binary, and the agents that the person installed beside it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How to install the others into DIR, shown to the person: we install nothing ourselves.
pub const INSTALL: &str = "npm install --prefix DIR @openai/codex opencode-ai
python3 -m venv DIR/venv && DIR/venv/bin/pip install mini-swe-agent mcp";

const PROMPT: &str = "Do the scripted work in this repository.";

/// An agent that can be measured.
pub struct Subject {
    /// Its name in the table.
    pub name: &'static str,
    /// Whether it works in a copy of its own, so that several can share one checkout.
    pub leaves_checkout_alone: bool,
    kind: Kind,
    program: PathBuf,
}

#[derive(Clone, Copy)]
enum Kind {
    Quire,
    Codex { sandbox: bool },
    OpenCode,
    Mini,
}

/// Where one run happens.
pub struct Place {
    /// The base URL without `/v1`.
    pub base: String,
    /// The checkout.
    pub repo: PathBuf,
    /// The home directory, kept between runs of one subject.
    pub home: PathBuf,
}

/// Our own binary.
pub fn quire(program: PathBuf) -> Subject {
    Subject { name: "quire", leaves_checkout_alone: true, kind: Kind::Quire, program }
}

/// The others that are installed in `dir`.
pub fn peers(dir: &Path) -> Vec<Subject> {
    let bin = dir.join("node_modules/.bin");
    let codex = native_codex(dir).unwrap_or_else(|| bin.join("codex"));
    let known = [
        ("codex", Kind::Codex { sandbox: false }, codex.clone()),
        ("codex, sandbox", Kind::Codex { sandbox: true }, codex),
        ("opencode", Kind::OpenCode, bin.join("opencode")),
        ("mini-swe-agent", Kind::Mini, dir.join("venv/bin/mini")),
    ];
    let installed = known.into_iter().filter(|(_, _, program)| program.exists());
    installed
        .map(|(name, kind, program)| Subject { name, leaves_checkout_alone: false, kind, program })
        .collect()
}

/// The program behind codex's launcher script, which would add the start of Node.
fn native_codex(dir: &Path) -> Option<PathBuf> {
    let vendor = dir.join("node_modules/@openai");
    let packages = std::fs::read_dir(vendor).ok()?.flatten();
    packages
        .flat_map(|package| std::fs::read_dir(package.path().join("vendor")).into_iter().flatten())
        .flatten()
        .flat_map(|target| ["bin/codex", "codex/codex"].map(|program| target.path().join(program)))
        .find(|program| program.is_file())
}

impl Subject {
    /// A file of as many tasks as `jobs`, for [`Subject::command_of_file`].
    pub fn tasks(jobs: usize) -> String {
        let line = format!("{}\n", serde_json::json!({ "prompt": PROMPT }));
        line.repeat(jobs)
    }

    /// The command that does all the tasks of a file at once in one process: ours alone can.
    pub fn command_of_file(&self, place: &Place, tasks: &Path, jobs: usize) -> Command {
        let mut command = self.bare_command(place);
        command.args(["run", "--model", "scripted/bench", "--parallel", &jobs.to_string()]);
        command.arg("--from").arg(tasks);
        command
            .env("QUIRE_SCRIPTED_URL", format!("{}/v1", place.base))
            .env("QUIRE_DATA_DIR", place.home.join("data"));
        command
    }

    /// The command that does one run in `place`, not started yet.
    pub fn command(&self, place: &Place) -> Command {
        let mut command = self.bare_command(place);
        let v1 = format!("{}/v1", place.base);
        match self.kind {
            Kind::Quire => {
                command.args(["run", "--model", "scripted/bench", PROMPT]);
                command
                    .env("QUIRE_SCRIPTED_URL", v1)
                    .env("QUIRE_DATA_DIR", place.home.join("data"));
            }
            Kind::Codex { sandbox } => {
                let provider = format!(
                    "model_providers.played={{name=\"played\",base_url=\"{v1}\",wire_api=\"responses\",env_key=\"PLAYED_KEY\"}}"
                );
                command.args(["exec", "--json", "-m", "gpt-5.5"]);
                if sandbox {
                    command.args(["--sandbox", "workspace-write"]);
                } else {
                    command.arg("--dangerously-bypass-approvals-and-sandbox");
                }
                command.args(["-c", "model_provider=played", "-c", &provider, PROMPT]);
                command.env("PLAYED_KEY", "x").env("CODEX_HOME", place.home.join(".codex"));
            }
            Kind::OpenCode => {
                let config = serde_json::json!({
                    "permission": "allow", "model": "played/played", "small_model": "played/played",
                    "provider": {"played": {
                        "npm": "@ai-sdk/openai-compatible", "name": "played",
                        "options": {"baseURL": v1, "apiKey": "x"}, "models": {"played": {"name": "played"}},
                    }},
                });
                command.args(["run", PROMPT]);
                command.env("OPENCODE_CONFIG_CONTENT", config.to_string());
                command
                    .env("OPENCODE_DISABLE_AUTOUPDATE", "1")
                    .env("OPENCODE_DISABLE_MODELS_FETCH", "1");
            }
            Kind::Mini => {
                command.args([
                    "-y",
                    "-m",
                    "openai/played",
                    "--exit-immediately",
                    "-t",
                    PROMPT,
                    "-o",
                ]);
                command.arg(place.home.join("trajectory.json"));
                command.env("MSWEA_CONFIGURED", "true").env("MSWEA_COST_TRACKING", "ignore_errors");
                command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
                command.env("OPENAI_API_KEY", "x").env("OPENAI_API_BASE", v1);
            }
        }
        command
    }

    fn bare_command(&self, place: &Place) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().current_dir(&place.repo).stdin(Stdio::null());
        for name in ["PATH", "LANG", "RUSTUP_HOME", "CARGO_HOME"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("HOME", &place.home).env("TERM", "dumb");
        command
    }

    /// Directories that must exist in the home before a run.
    pub fn home_dirs(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Codex { .. } => &[".codex"],
            Kind::Quire | Kind::OpenCode | Kind::Mini => &[],
        }
    }
}
