//! An attempt's environment is set up: on a snapshot that is there, or on one that is made first.
//! No request to the model leaves before that.

use std::sync::Arc;

use async_trait::async_trait;
use quire_domain::attempt::{FailureKind, Outcome};
use quire_domain::event::{
    CommandFinished, CommandPurpose, CommandStarted, EndedBy, EventBody, Phase, PhaseFinished,
    PhaseStarted,
};
use quire_domain::ids::ChunkId;
use quire_domain::journal::{ChunkWriter, Journal, JournalError, Live};
use quire_domain::sandbox::{ExitStatus, FindingLevel, SandboxError};
use quire_environment::snapshot::{SetupError, SetupLog, Snapshot};

use super::Life;
use super::conclude::Ending;
use crate::error::RunError;
use crate::make_snapshot::{Make, MakeError, make};
use crate::prepare::{Layout, causes};
use crate::recorder::Recorder;
use crate::setup::{Found, Setup};

impl Life {
    /// The layout on what its environment has to have installed.
    pub(super) async fn set_up(
        &self,
        layout: Layout,
        setup: Setup,
    ) -> Result<Result<Layout, Ending>, RunError> {
        match setup.found {
            Found::Nothing => Ok(Ok(layout)),
            Found::There(snapshot) => Ok(self.stand_on(layout, *snapshot)),
            Found::Missing(_) => self.make_snapshot(layout, setup).await,
        }
    }

    fn stand_on(&self, layout: Layout, snapshot: Snapshot) -> Result<Layout, Ending> {
        if layout.snapshot.is_some() {
            // It stood on it before.
            return Ok(layout);
        }
        let dir = self.worker.place.upper(self.row.id);
        layout.on(snapshot, &dir).map_err(|error| {
            let words = format!("cannot note the snapshot beside the attempt: {error}");
            Ending::failed(FailureKind::Infrastructure, words)
        })
    }

    async fn make_snapshot(
        &self,
        layout: Layout,
        setup: Setup,
    ) -> Result<Result<Layout, Ending>, RunError> {
        if let Some(ending) = self.secrets_missing() {
            return Ok(Err(ending));
        }
        let phase = Phase::Setup;
        self.recorder.append(vec![EventBody::PhaseStarted(PhaseStarted { phase })]).await?;
        let started = self.worker.clock.now();
        let mut log = ChunkLog::new(&self.recorder, &layout);
        let waits = Arc::clone(&self.recorder);
        let waits = move || {
            let text = "another task makes the same snapshot: waiting for it\n".to_owned();
            waits.live(Live::Text { text });
        };
        let making = make(
            Make {
                worker: &self.worker,
                layout: &layout,
                setup: &setup,
                secrets: &self.known,
                recorder: Some(Arc::clone(&self.recorder)),
                waits: Box::new(waits),
            },
            &mut log,
        );
        let Some(made) = self.cancel.run_until_cancelled(Box::pin(making)).await else {
            self.sweep_what_was_begun().await;
            let outcome = Outcome::Cancelled;
            return Ok(Err(Ending { outcome, answer: None, partial: true }));
        };
        let ms = self.worker.clock.now().millis_since(started);
        let detail = match &made {
            Ok(snapshot) => made_words(snapshot),
            Err(error) => {
                let advice = advice(error).map_or_else(String::new, |text| format!("\n  → {text}"));
                let packages = self.packages_words(&layout, &setup);
                let git = super::ground::git_words(&layout, error);
                format!("{}{packages}{git}{advice}", causes(error))
            }
        };
        let detail = self.recorder.redaction().text(&detail).into_owned();
        let failed = made.is_err();
        let finished = PhaseFinished { phase, ms, detail: detail.clone(), failed };
        self.recorder.append(vec![EventBody::PhaseFinished(finished)]).await?;
        match made {
            Ok(snapshot) => Ok(self.stand_on(layout, snapshot)),
            Err(error) if crate::error::is_disk_full(&error) => Err(RunError::DiskFull),
            Err(MakeError::Setup(SetupError::Journal(error))) => Err(error.into()),
            // Nobody asked for it: the task is tried without.
            Err(error) if setup.chosen && is_its_own(&error) => Ok(Ok(layout)),
            Err(error) => Ok(Err(Ending::failed(kind(&error), detail))),
        }
    }
}

