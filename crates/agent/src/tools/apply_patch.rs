//! `apply_patch`: edits files, all or nothing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::event::{EventBody, FileChangeKind, FileTouched, PatchApplied, PatchRejected};
use quire_domain::ids::CallId;
use quire_domain::journal::ChunkWriter;
use quire_domain::model::{ToolInputSpec, ToolSpec};
use quire_domain::path::WorkspacePath;
use quire_domain::sandbox::{FileChange, FileError};
use quire_domain::transcript::{ToolCall, ToolInput};
use quire_patch::{FileEdit, MAX_FILE_BYTES, Patch};
use serde::Deserialize;

use super::{Answer, Declined, Desk, Place, PreparedCall, Tool, ToolError};

/// The input where the dialect has no free text.
#[derive(Deserialize)]
struct Args {
    #[serde(alias = "patch")]
    input: String,
}

/// The tool.
pub struct ApplyPatch;

impl Tool for ApplyPatch {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "apply_patch".to_owned(),
            description: include_str!("apply_patch.md").trim().to_owned(),
            input: ToolInputSpec::Text { grammar: quire_patch::GRAMMAR.to_owned() },
        }
    }

    fn prepare(&self, call: &ToolCall, place: &Place) -> Result<Box<dyn PreparedCall>, Declined> {
        let text = match &call.input {
            ToolInput::Json(text) => match serde_json::from_str::<Args>(text) {
                Ok(args) => args.input,
                Err(_) if text.trim_start().starts_with("***") => text.clone(),
                Err(error) => {
                    let error: String = error.to_string().chars().take(300).collect();
                    return Err(Declined(format!(
                        "The arguments of `apply_patch` cannot be read: {error}. No file was \
                         changed; send the patch as the string `input`."
                    )));
                }
            },
            ToolInput::Text(text) => text.clone(),
        };
        Ok(Box::new(PatchCall::read(call, &text, place, &place.workspace)))
    }
}

/// A patch that was read, or why it could not be.
pub struct PatchCall {
    call: CallId,
    patch: Result<Patch, String>,
}

impl PatchCall {
    /// Reads a patch whose paths start from `workdir`, a directory inside.
    pub fn read(call: &ToolCall, text: &str, place: &Place, workdir: &Path) -> Self {
        let place = quire_patch::Place {
            root: &Place::text(&place.workspace),
            workdir: &Place::text(workdir),
        };
        let patch =
            Patch::parse_at(text, place).map_err(|error| format!("{error}. No file was changed."));
        Self { call: call.id.clone(), patch }
    }

    fn rejected(&self, reason: String) -> Answer {
        let rejected = PatchRejected { call_id: self.call.clone(), reason: reason.clone() };
        Answer::from(Declined(reason)).with(EventBody::PatchRejected(rejected))
    }
}

#[async_trait]
impl PreparedCall for PatchCall {
    async fn run(
        self: Box<Self>,
        desk: &Desk<'_>,
        _: Option<Box<dyn ChunkWriter>>,
    ) -> Result<Answer, ToolError> {
        let patch = match &self.patch {
            Ok(patch) => patch,
            Err(reason) => return Ok(self.rejected(reason.clone())),
        };
        let sandbox = desk.sandbox().await?;
        let root = &desk.place.workspace;
        let mut files: BTreeMap<WorkspacePath, Bytes> = BTreeMap::new();
        for path in patch.paths() {
            match sandbox.read_file(&root.join(path.as_str()), MAX_FILE_BYTES as u64).await {
                Ok(bytes) => {
                    files.insert(path.clone(), bytes);
                }
                Err(FileError::NotFound(_)) => {}
                Err(FileError::Sandbox(error)) => return Err(error.into()),
                Err(error) => {
                    return Ok(self.rejected(format!("{error}. No file was changed.")));
                }
            }
        }
        let edits = match quire_patch::apply(patch, &files) {
            Ok(edits) => edits,
            Err(error) => return Ok(self.rejected(error.to_string())),
        };
        drop(files);
        let text = summary(&edits);
        let touched: Vec<FileTouched> = edits.iter().map(touched).collect();
        if edits.is_empty() {
            return Ok(Answer::of("The files are as the patch wants them already."));
        }
        match sandbox.change_files(root, changes(edits)).await {
            Ok(()) => {}
            Err(FileError::Sandbox(error)) => return Err(error.into()),
            Err(error) => return Ok(self.rejected(format!("{error}. No file was changed."))),
        }
        let applied = PatchApplied { call_id: self.call.clone(), files: touched };
        Ok(Answer::of(text).with(EventBody::PatchApplied(applied)))
    }
}

fn touched(edit: &FileEdit) -> FileTouched {
    FileTouched {
        path: edit.path.as_str().to_owned(),
        from: edit.from.as_ref().map(|path| path.as_str().to_owned()),
        change: edit.kind,
        added: edit.added,
        removed: edit.removed,
    }
}

fn changes(edits: Vec<FileEdit>) -> Vec<FileChange> {
    let mut changes = Vec::with_capacity(edits.len());
    for edit in edits {
        let FileEdit { path, from, new, .. } = edit;
        if let Some(path) = from.clone() {
            changes.push(FileChange::Remove { path });
        }
        changes.push(match new {
            Some(content) => FileChange::Write { path, moved_from: from, content: content.into() },
            None => FileChange::Remove { path },
        });
    }
    changes
}

fn summary(edits: &[FileEdit]) -> String {
    let mut text = "The patch was applied:".to_owned();
    for edit in edits {
        let letter = match edit.kind {
            FileChangeKind::Added => 'A',
            FileChangeKind::Changed => 'M',
            FileChangeKind::Removed => 'D',
        };
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\n{letter} {} +{} −{}", edit.path, edit.added, edit.removed);
        if let Some(from) = &edit.from {
            let _ = write!(text, " (was {from})");
        }
    }
    text
}
