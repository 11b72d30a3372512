//! What the model is told about its work, one text for each mode, kept as Markdown beside this
//! file. `docs/design/system-message.md` says where each rule stands and what holds it.

use std::path::Path;

use quire_domain::path::WorkspacePath;
use quire_domain::task::{Mode, Request};

/// The system's instructions for a turn: the same for all requests of an attempt.
pub fn system(request: &Request) -> String {
    let common = include_str!("prompts/common.md").replace(
        "{alone}",
        if request.may_ask() {
            include_str!("prompts/asking.md").trim()
        } else {
            include_str!("prompts/alone.md").trim()
        },
    );
    let work = match request.mode {
        Mode::Code => include_str!("prompts/code.md"),
        Mode::Ask => include_str!("prompts/ask.md"),
        Mode::Plan => include_str!("prompts/plan.md"),
        Mode::Review => include_str!("prompts/review.md"),
    };
    let parts = [
        common.as_str(),
        work,
        include_str!("prompts/instructions.md"),
        include_str!("prompts/citations.md"),
    ];
    let mut text = parts.map(str::trim).join("\n\n");
    if let Some(schema) = &request.output_schema {
        text.push_str("\n\n");
        text.push_str(&include_str!("prompts/output.md").trim().replace("{schema}", schema.trim()));
    }
    text
}

/// What is known of the place, told before the instructions of the repository.
/// `more` are sentences about the environment.
pub fn facts(
    workspace: &Path,
    start_dir: Option<&WorkspacePath>,
    branch: Option<&str>,
    more: &[String],
) -> String {
    let workspace = workspace.display();
    let branch = branch.map(|branch| format!(", on branch `{branch}`")).unwrap_or_default();
    let start = match start_dir {
        None => "there".to_owned(),
        Some(dir) => format!("in `{dir}/` of it"),
    };
    let mut text = format!("The repository lies at `{workspace}`{branch}. Commands start {start}.");
    for sentence in more {
        text.push(' ');
        text.push_str(sentence);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_told_the_rules_that_hold_in_all() {
        let request = |mode: Mode, questions: bool| -> Request {
            let request = serde_json::json!({
                "mode": mode, "prompt": "", "model": "m", "attempts": 1, "questions": questions
            });
            serde_json::from_value(request).unwrap()
        };
        for mode in [Mode::Code, Mode::Ask, Mode::Plan, Mode::Review] {
            let asking = system(&request(mode, true));
            assert!(asking.contains("`ask_user`") && !asking.contains("Nobody answers"), "{mode}");
            let text = system(&request(mode, false));
            assert!(text.contains("Nobody answers") && !text.contains("`ask_user`"), "{mode}");
            for rule in ["AGENTS.md", "【F:", "no network", "not sure"] {
                assert!(text.contains(rule), "{mode}: {rule}");
            }
            assert!(text.len() < 9_000, "{mode}: {} bytes", text.len());
        }
        insta::assert_snapshot!(system(&request(Mode::Code, false)));
    }
}
