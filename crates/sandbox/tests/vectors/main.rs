//! Every vector of the list, tried: from inside, in each kind of sandbox and as each kind of user
//! of the host; on the bare host, to see that the trials bite; and then what the host is left with.
//!
//! `docs/design/sandbox-vectors.md` is the list. What a host cannot give is skipped with the
//! reason, and counted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod again;
mod bare;
mod host;
mod row;
mod rows;
mod stand;

use again::Who;
use quire_domain::sandbox::SandboxUser;
use stand::Stand;

/// Tries every row in all kinds of sandbox.
async fn try_all_rows() {
    let mut stand = Stand::new().await;
    let mut failed = Vec::new();
    for (kind, user) in [("agent", SandboxUser::Agent), ("setup", SandboxUser::SetupRoot)] {
        failed.extend(row::try_all(&stand, kind, user, &rows::all()).await);
    }
    stand.set_up().await;
    failed.extend(row::try_all(&stand, "over-setup", SandboxUser::Agent, &rows::all()).await);
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn no_row_gets_out_of_a_sandbox_that_root_made() {
    again::run("no_row_gets_out_of_a_sandbox_that_root_made", Who::Root, try_all_rows);
}

#[test]
fn no_row_gets_out_of_a_sandbox_that_an_ordinary_user_made() {
    let name = "no_row_gets_out_of_a_sandbox_that_an_ordinary_user_made";
    again::run(name, Who::Ordinary, try_all_rows);
}

#[test]
fn the_same_trials_bite_on_the_bare_host() {
    again::run("the_same_trials_bite_on_the_bare_host", Who::Either, bare::try_all);
}

#[test]
fn the_host_of_root_holds_against_what_runs_in_its_sandboxes() {
    let name = "the_host_of_root_holds_against_what_runs_in_its_sandboxes";
    again::run(name, Who::Root, host::try_all);
}

#[test]
fn the_host_of_an_ordinary_user_holds_against_what_runs_in_its_sandboxes() {
    let name = "the_host_of_an_ordinary_user_holds_against_what_runs_in_its_sandboxes";
    again::run(name, Who::Ordinary, host::try_all);
}

#[test]
fn every_row_is_in_the_list_that_people_read() {
    let list = include_str!("../../../../docs/design/sandbox-vectors.md");
    let missing: Vec<_> = rows::all()
        .iter()
        .flat_map(|row| row.name.split(", "))
        .filter(|name| !list.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
