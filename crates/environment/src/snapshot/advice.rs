//! What a person can do about a setup that failed, where that can be told from how it failed.

use super::build::SetupError;

impl SetupError {
    /// A sentence, if there is one that says more than "read its log".
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Failed { met, exit, .. } => match met.first() {
                Some(met) => Some(raise(met.key())),
                None => of_exit(exit.code()).map(str::to_owned),
            },
            Self::TimedOut { met, .. } => match met.first() {
                Some(met) => Some(raise(met.key())),
                None => Some(raise("snapshot.timeout_minutes")),
            },
            Self::Sandbox { source, .. } => source.limit_key().map(raise),
            Self::Waited(_) => {
                Some("see what it does with `quire task list`, or cancel it".to_owned())
            }
            _ => None,
        }
    }
}

fn raise(key: &str) -> String {
    format!(
        "raise `{key}` of the environment, or have its script do less (`quire env show --origin` \
         says where it is written)"
    )
}

/// By the codes that bash gives.
fn of_exit(code: i32) -> Option<&'static str> {
    Some(match code {
        126 => "a program cannot be run: it is not executable, or made for another machine",
        127 => {
            "a command was not found: have the script install it, or name an `image` that has it"
        }
        137 => "a process of it was killed from outside or by itself: nothing of ours did",
        // `pipefail` takes it as a failure.
        141 => {
            "a command of a pipe was ended because the next one stopped reading: `set +o pipefail` \
             lets that pass"
        }
        _ => return None,
    })
}