impl Life {
    /// What a person should know of this host where a script that calls for packages of the
    /// system has failed.
    fn packages_words(&self, layout: &Layout, setup: &Setup) -> String {
        const MANAGERS: [&str; 7] = ["apt", "dpkg", "dnf", "yum", "apk", "pacman", "zypper"];
        let scripts = setup.wanted.iter().flat_map(|one| {
            [Some(one.setup.as_str()), one.maintenance.as_deref()].into_iter().flatten()
        });
        let mut words = scripts.flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric()));
        if !words.any(|word| MANAGERS.contains(&word)) {
            return String::new();
        }
        let finding = self.worker.sandboxes.packages_in_setup(&layout.plain_spec().base);
        if finding.level == FindingLevel::Good {
            return String::new();
        }
        let remedy = finding.remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
        format!("\n  {}: {}{remedy}", finding.name, finding.detail)
    }
}

fn made_words(snapshot: &Snapshot) -> String {
    let manifest = &snapshot.manifest;
    let mut text = format!(
        "snapshot {} made: {} files, {} MB",
        manifest.key.short(),
        manifest.used.files,
        manifest.used.bytes.div_ceil(1_000_000)
    );
    for met in &manifest.limits_met {
        text.push_str("; ");
        text.push_str(&met.to_string());
    }
    for note in &manifest.notes {
        text.push_str("; ");
        text.push_str(note);
    }
    text
}

fn advice(error: &MakeError) -> Option<String> {
    match error {
        MakeError::Setup(error) => error.advice(),
        MakeError::WayOut(_) | MakeError::Nothing => None,
    }
}

/// Whether it is the script that failed, and nothing of ours.
fn is_its_own(error: &MakeError) -> bool {
    matches!(
        kind(error),
        FailureKind::SetupFailed | FailureKind::SetupTimeout | FailureKind::DiskFull
    )
}

fn kind(error: &MakeError) -> FailureKind {
    let error = match error {
        MakeError::Setup(error) => error,
        MakeError::WayOut(error) => return error.kind(FailureKind::SetupFailed),
        MakeError::Nothing => return FailureKind::Infrastructure,
    };
    match error {
        SetupError::Failed { .. } | SetupError::Unusable { .. } => FailureKind::SetupFailed,
        SetupError::TimedOut { .. } | SetupError::Waited(_) => FailureKind::SetupTimeout,
        SetupError::Leaked { .. } | SetupError::Unsearched { .. } => FailureKind::SecretLeaked,
        SetupError::Sandbox { source, .. } => match source {
            SandboxError::DiskFull => FailureKind::DiskFull,
            SandboxError::LimitExceeded { .. } | SandboxError::Spawn { .. } => {
                FailureKind::SetupFailed
            }
            _ => FailureKind::SandboxFailed,
        },
        SetupError::Io(_) | SetupError::Journal(_) => FailureKind::Infrastructure,
    }
}

/// Takes a script's output down as a chunk of the attempt.
struct ChunkLog {
    recorder: Arc<Recorder>,
    workdir: String,
    chunk: Option<Box<dyn ChunkWriter>>,
}

impl ChunkLog {
    fn new(recorder: &Arc<Recorder>, layout: &Layout) -> Self {
        let workdir = layout.workspace.display().to_string();
        Self { recorder: Arc::clone(recorder), workdir, chunk: None }
    }
}

/// A live piece is cut here.
const MOST_LIVE: usize = 4 << 10;

#[async_trait]
impl SetupLog for ChunkLog {
    async fn begun(&mut self, script: &str) -> Result<(), JournalError> {
        let chunk = self.recorder.open_chunk().await?;
        let id: ChunkId = chunk.id().clone();
        self.chunk = Some(chunk);
        let begun = EventBody::CommandStarted(CommandStarted {
            chunk: id,
            purpose: CommandPurpose::Setup,
            command: script.to_owned(),
            workdir: self.workdir.clone(),
            terminal: false,
        });
        self.recorder.append(vec![begun]).await?;
        Ok(())
    }

    async fn output(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let Some(chunk) = &mut self.chunk else { return Ok(()) };
        chunk.write(bytes).await?;
        let shown = chunk.recorded().unwrap_or(bytes);
        let text = String::from_utf8_lossy(&shown[..shown.len().min(MOST_LIVE)]).into_owned();
        if !text.is_empty() {
            self.recorder.live(Live::Output { chunk: chunk.id().clone(), call_id: None, text });
        }
        Ok(())
    }

    fn recorded(&self) -> Option<&[u8]> {
        self.chunk.as_ref()?.recorded()
    }

    async fn ended(
        &mut self,
        exit: ExitStatus,
        ms: u64,
        ended_by: Option<EndedBy>,
    ) -> Result<(), JournalError> {
        let Some(chunk) = self.chunk.take() else { return Ok(()) };
        let chunk = chunk.finish().await?;
        let finished = CommandFinished { chunk, exit, ms, ended_by };
        self.recorder.append(vec![EventBody::CommandFinished(finished)]).await?;
        Ok(())
    }
}
