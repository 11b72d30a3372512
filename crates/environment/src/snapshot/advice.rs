//! What a person can do about a setup that failed, where that can be told from how it failed.

use super::build::SetupError;

impl SetupError {
    /// A sentence, if there is one that says more than "read its log".
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Failed { met, exit, tail, .. } => match met.first() {
                Some(met) => Some(raise(met.key())),
                None if refuses_root(tail) => Some(AS_AGENT.to_owned()),
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

/// For `initdb` and its like.
const AS_AGENT: &str = "setup is root inside, the agent and services are not: run what refuses \
    root as the agent's user, `setpriv --reuid quire --regid quire --clear-groups CMD`, in a \
    directory made by `install -d -o quire DIR`, and give that back with `chown -R root: DIR` \
    (docs/environments.md has Postgres as an example), or start it as a service";

/// Whether the last lines are those of a program that is not to be run by root.
fn refuses_root(tail: &[String]) -> bool {
    tail.iter().any(|line| {
        let line = line.to_ascii_lowercase();
        ["run as root", "running as root", "run as the root user", "root is not allowed"]
            .iter()
            .any(|words| line.contains(words))
            && !["must", "need", "are you root"].iter().any(|words| line.contains(words))
    })
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

#[cfg(test)]
mod tests {
    use super::refuses_root;

    #[test]
    fn a_program_that_refuses_root_is_told_from_one_that_asks_for_it() {
        let refuses = |line: &str| refuses_root(&["added 20 packages".to_owned(), line.to_owned()]);
        for line in [
            "initdb: error: cannot be run as root",
            "Running as root without --no-sandbox is not supported.",
            "don't run elasticsearch as root. cannot be run as root",
        ] {
            assert!(refuses(line), "{line}");
        }
        for line in ["this script must be run as root", "needs to be run as root", "rooted tree"] {
            assert!(!refuses(line), "{line}");
        }
    }
}
