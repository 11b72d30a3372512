//! A file of tasks: one JSON object per line, read whole and checked before anything starts.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use quire_domain::budget::Budget;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use crate::commands::go::parse_budget;

/// A file is at most this long, in bytes.
pub const MOST_BYTES: usize = 64 << 20;

/// A file has at most so many tasks.
pub const MOST_TASKS: usize = 10_000;

/// A prompt is at most this long, in bytes.
pub const MOST_PROMPT: usize = 1 << 20;

/// An id of a person's own is at most this long, in characters.
const MOST_ID: usize = 100;

/// What a line may say, in the order in which people are told.
const KEYS: [&str; 13] = [
    "prompt",
    "id",
    "repo",
    "ref",
    "env",
    "model",
    "attempts",
    "check",
    "skip_checks",
    "budget",
    "images",
    "bare",
    "allow_rewrite",
];

/// One task of a file. What is `None` was not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskLine {
    /// Its line, counted from 1.
    pub line: usize,
    /// What is to be done.
    pub prompt: String,
    /// The person's own name for it; no other line has the same.
    pub id: Option<String>,
    /// The repository: a path or an address.
    pub repo: Option<String>,
    /// The branch, tag or commit to start from.
    pub from: Option<String>,
    /// The environment, by its name.
    pub env: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Attempts, 1 to 4.
    pub attempts: Option<u8>,
    /// Declared checks.
    pub checks: Option<Vec<String>>,
    /// Whether declared checks are left out.
    pub skip_checks: Option<bool>,
    /// What it may cost.
    pub budget: Option<Budget>,
    /// Pictures that belong to the prompt.
    pub images: Option<Vec<PathBuf>>,
    /// Whether nothing of this machine is shown but its system directories.
    pub bare: Option<bool>,
    /// Whether commits from before the task may be rewritten.
    pub allow_rewrite: Option<bool>,
}

/// A line that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Which, counted from 1.
    pub line: usize,
    /// Why, and what would be right.
    pub why: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// Reads the tasks of a file, in its order. Blank lines are skipped, as is a byte order mark.
///
/// # Errors
///
/// Every line that cannot be used; of a file beyond the bounds the first line beyond them.
pub fn parse(bytes: &[u8]) -> Result<Vec<TaskLine>, Vec<BadLine>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut tasks = Vec::new();
    let mut bad = Vec::new();
    let mut ids: HashMap<String, usize> = HashMap::new();
    for (index, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = index + 1;
        let read = match std::str::from_utf8(text).map(str::trim) {
            Ok("") => continue,
            Ok(text) => read_line(line, text),
            Err(_) => Err("is not UTF-8".to_owned()),
        };
        if tasks.len() + bad.len() == MOST_TASKS {
            let why = format!("more than {MOST_TASKS} tasks: split the file");
            bad.push(BadLine { line, why });
            break;
        }
        match read {
            Ok(task) => {
                let first = task.id.clone().and_then(|id| ids.insert(id, line));
                if let (Some(first), Some(id)) = (first, &task.id) {
                    let why = format!("the id `{id}` is that of line {first} already");
                    bad.push(BadLine { line, why });
                }
                tasks.push(task);
            }
            Err(why) => bad.push(BadLine { line, why }),
        }
    }
    if bad.is_empty() { Ok(tasks) } else { Err(bad) }
}

fn read_line(line: usize, text: &str) -> Result<TaskLine, String> {
    let members = members(text)?;
    let mut task = TaskLine { line, ..TaskLine::default() };
    let mut said: Vec<&str> = Vec::new();
    for (key, value) in &members {
        let Some(known) = KEYS.iter().find(|known| *known == key) else {
            return Err(unknown(key));
        };
        if said.contains(known) {
            return Err(format!("`{key}` is there twice"));
        }
        said.push(known);
        // As programs write what they do not say.
        if !value.is_null() {
            take(&mut task, known, value)?;
        }
    }
    if task.prompt.is_empty() {
        return Err("has no `prompt`: say what is to be done".to_owned());
    }
    Ok(task)
}

