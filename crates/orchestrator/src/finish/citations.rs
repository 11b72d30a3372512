//! The answer's citations, looked at: each is opened where it points, and marked.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use quire_agent::ContractError;
use quire_domain::citation::{
    CheckedCitation, Citation, CitationTarget, CitationVerdict, LineRange,
};
use quire_domain::event::{Event, EventBody};
use quire_domain::ids::{ChunkId, CommitId, Sha256};
use quire_domain::journal::Journal;
use quire_domain::path::WorkspacePath;
use quire_domain::task::Mode;
use quire_domain::transcript::{Part, ReplyItem};
use quire_evidence::citations::{Found, read_under};
use quire_evidence::staleness::before_last_change;
use quire_evidence::{OpenedChunk, OpenedFile, ShownText, Sources, resolve};
use quire_git::RepoPath;

use super::{AttemptFinish, other};

/// An answer whose citations were looked at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Looked {
    /// The answer, citations in their stored form.
    pub text: String,
    /// Each citation once, in order.
    pub citations: Vec<CheckedCitation>,
    /// What was meant as a citation and cannot be read: as written, and why.
    pub malformed: Vec<(String, String)>,
}

/// Citations of one answer that are looked at; further ones are not.
const MOST_CITATIONS: usize = 500;

/// Bytes of a file that are opened to look up its lines.
const MOST_FILE_BYTES: usize = 16 << 20;

/// Bytes of one file or output that goes into the evidence, and of all together.
const MOST_CONTENT: usize = 1 << 20;
const MOST_CONTENTS: usize = 16 << 20;

/// Bytes of cited output that are opened.
const MOST_OUTPUT_BYTES: usize = 64 << 10;

impl AttemptFinish {
    /// Looks at the citations of `answer`.
    pub(crate) async fn look_at_citations(&self, answer: &str) -> Result<Looked, ContractError> {
        let reading = read_under(answer, &self.workspace.to_string_lossy());
        let mut wanted: Vec<Citation> = Vec::new();
        let mut malformed = Vec::new();
        for found in reading.found {
            match found {
                Found::Citation { citation, .. } => {
                    if !wanted.contains(&citation) && wanted.len() < MOST_CITATIONS {
                        wanted.push(citation);
                    }
                }
                Found::Malformed { raw, why, .. } => malformed.push((raw, why.to_string())),
            }
        }
        let citations = if wanted.is_empty() {
            Vec::new()
        } else {
            let opened = self.open_all(&wanted).await?;
            look(wanted, &opened)
        };
        Ok(Looked { text: reading.text, citations, malformed })
    }

    async fn open_all(&self, wanted: &[Citation]) -> Result<Opened, ContractError> {
        let events = self.recorder.events().await.map_err(other)?;
        let head = self.collected.lock().await.as_ref().map(|collected| collected.head.clone());
        let at = head.unwrap_or_else(|| self.base().clone());
        let changes = self.request.mode == Mode::Code;
        let mut shown = ShownText::new();
        // What was said in the turns before is part of the conversation.
        for attempt in &self.continued {
            let earlier = self.worker.record.events(*attempt).await.map_err(other)?;
            add_shown(&mut shown, &earlier);
        }
        add_shown(&mut shown, &events);
        let mut opened = Opened {
            at: at.clone(),
            base: changes.then(|| self.base().clone()),
            changed: &at != self.base(),
            files: HashMap::new(),
            base_files: HashMap::new(),
            chunks: HashMap::new(),
            shown,
        };
        let stale = before_last_change(&events);
        let own: BTreeSet<&ChunkId> = events.iter().filter_map(started_chunk).collect();
        for citation in wanted {
            match &citation.target {
                CitationTarget::File(path) => {
                    if !opened.files.contains_key(path) {
                        let file = self.open_file(&at, path).await?;
                        opened.files.insert(path.clone(), file);
                        if changes {
                            let file = self.open_file(self.base(), path).await?;
                            opened.base_files.insert(path.clone(), file);
                        }
                    }
                }
                CitationTarget::Chunk(id) => {
                    let lines = citation.lines;
                    // A chunk that is not there is what the verdict will say.
                    if let Ok(reader) = self.recorder.chunk(id).await {
                        let (first, last) =
                            (u64::from(lines.first.get()), u64::from(lines.last.get()));
                        let text =
                            reader.lines(first, last, MOST_OUTPUT_BYTES).await.map_err(other)?;
                        let chunk = ChunkLines {
                            sha256: reader.sha256().await.map_err(other)?,
                            lines: reader.size().lines,
                            not_kept: reader.not_kept(),
                            text,
                            // Of an attempt that this one continues: before anything that changed here.
                            stale: stale.contains(id) || (opened.changed && !own.contains(id)),
                        };
                        opened.chunks.insert((id.clone(), lines), chunk);
                    }
                }
            }
        }
        Ok(opened)
    }

