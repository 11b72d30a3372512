//! The trials without a sandbox: what is refused inside is allowed here, or the rows prove
//! nothing. Only what changes nothing on the host, or stands apart from it.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use quire_domain::sandbox::ExitStatus;

use crate::again::{self, place, say};
use crate::row::{Bare, judge};
use crate::rows;
use crate::stand::{Ran, Stand};

/// Tries the rows that can be.
pub async fn try_all() {
    let stand = Stand::new().await;
    let root = again::is_root();
    let path = format!("/usr/local/bin:/usr/bin:/bin:{}", place().join("bin").display());
    let mut bit = 0;
    let mut blunt = BTreeMap::new();
    for row in rows::all() {
        if row.bare == Bare::Never || (row.bare == Bare::AsRoot && !root) {
            continue;
        }
        let mut words = row.command(&stand).argv;
        if row.bare == Bare::Apart {
            words.insert(1, "--apart".to_owned());
        }
        let begun = Instant::now();
        let done = Command::new(&words[0]).args(&words[1..]).env("PATH", &path).output().unwrap();
        let ran = Ran {
            output: String::from_utf8_lossy(&done.stdout).into_owned(),
            end: Ok(ExitStatus::Code(done.status.code().unwrap_or(-1))),
            took: begun.elapsed(),
        };
        assert!(ran.took < Duration::from_secs(5), "{} hangs on the bare host", row.name);
        let tried = !ran.output.starts_with("cannot stand apart");
        if tried && judge(&row.expected, &ran).is_some() {
            bit += 1;
        } else {
            blunt.insert(row.name, ran.output.trim().to_owned());
        }
    }
    say(&format!("  bare: {bit} rows bite, {} do not: {blunt:?}", blunt.len()));
    // A filter around the tests, as containers have, refuses some of these as well.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    if root && status.contains("Seccomp:\t0") {
        assert!(blunt.is_empty() && bit >= 80, "these prove nothing here: {blunt:#?}");
    } else {
        assert!(bit >= 20, "only {bit} trials bite; these do not: {blunt:#?}");
    }
}
