//! What a script left running: it is ended with its sandbox, which a person should know who meant to
//! start a service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quire_domain::sandbox::{Command, CommandEvent, CommandIo, Sandbox, SandboxError};

use super::build::What;

/// Prints the name of each process but itself and the first, whose helpers have its name. It
/// starts none.
const SCRIPT: &str = "cd /proc && read -r own < 1/comm; for p in [0-9]*; do \
     case $p in 1|$$) ;; *) read -r name < $p/comm && [ \"$name\" != \"$own\" ] \
     && printf '%s\\n' \"$name\" ;; esac; done 2>/dev/null";

/// How long it may take: it is only a note.
const TIME: Duration = Duration::from_secs(2);

/// What is read of the names, in bytes.
const OUTPUT: usize = 16 << 10;

/// Names that are shown.
const NAMED: usize = 6;

/// A line about the processes that live after the script has ended, if any do. Where they cannot be
/// listed nothing is said.
pub(super) async fn note(sandbox: &dyn Sandbox, what: What) -> Option<String> {
    let text = match tokio::time::timeout(TIME, names(sandbox)).await.ok()? {
        Ok(text) => text,
        // There was no room for one more to look.
        Err(error) => {
            let key = error.limit_key()?;
            let what = what.as_str();
            return Some(format!("after {what} {error}; raise `{key}` if something is missing"));
        }
    };
    let names: BTreeSet<String> = text.lines().map(plain).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return None;
    }
    let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    let more = if names.len() > NAMED { ", …" } else { "" };
    Some(format!(
        "what {} left running was ended: {}{more}; what has to run beside the agent belongs in \
         `[[services]]`",
        what.as_str(),
        shown.join(", ")
    ))
}

async fn names(sandbox: &dyn Sandbox) -> Result<String, SandboxError> {
    let command = Command {
        argv: ["bash", "-c", SCRIPT].map(str::to_owned).to_vec(),
        env: BTreeMap::new(),
        workdir: Some("/".into()),
        io: CommandIo::Output,
    };
    let mut output = sandbox.start(command).await?.output;
    let mut said = Vec::new();
    loop {
        match output.next().await? {
            CommandEvent::Output(bytes) | CommandEvent::Error(bytes) => {
                let room = OUTPUT.saturating_sub(said.len());
                said.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            CommandEvent::Exited(_) => return Ok(String::from_utf8_lossy(&said).into_owned()),
        }
    }
}

/// A process chooses its own name.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(16).collect()
}
