//! What an environment is where no recipe says otherwise, from the settings.

use std::collections::BTreeMap;

use quire_environment::recipe::default_environment;
use quire_orchestrator::resolution::Defaults;

use crate::commands::go::parse_budget;
use crate::installation::limits_of;
use crate::settings::{Setting, Settings};

/// What the settings say, over what the program says.
pub fn defaults_of(settings: &Settings) -> anyhow::Result<Defaults> {
    let mut environment = default_environment(false, limits_of(settings));
    let mut origins = BTreeMap::new();
    let mut note = |key: &str, origin: &str| {
        if origin != Setting::<()>::DEFAULT {
            origins.insert(key.to_owned(), origin.to_owned());
        }
    };
    note("limits.minutes", &settings.minutes.origin);
    note("limits.memory_mib", &settings.memory_mib.origin);
    if let Some(setting) = &settings.model {
        environment.model = Some(setting.value.clone());
        note("model", &setting.origin);
    }
    if let Some(setting) = &settings.budget {
        environment.budget = Some(parse_budget(&setting.value, &setting.origin)?);
        note("budget", &setting.origin);
    }
    Ok(Defaults { environment, origins })
}
