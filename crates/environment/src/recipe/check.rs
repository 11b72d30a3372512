//! From what was written to an environment: what can be written but not meant is refused.

use std::collections::BTreeSet;

use quire_domain::budget::{Budget, MicroDollars};
use quire_domain::environment::{
    BaseSpec, CheckSpec, Environment, Limits, ServiceSpec, SetupSpec, SnapshotSpec,
};
use quire_domain::network::{CredentialSpec, NetworkPolicy};

use super::error::RecipeError;
use super::keys::Keys;
use super::words::{
    BudgetWords, CheckWords, CredentialWords, LimitsWords, PolicyWords, ServiceWords,
    SnapshotWords, Words,
};

/// The most of anything that is listed: variables, checks, services, credentials, secrets, rules.
const MOST: usize = 200;

/// The most MiB of anything.
const MOST_MIB: u64 = 1 << 30;

/// Reads what was written over `defaults`; `keys` says where things stand.
pub fn check(words: Words, keys: &Keys, defaults: Environment) -> Result<Environment, RecipeError> {
    let check = Check { keys };
    let mut environment = defaults;
    if let Some(name) = &words.name {
        if !is_name(name) {
            return check.wrong("name", "must have 1 to 60 letters, digits, `-`, `_` and `.`");
        }
        environment.name.clone_from(name);
    }
    if let Some(base) = check.base(&words)? {
        environment.base = base;
    }
    check.is_text("setup", words.setup.as_deref())?;
    check.is_text("maintenance", words.maintenance.as_deref())?;
    if let Some(script) = words.setup {
        environment.setup =
            if script.trim().is_empty() { SetupSpec::None } else { SetupSpec::Script(script) };
    }
    if let Some(script) = words.maintenance {
        environment.maintenance = Some(script).filter(|script| !script.trim().is_empty());
    }
    for (name, value) in &words.variables {
        let path = format!("variables.{name}");
        check.variable(&path, name)?;
        check.is_text(&path, Some(value))?;
        if belongs_to_the_sandbox(name) {
            return check.wrong(
                &path,
                "is what the sandbox itself says; set it in the commands that need it",
            );
        }
    }
    if let Some(path) = words.variables.get("PATH") {
        check.search_path(path)?;
    }
    check.most("variables", words.variables.len())?;
    environment.variables.extend(words.variables);
    check.most("secrets", words.secrets.len())?;
    for (index, name) in words.secrets.iter().enumerate() {
        let path = format!("secrets[{index}]");
        check.variable(&path, name)?;
        if belongs_to_the_sandbox(name) || name == "PATH" {
            return check.wrong(&path, "would take the place of a variable of the sandbox's own");
        }
    }
    if !words.secrets.is_empty() {
        environment.secrets = words.secrets;
        environment.secrets.sort();
        environment.secrets.dedup();
    }
    match words.network.setup {
        Some(policy) => environment.network.setup = check.policy("network.setup", policy)?,
        // Who wrote what is run may need any host for it.
        None if matches!(environment.setup, SetupSpec::Script(_)) => {
            environment.network.setup = NetworkPolicy::On;
        }
        None => {}
    }
    if let Some(policy) = words.network.agent {
        environment.network.agent = check.policy("network.agent", policy)?;
    }
    check.most("credentials", words.credentials.len())?;
    for (index, credential) in words.credentials.into_iter().enumerate() {
        let path = format!("credentials[{index}]");
        environment.credentials.push(check.credential(&path, credential)?);
    }
    check.most("services", words.services.len())?;
    check.services(words.services, &mut environment)?;
    check.most("checks", words.checks.len())?;
    for (index, declared) in words.checks.into_iter().enumerate() {
        environment.checks.push(check.check(&format!("checks[{index}]"), declared)?);
    }
    environment.limits = check.limits(&words.limits, environment.limits)?;
    environment.snapshot = check.snapshot(words.snapshot, environment.snapshot)?;
    environment.model = words.model.filter(|model| !model.is_empty()).or(environment.model);
    if let Some(budget) = check.budget(&words.budget)? {
        environment.budget = Some(budget);
    }
    if let Some(fallbacks) = words.instructions.fallbacks {
        check.most("instructions.fallbacks", fallbacks.len())?;
        environment.instruction_fallbacks = fallbacks;
    }
    Ok(environment)
}

struct Check<'a> {
    keys: &'a Keys,
}

