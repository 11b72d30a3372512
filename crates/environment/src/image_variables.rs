//! The variables that an image sets, as far as commands inside are given them.

use std::collections::BTreeMap;

use crate::recipe::check_variable;

/// What says where and who one is inside: the sandbox's to say.
const OF_THE_SANDBOX: [&str; 6] = ["HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TERM"];

/// Ways out: the sandbox has its own, or none.
const PROXIES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/// Where the libraries of an image are is for the image to say; other variables of the loader are
/// not.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// Without them no command is found: added where an image leaves them out.
const NEEDED: [&str; 2] = ["/usr/bin", "/bin"];

/// Values and names together are at most this long, in bytes: what a process can be started with
/// has a limit too.
const MOST_BYTES: usize = 64 << 10;

/// What commands are given of the variables of an image, and the names of those that are left out.
pub fn of_image(variables: &BTreeMap<String, String>) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut taken, mut left) = (BTreeMap::new(), Vec::new());
    let mut room = MOST_BYTES;
    for (name, value) in variables {
        let size = name.len() + value.len();
        if !is_for_commands(name) || value.contains('\0') || size > room {
            left.push(name.chars().filter(|c| !c.is_control()).take(60).collect());
            continue;
        }
        room -= size;
        let value = if name == "PATH" { search_path(value) } else { value.clone() };
        taken.insert(name.clone(), value);
    }
    (taken, left)
}

fn is_for_commands(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    (check_variable(name).is_ok() || name == LIBRARIES)
        && !OF_THE_SANDBOX.contains(&name)
        && !name.starts_with("QUIRE_")
        && !PROXIES.contains(&upper.as_str())
}

/// Absolute directories only: others would depend on where a command stands.
fn search_path(value: &str) -> String {
    let mut entries: Vec<&str> = value.split(':').filter(|entry| entry.starts_with('/')).collect();
    for needed in NEEDED {
        if !entries.contains(&needed) {
            entries.push(needed);
        }
    }
    entries.join(":")
}

#[cfg(test)]
mod tests {
    use super::of_image;

    #[test]
    fn what_an_image_sets_is_taken_but_for_what_the_sandbox_says_itself() {
        let variables = [
            ("PATH", "/opt/tool/bin:.:bin:/usr/bin"),
            ("JAVA_HOME", "/opt/java"),
            ("LD_LIBRARY_PATH", "/opt/lib"),
            ("LD_PRELOAD", "/opt/x.so"),
            ("HOME", "/root"),
            ("GIT_SSH_COMMAND", "x"),
            ("https_proxy", "http://proxy.example"),
            ("QUIRE_ENV", "/x"),
            ("a b", "c"),
            ("LONG", &"x".repeat(70_000)),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (taken, left) = of_image(&variables.into());
        let taken: Vec<String> =
            taken.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            taken,
            ["JAVA_HOME=/opt/java", "LD_LIBRARY_PATH=/opt/lib", "PATH=/opt/tool/bin:/usr/bin:/bin"]
        );
        assert_eq!(
            left,
            ["GIT_SSH_COMMAND", "HOME", "LD_PRELOAD", "LONG", "QUIRE_ENV", "a b", "https_proxy"]
        );
    }
}
