//! The host's side of the list: what it reads, waits for and is left with, whatever runs inside.

mod ends;
mod links;
mod neighbours;
mod reads;
mod restart;

use crate::again::say;
use crate::stand::Stand;

/// What is wrong, if something is.
type Seen = Result<(), String>;

/// All rows of the host's side that concern sandboxes; in the server's mode, that server.
pub async fn try_all() {
    if restart::is_server() {
        return restart::serve().await;
    }
    let mut seen: Vec<(&str, Seen)> = vec![("H19 killed server", restart::server_killed().await)];
    let stand = Stand::new().await;
    seen.push(("H9 swapped for a link", reads::swapped_for_a_link(&stand).await));
    seen.push(("H10 odd files", reads::odd_files(&stand).await));
    seen.push(("H12 endless output", reads::endless_output(&stand).await));
    seen.push(("H13 raw bytes", reads::raw_bytes(&stand).await));
    seen.push(("H14 daemons", ends::daemons(&stand).await));
    seen.push(("H15 hungry neighbour", neighbours::hungry(&stand).await));
    seen.push(("H16 stubborn commands", ends::stubborn(&stand).await));
    seen.push(("H21 links for the next", links::left_for_the_next(&stand).await));
    seen.push(("H17 what others wrote", neighbours::what_others_wrote(&stand).await));
    let failed: Vec<_> = seen
        .iter()
        .filter_map(|(row, seen)| Some(format!("{row}: {}", seen.as_ref().err()?)))
        .collect();
    say(&format!("  host: {} rows held, {} failed", seen.len() - failed.len(), failed.len()));
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

/// An error with what is wrong, unless it holds.
fn holds(held: bool, what: impl FnOnce() -> String) -> Seen {
    if held { Ok(()) } else { Err(what()) }
}

/// Processes of the host with this word among their arguments.
fn processes_with(word: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    all.filter(|entry| {
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|one| one == word.as_bytes())
    })
    .count()
}
