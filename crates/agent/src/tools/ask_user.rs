//! `ask_user`: asks the person a question, and waits for the answer.

use async_trait::async_trait;
use quire_domain::event::{Choice, QuestionAsked};
use quire_domain::journal::ChunkWriter;
use quire_domain::model::ToolSpec;
use quire_domain::transcript::ToolCall;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Declined, Desk, Place, PreparedCall, Tool, ToolError, arguments, json_spec};

const MAX_QUESTION_CHARS: usize = 4_000;
const MAX_LABEL_CHARS: usize = 80;
const MAX_DETAIL_CHARS: usize = 400;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// One question, with what the person has to know to answer it.
    question: String,
    /// 2 to 4 answers to choose from, the one you would take first; they may also answer freely.
    #[serde(default)]
    choices: Option<Vec<Offered>>,
}

#[derive(Deserialize, JsonSchema)]
struct Offered {
    /// A few words.
    label: String,
    /// What follows from it.
    #[serde(default)]
    detail: Option<String>,
}

/// The tool.
pub struct AskUser;

impl Tool for AskUser {
    fn spec(&self) -> ToolSpec {
        json_spec::<Args>(
            "ask_user",
            "Asks the person and waits, perhaps for hours; commands that still run are ended. \
             Make it the last call of a reply.",
        )
    }

    fn prepare(&self, call: &ToolCall, _: &Place) -> Result<Box<dyn PreparedCall>, Declined> {
        let args: Args = arguments(call)?;
        let question = args.question.trim();
        if question.is_empty() || question.chars().count() > MAX_QUESTION_CHARS {
            return Err(Declined(format!(
                "A question has 1 to {MAX_QUESTION_CHARS} characters. Nobody was asked."
            )));
        }
        let cut = |text: &str, most| text.trim().chars().take(most).collect::<String>();
        let choice = |offered: Offered| Choice {
            label: cut(&offered.label, MAX_LABEL_CHARS),
            detail: cut(&offered.detail.unwrap_or_default(), MAX_DETAIL_CHARS),
        };
        let choices: Vec<Choice> =
            args.choices.unwrap_or_default().into_iter().map(choice).collect();
        if matches!(choices.len(), 1 | 5..) || choices.iter().any(|one| one.label.is_empty()) {
            return Err(Declined(
                "A question offers 2 to 4 choices, each with a label, or none. Nobody was asked."
                    .to_owned(),
            ));
        }
        Ok(Box::new(Question(QuestionAsked {
            call_id: call.id.clone(),
            question: question.to_owned(),
            choices,
        })))
    }
}

struct Question(QuestionAsked);

#[async_trait]
impl PreparedCall for Question {
    fn question(&self) -> Option<&QuestionAsked> {
        Some(&self.0)
    }

    async fn run(
        self: Box<Self>,
        _: &Desk<'_>,
        _: Option<Box<dyn ChunkWriter>>,
    ) -> Result<Answer, ToolError> {
        // It is asked in place of being run.
        Err(Declined("Nobody can be asked here.".to_owned()).into())
    }
}
