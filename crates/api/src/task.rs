//! Tasks and turns: submitting, listing, showing.

use quire_domain::attempt::{AttemptState, DiffStat};
use quire_domain::budget::{Budget, Spent};
use quire_domain::task::Mode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::state::{BudgetSchema, DiffStatSchema, SpentSchema, StateSchema};

/// What is asked for in a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Wish {
    /// The words, at most 1 MiB. May be empty in a review.
    #[schema(example = "make the failing test pass", max_length = 1_048_576)]
    pub prompt: String,
    /// `code` (may change files), `ask` (ends in an answer), `plan` (ends in a plan that a person
    /// approves) or `review` (ends in findings). What the turn before had if absent; `code` in a
    /// new task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "code")]
    pub mode: Option<Mode>,
    /// Pictures that belong to the prompt; at most 16, and as many bytes as a body may have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Picture>,
    /// `provider/model`, or a model's name. The environment's, the turn before's or the
    /// installation's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200, example = "scripted/demo")]
    pub model: Option<String>,
    /// How many attempts.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 4, default = 1)]
    pub attempts: u8,
    /// What they may cost together. The environment's or the installation's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BudgetSchema>)]
    pub budget: Option<Budget>,
    /// Whether declared checks are skipped.
    #[serde(default)]
    pub skip_checks: bool,
    /// Whether the model may ask you something and wait for the answer. Of several attempts none may.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub questions: bool,
    /// A JSON Schema that the answer has to fit, whole in itself, at most 32 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub output_schema: Option<serde_json::Value>,
}

fn one() -> u8 {
    1
}

fn yes() -> bool {
    true
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// Its bytes in base64: PNG, JPEG, GIF or WebP, at most 20 MiB.
    pub base64: String,
}

/// A check to declare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCheck {
    /// What `bash -c` runs in the root of the repository, on the final commit.
    #[schema(example = "cargo test", max_length = 4096)]
    pub command: String,
    /// What people call it; the command if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub name: Option<String>,
}

/// What a review looks at: one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    /// What the base of the task adds since it left this branch or commit.
    Base(String),
    /// One commit.
    Commit(String),
}

/// A task to submit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewTask {
    /// The repository, as the list of repositories names it. On a server of one user also its
    /// absolute path or address.
    #[schema(example = "shop", max_length = 4096)]
    pub repository: String,
    /// The branch, tag or commit to start from; the default branch if absent.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    #[schema(example = "main", max_length = 255)]
    pub base: Option<String>,
    /// What was pushed as the base, by the id that the push was answered with; in place of `ref`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<Uuid>,
    /// The name of an environment of the team; the repository's own or default one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60)]
    pub environment: Option<String>,
    /// The team that it will belong to, by name or id; the only one that you may submit in if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub team: Option<String>,
    /// Checks beside those of the environment; at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<NewCheck>,
    /// What a review is about; needed for the mode `review`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// What is asked for.
    #[serde(flatten)]
    pub wish: Wish,
}

/// A turn to add to a task whose newest one has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewTurn {
    /// The attempt to go on from, by its place in the newest turn; the chosen one if absent.
    #[serde(default, rename = "from", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 16)]
    pub continues: Option<u8>,
    /// What is asked for.
    #[serde(flatten)]
    pub wish: Wish,
}

/// A task to make from the end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewFork {
    /// The attempt that it goes on from, of any turn; the chosen one of the newest if absent.
    #[serde(default, rename = "from", skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Uuid>,
    /// What is asked for.
    #[serde(flatten)]
    pub wish: Wish,
}

/// Which attempt of the newest turn is the one that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Its place in the turn.
    #[schema(minimum = 1, maximum = 16)]
    pub attempt: u8,
}

/// Which tasks to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TaskQuery {
    /// Only tasks in one of these states, separated by commas: `queued`, `preparing`, `working`,
    /// `waiting` (for a person), `suspended`, `done` (all that ended), `answered`, `changed`,
    /// `no change`, `refused`, `cancelled`, `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 200)]
    pub state: Option<String>,
    /// Only tasks of this repository, as they name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 4096)]
    pub repository: Option<String>,
    /// Archived tasks in place of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
    /// Only tasks whose title holds this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 200)]
    pub text: Option<String>,
    /// Only tasks of this team, by name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 100)]
    pub team: Option<String>,
    /// Only tasks of this person: `me`, or a user's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 40)]
    pub author: Option<String>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1)]
    pub before: Option<u64>,
}

/// A part of the list of tasks, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<TaskSummary>,
    /// What to give as `before` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// The newest change of any task when this was read: where to begin to listen for changes.
    pub changed: u64,
}

/// A task in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskSummary {
    /// Its number: what people type.
    #[schema(example = 42)]
    pub task: u64,
    /// Its id.
    pub id: Uuid,
    /// The first line of the first prompt.
    pub title: String,
    /// Where the repository is.
    pub repository: String,
    /// Whose team's it is.
    pub team: Uuid,
    /// Who asked for it.
    pub author: Uuid,
    /// Where it stands.
    #[schema(value_type = StateSchema)]
    pub state: AttemptState,
    /// What the newest turn may do.
    #[schema(value_type = String, example = "code")]
    pub mode: Mode,
    /// How many turns there are.
    pub turns: u32,
    /// The attempts of the newest turn.
    pub attempts: Vec<AttemptSummary>,
    /// When it was submitted, in milliseconds since 1970.
    pub created_at: u64,
    /// When its state last changed.
    pub updated_at: u64,
    /// When it was put away, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<u64>,
    /// The number of its last change; rises over all tasks.
    pub changed: u64,
}

/// An attempt, as its task shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptSummary {
    /// Its id.
    pub id: Uuid,
    /// Its place in its turn, from 1.
    pub attempt: u8,
    /// Where it stands.
    #[schema(value_type = StateSchema)]
    pub state: AttemptState,
    /// How often it was claimed.
    pub epoch: u32,
    /// What it has cost.
    #[schema(value_type = SpentSchema)]
    pub spent: Spent,
    /// What it left, once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultSummary>,
    /// Its place among those that wait for a worker, from 1, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_place: Option<u64>,
    /// When it was made.
    pub created_at: u64,
    /// When its state last changed.
    pub updated_at: u64,
}

/// What an attempt left, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResultSummary {
    /// The commit it worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The last commit, if it made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// The size of the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DiffStatSchema>)]
    pub diff_stat: Option<DiffStat>,
    /// Checks that passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks_passed: Option<u32>,
    /// Checks that ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks_run: Option<u32>,
    /// Whether work was cut short.
    pub partial: bool,
    /// The hash of the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_hash: Option<String>,
}

/// A task with its turns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// As in the list.
    #[serde(flatten)]
    pub summary: TaskSummary,
    /// Its turns, oldest first.
    pub history: Vec<Turn>,
}

/// A turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Turn {
    /// Its id.
    pub id: Uuid,
    /// Its place in the task, from 1.
    pub turn: u32,
    /// What it may do.
    #[schema(value_type = String, example = "code")]
    pub mode: Mode,
    /// The person's words.
    pub prompt: String,
    /// How many pictures belong to them.
    pub images: u32,
    /// The model.
    pub model: String,
    /// What its attempts may cost together.
    #[schema(value_type = BudgetSchema)]
    pub budget: Budget,
    /// The commit it starts on, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The branch that was named or checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The environment, as `name` and `version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentUsed>,
    /// The attempt that counts, by its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<u8>,
    /// Its attempts.
    pub attempts: Vec<AttemptSummary>,
    /// When it was submitted.
    pub created_at: u64,
}

/// The environment of a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentUsed {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
}
