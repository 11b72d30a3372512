//! What runs inside a sandbox: the places agreed on, and the arguments of git there.
//!
//! Inside, the task may have changed every setting. The questions are therefore asked with
//! settings of our own on the command line, and the answers are parsed as anything else untrusted.

use quire_domain::ids::CommitId;

/// Where the mirror's objects are shown inside, read-only.
pub const OBJECTS_INSIDE: &str = "/.quire/objects";

/// Where the objects of the capture that a task began with are shown inside, read-only.
pub const CAPTURE_INSIDE: &str = "/.quire/capture";

/// Settings that keep git inside from starting what the task configured, where that would change
/// the answer or hang.
const SETTINGS: [&str; 9] = [
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.untrackedCache=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "log.showSignature=false",
    "commit.gpgSign=false",
    "submodule.recurse=false",
];

fn git<const N: usize>(args: [&str; N]) -> Vec<String> {
    let mut argv = vec!["git".to_owned(), "--no-optional-locks".to_owned()];
    for setting in SETTINGS {
        argv.push("-c".to_owned());
        argv.push(setting.to_owned());
    }
    argv.extend(args.map(str::to_owned));
    argv
}

/// Prints the commit that HEAD names: 40 or 64 hex digits and a newline.
pub fn head_argv() -> Vec<String> {
    git(["rev-parse", "--verify", "--quiet", "--end-of-options", "HEAD^{commit}"])
}

/// Prints the branch that is checked out, e.g. `main`; ends with 1 if detached.
pub fn branch_argv() -> Vec<String> {
    git(["symbolic-ref", "--quiet", "--short", "HEAD"])
}

/// Ends with 0 if `ancestor` is one of `commit` (or the same), with 1 if not.
pub fn is_ancestor_argv(ancestor: &CommitId, commit: &CommitId) -> Vec<String> {
    git(["merge-base", "--is-ancestor", ancestor.as_str(), commit.as_str()])
}

/// Prints what [`crate::parse_status`] reads.
pub fn status_argv() -> Vec<String> {
    git([
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        "--ignored=no",
        "--ignore-submodules=dirty",
    ])
}

/// As [`status_argv`], each directory of untracked files as one entry: what a large untracked
/// tree costs is then bounded.
pub fn brief_status_argv() -> Vec<String> {
    git([
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "--no-renames",
        "--untracked-files=normal",
        "--ignored=no",
        "--ignore-submodules=dirty",
    ])
}

/// Stages everything that is not ignored, as the system does with what an attempt left.
pub fn add_all_argv() -> Vec<String> {
    git(["add", "--all", "."])
}

/// Commits what is staged, without running hooks.
pub fn commit_argv(message: &str) -> Vec<String> {
    let mut argv =
        git(["commit", "--quiet", "--no-verify", "--no-gpg-sign", "--allow-empty-message"]);
    argv.push(format!("--message={message}"));
    argv
}

/// Writes the objects that `head` reaches and `base` does not to standard output, as a thin pack
/// for [`crate::Git::receive`]. Both names are full object names, so nothing of the task's is
/// part of the script.
pub fn export_argv(base: &CommitId, head: &CommitId) -> Vec<String> {
    let script = "printf '%s\\n^%s\\n' \"$1\" \"$2\" | git -c core.fsmonitor=false \
        -c core.hooksPath=/dev/null -c pack.compression=1 -c pack.threads=1 \
        -c uploadpack.packObjectsHook= pack-objects --revs --thin --stdout --delta-base-offset -q";
    ["sh", "-c", script, "sh", head.as_str(), base.as_str()].map(str::to_owned).to_vec()
}
