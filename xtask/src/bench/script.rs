//! What the played model says: calls that do next to nothing, one edit, an end.
//!
//! Which step comes next is read off the request alone (how many tool results it holds), so any
//! number of conversations can run at once and the server keeps no state of them.

use serde_json::{Value, json};

/// Runs whose name begins so have a first command that prints a gigabyte.
pub const LOUD: &str = "loud-";

const PRINT_A_GIGABYTE: &str = "yes 'a line of a gigabyte' | head -c 1000000000";

/// The words of the last reply.
pub const FINAL: &str = "Done: ran the scripted steps, wrote bench_out.txt and committed it.";

/// The one edit, committed, as an agent must leave a clean tree. The same for everyone.
const EDIT: &str = "printf 'hello from the played model\\n' > bench_out.txt && git add bench_out.txt \
    && git -c user.name=bench -c user.email=bench@example.org commit -qm 'bench: write a file'";

/// What mini-swe-agent waits for at its end.
const MINI_END: &str = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT";

/// Tools of agents that run a command, most specific first.
const SHELLS: &[&str] =
    &["exec_command", "shell_command", "shell", "bash", "run_command", "execute_bash"];

/// What the model says next.
#[derive(Debug, PartialEq)]
pub enum Say {
    /// Words, and the turn ends.
    Words(String),
    /// A call of a tool with these arguments.
    Call {
        /// The tool.
        tool: String,
        /// Its arguments.
        arguments: Value,
    },
}

/// A tool on offer: its name and the schema of its arguments.
pub struct Tool {
    /// Its name.
    pub name: String,
    /// JSON Schema.
    pub schema: Value,
}

/// The next words in the conversation of `run`, of `calls` model calls, after `results` tool
/// results.
pub fn next(run: &str, calls: usize, results: usize, tools: &[Tool], body: &str) -> Say {
    let mini = body.contains(MINI_END);
    let last = results + 1 >= calls;
    let command = if last && mini {
        format!("echo {MINI_END}")
    } else if last {
        return Say::Words(FINAL.to_owned());
    } else if results == 0 && run.starts_with(LOUD) {
        PRINT_A_GIGABYTE.to_owned()
    } else {
        command(calls, results)
    };
    match shell_call(tools, &command) {
        Some(call) => call,
        None if mini => Say::Words(format!("Next.\n\n```mswea_bash_command\n{command}\n```\n")),
        // A side call, such as one for a title.
        None => Say::Words("Scripted".to_owned()),
    }
}

/// The commands of a run of `calls` model calls, in order.
pub fn commands(calls: usize) -> impl Iterator<Item = String> {
    (0..calls.saturating_sub(1)).map(move |step| command(calls, step))
}

fn command(calls: usize, step: usize) -> String {
    // Each differs from the one before: agents stop a model that repeats itself.
    if step + 2 == calls { EDIT.to_owned() } else { format!("true step-{step}") }
}

fn shell_call(tools: &[Tool], command: &str) -> Option<Say> {
    let tool = SHELLS.iter().find_map(|name| tools.iter().find(|tool| tool.name == *name))?;
    let properties = &tool.schema["properties"];
    let key = ["command", "cmd"].into_iter().find(|key| !properties[key].is_null())?;
    let mut arguments = serde_json::Map::new();
    let value = match properties[key]["type"].as_str() {
        Some("array") => json!(["bash", "-c", command]),
        _ => json!(command),
    };
    arguments.insert(key.to_owned(), value);
    let required = tool.schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if !arguments.contains_key(name) {
            arguments.insert(name.to_owned(), filler(&properties[name]));
        }
    }
    Some(Say::Call { tool: tool.name.clone(), arguments: Value::Object(arguments) })
}

/// Something of the right type for an argument that does not matter.
fn filler(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("boolean") => json!(false),
        Some("integer" | "number") => json!(10_000),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("scripted step"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Vec<Tool> {
        let schema = json!({
            "properties": {"command": {"type": "string"}, "description": {"type": "string"}},
            "required": ["command", "description"],
        });
        vec![Tool { name: "bash".into(), schema }]
    }

    #[test]
    fn a_run_of_five_calls_is_three_cheap_ones_an_edit_and_an_end() {
        let says: Vec<Say> = (0..5).map(|results| next("run", 5, results, &shell(), "")).collect();
        let command = |say: &Say| match say {
            Say::Call { arguments, .. } => arguments["command"].as_str().unwrap().to_owned(),
            Say::Words(words) => words.clone(),
        };
        assert_eq!(command(&says[0]), "true step-0");
        assert_eq!(command(&says[2]), "true step-2");
        assert_eq!(command(&says[3]), EDIT);
        assert_eq!(says[4], Say::Words(FINAL.into()));
        assert_eq!(commands(5).count(), 4);
        let loud = next("loud-1", 5, 0, &shell(), "");
        assert_eq!(command(&loud), PRINT_A_GIGABYTE);
    }

    #[test]
    fn arguments_that_a_tool_requires_are_filled_in() {
        let Say::Call { arguments, .. } = next("run", 5, 0, &shell(), "") else {
            panic!("no call")
        };
        assert_eq!(arguments["description"], "scripted step");
    }
}
