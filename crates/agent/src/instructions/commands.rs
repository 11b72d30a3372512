//! Commands that instructions name in code: in fenced blocks and between backticks.
//!
//! Only what a shell would run and what looks at the work (tests, linters, type checkers,
//! formatters, builds) is meant: the gate asks for it once, so a miss costs less than a false
//! alarm.

use crate::transcript::CommandRecord;

/// Programs whose commands look at the work, and words one of which must follow; none where the
/// program alone will do.
const CHECKERS: [(&str, &[&str]); 46] = [
    ("bazel", &["test", "build"]),
    ("biome", &["check", "lint", "ci"]),
    ("black", &[]),
    ("bun", &["test", "lint", "check", "typecheck", "build"]),
    ("bundle", &["rspec", "rubocop", "rake"]),
    ("cargo", &["test", "check", "clippy", "fmt", "build", "nextest", "doc", "xtask"]),
    ("composer", &["test", "lint", "check"]),
    ("ctest", &[]),
    ("deno", &["test", "lint", "check", "fmt"]),
    ("dotnet", &["test", "build", "format"]),
    ("eslint", &[]),
    ("flake8", &[]),
    ("go", &["test", "vet", "build"]),
    ("gofmt", &[]),
    ("golangci-lint", &[]),
    ("gradle", &["test", "check", "build"]),
    ("hatch", &["test", "lint", "fmt"]),
    ("isort", &[]),
    ("jest", &[]),
    ("just", &["test", "lint", "check", "fmt", "ci", "build"]),
    ("make", &["test", "tests", "lint", "check", "fmt", "format", "ci", "build", "typecheck"]),
    ("meson", &["test"]),
    ("mix", &["test", "format", "credo", "dialyzer"]),
    ("mocha", &[]),
    ("mvn", &["test", "verify", "package"]),
    ("mypy", &[]),
    ("ninja", &["test"]),
    ("nox", &[]),
    ("npm", &["test", "t", "lint", "check", "typecheck", "build", "format"]),
    ("npx", &["eslint", "tsc", "jest", "vitest", "prettier", "playwright", "biome"]),
    ("php", &["artisan", "phpunit"]),
    ("phpunit", &[]),
    ("pnpm", &["test", "lint", "check", "typecheck", "build", "format"]),
    ("poetry", &["pytest", "mypy", "ruff", "black", "flake8", "tox"]),
    ("pre-commit", &["run"]),
    ("prettier", &[]),
    ("pyright", &[]),
    ("pytest", &[]),
    ("python", &["pytest", "unittest", "mypy", "ruff", "test"]),
    ("python3", &["pytest", "unittest", "mypy", "ruff", "test"]),
    ("rspec", &[]),
    ("ruff", &["check", "format"]),
    ("swift", &["test", "build"]),
    ("tox", &[]),
    ("uv", &["pytest", "mypy", "ruff", "pyright"]),
    ("yarn", &["test", "lint", "check", "typecheck", "build", "format"]),
];

/// Programs whose first word is enough beside those above.
const BARE: [&str; 6] = ["tsc", "vitest", "shellcheck", "rubocop", "stylelint", "clippy-driver"];
/// Words in the name of a script that looks at the work.
const SCRIPT_WORDS: [&str; 8] =
    ["test", "lint", "check", "fmt", "format", "verify", "ci", "validate"];
/// Commands that are collected at most.
const MAX_NAMED: usize = 20;

/// Adds the commands that `text` names, each once.
pub fn named(text: &str, commands: &mut Vec<String>) {
    let mut fence: Option<(&str, bool)> = None;
    for line in text.lines() {
        let start = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| start.starts_with(marker));
        match (fence, marker) {
            (Some((open, _)), Some(marker)) if marker == open => fence = None,
            (None, Some(marker)) => {
                let language = start.trim_start_matches(['`', '~']).trim();
                let language = language.split([' ', '{', ',']).next().unwrap_or_default();
                let shell =
                    ["", "sh", "bash", "zsh", "shell", "console", "shell-session", "terminal"];
                fence = Some((marker, shell.contains(&language.to_ascii_lowercase().as_str())));
            }
            (Some((_, true)), _) => add(start.trim_start_matches("$ "), commands),
            (Some((_, false)), _) => {}
            (None, None) => {
                for code in line.split('`').skip(1).step_by(2) {
                    add(code, commands);
                }
            }
        }
    }
}

