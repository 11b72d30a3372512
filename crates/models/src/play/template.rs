//! Fills in what a script cannot know: ids and line numbers of what the tools printed.

use regex_lite::Regex;
use serde_json::Value;

/// Says what is wrong with the placeholders of `text`, if anything.
pub(super) fn check(text: &str) -> Result<(), String> {
    pieces(text).try_for_each(|piece| match piece {
        Piece::Text(_) => Ok(()),
        Piece::Placeholder(inside) => Placeholder::parse(inside).map(|_| ()),
    })
}

/// The same for all texts of a JSON value.
pub(super) fn check_value(value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) => check(text),
        Value::Array(values) => values.iter().try_for_each(check_value),
        Value::Object(fields) => fields.values().try_for_each(check_value),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Fills the placeholders of `text` from the texts of the tool results so far. What cannot be
/// found becomes `000000` or line 0, which no citation check lets pass.
pub(super) fn fill(text: &str, results: &[String]) -> String {
    if !text.contains("{{") {
        return text.to_owned();
    }
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Placeholder(inside) => match Placeholder::parse(inside) {
                Ok(placeholder) => filled.push_str(&placeholder.value(results)),
                // Checked when the script was read.
                Err(problem) => filled.push_str(&problem),
            },
        }
    }
    filled
}

/// The same for all texts of a JSON value.
pub(super) fn fill_value(value: &Value, results: &[String]) -> Value {
    match value {
        Value::String(text) => Value::String(fill(text, results)),
        Value::Array(values) => values.iter().map(|v| fill_value(v, results)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), fill_value(value, results))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

enum Piece<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

/// Splits at `{{chunk …}}` and `{{line …}}`; other braces are text.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let start = ["{{chunk ", "{{line "].iter().filter_map(|mark| rest.find(mark)).min();
        let (piece, length) = match start {
            Some(0) => match rest.find("}}") {
                Some(end) => (Piece::Placeholder(&rest[2..end]), end + 2),
                None => (Piece::Text(rest), rest.len()),
            },
            Some(start) => (Piece::Text(&rest[..start]), start),
            None => (Piece::Text(rest), rest.len()),
        };
        rest = &rest[length..];
        Some(piece)
    })
}

enum Placeholder {
    Chunk { result: usize },
    Line { result: usize, pattern: Regex },
}

impl Placeholder {
    fn parse(inside: &str) -> Result<Self, String> {
        let bad = |problem: &str| format!("`{{{{{inside}}}}}`: {problem}");
        let (word, rest) = inside.split_once(' ').unwrap_or((inside, ""));
        let (number, pattern) = match rest.trim().split_once(' ') {
            Some((number, pattern)) => (number, Some(pattern.trim())),
            None => (rest.trim(), None),
        };
        let result = number
            .parse::<usize>()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| bad("a result is named by its number, from 1"))?;
        match (word, pattern) {
            ("chunk", None) => Ok(Self::Chunk { result }),
            ("line", Some(pattern)) => {
                let pattern = pattern
                    .strip_prefix('/')
                    .and_then(|pattern| pattern.strip_suffix('/'))
                    .ok_or_else(|| bad("a pattern stands between slashes"))?;
                let pattern = Regex::new(pattern).map_err(|error| bad(&error.to_string()))?;
                Ok(Self::Line { result, pattern })
            }
            _ => Err(bad("known are `chunk N` and `line N /pattern/`")),
        }
    }

    fn value(&self, results: &[String]) -> String {
        match self {
            Self::Chunk { result } => results
                .get(result - 1)
                .and_then(|text| chunk_id(text))
                .unwrap_or("000000")
                .to_owned(),
            Self::Line { result, pattern } => {
                let text = results.get(result - 1).map_or("", String::as_str);
                line_number(text, pattern).unwrap_or(0).to_string()
            }
        }
    }
}

/// The id in a first line like `[3f9a2c] exit 1 · 2.4 s · 3,330 lines`.
fn chunk_id(result: &str) -> Option<&str> {
    let id = result.strip_prefix('[')?.split_once(']')?.0;
    (id.len() == 6 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}

/// The chunk's number of the first shown line that matches. Lines are counted after the header;
/// a line like `… lines 41–3,254 omitted …` stands for those it names.
fn line_number(result: &str, pattern: &Regex) -> Option<u64> {
    let lines = result.lines().skip(usize::from(chunk_id(result).is_some()));
    let mut number = 0;
    for line in lines {
        if let Some(last) = last_omitted(line) {
            number = last;
            continue;
        }
        number += 1;
        if pattern.is_match(line) {
            return Some(number);
        }
    }
    None
}

fn last_omitted(line: &str) -> Option<u64> {
    let range = line.trim().strip_prefix("… lines ")?.strip_suffix(" omitted …")?;
    let (_, last) = range.split_once(['–', '-'])?;
    last.replace([',', '\u{202f}'], "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Vec<String> {
        let shown = "[3f9a2c] exit 1 · 2.4 s · 3,330 lines\nstart\nmiddle\n\
                     … lines 3–3,328 omitted …\nFAILED test_login\n1 failed";
        vec![shown.to_owned(), "[00ff11] exit 0 · 0.1 s · 1 line\nok".to_owned()]
    }

    #[test]
    fn chunks_and_lines_are_found_in_what_the_tools_printed() {
        let cases = [
            ("plain {{ braces }} stay", "plain {{ braces }} stay"),
            ("【{{chunk 1}}†L{{line 1 /FAILED/}}】", "【3f9a2c†L3329】"),
            ("{{chunk 2}}:{{line 2 /^ok$/}}", "00ff11:1"),
            ("{{line 1 /mid+le/}}", "2"),
            ("{{chunk 3}} {{line 1 /never/}}", "000000 0"),
        ];
        for (text, expected) in cases {
            assert_eq!(fill(text, &results()), expected, "{text}");
        }
        let value = serde_json::json!({ "a": ["{{chunk 2}}", 1], "b": { "c": "x" } });
        let expected = serde_json::json!({ "a": ["00ff11", 1], "b": { "c": "x" } });
        assert_eq!(fill_value(&value, &results()), expected);
    }

    #[test]
    fn a_placeholder_that_cannot_be_filled_is_refused_when_the_script_is_read() {
        for bad in
            ["{{chunk 0}}", "{{chunk x}}", "{{line 1}}", "{{line 1 pattern}}", "{{line 1 /(/}}"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(check("{{file src/a.rs /x/}} and {{ any }}"), Ok(()));
    }
}