impl Check<'_> {
    fn wrong<T>(&self, path: &str, what: impl AsRef<str>) -> Result<T, RecipeError> {
        let what = format!("`{path}` {}", what.as_ref());
        Err(RecipeError::at(self.keys.position(path), what))
    }

    fn most(&self, path: &str, found: usize) -> Result<(), RecipeError> {
        if found > MOST {
            return self.wrong(path, format!("has {found} entries; at most {MOST} are read"));
        }
        Ok(())
    }

    fn base(&self, words: &Words) -> Result<Option<BaseSpec>, RecipeError> {
        let mut found = Vec::new();
        match words.base.as_deref() {
            None => {}
            Some("host") => found.push(("base", BaseSpec::Host { bare: false })),
            Some("bare") => found.push(("base", BaseSpec::Host { bare: true })),
            Some(_) => {
                return self.wrong(
                    "base",
                    "is `host` or `bare`; else name an `image`, a `directory` or a `tar`",
                );
            }
        }
        if let Some(reference) = &words.image {
            if reference.is_empty()
                || reference.len() > 512
                || reference.contains(|c: char| c.is_whitespace() || c.is_control())
            {
                return self.wrong("image", "is no image, e.g. `registry.example/library/node:20`");
            }
            found.push(("image", BaseSpec::Image { reference: reference.clone() }));
        }
        for (key, path) in [("directory", &words.directory), ("tar", &words.tar)] {
            let Some(path) = path else { continue };
            if !path.starts_with('/') {
                return self.wrong(key, "must be an absolute path on the machine that runs tasks");
            }
            let path = path.clone();
            found.push((
                key,
                if key == "tar" { BaseSpec::Tar { path } } else { BaseSpec::Directory { path } },
            ));
        }
        if let [(first, _), (second, _), ..] = found.as_slice() {
            return self
                .wrong(second, format!("and `{first}` both say what the base is; keep one"));
        }
        Ok(found.pop().map(|(_, base)| base))
    }

    /// No program can be given a NUL, so nothing that has one could be run.
    fn is_text(&self, path: &str, text: Option<&str>) -> Result<(), RecipeError> {
        match text {
            Some(text) if text.contains('\0') => {
                self.wrong(path, "has a NUL, which no program can be given")
            }
            _ => Ok(()),
        }
    }

    fn variable(&self, path: &str, name: &str) -> Result<(), RecipeError> {
        if let Err(why) = check_variable(name) {
            return self.wrong(path, why);
        }
        Ok(())
    }

    /// `PATH` replaces the sandbox's own. Without the places of the system nothing is found, not
    /// even by Quire's own questions.
    fn search_path(&self, value: &str) -> Result<(), RecipeError> {
        match check_search_path(value) {
            Ok(()) => Ok(()),
            Err(why) => self.wrong("variables.PATH", why),
        }
    }

    fn policy(&self, path: &str, words: PolicyWords) -> Result<NetworkPolicy, RecipeError> {
        let rules = match words {
            PolicyWords::Word(word) => {
                return match word.as_str() {
                    "off" => Ok(NetworkPolicy::Off),
                    "packages" => Ok(NetworkPolicy::Packages(Vec::new())),
                    "on" => Ok(NetworkPolicy::On),
                    _ => self.wrong(path, "is `off`, `packages`, `on`, or a list of rules"),
                };
            }
            PolicyWords::Rules(rules) => rules,
        };
        self.most(path, rules.len())?;
        let (mut read, mut packages) = (BTreeSet::new(), false);
        for (index, rule) in rules.iter().enumerate() {
            if rule == "packages" {
                packages = true;
                continue;
            }
            match rule.parse() {
                Ok(rule) => read.insert(rule),
                Err(error) => return self.wrong(&format!("{path}[{index}]"), format!(": {error}")),
            };
        }
        let rules: Vec<_> = read.into_iter().collect();
        Ok(match (packages, rules.is_empty()) {
            (true, _) => NetworkPolicy::Packages(rules),
            (false, true) => NetworkPolicy::Off,
            (false, false) => NetworkPolicy::Rules(rules),
        })
    }

    fn credential(
        &self,
        path: &str,
        words: CredentialWords,
    ) -> Result<CredentialSpec, RecipeError> {
        let rule = match words.rule.parse() {
            Ok(rule) => rule,
            Err(error) => return self.wrong(&format!("{path}.rule"), format!(": {error}")),
        };
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let plain = !words.header.is_empty()
            && words.header.len() <= 100
            && words.header.bytes().all(token);
        let at_header = format!("{path}.header");
        if !plain {
            return self.wrong(&at_header, "is no name of a header");
        }
        let reserved = [
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "upgrade",
            "te",
            "trailer",
            "keep-alive",
            "expect",
        ];
        if reserved.contains(&words.header.to_ascii_lowercase().as_str()) {
            return self.wrong(&at_header, "belongs to the connection and cannot be set");
        }
        let at_value = format!("{path}.value");
        let names = secrets_in(&words.value);
        if names.is_empty() {
            let why = "names no secret: write `${NAME}` where the stored value goes, so that it does \
                       not stand in this file";
            return self.wrong(&at_value, why);
        }
        for name in names {
            if let Err(error) = self.variable(&at_value, name) {
                return Err(RecipeError { what: format!("{}: `{name}`", error.what), ..error });
            }
        }
        let CredentialWords { header, value, agent, .. } = words;
        Ok(CredentialSpec { rule, header, value, agent })
    }

    fn services(
        &self,
        services: Vec<ServiceWords>,
        environment: &mut Environment,
    ) -> Result<(), RecipeError> {
        for (index, words) in services.into_iter().enumerate() {
            let path = format!("services[{index}]");
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let at_name = format!("{path}.name");
            if words.name.is_empty() || words.name.len() > 40 || !words.name.bytes().all(plain) {
                return self.wrong(&at_name, "must have 1 to 40 of `a-z`, `0-9` and `-`");
            }
            if environment.services.iter().any(|other| other.name == words.name) {
                return self.wrong(&at_name, "is the name of another service");
            }
            if words.command.trim().is_empty() {
                return self.wrong(&format!("{path}.command"), "is empty");
            }
            self.is_text(&format!("{path}.command"), Some(&words.command))?;
            self.is_text(&format!("{path}.ready"), words.ready.as_deref())?;
            let ready_within_s = words.ready_within_s.unwrap_or(60);
            if !(1..=3_600).contains(&ready_within_s) {
                return self.wrong(&format!("{path}.ready_within_s"), "must lie in 1 to 3600");
            }
            let ServiceWords { name, command, ready, .. } = words;
            environment.services.push(ServiceSpec { name, command, ready, ready_within_s });
        }
        Ok(())
    }

    fn check(&self, path: &str, words: CheckWords) -> Result<CheckSpec, RecipeError> {
        if words.command.trim().is_empty() {
            return self.wrong(&format!("{path}.command"), "is empty");
        }
        self.is_text(&format!("{path}.command"), Some(&words.command))?;
        Ok(CheckSpec {
            name: words.name.unwrap_or_else(|| words.command.clone()),
            command: words.command,
            clean: words.clean,
            timeout_s: words.timeout_s,
        })
    }

    fn limits(&self, words: &LimitsWords, defaults: Limits) -> Result<Limits, RecipeError> {
        let mut limits = defaults;
        let within = |name: &str, value: Option<u64>, floor: u64, ceiling: u64| match value {
            Some(value) if !(floor..=ceiling).contains(&value) => {
                self.wrong(&format!("limits.{name}"), format!("must lie in {floor} to {ceiling}"))
            }
            value => Ok(value),
        };
        if let Some(mib) = within("memory_mib", words.memory_mib, 64, MOST_MIB)? {
            limits.memory_bytes = mib << 20;
        }
        if let Some(cpus) = words.cpus {
            if !(0.1..=1024.0).contains(&cpus) {
                return self.wrong("limits.cpus", "must lie in 0.1 to 1024");
            }
            limits.cpu_millis = u32::try_from(thousandths(cpus)).unwrap_or(u32::MAX);
        }
        let processes = words.processes.map(u64::from);
        if let Some(processes) = within("processes", processes, 16, 4_194_304)? {
            limits.processes = u32::try_from(processes).unwrap_or(u32::MAX);
        }
        if let Some(mib) = within("disk_mib", words.disk_mib, 64, MOST_MIB)? {
            limits.disk_bytes = mib << 20;
        }
        if let Some(mib) = within("tmp_mib", words.tmp_mib, 1, MOST_MIB)? {
            limits.tmp_bytes = mib << 20;
        }
        if let Some(files) = within("files", words.files, 1_000, 1 << 40)? {
            limits.inodes = files;
        }
        if let Some(minutes) = within("minutes", words.minutes, 1, 525_600)? {
            limits.wall_clock_s = minutes * 60;
        }
        if let Some(minutes) = within("idle_minutes", words.idle_minutes, 1, 525_600)? {
            limits.idle_s = minutes * 60;
        }
        if let Some(mib) = within("network_mib", words.network_mib, 1, MOST_MIB)? {
            limits.network_bytes = Some(mib << 20);
        }
        Ok(limits)
    }

    fn snapshot(
        &self,
        words: SnapshotWords,
        defaults: SnapshotSpec,
    ) -> Result<SnapshotSpec, RecipeError> {
        let mut snapshot = defaults;
        if let Some(files) = words.lock_files {
            self.most("snapshot.lock_files", files.len())?;
            for (index, file) in files.iter().enumerate() {
                let inside = !file.is_empty()
                    && file.len() <= 1_024
                    && !file.starts_with('/')
                    && file.split('/').all(|part| part != "..");
                let path = format!("snapshot.lock_files[{index}]");
                if !inside {
                    return self.wrong(&path, "must be a path or glob inside the repository");
                }
                // What cannot be read would match nothing, and setup never run again.
                if let Err(error) = crate::detect::lock_files(&[], std::slice::from_ref(file)) {
                    return self.wrong(&path, format!("is no glob: {}", error.kind()));
                }
            }
            snapshot.lock_files = files;
        }
        if let Some(hours) = words.lifetime_hours {
            if !(0.0..=8_760.0).contains(&hours) {
                return self.wrong("snapshot.lifetime_hours", "must lie in 0 to 8760");
            }
            snapshot.lifetime_s = thousandths(hours) * 36 / 10;
        }
        if let Some(minutes) = words.timeout_minutes {
            if !(1..=1_440).contains(&minutes) {
                return self.wrong("snapshot.timeout_minutes", "must lie in 1 to 1440");
            }
            snapshot.timeout_s = minutes * 60;
        }
        Ok(snapshot)
    }

    fn budget(&self, words: &BudgetWords) -> Result<Option<Budget>, RecipeError> {
        let cost = match words.dollars {
            Some(dollars) if !(0.001..=1_000_000.0).contains(&dollars) => {
                return self.wrong("budget.dollars", "must lie in 0.001 to 1000000");
            }
            dollars => dollars.map(|dollars| MicroDollars(thousandths(dollars) * 1_000)),
        };
        let (tokens, model_calls) = (words.tokens, words.model_calls);
        if tokens == Some(0) || model_calls == Some(0) {
            return self.wrong("budget", "of nothing would stop every task before it begins");
        }
        let any = cost.is_some() || tokens.is_some() || model_calls.is_some();
        Ok(any.then_some(Budget { cost, tokens, model_calls, wall_ms: None }))
    }
}

