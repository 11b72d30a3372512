//! The tools on offer, one file each, and what they have in common.

mod apply_patch;
mod ask_user;
mod shell;
mod update_plan;
mod view_image;
mod write_stdin;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use quire_domain::event::{EventBody, QuestionAsked};
use quire_domain::journal::{ChunkWriter, Journal, JournalError};
use quire_domain::model::{ModelInfo, ToolInputSpec, ToolSpec};
use quire_domain::sandbox::{Sandbox, SandboxError};
use quire_domain::task::Request;
use quire_domain::time::Clock;
use quire_domain::transcript::{Part, ToolCall};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::contracts::SandboxSource;
use crate::run::Settings;
use crate::screen::grouped;
use crate::session::Sessions;

/// The largest input of a tool that takes JSON, in bytes. A patch may be larger.
const MAX_ARGUMENTS: usize = 1 << 20;

/// A tool: what the model is told of it, and how a call of it is read.
trait Tool: Send + Sync {
    /// What the model is told.
    fn spec(&self) -> ToolSpec;

    /// Reads a call without doing anything yet.
    fn prepare(&self, call: &ToolCall, place: &Place) -> Result<Box<dyn PreparedCall>, Declined>;
}

/// A call that was read and can be run.
#[async_trait]
pub trait PreparedCall: Send + Sync {
    /// The command it will start, to be recorded before it does.
    fn command(&self) -> Option<CommandToStart> {
        None
    }

    /// What it asks the person: it is then not run, and their answer is its result.
    fn question(&self) -> Option<&QuestionAsked> {
        None
    }

    /// Runs it. `chunk` is there if it said that it starts a command.
    async fn run(
        self: Box<Self>,
        desk: &Desk<'_>,
        chunk: Option<Box<dyn ChunkWriter>>,
    ) -> Result<Answer, ToolError>;
}

/// A command that a call will start.
pub struct CommandToStart {
    /// What `bash -c` will be given.
    pub command: String,
    /// Where, inside.
    pub workdir: String,
    /// Whether it has a terminal.
    pub terminal: bool,
}

/// Where calls are read: paths inside the sandbox.
#[derive(Debug, Clone)]
pub struct Place {
    /// The root of the repository.
    pub workspace: PathBuf,
    /// Where commands start that name no directory.
    pub workdir: PathBuf,
}

impl Place {
    /// Where a path leads that a model wrote, relative to the working directory.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.workdir.join(path)
    }

    /// A path as text. Paths inside are handed in as text in the first place.
    pub fn text(path: &Path) -> String {
        path.to_string_lossy().into_owned()
    }
}

/// What tools work with.
pub struct Desk<'a> {
    /// Gives the sandbox.
    pub sandbox: &'a dyn SandboxSource,
    /// The commands that run.
    pub sessions: &'a Sessions,
    /// Takes blobs.
    pub journal: &'a Arc<dyn Journal>,
    /// The time.
    pub clock: &'a Arc<dyn Clock>,
    /// The paths inside.
    pub place: &'a Place,
    /// Ends every wait.
    pub cancel: &'a CancellationToken,
}

impl Desk<'_> {
    /// The sandbox, waited for if it is not ready yet.
    async fn sandbox(&self) -> Result<Arc<dyn Sandbox>, ToolError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(ToolError::Cancelled),
            sandbox = self.sandbox.sandbox() => Ok(sandbox?),
        }
    }
}

/// What a call gave.
#[derive(Debug)]
pub struct Answer {
    /// What the model is shown. The text that is compared for circles comes first.
    pub parts: Vec<Part>,
    /// Whether the tool did what it was asked.
    pub ok: bool,
    /// What is recorded beside the answer.
    pub events: Vec<EventBody>,
}

impl Answer {
    fn of(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::text(text)], ok: true, events: Vec::new() }
    }

    fn with(mut self, event: EventBody) -> Self {
        self.events.push(event);
        self
    }
}

impl From<Declined> for Answer {
    fn from(declined: Declined) -> Self {
        Self { parts: vec![Part::Text { text: declined.0 }], ok: false, events: Vec::new() }
    }
}

/// What a tool says when it does not do what it was asked: told to the model, who may try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined(pub String);

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// Told to the model; the attempt goes on.
    #[error("{}", .0.0)]
    Declined(Declined),
    /// The sandbox failed; the attempt ends.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The record failed; nothing more may be done.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The attempt was cancelled meanwhile.
    #[error("cancelled")]
    Cancelled,
}

impl From<Declined> for ToolError {
    fn from(declined: Declined) -> Self {
        Self::Declined(declined)
    }
}

/// The tools that one attempt is offered.
pub struct Toolbox {
    tools: Vec<(ToolSpec, Box<dyn Tool>)>,
}

