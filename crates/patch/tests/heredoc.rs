//! Patches written as shell commands.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use quire_patch::Patch;
use quire_patch::heredoc::{HeredocPatch, find};

const PATCH: &str =
    "*** Begin Patch\n*** Update File: f\n@@\n-a\n+\"$b\" `c` \\d it's\n*** End Patch";

fn expect(command: &str, workdir: Option<&str>, rest: Option<&str>) {
    let found = find(command).unwrap_or_else(|| panic!("not found: {command}"));
    let HeredocPatch { patch, workdir: dir, rest: then } = found;
    assert_eq!(Patch::parse(&patch).as_ref(), Ok(&Patch::parse(PATCH).unwrap()), "{command}");
    assert_eq!(dir.as_deref(), workdir, "{command}");
    assert_eq!(then.as_deref(), rest, "{command}");
}

#[test]
fn every_way_to_feed_apply_patch_is_seen() {
    for command in [
        format!("apply_patch <<'EOF'\n{PATCH}\nEOF"),
        format!("apply_patch <<'EOF'\n{PATCH}\nEOF\n"),
        format!("apply_patch << \"PATCH\"\n{PATCH}\nPATCH"),
        format!("applypatch <<EOF\n{PATCH}\n  EOF"),
        format!("apply_patch <<'EOF'\n{PATCH}"),
        format!("cat <<'EOF' | apply_patch\n{PATCH}\nEOF"),
        format!("cat << EOF |apply_patch\n{PATCH}\nEOF\n"),
        format!("apply_patch '{}'", PATCH.replace('\'', "'\\''")),
        format!("apply_patch \"{}\"", quote(PATCH)),
        format!("echo \"{}\" | apply_patch", quote(PATCH)),
        format!("printf '%s\\n' \"{}\" | apply_patch", quote(PATCH)),
        format!(
            "apply_patch $'{}'",
            PATCH.replace('\\', "\\\\").replace('\n', "\\n").replace('\'', "\\'")
        ),
        serde_json::to_string(&["apply_patch", PATCH]).unwrap(),
        serde_json::to_string(&["bash", "-lc", &format!("apply_patch <<'E'\n{PATCH}\nE\n")])
            .unwrap(),
        PATCH.to_owned(),
    ] {
        expect(&command, None, None);
    }
    let plain = PATCH.replace('"', "").replace(['$', '`', '\\'], "");
    let substituted = format!("apply_patch \"$(cat <<'EOF'\n{plain}\nEOF\n)\"");
    let found = find(&substituted).unwrap();
    assert_eq!(Patch::parse(&found.patch), Patch::parse(&plain));
}

fn quote(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`")
}

#[test]
fn a_directory_before_it_and_commands_behind_it_are_handed_on() {
    let heredoc = |line: &str| format!("apply_patch <<'EOF'{line}\n{PATCH}\nEOF");
    expect(&format!("cd web && {}", heredoc("")), Some("web"), None);
    expect(&format!("cd 'a b' ; {}", heredoc("")), Some("a b"), None);
    expect(&format!("cd /w/app\n{}", heredoc("")), Some("/w/app"), None);
    expect(&heredoc(" && git diff"), None, Some("git diff"));
    expect(&format!("{}\npytest -q\n", heredoc("")), None, Some("pytest -q"));
    expect(&format!("{}\n&& pytest -q\n", heredoc("")), None, Some("pytest -q"));
    expect(&format!("{}\nmake", heredoc(" && git diff")), None, Some("git diff\nmake"));
    expect(&format!("apply_patch '{}' && ls", PATCH.replace('\'', "'\\''")), None, Some("ls"));
}

#[test]
fn other_commands_are_left_to_the_shell() {
    for command in [
        "",
        "ls",
        "apply_patch",
        "apply_patch --help",
        "apply_patch < patch.txt",
        "git apply <<'EOF'\n*** Begin Patch\n*** End Patch\nEOF",
        "grep -n '*** Begin Patch' -r .",
        "cat <<'EOF' > p.txt\n*** Begin Patch\n*** End Patch\nEOF",
        "cat <<'EOF' | tee p | apply_patch\n*** Begin Patch\n*** End Patch\nEOF",
        "apply_patch <<'EOF'\nnot a patch\nEOF",
        "apply_patch <<'EOF' | tee log\n*** Begin Patch\n*** End Patch\nEOF",
        "cd $(mktemp -d) && apply_patch <<'EOF'\n*** Begin Patch\n*** End Patch\nEOF",
        "cd ~ && apply_patch <<'EOF'\n*** Begin Patch\n*** End Patch\nEOF",
        "make && apply_patch <<'EOF'\n*** Begin Patch\n*** End Patch\nEOF",
        "[\"ls\"]",
        "[\"apply_patch\", 1]",
        "[[ -f x ]] && ls",
        "apply_patch '*** Begin Patch",
        "echo '*** Begin Patch'",
    ] {
        assert_eq!(find(command), None, "{command}");
    }
}
