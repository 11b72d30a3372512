//! The sections `[models]` and `[policy]`: what stands in for a model, and who may ask what. Only a
//! person's or an administrator's own files may have them, never a repository's.

use std::path::PathBuf;
use std::time::Duration;

use quire_orchestrator::gateway::{Policy, PolicyCommand, Rules};
use serde::Deserialize;

use super::Setting;
use crate::exit::usage;
use crate::surroundings::Surroundings;

/// The longest that a command of the policy may take, in seconds.
const MOST_SECONDS: u64 = 300;

/// What of the sections was set.
#[derive(Debug, Clone, Default)]
pub struct Gateway {
    fallback: Option<Setting<String>>,
    fallback_after_seconds: Option<Setting<u64>>,
    policy: Option<Setting<PolicyWords>>,
}

/// The section `[models]` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelsWords {
    fallback: Option<String>,
    fallback_after_seconds: Option<u64>,
}

/// The section `[policy]` as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyWords {
    /// Refuses everything, in these words.
    refuse: Option<String>,
    /// A command that decides.
    command: Option<Vec<String>>,
    /// How long it may take.
    timeout_seconds: Option<u64>,
}

impl Gateway {
    /// Lays a file's `[models]` over what was set before.
    pub(super) fn layer_models(&mut self, words: ModelsWords, origin: &str) -> anyhow::Result<()> {
        let at = || origin.to_owned();
        if let Some(value) = words.fallback {
            self.fallback = Some(Setting { value, origin: at() });
        }
        if let Some(value) = words.fallback_after_seconds {
            if value == 0 {
                return Err(usage(format!(
                    "{origin}: `models.fallback_after_seconds` is at least 1"
                )));
            }
            self.fallback_after_seconds = Some(Setting { value, origin: at() });
        }
        Ok(())
    }

    /// Takes a file's `[policy]`. The first one stands: what an administrator wrote into the
    /// machine's own file nobody else takes back.
    pub(super) fn layer_policy(&mut self, words: PolicyWords, origin: &str) -> anyhow::Result<()> {
        let bad = |what: &str| Err(usage(format!("{origin}: {what}")));
        match (&words.refuse, &words.command) {
            (Some(_), Some(_)) | (None, None) => {
                return bad("`[policy]` has either `refuse` or `command`");
            }
            (Some(words), None) if words.trim().is_empty() => {
                return bad("`policy.refuse` is what people are told: it cannot be empty");
            }
            (None, Some(command))
                if !command.first().is_some_and(|program| program.starts_with('/')) =>
            {
                return bad("`policy.command` begins with the absolute path of a program");
            }
            _ => {}
        }
        if !(1..=MOST_SECONDS).contains(&words.timeout_seconds.unwrap_or(10)) {
            return bad(&format!("`policy.timeout_seconds` is 1 to {MOST_SECONDS}"));
        }
        if self.policy.is_none() {
            self.policy = Some(Setting { value: words, origin: origin.to_owned() });
        }
        Ok(())
    }

    /// The rules of the gateway.
    pub fn rules(&self, surroundings: &Surroundings) -> Rules {
        let policy = match self.policy.as_ref().map(|policy| &policy.value) {
            None => Policy::Allow,
            Some(PolicyWords { command: Some(command), timeout_seconds, .. }) => {
                let (program, arguments) = match command.split_first() {
                    Some((program, arguments)) => (PathBuf::from(program), arguments.to_vec()),
                    None => (PathBuf::new(), Vec::new()),
                };
                let path = surroundings.variable("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
                Policy::Ask(PolicyCommand {
                    program,
                    arguments,
                    timeout: Duration::from_secs(timeout_seconds.unwrap_or(10)),
                    path: path.into(),
                })
            }
            Some(words) => Policy::Refuse(words.refuse.clone().unwrap_or_default()),
        };
        Rules {
            policy,
            fallback: self.fallback.as_ref().map(|setting| setting.value.clone()),
            patient: false,
        }
    }

    /// The longest pause of a provider that is waited for, where another model may answer.
    pub fn longest_wait(&self) -> Option<Duration> {
        let after = self.fallback_after_seconds.as_ref().map_or(60, |setting| setting.value);
        self.fallback.as_ref().map(|_| Duration::from_secs(after))
    }

    /// Name, value and origin of what was set.
    pub(super) fn rows(&self) -> Vec<[String; 3]> {
        let mut rows = Vec::new();
        if let Some(set) = &self.fallback {
            rows.push(["models.fallback".to_owned(), set.value.clone(), set.origin.clone()]);
        }
        if let Some(set) = &self.fallback_after_seconds {
            let name = "models.fallback_after_seconds".to_owned();
            rows.push([name, set.value.to_string(), set.origin.clone()]);
        }
        if let Some(set) = &self.policy {
            let (name, value) = match &set.value.command {
                Some(command) => ("policy.command", command.join(" ")),
                None => ("policy.refuse", set.value.refuse.clone().unwrap_or_default()),
            };
            rows.push([name.to_owned(), value, set.origin.clone()]);
        }
        rows
    }
}
