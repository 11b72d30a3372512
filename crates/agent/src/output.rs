//! The form of an answer: one JSON value that fits a schema which the person gave.

use boon::{Compiler, SchemaIndex, Schemas, UrlLoader};
use serde_json::Value;

/// The longest schema, in bytes: every request carries it.
const MOST_SCHEMA_BYTES: usize = 32 * 1024;

/// How much of what does not fit the model is told, in bytes.
const MOST_WORDS: usize = 2_000;

/// A schema as it is named while it is read. No other can be named: nothing is ever fetched.
const NAME: &str = "mem:///schema.json";

/// A JSON Schema that can be used.
pub struct Form {
    schemas: Schemas,
    index: SchemaIndex,
}

/// Refuses to load anything.
struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("`{url}` is not part of the schema").into())
    }
}

impl Form {
    /// Reads a schema of the drafts 4 to 2020-12. The error is for the person.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > MOST_SCHEMA_BYTES {
            return Err(format!("it has more than {MOST_SCHEMA_BYTES} bytes"));
        }
        let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if !schema.is_object() {
            return Err("it is no JSON object".to_owned());
        }
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.use_loader(Box::new(Nothing));
        compiler.add_resource(NAME, schema).map_err(|error| error.to_string())?;
        let index = compiler.compile(NAME, &mut schemas).map_err(|error| format!("{error:#}"))?;
        Ok(Self { schemas, index })
    }

    /// The value that an answer is, as text without white space around it.
    ///
    /// # Errors
    ///
    /// Why it does not fit, for the model.
    pub fn take(&self, answer: &str) -> Result<String, String> {
        let text = without_fence(answer);
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("it is not one JSON value: {error}"))?;
        match self.schemas.validate(&value, self.index) {
            Ok(()) => Ok(text.to_owned()),
            Err(error) => {
                let words = error.to_string();
                // The first line names the schema.
                let words = words.split_once('\n').map_or(words.as_str(), |(_, rest)| rest);
                Err(words[..words.floor_char_boundary(MOST_WORDS)].trim().to_owned())
            }
        }
    }
}

/// What is inside of a fence around the whole, as models like to draw one.
fn without_fence(answer: &str) -> &str {
    let text = answer.trim();
    let inside = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    match inside.and_then(|inside| inside.split_once('\n')) {
        Some(("" | "json", body)) => body.trim(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{
        "type": "object",
        "properties": { "count": { "type": "integer" }, "names": { "type": "array" } },
        "required": ["count"],
        "additionalProperties": false
    }"#;

    #[test]
    fn an_answer_is_one_value_that_fits() {
        let form = Form::read(SCHEMA).unwrap();
        let fits = [r#"{"count": 2}"#, "```json\n{\"count\": 2}\n```", "\n {\"count\": 2} \n"];
        for answer in fits {
            assert_eq!(form.take(answer), Ok(r#"{"count": 2}"#.to_owned()), "{answer}");
        }
        for (answer, why) in [
            ("There are 2.", "not one JSON value"),
            (r#"{"count": 2} and more"#, "not one JSON value"),
            ("{}", "missing propert"),
            (r#"{"count": "2"}"#, "/count"),
            (r#"{"count": 2, "more": 1}"#, "more"),
        ] {
            let said = form.take(answer).unwrap_err();
            assert!(said.contains(why), "{answer}: {said}");
        }
    }

    #[test]
    fn a_schema_that_is_none_or_names_another_file_is_refused() {
        for bad in [
            "",
            "[]",
            "true",
            r#"{"type": "thing"}"#,
            r#"{"$ref": "file:///etc/passwd"}"#,
            r#"{"$ref": "https://example.com/schema.json"}"#,
            r#"{"pattern": "("}"#,
        ] {
            assert!(Form::read(bad).is_err(), "{bad}");
        }
    }
}