    /// What the resolved citations point at, whole and by digest, so that evidence can be checked
    /// where neither repository nor record is: what is not too large.
    pub(crate) async fn cited_contents(
        &self,
        citations: &[CheckedCitation],
    ) -> BTreeMap<Sha256, Vec<u8>> {
        let mut contents = BTreeMap::new();
        let mut room = MOST_CONTENTS;
        for cited in citations {
            let CitationVerdict::Resolved { at, source, .. } = &cited.verdict else { continue };
            if contents.contains_key(source) {
                continue;
            }
            let bytes = match (&cited.citation.target, at) {
                (CitationTarget::File(path), Some(at)) => {
                    self.open_file(at, path).await.ok().flatten()
                }
                (CitationTarget::File(_), None) => None,
                (CitationTarget::Chunk(id), _) => self.whole_chunk(id).await,
            };
            if let Some(bytes) = bytes.filter(|bytes| bytes.len() <= MOST_CONTENT.min(room)) {
                room -= bytes.len();
                contents.insert(source.clone(), bytes.to_vec());
            }
        }
        contents
    }

    async fn whole_chunk(&self, id: &ChunkId) -> Option<Bytes> {
        let reader = self.recorder.chunk(id).await.ok()?;
        let size = reader.size();
        if reader.not_kept().is_some() || size.bytes > MOST_CONTENT as u64 {
            return None;
        }
        reader.lines(1, size.lines, MOST_CONTENT).await.ok()
    }

    async fn open_file(
        &self,
        commit: &CommitId,
        path: &WorkspacePath,
    ) -> Result<Option<Bytes>, ContractError> {
        self.read_committed(commit, &RepoPath::new(path.as_str()), MOST_FILE_BYTES).await
    }
}

fn started_chunk(event: &Event) -> Option<&ChunkId> {
    match &event.body {
        EventBody::CommandStarted(started) => Some(&started.chunk),
        _ => None,
    }
}

/// Looks at each citation among what was opened.
pub fn look(wanted: Vec<Citation>, sources: &dyn Sources) -> Vec<CheckedCitation> {
    wanted
        .into_iter()
        .map(|citation| {
            let verdict = resolve(&citation, sources);
            CheckedCitation { citation, verdict }
        })
        .collect()
}

/// What the citations of one answer point at, opened.
struct Opened {
    at: CommitId,
    base: Option<CommitId>,
    changed: bool,
    files: HashMap<WorkspacePath, Option<Bytes>>,
    base_files: HashMap<WorkspacePath, Option<Bytes>>,
    chunks: HashMap<(ChunkId, LineRange), ChunkLines>,
    shown: ShownText,
}

struct ChunkLines {
    sha256: Sha256,
    lines: u64,
    not_kept: Option<(u64, u64)>,
    text: Bytes,
    stale: bool,
}

impl Sources for Opened {
    fn file(&self, path: &WorkspacePath) -> Option<OpenedFile<'_>> {
        let bytes = self.files.get(path)?.as_ref()?;
        Some(OpenedFile { at: self.at.clone(), bytes: Cow::Borrowed(bytes) })
    }

    fn base_file(&self, path: &WorkspacePath) -> Option<OpenedFile<'_>> {
        let bytes = self.base_files.get(path)?.as_ref()?;
        Some(OpenedFile { at: self.base.clone()?, bytes: Cow::Borrowed(bytes) })
    }

    fn has_change(&self) -> bool {
        self.changed
    }

    fn chunk(&self, id: &ChunkId, lines: LineRange) -> Option<OpenedChunk<'_>> {
        let chunk = self.chunks.get(&(id.clone(), lines))?;
        Some(OpenedChunk {
            sha256: chunk.sha256.clone(),
            lines: chunk.lines,
            not_kept: chunk.not_kept,
            text: Cow::Borrowed(&chunk.text),
            before_last_change: chunk.stale,
        })
    }

    fn shown(&self) -> &ShownText {
        &self.shown
    }
}

/// Adds all that the model was shown and wrote.
fn add_shown(shown: &mut ShownText, events: &[Event]) {
    for event in events {
        match &event.body {
            EventBody::Submitted(submitted) => shown.add(&submitted.request.prompt),
            EventBody::InstructionsLoaded(loaded) => shown.add(&loaded.text),
            EventBody::ToolAnswered(answered) => {
                for part in &answered.parts {
                    if let Part::Text { text } = part {
                        shown.add(text);
                    }
                }
            }
            EventBody::ModelReplied(replied) => {
                for item in &replied.reply.items {
                    if let ReplyItem::ToolCall { call, .. } = item {
                        shown.add(call.input.as_str());
                        // A patch or a heredoc inside a JSON string has its newlines escaped.
                        if let Ok(value) = serde_json::from_str(call.input.as_str()) {
                            add_strings(shown, &value);
                        }
                    }
                }
            }
            EventBody::Steered(said)
            | EventBody::MessageReceived(said)
            | EventBody::QuestionAnswered(said)
            | EventBody::PlanRejected(said) => shown.add(&said.text),
            EventBody::GateFailed(gate) => shown.add(gate.text.as_deref().unwrap_or_default()),
            EventBody::Compacted(compacted) => shown.add(&compacted.text),
            _ => {}
        }
    }
}

fn add_strings(shown: &mut ShownText, value: &serde_json::Value) {
    match value {
        serde_json::Value::String(text) => shown.add(text),
        serde_json::Value::Array(items) => items.iter().for_each(|item| add_strings(shown, item)),
        serde_json::Value::Object(fields) => {
            fields.values().for_each(|field| add_strings(shown, field));
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}
