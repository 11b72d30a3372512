//! A script that says itself, when it fails, which of its lines did: bash names none for a program
//! that only ended with an error.

use super::build::What;

/// Notes the line that fails, and shows it at the end; on one line, so that those of the script keep
/// their numbers. What the script sets as traps of its own takes their place.
const WATCH: &str = concat!(
    r#"trap 'QUIRE_AT=$LINENO' ERR; "#,
    r#"trap 'QUIRE_CODE=$?; if [ "$QUIRE_CODE" != 0 ]; then "#,
    r#"case $BASH_COMMAND in trap*) QUIRE_AT=;; "#,
    r#"exit*) QUIRE_AT=" $BASH_COMMAND";; "#,
    r#"*) if [ -n "${QUIRE_AT-}" ]; then "#,
    r#"mapfile -t QUIRE_LINES <<< "${BASH_EXECUTION_STRING:LENGTH}"; "#,
    r#"QUIRE_LINE=${QUIRE_LINES[QUIRE_AT-1]}; "#,
    r#"QUIRE_AT=" line $QUIRE_AT: ${QUIRE_LINE#"${QUIRE_LINE%%[![:space:]]*}"}"; "#,
    r#"else QUIRE_AT=" ${BASH_COMMAND%%[[:cntrl:]]*}"; fi;; esac; "#,
    r#"if [ -n "$QUIRE_AT" ]; then "#,
    r#"echo "quire: WHAT ended with $QUIRE_CODE at${QUIRE_AT:0:240}" >&2; fi; fi' EXIT; "#,
);

/// The script with that before it.
pub(super) fn watched(what: What, script: &str) -> String {
    let watch = WATCH.replace("WHAT", what.as_str());
    // As long as the word that it stands for.
    let length = format!("{:<6}", watch.len());
    format!("{}{script}", watch.replace("LENGTH", &length))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The code, what it prints, and what is said of its end.
    fn run(script: &str) -> (Option<i32>, String, Option<String>) {
        let script = watched(What::Setup, script);
        let ran = Command::new("bash").args(["-Eeuo", "pipefail", "-c", &script]).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        let said = said.lines().rfind(|line| line.starts_with("quire: ")).map(str::to_owned);
        (ran.status.code(), String::from_utf8(ran.stdout).unwrap(), said)
    }

    #[test]
    fn a_script_that_fails_says_where_and_keeps_its_code() {
        for (script, code, at) in [
            ("true\ncat /no/such\necho after", 1, "line 2: cat /no/such"),
            ("f() {\n  grep -q x /dev/null\n}\ntrue\nf", 1, "line 2: grep -q x /dev/null"),
            ("true\ntrue | false | true # why", 1, "line 2: true | false | true # why"),
            ("\n(exit 5)", 5, "line 2: (exit 5)"),
            ("x=$(exit 4)", 4, "line 1: x=$(exit 4)"),
            ("nosuchprogram --flag 'a\nb'", 127, "line 1: nosuchprogram --flag 'a"),
            ("set +e\nfalse\nexit 3", 3, "exit 3"),
            ("echo \"$NOT_SET\"", 1, "echo \"$NOT_SET\""),
        ] {
            let said = format!("quire: setup ended with {code} at {at}");
            assert_eq!(run(script), (Some(code), String::new(), Some(said)), "{script}");
        }
    }

    #[test]
    fn a_script_that_ends_well_or_cannot_be_read_has_nothing_said_of_it() {
        for (script, code, out) in [
            ("if false; then :; fi\nfalse || true\necho fine", 0, "fine\n"),
            ("echo fine\n[ -f /no/such ] && echo there\ntrue", 0, "fine\n"),
            ("echo 'not ended", 2, ""),
            ("trap 'echo mine' EXIT\nfalse", 1, "mine\n"),
        ] {
            assert_eq!(run(script), (Some(code), out.to_owned(), None), "{script}");
        }
    }
}