/// Adds a line of code, if it is a command that looks at the work.
fn add(code: &str, commands: &mut Vec<String>) {
    let code = code.split(" #").next().unwrap_or_default();
    for part in code.split("&&").flat_map(|part| part.split([';', '|'])) {
        let words: Vec<&str> = part
            .split_whitespace()
            .skip_while(|word| is_assignment(word))
            .take_while(|word| !is_placeholder(word))
            .collect();
        if commands.len() < MAX_NAMED && looks_at_work(&words) {
            let command = words.join(" ");
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

fn is_placeholder(word: &str) -> bool {
    word.contains(['<', '>', '$', '{', '…', '*'])
        || word.contains("...")
        || word.contains("path/to")
}

fn looks_at_work(words: &[&str]) -> bool {
    let Some((program, rest)) = words.split_first() else { return false };
    let name = program.rsplit('/').next().unwrap_or(program).trim_end_matches('w');
    let name = if CHECKERS.iter().any(|(checker, _)| checker == program) { program } else { name };
    if BARE.contains(&name) {
        return true;
    }
    if let Ok(at) = CHECKERS.binary_search_by(|(checker, _)| checker.cmp(&name)) {
        let needed = CHECKERS[at].1;
        let fits = |word: &&str| {
            // `test:unit`, `lint-fix`: the first part says what it does.
            let head = word.split([':', '-']).next().unwrap_or(word);
            needed.contains(word) || needed.contains(&head)
        };
        return needed.is_empty() || rest.iter().any(fits);
    }
    let is_script = program.starts_with("./")
        || ["scripts/", "script/", "bin/", "tools/", "ci/"]
            .iter()
            .any(|dir| program.starts_with(dir))
        || (["bash", "sh"].contains(program)
            && rest.first().is_some_and(|word| word.contains('/')));
    let script = if ["bash", "sh"].contains(program) { rest.first() } else { Some(program) };
    is_script
        && script.is_some_and(|script| {
            let file = script.rsplit('/').next().unwrap_or(script).to_ascii_lowercase();
            let mut parts = file.split(|c: char| !c.is_ascii_alphanumeric());
            parts.any(|part| SCRIPT_WORDS.contains(&part) || part == "tests")
                || rest.iter().any(|word| SCRIPT_WORDS.contains(word))
        })
}

/// The named commands that none of `fresh` ran: those records that saw the last change.
pub fn not_run<'a>(
    named: Vec<String>,
    fresh: impl Iterator<Item = &'a CommandRecord> + Clone,
) -> Vec<String> {
    let ran: Vec<String> = fresh.map(|record| spaced(&record.command)).collect();
    named
        .into_iter()
        .filter(|command| {
            let wanted = spaced(command);
            !ran.iter().any(|ran| ran.contains(&wanted))
        })
        .collect()
}

/// The words with one space around each, so that a word is found as a word.
fn spaced(command: &str) -> String {
    let parted = command.replace([';', '|', '&', '(', ')', '\'', '"'], " ");
    let mut text = String::with_capacity(parted.len() + 2);
    for word in parted.split_whitespace() {
        text.push(' ');
        text.push_str(word);
    }
    text.push(' ');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut commands = Vec::new();
        named(text, &mut commands);
        commands
    }

    #[test]
    fn commands_that_look_at_the_work_are_found_in_code_and_nowhere_else() {
        let text = "\
# Testing
Run `cargo test` and `cargo clippy --all-targets -- -D warnings # strict`; see `src/lib.rs`.
Install with `npm install`, start with `npm run dev`, then npm test in words.

```bash
$ RUST_LOG=debug make lint && ./scripts/check.sh --all
cd web
npm run test:unit
pytest path/to/test.py -q
```

```python
pytest.main()
```
A file `pytest` in backticks, `./gradlew test`, `bash ci/verify.sh`, `git commit`, `cargo test`.
";
        insta::assert_snapshot!(all(text).join("\n"), @r"
        cargo test
        cargo clippy --all-targets -- -D warnings
        make lint
        ./scripts/check.sh --all
        npm run test:unit
        pytest
        ./gradlew test
        bash ci/verify.sh
        ");
    }

    #[test]
    fn the_table_is_sorted_as_it_is_searched() {
        assert!(CHECKERS.is_sorted_by_key(|(name, _)| *name));
    }

    #[test]
    fn an_unclosed_fence_or_backtick_ends_with_the_text() {
        assert_eq!(all("```\nmake test"), vec!["make test"]);
        assert_eq!(all("`make test"), vec!["make test"]);
    }

    #[test]
    fn a_command_counts_as_run_when_another_holds_its_words() {
        let ran = |text: &str, named: &str| spaced(text).contains(&spaced(named));
        assert!(ran("cd web && npm  test 2>&1 | tail", "npm test"));
        assert!(ran("(cargo test -p x)", "cargo test"));
        assert!(!ran("cargo test-all", "cargo test"));
    }
}
