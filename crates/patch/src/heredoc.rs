//! Finds a patch that a model wrote as a shell command instead of a tool call.

use crate::markers::Marker;

/// A patch found in a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeredocPatch {
    /// Its text, for [`crate::Patch::parse_at`].
    pub patch: String,
    /// The directory of a leading `cd dir &&`, as written.
    pub workdir: Option<String>,
    /// What the command goes on with after the patch; to be run by the shell, in the command's
    /// own working directory after `workdir`, once the patch was applied.
    pub rest: Option<String>,
}

/// Finds a patch in what was to be given to a shell: `apply_patch` with a heredoc or a quoted
/// word, or fed by `cat` or `echo`, the same as a JSON list of words, or the bare patch. `None`
/// where the command is anything else, also one that merely mentions a patch.
pub fn find(command: &str) -> Option<HeredocPatch> {
    let first = command.lines().find(|line| !line.trim().is_empty())?;
    if Marker::of(first) == Some(Marker::Begin) {
        let patch = command.to_owned();
        return Some(HeredocPatch { patch, workdir: None, rest: None });
    }
    unwrap(command)
}

/// As [`find`], without the bare patch.
pub(crate) fn unwrap(command: &str) -> Option<HeredocPatch> {
    let command = command.trim();
    if command.starts_with('[') {
        return from_words(command);
    }
    from_script(command)
}

/// `["apply_patch", "…"]` or `["bash", "-lc", "apply_patch <<'EOF' …"]`.
fn from_words(text: &str) -> Option<HeredocPatch> {
    let words: Vec<String> = serde_json::from_str(text).ok()?;
    match words.as_slice() {
        [name, patch] if is_apply_patch(name) => found(patch.clone(), None, String::new()),
        [shell, flag, script]
            if matches!(shell.rsplit('/').next(), Some("bash" | "sh" | "zsh"))
                && matches!(flag.as_str(), "-c" | "-lc" | "-cl") =>
        {
            from_script(script.trim())
        }
        _ => None,
    }
}

fn from_script(script: &str) -> Option<HeredocPatch> {
    let (workdir, script) = match leading_cd(script) {
        Some((dir, rest)) => (Some(dir), rest),
        None => (None, script),
    };
    let (name, after) = word_end(script);
    if is_apply_patch(name) {
        let after = after.trim_start_matches([' ', '\t']);
        if let Some(heredoc) = Heredoc::read(after) {
            return found(heredoc.body, workdir, and_then(heredoc.line, heredoc.after)?);
        }
        let (patch, rest) = quoted(after)?;
        let (line, below) = rest.split_once('\n').unwrap_or((rest, ""));
        return found(from_substitution(&patch).unwrap_or(patch), workdir, and_then(line, below)?);
    }
    let (text, rest) = match name {
        "cat" => {
            let heredoc = Heredoc::read(after.trim_start_matches([' ', '\t']))?;
            let line = heredoc.line.trim_start().strip_prefix('|')?;
            (heredoc.body, (line, heredoc.after))
        }
        "echo" | "printf" => {
            let arguments = after.trim_start_matches([' ', '\t']);
            let arguments = arguments.strip_prefix("'%s\\n' ").or(arguments.strip_prefix("'%s' "));
            let (text, rest) = quoted(arguments.unwrap_or(after.trim_start()))?;
            let rest = rest.trim_start_matches([' ', '\t']).strip_prefix('|')?;
            (text, rest.split_once('\n').unwrap_or((rest, "")))
        }
        _ => return None,
    };
    let (name, line) = word_end(rest.0.trim_start());
    if !is_apply_patch(name) {
        return None;
    }
    found(text, workdir, and_then(line, rest.1)?)
}

fn is_apply_patch(name: &str) -> bool {
    matches!(name, "apply_patch" | "applypatch" | "apply-patch")
}

/// Accepts a text only if it begins as a patch.
fn found(patch: String, workdir: Option<String>, rest: String) -> Option<HeredocPatch> {
    let rest = Some(rest).filter(|rest| !rest.is_empty());
    let first = patch.lines().find(|line| !line.trim().is_empty())?;
    let marker = Marker::of(first)?;
    (marker == Marker::Begin || marker.names_file()).then_some(HeredocPatch {
        patch,
        workdir,
        rest,
    })
}

/// The first word of a script, up to white space or an operator, and what follows.
fn word_end(script: &str) -> (&str, &str) {
    let end = script
        .find(|c: char| c.is_whitespace() || matches!(c, '<' | '|' | '&' | ';' | '\'' | '"'))
        .unwrap_or(script.len());
    script.split_at(end)
}