fn take(task: &mut TaskLine, key: &str, value: &Value) -> Result<(), String> {
    match key {
        "prompt" => task.prompt = prompt(value)?,
        "id" => task.id = Some(id(value)?),
        "repo" => task.repo = Some(text(key, value)?),
        "ref" => task.from = Some(text(key, value)?),
        "env" => task.env = Some(text(key, value)?),
        "model" => task.model = Some(text(key, value)?),
        "attempts" => task.attempts = Some(attempts(value)?),
        "check" => task.checks = Some(texts(key, value)?),
        "skip_checks" => task.skip_checks = Some(truth(key, value)?),
        "budget" => task.budget = Some(budget(value)?),
        "images" => {
            task.images = Some(texts(key, value)?.into_iter().map(PathBuf::from).collect());
        }
        "bare" => task.bare = Some(truth(key, value)?),
        _ => task.allow_rewrite = Some(truth(key, value)?),
    }
    Ok(())
}

/// The members of an object in their order, also those that are there twice.
fn members(text: &str) -> Result<Vec<(String, Value)>, String> {
    if text.starts_with('[') {
        return Err("is a list: write one object per line (`jq -c '.[]'` does it)".to_owned());
    }
    if !text.starts_with('{') {
        return Err("is no JSON object, as in {\"prompt\": \"…\"}".to_owned());
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize_map(Members).and_then(|members| {
        reader.end()?;
        Ok(members)
    });
    read.map_err(|error| {
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        if error.is_eof() {
            format!("ends within its object ({said}): an object must stand on one line")
        } else {
            format!("is not JSON: {said}, at character {}", error.column())
        }
    })
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
            if members.len() > 1_000 {
                return Err(A::Error::custom("more than 1000 members"));
            }
        }
        Ok(members)
    }
}

/// What to say of a key that is not known: the nearest that is, else all.
fn unknown(key: &str) -> String {
    let shown: String = key.chars().take(40).filter(|c| !c.is_control()).collect();
    let plain = key.to_lowercase().replace('-', "_");
    let nearest = KEYS
        .iter()
        .map(|known| (strsim::jaro(known, &plain), known))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, known)) => format!("unknown key `{shown}`; did you mean `{known}`?"),
        None => format!("unknown key `{shown}`; known are {}", KEYS.join(", ")),
    }
}

fn text(key: &str, value: &Value) -> Result<String, String> {
    match value.as_str() {
        Some(text) if text.contains('\0') => Err(format!("`{key}` holds a zero character")),
        Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        Some(_) => Err(format!("`{key}` is empty")),
        None => Err(format!("`{key}` is {}, not a text", kind(value))),
    }
}

/// A list of texts; one alone may stand for itself.
fn texts(key: &str, value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::String(_) => Ok(vec![text(key, value)?]),
        Value::Array(all) => all.iter().map(|one| text(key, one)).collect(),
        other => Err(format!("`{key}` is {}, not a list of texts", kind(other))),
    }
}

fn truth(key: &str, value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("`{key}` is {}, not true or false", kind(value)))
}

fn prompt(value: &Value) -> Result<String, String> {
    let text = text("prompt", value)?;
    if text.len() > MOST_PROMPT {
        return Err("`prompt` is longer than 1 MiB: name files of the repository instead".into());
    }
    Ok(text)
}

fn id(value: &Value) -> Result<String, String> {
    let id = match value {
        Value::Number(number) => number.to_string(),
        other => text("id", other)?,
    };
    if id.chars().count() > MOST_ID || id.chars().any(char::is_control) {
        return Err(format!("`id` is one line of at most {MOST_ID} characters"));
    }
    Ok(id)
}

fn attempts(value: &Value) -> Result<u8, String> {
    let number = value.as_u64().and_then(|number| u8::try_from(number).ok());
    number
        .filter(|number| (1..=4).contains(number))
        .ok_or_else(|| format!("`attempts` is a number from 1 to 4, not {}", brief(value)))
}

