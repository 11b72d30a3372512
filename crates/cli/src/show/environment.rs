//! An environment as rows: key, value and origin of each, by the names that recipes have for them.

use quire_domain::budget::Budget;
use quire_domain::environment::{BaseSpec, Environment, SetupSpec};
use quire_domain::network::{NetworkPolicy, NetworkRule};
use quire_images::Known;
use quire_orchestrator::bases;
use quire_orchestrator::known_secrets;
use quire_orchestrator::resolution::Resolved;
use quire_store::SecretInfo;

use super::style::{count, fit, plain, size};

/// Columns of a value.
const VALUE: usize = 60;

/// A value of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its key, as in recipes.
    pub key: String,
    /// The value, for people.
    pub value: String,
    /// Where it comes from.
    pub origin: String,
}

/// The base in a word or two.
pub fn base_word(base: &BaseSpec) -> String {
    match base {
        BaseSpec::Host { bare: false } => "host".to_owned(),
        BaseSpec::Host { bare: true } => "bare".to_owned(),
        BaseSpec::Directory { path } => format!("directory {path}"),
        BaseSpec::Tar { path } => format!("tar {path}"),
        BaseSpec::Image { reference } => format!("image {reference}"),
    }
}

/// All values. `set` are the secrets that have one, `base_here` what is here of an image or a tar.
pub fn rows(resolved: &Resolved, set: &[SecretInfo], base_here: Option<&Known>) -> Vec<Row> {
    let environment = &resolved.environment;
    let mut rows = Rows { resolved, rows: Vec::new() };
    let (key, base) = match &environment.base {
        BaseSpec::Host { .. } => ("base", base_word(&environment.base)),
        BaseSpec::Directory { path } => ("directory", path.clone()),
        BaseSpec::Tar { path } => ("tar", path.clone()),
        BaseSpec::Image { reference } => ("image", reference.clone()),
    };
    rows.add(key, &base);
    if let Some(known) = base_here {
        rows.add(&format!("{key} here"), &here(known));
    }
    let setup = match &environment.setup {
        SetupSpec::Auto => "what lock files call for",
        SetupSpec::None => "nothing",
        SetupSpec::Script(script) => script,
    };
    rows.add("setup", setup);
    rows.add("maintenance", environment.maintenance.as_deref().unwrap_or("–"));
    for (name, value) in &environment.variables {
        rows.add(&format!("variables.{name}"), value);
    }
    rows.add("network.setup", &policy(&environment.network.setup));
    rows.add("network.agent", &policy(&environment.network.agent));
    rows.add("secrets", &secrets(environment, set));
    for (index, credential) in environment.credentials.iter().enumerate() {
        let phases = if credential.agent { "setup and agent" } else { "setup" };
        let value = format!("{}: {} ({phases})", credential.rule, credential.header);
        rows.add(&format!("credentials[{index}]"), &value);
    }
    for (index, service) in environment.services.iter().enumerate() {
        let value = format!("{}: {}", service.name, service.command);
        rows.add(&format!("services[{index}]"), &value);
    }
    for (index, check) in environment.checks.iter().enumerate() {
        let clean = if check.clean { " (clean)" } else { "" };
        let value = if check.name == check.command {
            format!("{}{clean}", check.command)
        } else {
            format!("{}: {}{clean}", check.name, check.command)
        };
        rows.add(&format!("checks[{index}]"), &value);
    }
    rows.add_limits(environment);
    rows.add_snapshot(environment);
    rows.add("model", environment.model.as_deref().unwrap_or("–"));
    rows.add("budget", &budget(environment.budget.as_ref()));
    rows.add("instructions.fallbacks", &environment.instruction_fallbacks.join(", "));
    rows.rows
}

/// What is here of a base.
fn here(known: &Known) -> String {
    let layers = if known.layers == 1 { "layer" } else { "layers" };
    let state = if known.whole { "is here" } else { "is here in part" };
    let digest = bases::short(&known.identity);
    format!("{state}: sha256:{digest}…, {} {layers}, {}", known.layers, size(known.bytes))
}

struct Rows<'a> {
    resolved: &'a Resolved,
    rows: Vec<Row>,
}

impl Rows<'_> {
    fn add(&mut self, key: &str, value: &str) {
        let origin = plain(&self.resolved.origin(key).to_string(), false);
        self.rows.push(Row { key: key.to_owned(), value: fit(value, VALUE), origin });
    }

    fn add_limits(&mut self, environment: &Environment) {
        let limits = &environment.limits;
        let cpus = format!("{}.{:03}", limits.cpu_millis / 1_000, limits.cpu_millis % 1_000);
        let cpus = cpus.trim_end_matches('0').trim_end_matches('.').to_owned();
        for (key, value) in [
            ("limits.memory_mib", count(limits.memory_bytes >> 20)),
            ("limits.cpus", cpus),
            ("limits.processes", count(limits.processes.into())),
            ("limits.disk_mib", count(limits.disk_bytes >> 20)),
            ("limits.tmp_mib", count(limits.tmp_bytes >> 20)),
            ("limits.files", count(limits.inodes)),
            ("limits.minutes", count(limits.wall_clock_s / 60)),
            ("limits.idle_minutes", count(limits.idle_s / 60)),
            (
                "limits.network_mib",
                limits.network_bytes.map_or("–".to_owned(), |it| count(it >> 20)),
            ),
        ] {
            self.add(key, &value);
        }
    }

    fn add_snapshot(&mut self, environment: &Environment) {
        let snapshot = &environment.snapshot;
        let files = if snapshot.lock_files.is_empty() {
            "those that are recognised".to_owned()
        } else {
            snapshot.lock_files.join(", ")
        };
        self.add("snapshot.lock_files", &files);
        let hours =
            format!("{}.{:02}", snapshot.lifetime_s / 3_600, snapshot.lifetime_s % 3_600 / 36);
        let hours = hours.trim_end_matches('0').trim_end_matches('.');
        self.add("snapshot.lifetime_hours", hours);
        self.add("snapshot.timeout_minutes", &count((snapshot.timeout_s / 60).into()));
    }
}

fn policy(policy: &NetworkPolicy) -> String {
    let list = |rules: &[NetworkRule]| {
        rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    match policy {
        NetworkPolicy::Off => "off".to_owned(),
        NetworkPolicy::On => "on".to_owned(),
        NetworkPolicy::Packages(rules) if rules.is_empty() => "packages".to_owned(),
        NetworkPolicy::Packages(rules) => format!("packages, {}", list(rules)),
        NetworkPolicy::Rules(rules) => list(rules),
    }
}

/// The names of the secrets that setup and credentials use, and whether they have a value.
fn secrets(environment: &Environment, set: &[SecretInfo]) -> String {
    let names = known_secrets::names(environment);
    let words = names.iter().map(|name| match set.iter().find(|one| one.name == *name) {
        Some(one) => format!("{name} (version {})", one.version),
        None => format!("{name} (not set)"),
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { "–".to_owned() } else { words.join(", ") }
}

fn budget(budget: Option<&Budget>) -> String {
    let Some(budget) = budget else { return "–".to_owned() };
    let mut words = Vec::new();
    words.extend(budget.cost.map(|cost| cost.to_string()));
    words.extend(budget.tokens.map(|tokens| format!("{} tokens", count(tokens))));
    words.extend(budget.model_calls.map(|calls| format!("{} model calls", count(calls.into()))));
    words.join(", ")
}