/// Thousandths of a number whose range was checked.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers check that it is positive and far below the bound"
)]
fn thousandths(number: f64) -> u64 {
    (number * 1000.0).round() as u64
}

/// Variables by which git, bash and the loader do something else than they are asked.
fn steers_the_system(name: &str) -> bool {
    name.starts_with("GIT_")
        || name.starts_with("LD_")
        || ["BASH_ENV", "ENV", "IFS"].contains(&name)
}

/// Variables that say where and who one is inside, and those of Quire.
fn belongs_to_the_sandbox(name: &str) -> bool {
    name.starts_with("QUIRE_") || ["HOME", "SHELL", "TMPDIR", "USER", "LOGNAME"].contains(&name)
}

/// Whether people can call an environment that.
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=60).contains(&name.len()) && name.chars().all(plain)
}

/// Whether a variable can be called that; else why not, to be read after its name.
pub fn check_variable(name: &str) -> Result<(), &'static str> {
    let valid = !name.is_empty()
        && name.len() <= 128
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return Err("is no name of a variable: letters, digits and `_`");
    }
    if steers_the_system(name) {
        return Err(
            "would steer git and bash beneath Quire's own questions; set it in the commands \
                    that need it",
        );
    }
    Ok(())
}

/// Whether a variable of this name and value can be one of all commands; else why not, to be read
/// after its name.
pub fn check_for_all_commands(name: &str, value: &str) -> Result<(), &'static str> {
    check_variable(name)?;
    if belongs_to_the_sandbox(name) {
        return Err("is what the sandbox itself says; set it in the commands that need it");
    }
    if value.contains('\0') {
        return Err("has a value with a NUL, which no program can be given");
    }
    if name == "PATH" { check_search_path(value) } else { Ok(()) }
}

fn check_search_path(value: &str) -> Result<(), &'static str> {
    let mut places = value.split(':');
    if !places.clone().all(|place| place.starts_with('/')) {
        return Err("must name absolute directories, with `:` between; no variable is read in it");
    }
    if !places.any(|place| ["/usr/bin", "/bin"].contains(&place.trim_end_matches('/'))) {
        return Err("replaces the sandbox's own, and must name `/usr/bin` or `/bin`");
    }
    Ok(())
}

/// The names between `${` and `}`.
pub fn secrets_in(value: &str) -> Vec<&str> {
    value
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
        .collect()
}
