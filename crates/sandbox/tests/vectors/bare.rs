//! The trials without a sandbox: what is refused inside is allowed here, or the rows prove
//! nothing. Only what changes nothing on the host, or stands apart from it.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::again::{place, say};
use crate::row::{Bare, How, judge};
use crate::rows;
use crate::stand::{Ran, Stand};

/// Tries the rows that can be.
pub async fn try_all() {
    let stand = Stand::new().await;
    let root = rustix::process::geteuid().is_root();
    let mut bit = 0;
    let mut blunt = BTreeMap::new();
    for row in rows::all() {
        let How::Trial(arguments) = &row.how else { continue };
        let mut trial = Command::new(place().join("bin/quire-trial"));
        match row.bare {
            Bare::Never => continue,
            Bare::AsRoot if !root => continue,
            Bare::Apart => {
                trial.arg("--apart");
            }
            Bare::Harmless | Bare::AsRoot => {}
        }
        let begun = Instant::now();
        let done =
            trial.args(arguments.iter().map(|argument| stand.fill_in(argument))).output().unwrap();
        let ran = Ran {
            output: String::from_utf8_lossy(&done.stdout).into_owned(),
            end: Ok(quire_domain::sandbox::ExitStatus::Code(done.status.code().unwrap_or(-1))),
            took: begun.elapsed(),
        };
        assert!(ran.took < Duration::from_secs(5), "{} hangs on the bare host", row.name);
        if judge(&row.expected, &ran).is_some() && done.status.success() {
            bit += 1;
        } else {
            blunt.insert(row.name, ran.output.trim().to_owned());
        }
    }
    say(&format!("  bare: {bit} rows bite, {} do not: {blunt:?}", blunt.len()));
    // A filter around the tests, as containers have, refuses some of these as well.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    if root && status.contains("Seccomp:\t0") {
        assert!(blunt.is_empty() && bit >= 40, "these prove nothing here: {blunt:#?}");
    } else {
        assert!(bit >= 8, "only {bit} trials bite; these do not: {blunt:#?}");
    }
}