/// `cd dir && …`, `cd dir; …` or `cd dir` on a line of its own: the directory and what follows.
/// A directory that the shell would first have to work out is left to the shell.
fn leading_cd(script: &str) -> Option<(String, &str)> {
    let after = script.strip_prefix("cd")?;
    let after = after.strip_prefix([' ', '\t'])?.trim_start_matches([' ', '\t']);
    let (dir, rest) = if after.starts_with(['\'', '"']) {
        let (dir, rest) = quoted(after)?;
        (dir, rest)
    } else {
        let (dir, rest) = word_end(after);
        (dir.to_owned(), rest)
    };
    if dir.is_empty() || dir.starts_with(['~', '-']) || dir.contains(['$', '`', '*', '?', '\\']) {
        return None;
    }
    let rest = rest.trim_start_matches([' ', '\t']);
    let rest = rest
        .strip_prefix("&&")
        .or_else(|| rest.strip_prefix(';'))
        .or_else(|| rest.strip_prefix("\r\n"))
        .or_else(|| rest.strip_prefix('\n'))?;
    Some((dir, rest.trim_start()))
}

/// `<<'WORD' …` with its body.
struct Heredoc<'a> {
    body: String,
    /// What stands on the line of `<<` behind the word.
    line: &'a str,
    /// What follows the closing word.
    after: &'a str,
}

impl<'a> Heredoc<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix("<<")?;
        let (text, tabs) = match text.strip_prefix('-') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let text = text.trim_start_matches([' ', '\t']);
        let (word, line_on) = match text.chars().next()? {
            quote @ ('\'' | '"') => text[1..].split_once(quote)?,
            '\\' => word_end(&text[1..]),
            _ => word_end(text),
        };
        if word.is_empty() || word.starts_with(['<', '(']) {
            return None;
        }
        let (line, below) = line_on.split_once('\n')?;
        let mut body = String::with_capacity(below.len());
        let mut after = below;
        while !after.is_empty() {
            let (next, rest) = after.split_once('\n').unwrap_or((after, ""));
            after = rest;
            // Models set the closing word in; a line of a patch never is the bare word.
            if next.trim() == word {
                return Some(Self { body, line, after });
            }
            body.push_str(if tabs { next.trim_start_matches('\t') } else { next });
            body.push('\n');
        }
        // Never closed: a shell would take all of it, and warn.
        Some(Self { body, line, after })
    }
}

/// `$(cat <<'EOF' …)`, as the text of a double-quoted word.
fn from_substitution(word: &str) -> Option<String> {
    let inner = word.trim().strip_prefix("$(cat")?.strip_suffix(')')?;
    Heredoc::read(inner.trim_start_matches([' ', '\t'])).map(|heredoc| heredoc.body)
}

/// What comes after the patch, maybe nothing; `None` if it is not a plain sequel.
fn and_then(line: &str, below: &str) -> Option<String> {
    let line = line.trim();
    let sequel = match line.strip_prefix("&&").or_else(|| line.strip_prefix(';')) {
        Some(sequel) => sequel.trim(),
        None if line.is_empty() => "",
        None => return None,
    };
    let mut below = below.trim();
    // `apply_patch <<'EOF' … EOF` may be followed by `&& cmd` or `)` on a line of its own.
    if let Some(rest) = below.strip_prefix("&&").or_else(|| below.strip_prefix(';')) {
        below = rest.trim();
    }
    Some(match (sequel, below) {
        ("", only) | (only, "") => only.to_owned(),
        (sequel, below) => format!("{sequel}\n{below}"),
    })
}

/// A quoted word and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    if let Some(text) = text.strip_prefix("$'") {
        return escaped(text, '\'', |c| match c {
            'n' => Escape::Is('\n'),
            't' => Escape::Is('\t'),
            'r' => Escape::Is('\r'),
            '\\' | '\'' | '"' => Escape::Is(c),
            _ => Escape::IsNone,
        });
    }
    if let Some(text) = text.strip_prefix('"') {
        return escaped(text, '"', |c| match c {
            '\n' => Escape::Vanishes,
            '"' | '\\' | '$' | '`' => Escape::Is(c),
            _ => Escape::IsNone,
        });
    }
    let mut word = String::new();
    let mut rest = text.strip_prefix('\'')?;
    loop {
        let (part, after) = rest.split_once('\'')?;
        word.push_str(part);
        // `'\''` is a quote inside single quotes.
        let Some(after) = after.strip_prefix("\\''") else {
            return Some((word, after));
        };
        word.push('\'');
        rest = after;
    }
}

/// What a backslash and the character behind it mean.
enum Escape {
    /// This character.
    Is(char),
    /// Nothing at all.
    Vanishes,
    /// Themselves.
    IsNone,
}

/// Reads up to `quote`.
fn escaped(text: &str, quote: char, escape: impl Fn(char) -> Escape) -> Option<(String, &str)> {
    let mut word = String::with_capacity(text.len());
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((word, &text[at + c.len_utf8()..]));
        }
        if c != '\\' {
            word.push(c);
            continue;
        }
        let (_, c) = chars.next()?;
        match escape(c) {
            Escape::Is(c) => word.push(c),
            Escape::Vanishes => {}
            Escape::IsNone => word.extend(['\\', c]),
        }
    }
    None
}