fn budget(value: &Value) -> Result<Budget, String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        other => text("budget", other)?,
    };
    parse_budget(&text, "`budget`").map_err(|error| error.to_string())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn brief(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        other => kind(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whys(text: &str) -> Vec<String> {
        parse(text.as_bytes()).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_line_says_as_much_as_it_likes_and_blank_ones_are_skipped() {
        let text = "\u{feff}{\"prompt\": \"a\"}\r\n\n  \n{\"prompt\":\"b\",\"id\":7,\"repo\":\"../x\",\
             \"ref\":\"main\",\"env\":\"web\",\"model\":\"m/n\",\"attempts\":2,\"check\":[\"true\",\"ls\"],\
             \"budget\":2.5,\"skip_checks\":false,\"bare\":true,\"images\":\"a.png\",\
             \"allow_rewrite\":null}";
        let tasks = parse(text.as_bytes()).unwrap();
        let plain = TaskLine { line: 1, prompt: "a".into(), ..TaskLine::default() };
        assert_eq!(tasks[0], plain);
        let full = TaskLine {
            line: 4,
            prompt: "b".into(),
            id: Some("7".into()),
            repo: Some("../x".into()),
            from: Some("main".into()),
            env: Some("web".into()),
            model: Some("m/n".into()),
            attempts: Some(2),
            checks: Some(vec!["true".into(), "ls".into()]),
            skip_checks: Some(false),
            budget: parse_budget("2.50", "").ok(),
            images: Some(vec!["a.png".into()]),
            bare: Some(true),
            allow_rewrite: None,
        };
        assert_eq!(tasks[1..], [full]);
    }

    #[test]
    fn every_bad_line_is_told_with_its_number() {
        let text = "{\"promt\":\"a\"}\n{\"prompt\":\"fine\"}\n{\"prompt\":\"\"}\n{\"prompt\":\"a\",\"zzz\":1}\n";
        assert_eq!(
            whys(text),
            [
                "line 1: unknown key `promt`; did you mean `prompt`?".to_owned(),
                "line 3: `prompt` is empty".to_owned(),
                format!("line 4: unknown key `zzz`; known are {}", KEYS.join(", ")),
            ]
        );
    }

    #[test]
    fn what_is_near_a_key_is_told_as_that_key() {
        for (key, known) in [
            ("checks", "check"),
            ("image-file", "images"),
            ("skip-checks", "skip_checks"),
            ("Prompt", "prompt"),
            ("repository", "repo"),
            ("attempt", "attempts"),
            ("environment", "env"),
        ] {
            let said = whys(&format!("{{\"prompt\":\"a\",\"{key}\":1}}"));
            assert!(said[0].ends_with(&format!("did you mean `{known}`?")), "{said:?}");
        }
    }

    #[test]
    fn bad_values_say_what_would_be_right() {
        for (member, why) in [
            ("\"attempts\":5", "`attempts` is a number from 1 to 4, not 5"),
            ("\"attempts\":\"2\"", "`attempts` is a number from 1 to 4, not a text"),
            ("\"check\":[1]", "`check` is a number, not a text"),
            ("\"check\":{}", "`check` is an object, not a list of texts"),
            ("\"bare\":\"yes\"", "`bare` is a text, not true or false"),
            ("\"repo\":\" \"", "`repo` is empty"),
            ("\"id\":\"a\\nb\"", "`id` is one line of at most 100 characters"),
            ("\"prompt\":\"b\"", "`prompt` is there twice"),
        ] {
            let said = whys(&format!("{{\"prompt\":\"a\",{member}}}"));
            assert_eq!(said, [format!("line 1: {why}")]);
        }
        let said = whys("{\"prompt\":\"a\",\"budget\":\"lots\"}");
        assert!(said[0].contains("`lots` is no budget"), "{said:?}");
        let twice = "{\"prompt\":\"a\",\"id\":\"x\"}\n{\"prompt\":\"b\",\"id\":\"x\"}";
        assert_eq!(whys(twice), ["line 2: the id `x` is that of line 1 already"]);
    }

    #[test]
    fn what_is_no_object_on_a_line_is_told_apart() {
        for (text, part) in [
            ("[{\"prompt\":\"a\"}]", "jq -c"),
            ("fix the test", "is no JSON object"),
            ("{", "on one line"),
            ("{\"prompt\": oops}", "is not JSON"),
            ("{\"prompt\":\"a\"} {\"prompt\":\"b\"}", "is not JSON"),
            ("{\"prompt\":\"a\" \"id\":1}", "at character 15"),
        ] {
            assert!(whys(text)[0].contains(part), "{text}: {:?}", whys(text));
        }
        let latin = parse(b"{\"prompt\":\"a\"}\n{\"prompt\":\"\xe9\"}").unwrap_err();
        assert_eq!(latin[0].to_string(), "line 2: is not UTF-8");
        let deep =
            format!("{{\"prompt\":\"a\",\"check\":{}1{}}}", "[".repeat(500), "]".repeat(500));
        assert!(whys(&deep)[0].contains("recursion"), "{:?}", whys(&deep));
    }

    #[test]
    fn a_file_has_its_bound() {
        let text = "{\"prompt\":\"a\"}\n".repeat(MOST_TASKS + 5);
        assert_eq!(whys(&text), ["line 10001: more than 10000 tasks: split the file"]);
        assert_eq!(parse(b"\n\n").unwrap(), []);
    }
}
