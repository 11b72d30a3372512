//! H21: links that a command leaves where the next making of its sandbox works.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use quire_domain::sandbox::SandboxUser;

use super::{Seen, holds};
use crate::again::CANARY;
use crate::stand::{Stand, run, sh};

/// Places of the sandbox's own that are looked at, made or filled when it is made.
const PLACES: [&str; 8] = [
    "/var/lib/quire-tmp",
    "/var/lib/quire-journal",
    "/var/lib",
    "/var/tmp",
    "/var/log",
    "/var/cache",
    "/home/quire/deep",
    "/workspace/tree/deep",
];

/// Each place becomes a link to a directory of the host; then the sandbox is folded, and made anew.
pub async fn left_for_the_next(stand: &Stand) -> Seen {
    // Not below `/tmp`, which is covered while a sandbox is made.
    let holder = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(holder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let shut = holder.path().join("shut");
    std::fs::create_dir(&shut).unwrap();
    std::fs::write(shut.join("key"), CANARY).unwrap();
    let mut wrong = Vec::new();
    for (index, place) in PLACES.iter().enumerate() {
        // Open to all, so that only what was shown counts and not who may; then shut.
        for mode in [0o755, 0o700] {
            for again in [false, true] {
                std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(mode)).unwrap();
                let name = format!("h21-{index}-{mode:o}-{again}");
                let seen = made_anew(stand, &name, (place, &shut), again).await;
                let how = if again { "made anew" } else { "folded" };
                let mut say = |what: &str| wrong.push(format!("{place} ({mode:o}, {how}): {what}"));
                if seen.contains(CANARY) {
                    say("the host's file is seen");
                }
                let found = std::fs::metadata(&shut).unwrap().permissions().mode() & 0o7777;
                if found != mode {
                    say(&format!("the host's directory became {found:o}"));
                }
                std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o700)).unwrap();
                for entry in std::fs::read_dir(&shut).unwrap().filter_map(Result::ok) {
                    if entry.file_name() != "key" {
                        say(&format!("{} was made on the host", entry.path().display()));
                        let _ = std::fs::remove_dir_all(entry.path());
                    }
                }
            }
        }
    }
    holds(wrong.is_empty(), || wrong.join("; "))
}

/// What is seen inside afterwards.
async fn made_anew(
    stand: &Stand,
    name: &str,
    (place, target): (&str, &Path),
    again: bool,
) -> String {
    let mut spec = stand.spec(name, SandboxUser::Agent);
    spec.home = if place.starts_with("/home") { place.into() } else { spec.home };
    spec.workdir = if place.starts_with("/workspace") { place.into() } else { spec.workdir };
    let link = format!("cd /; rm -rf {place}; ln -s {} {place}", target.display());
    let look = "cat /tmp/key /tmp/*/key /var/*/key ~/key key 2>/dev/null; ls -R /tmp /var";
    let mut first = spec.clone();
    first.home = "/home/quire".into();
    first.workdir = "/workspace/tree".into();
    let sandbox = stand.create(first).await;
    run(&sandbox, sh(&link)).await;
    if !again {
        let _ = sandbox.fold().await;
        let seen = run(&sandbox, sh(look)).await.output;
        let _ = sandbox.end().await;
        return seen;
    }
    let _ = sandbox.end().await;
    // It may be refused: then nothing is seen.
    let Ok(sandbox) = quire_domain::sandbox::SandboxBackend::create(&stand.backend, spec).await
    else {
        return String::new();
    };
    let seen = run(&sandbox, sh(look)).await.output;
    let _ = sandbox.end().await;
    seen
}