impl Toolbox {
    /// The tools for a turn, as far as the model can use them.
    pub fn new(request: &Request, model: &ModelInfo, settings: &Settings) -> Self {
        let mode = request.mode;
        let mut tools: Vec<Box<dyn Tool>> =
            vec![Box::new(shell::Shell::new(mode, settings)), Box::new(write_stdin::WriteStdin)];
        if mode.keeps_changes() {
            tools.push(Box::new(apply_patch::ApplyPatch));
        }
        tools.push(Box::new(update_plan::UpdatePlan));
        if model.images {
            tools.push(Box::new(view_image::ViewImage));
        }
        if request.may_ask() {
            tools.push(Box::new(ask_user::AskUser));
        }
        Self { tools: tools.into_iter().map(|tool| (tool.spec(), tool)).collect() }
    }

    /// What the model is told of them.
    pub fn specs(&self) -> Vec<ToolSpec> {
        self.tools.iter().map(|(spec, _)| spec.clone()).collect()
    }

    /// Reads a call. What cannot be read is declined in words for the model.
    pub fn prepare(
        &self,
        call: &ToolCall,
        place: &Place,
    ) -> Result<Box<dyn PreparedCall>, Declined> {
        match self.tools.iter().find(|(spec, _)| spec.name == call.name) {
            Some((_, tool)) => tool.prepare(call, place),
            None => Err(self.no_such_tool(call)),
        }
    }

    fn no_such_tool(&self, call: &ToolCall) -> Declined {
        let names: Vec<String> =
            self.tools.iter().map(|(spec, _)| format!("`{}`", spec.name)).collect();
        let name: String = call.name.chars().take(80).collect();
        let names = names.join(", ");
        Declined(format!("There is no tool `{name}` here. The tools are {names}."))
    }
}

/// The spec of a tool that takes a JSON object of type `A`.
fn json_spec<A: JsonSchema>(name: &str, description: &str) -> ToolSpec {
    let mut settings = schemars::generate::SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let mut schema = settings.into_generator().into_root_schema_for::<A>().to_value();
    compact(&mut schema);
    ToolSpec {
        name: name.to_owned(),
        description: description.trim().to_owned(),
        input: ToolInputSpec::Json { schema },
    }
}

/// Drops what a schema says to programs and not to a model: every byte is sent on every call.
fn compact(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(object) => {
            for key in ["title", "format", "minimum", "default"] {
                if object.get(key).is_some_and(|value| !value.is_object()) {
                    object.remove(key);
                }
            }
            let without_null = object
                .get("type")
                .and_then(serde_json::Value::as_array)
                .and_then(|types| types.iter().find(|one| *one != "null").cloned());
            if let Some(only) = without_null {
                object.insert("type".to_owned(), only);
            }
            if let Some(serde_json::Value::Array(values)) = object.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            object.values_mut().for_each(compact);
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(compact),
        _ => {}
    }
}

/// Reads the arguments of a call.
fn arguments<A: DeserializeOwned>(call: &ToolCall) -> Result<A, Declined> {
    let text = call.input.as_str();
    let name = &call.name;
    if text.len() > MAX_ARGUMENTS {
        return Err(Declined(format!(
            "The arguments of `{name}` have {} bytes; {} is the limit. Nothing was done. Write \
             large content to a file in pieces.",
            grouped(text.len() as u64),
            grouped(MAX_ARGUMENTS as u64)
        )));
    }
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(|error| {
        let words = match error.classify() {
            serde_json::error::Category::Data => "do not fit its schema",
            _ => "are not valid JSON",
        };
        let error: String = error.to_string().chars().take(300).collect();
        Declined(format!(
            "The arguments of `{name}` {words}: {error}. Nothing was done; send the call again \
             with one JSON object."
        ))
    })
}

/// Seconds that a model asked for, bounded.
fn seconds(asked: f64, most: std::time::Duration) -> std::time::Duration {
    std::time::Duration::try_from_secs_f64(asked.max(0.0)).unwrap_or(most).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_tools_is_in_the_list() {
        let info = ModelInfo {
            name: "m".to_owned(),
            window_tokens: 1,
            max_output_tokens: 1,
            images: true,
            price: None,
            scripted: true,
        };
        let request = serde_json::json!({
            "mode": "code", "prompt": "", "model": "m", "attempts": 1, "questions": true
        });
        let request: Request = serde_json::from_value(request).unwrap();
        let toolbox = Toolbox::new(&request, &info, &Settings::default());
        let mut listed: Vec<String> = toolbox.specs().into_iter().map(|spec| spec.name).collect();
        listed.sort();
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tools");
        let mut files: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .filter_map(|entry| Some(entry.unwrap().path().to_str()?.to_owned()))
            .filter_map(|path| Some(path.rsplit('/').next()?.strip_suffix(".rs")?.to_owned()))
            .collect();
        files.sort();
        assert_eq!(listed, files);
    }
}
