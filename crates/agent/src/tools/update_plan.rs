//! `update_plan`: notes the steps of the work, for the person to follow.

use async_trait::async_trait;
use quire_domain::event::{EventBody, PlanStatus, PlanStep, PlanUpdated};
use quire_domain::journal::ChunkWriter;
use quire_domain::model::ToolSpec;
use quire_domain::transcript::ToolCall;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Declined, Desk, Place, PreparedCall, Tool, ToolError, arguments, json_spec};

const MAX_STEPS: usize = 50;
const MAX_STEP_CHARS: usize = 500;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// Why it changed.
    #[serde(default)]
    explanation: Option<String>,
    /// All steps, in order.
    #[serde(alias = "steps")]
    plan: Vec<Step>,
}

#[derive(Deserialize, JsonSchema)]
struct Step {
    step: String,
    status: Status,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    InProgress,
    Completed,
}

/// The tool.
pub struct UpdatePlan;

impl Tool for UpdatePlan {
    fn spec(&self) -> ToolSpec {
        json_spec::<Args>(
            "update_plan",
            "Shows the person your plan. Use it for work of several steps; send all steps each \
             time.",
        )
    }

    fn prepare(&self, call: &ToolCall, _: &Place) -> Result<Box<dyn PreparedCall>, Declined> {
        let args: Args = arguments(call)?;
        if args.plan.is_empty() || args.plan.len() > MAX_STEPS {
            return Err(Declined(format!("A plan has 1 to {MAX_STEPS} steps.")));
        }
        let cut = |text: String| text.chars().take(MAX_STEP_CHARS).collect::<String>();
        let step = |step: Step| PlanStep {
            step: cut(step.step),
            status: match step.status {
                Status::Pending => PlanStatus::Pending,
                Status::InProgress => PlanStatus::InProgress,
                Status::Completed => PlanStatus::Completed,
            },
        };
        Ok(Box::new(PlanCall(PlanUpdated {
            explanation: args.explanation.filter(|text| !text.is_empty()).map(cut),
            steps: args.plan.into_iter().map(step).collect(),
        })))
    }
}

struct PlanCall(PlanUpdated);

#[async_trait]
impl PreparedCall for PlanCall {
    async fn run(
        self: Box<Self>,
        _: &Desk<'_>,
        _: Option<Box<dyn ChunkWriter>>,
    ) -> Result<Answer, ToolError> {
        Ok(Answer::of("The plan is shown.").with(EventBody::PlanUpdated(self.0)))
    }
}
