//! `.quire/environment.toml`: the recipe a repository carries.

use std::collections::BTreeMap;

use quire_domain::environment::{
    BaseSpec, CheckSpec, Environment, Limits, SetupSpec, SnapshotSpec,
    default_instruction_fallbacks,
};
use quire_domain::network::NetworkSpec;
use serde::Deserialize;

/// Where the recipe lies in a repository.
pub const RECIPE_PATH: &str = ".quire/environment.toml";

/// A recipe is at most this long, in bytes.
pub const MOST_BYTES: usize = 256 << 10;

/// A recipe that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// Not the TOML that is expected. The message names line and column.
    #[error("{RECIPE_PATH}: {0}")]
    Malformed(String),
    /// Something that can be written but not meant.
    #[error("{RECIPE_PATH}: {0}")]
    Invalid(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    name: Option<String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    checks: Vec<RecipeCheck>,
    #[serde(default)]
    limits: RecipeLimits,
    #[serde(default)]
    instructions: RecipeInstructions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecipeCheck {
    name: Option<String>,
    command: String,
    #[serde(default)]
    clean: bool,
    timeout_s: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RecipeLimits {
    memory_mib: Option<u64>,
    cpus: Option<f64>,
    processes: Option<u32>,
    disk_mib: Option<u64>,
    tmp_mib: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RecipeInstructions {
    fallbacks: Option<Vec<String>>,
}

/// The environment of a repository without a recipe.
pub fn default_environment(bare: bool, limits: Limits) -> Environment {
    Environment {
        name: "default".to_owned(),
        version: 1,
        base: BaseSpec::Host { bare },
        setup: SetupSpec::Auto,
        maintenance: None,
        snapshot: SnapshotSpec::default(),
        variables: BTreeMap::new(),
        secrets: Vec::new(),
        network: NetworkSpec::default(),
        credentials: Vec::new(),
        services: Vec::new(),
        checks: Vec::new(),
        limits,
        model: None,
        budget: None,
        instruction_fallbacks: default_instruction_fallbacks(),
    }
}

/// Reads a recipe; what it does not say is as in `defaults`.
pub fn parse(text: &str, defaults: Environment) -> Result<Environment, RecipeError> {
    if text.len() > MOST_BYTES {
        return Err(RecipeError::Invalid(format!("is longer than {MOST_BYTES} bytes")));
    }
    let recipe: Recipe =
        toml::from_str(text).map_err(|error| RecipeError::Malformed(error.to_string()))?;
    let mut environment = defaults;
    if let Some(name) = recipe.name {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 60 || !name.chars().all(plain) {
            let rule = "1 to 60 letters, digits, `-`, `_` and `.`";
            return Err(RecipeError::Invalid(format!("`name` must have {rule}")));
        }
        environment.name = name;
    }
    for name in recipe.variables.keys() {
        let valid = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            return Err(RecipeError::Invalid(format!("`{name}` is no name of a variable")));
        }
        if steers_the_system(name) {
            return Err(RecipeError::Invalid(format!(
                "the variable `{name}` would steer git and bash beneath Quire's own questions; set \
                 it in the commands that need it"
            )));
        }
    }
    environment.variables.extend(recipe.variables);
    for check in recipe.checks {
        if check.command.trim().is_empty() {
            return Err(RecipeError::Invalid("a check has an empty `command`".to_owned()));
        }
        environment.checks.push(CheckSpec {
            name: check.name.unwrap_or_else(|| check.command.clone()),
            command: check.command,
            clean: check.clean,
            timeout_s: check.timeout_s,
        });
    }
    environment.limits = recipe.limits.over(environment.limits)?;
    if let Some(fallbacks) = recipe.instructions.fallbacks {
        environment.instruction_fallbacks = fallbacks;
    }
    Ok(environment)
}

/// Variables by which git, bash and the loader do something else than they are asked.
fn steers_the_system(name: &str) -> bool {
    name.starts_with("GIT_")
        || name.starts_with("LD_")
        || ["BASH_ENV", "ENV", "IFS"].contains(&name)
}

impl RecipeLimits {
    fn over(self, defaults: Limits) -> Result<Limits, RecipeError> {
        let mut limits = defaults;
        if let Some(mib) = self.memory_mib {
            limits.memory_bytes = at_least(mib, 64, "memory_mib")? << 20;
        }
        if let Some(cpus) = self.cpus {
            if !(0.1..=1024.0).contains(&cpus) {
                return Err(RecipeError::Invalid("`cpus` must lie in 0.1 to 1024".to_owned()));
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range was checked above"
            )]
            {
                limits.cpu_millis = (cpus * 1000.0).round() as u32;
            }
        }
        if let Some(processes) = self.processes {
            limits.processes = processes.max(16);
        }
        if let Some(mib) = self.disk_mib {
            limits.disk_bytes = at_least(mib, 64, "disk_mib")? << 20;
        }
        if let Some(mib) = self.tmp_mib {
            limits.tmp_bytes = at_least(mib, 1, "tmp_mib")? << 20;
        }
        Ok(limits)
    }
}

fn at_least(value: u64, floor: u64, name: &str) -> Result<u64, RecipeError> {
    if (floor..=1 << 30).contains(&value) {
        Ok(value)
    } else {
        Err(RecipeError::Invalid(format!("`{name}` must be at least {floor}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Environment, RecipeError> {
        parse(text, default_environment(false, Limits::default()))
    }

    #[test]
    fn a_recipe_names_checks_variables_and_limits() {
        let environment = read(
            r#"
            name = "web"
            [variables]
            CI = "1"
            [[checks]]
            command = "npm test"
            [[checks]]
            name = "lint"
            command = "npm run lint"
            clean = true
            [limits]
            memory_mib = 512
            cpus = 1.5
            "#,
        )
        .unwrap();
        assert_eq!(environment.name, "web");
        assert_eq!(environment.checks[0].name, "npm test");
        assert!(environment.checks[1].clean);
        assert_eq!(environment.limits.memory_bytes, 512 << 20);
        assert_eq!(environment.limits.cpu_millis, 1500);
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let error = read("name = \"web\"\nchekcs = []\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("chekcs"), "{error}");
        assert!(read("[[checks]]\ncommand = ' '").is_err());
        assert!(read("[variables]\n\"A=B\" = '1'").is_err());
        assert!(read("[variables]\nGIT_DIR = '/x'").is_err());
    }
}
