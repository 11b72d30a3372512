//! The recipe as it is written: the shape of `.quire/environment.toml`, and its published schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// The recipe of an environment: what Quire makes the sandboxes of this repository from.
/// All of it is optional.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Words {
    /// What people call it: 1 to 60 letters, digits, `-`, `_` and `.`.
    pub name: Option<String>,
    /// `host` (the machine's system directories, and the person's toolchains) or `bare` (the
    /// system directories alone). In its place: `image`, `directory` or `tar`.
    pub base: Option<String>,
    /// An OCI image as the base, e.g. `registry.example/library/node:20`.
    pub image: Option<String>,
    /// A directory of the machine that holds a root file system, as the base: its absolute path.
    pub directory: Option<String>,
    /// A tar that holds a root file system, as the base: its absolute path.
    pub tar: Option<String>,
    /// What `bash` runs once, with network, in the root of the repository. Empty for nothing; if
    /// left out, lock files decide.
    pub setup: Option<String>,
    /// What `bash` runs when a snapshot is used for another commit, and in place of setup where
    /// only lock files differ.
    pub maintenance: Option<String>,
    /// Names of stored secrets that setup and maintenance see as variables.
    pub secrets: Vec<String>,
    /// The model of tasks that name none.
    pub model: Option<String>,
    /// Variables of all commands.
    pub variables: BTreeMap<String, String>,
    /// Which requests may leave the sandbox.
    pub network: NetworkWords,
    /// Headers that are added to requests outside of the sandbox.
    pub credentials: Vec<CredentialWords>,
    /// Processes that are started before the agent.
    pub services: Vec<ServiceWords>,
    /// Commands whose exit status is part of the result.
    pub checks: Vec<CheckWords>,
    /// What a sandbox may use.
    pub limits: LimitsWords,
    /// How snapshots are kept.
    pub snapshot: SnapshotWords,
    /// The budget of tasks that name none.
    pub budget: BudgetWords,
    /// Where instructions are read from.
    pub instructions: InstructionsWords,
}

/// Which requests may leave the sandbox, by phase: `off`, `packages` (the registries of the package
/// managers in use), `on` (every public host), or a list of rules `domain [methods] [path]`, in
/// which `packages` may stand as well.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NetworkWords {
    /// While setup and maintenance run; `on` if left out.
    pub setup: Option<PolicyWords>,
    /// While the agent, services and checks run; `off` if left out.
    pub agent: Option<PolicyWords>,
}

/// A word, or a list of rules.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected `off`, `packages`, `on` or a list of rules")]
pub enum PolicyWords {
    /// `off`, `packages` or `on`.
    Word(String),
    /// Rules, e.g. `["packages", "*.example.org GET,HEAD /v1"]`.
    Rules(Vec<String>),
}

/// A header that is added outside of the sandbox: its value is never inside.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CredentialWords {
    /// To which requests: `domain [methods] [path]`.
    pub rule: String,
    /// Which header, e.g. `Authorization`.
    pub header: String,
    /// Its value, with `${NAME}` where the stored secret of that name goes.
    pub value: String,
    /// Whether the agent's phase has it, too; setup always has.
    #[serde(default)]
    pub agent: bool,
}

/// A process that is started before the agent and ends with the task.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ServiceWords {
    /// What people and logs call it: 1 to 40 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// What `bash` runs, in the foreground.
    pub command: String,
    /// What `bash` runs over and over until it ends with 0.
    pub ready: Option<String>,
    /// Seconds within which it must be ready; 60 if left out.
    pub ready_within_s: Option<u32>,
}

/// A command whose exit status is part of the result.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CheckWords {
    /// What people call it; the command itself if left out.
    pub name: Option<String>,
    /// What `bash` runs, in the root of the repository.
    pub command: String,
    /// Whether it runs over the final commit alone.
    #[serde(default)]
    pub clean: bool,
    /// Seconds it may take; 1,800 if left out.
    pub timeout_s: Option<u32>,
}

/// What a sandbox may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LimitsWords {
    /// Memory of all its processes together, in MiB; 64 and more.
    pub memory_mib: Option<u64>,
    /// CPUs, 0.1 to 1024.
    pub cpus: Option<f64>,
    /// Processes and threads; 16 and more.
    pub processes: Option<u32>,
    /// What it may write to disk, in MiB; 64 and more.
    pub disk_mib: Option<u64>,
    /// Size of `/tmp`, in MiB; 1 and more.
    pub tmp_mib: Option<u64>,
    /// Files and directories it may make; 1,000 and more.
    pub files: Option<u64>,
    /// Minutes that one attempt may be at work; 1 and more.
    pub minutes: Option<u64>,
    /// Minutes after which a sandbox in which nothing was asked for is ended; 1 and more.
    pub idle_minutes: Option<u64>,
    /// What may go over its way out, in both directions together, in MiB; 1 and more.
    pub network_mib: Option<u64>,
}

/// How snapshots are kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SnapshotWords {
    /// Files of the repository that decide whether setup has to run again, as globs; those that
    /// are recognised (`package-lock.json` and the like) if left out.
    pub lock_files: Option<Vec<String>>,
    /// Hours after which a snapshot is made anew, 0 to 8,760; 12 if left out.
    pub lifetime_hours: Option<f64>,
    /// Minutes that setup or maintenance may take, 1 to 1,440; 60 if left out.
    pub timeout_minutes: Option<u32>,
}

/// The budget of tasks that name none. At the limit an attempt stands still, and can be continued.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BudgetWords {
    /// Money, where the model's price is known.
    pub dollars: Option<f64>,
    /// Input and output tokens together.
    pub tokens: Option<u64>,
    /// Model calls.
    pub model_calls: Option<u32>,
}

/// Where instructions are read from.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InstructionsWords {
    /// Names of files to fall back to where a directory has no AGENTS.md.
    pub fallbacks: Option<Vec<String>>,
}

/// The schema of the recipe (JSON Schema 2020-12), as `docs/environment.schema.json` publishes it.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Words);
    schema.insert("title".to_owned(), "Quire environment".into());
    schema.to_value()
}
