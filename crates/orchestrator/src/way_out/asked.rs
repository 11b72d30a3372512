//! What the tools of a base say they fetch from: asked in a sandbox that holds nothing of the
//! repository and whose network is closed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quire_domain::network::NetworkPolicy;
use quire_domain::sandbox::{
    Command, CommandEvent, CommandIo, Sandbox, SandboxError, SandboxSpec, SandboxUser, Upper,
};
use quire_environment::detect;
use quire_environment::detect::registries::families::Question;
use quire_environment::detect::registries::{Answer, MOST_BYTES, questions};
use quire_environment::offline::OFFLINE_VARIABLES;
use tokio::task::JoinSet;

use super::Stage;
use crate::base;
use crate::prepare::Layout;
use crate::worker::Worker;

/// How long a tool may take to answer.
const ANSWERED: Duration = Duration::from_secs(20);

/// How long an answer is taken for true.
const KEPT: Duration = Duration::from_hours(12);

/// A directory that is empty in a new sandbox, so that no file there is read as configuration.
const EMPTY: &str = "/tmp";

/// Which package managers are in use, and what they answered.
#[derive(Debug, Default)]
pub struct Asked {
    /// Those whose lock files are tracked; empty for all that the base has.
    pub managers: Vec<&'static str>,
    /// What they said.
    pub answers: Vec<Answer>,
}

/// Asks where the environment says `packages` for this stage and nobody asked yet, and notes what
/// was found. Before a setup it is done only where one will run: else a start would pay for what
/// it does not need.
pub async fn ask(worker: &Worker, layout: &mut Layout, stage: Stage) {
    let policy = match stage {
        Stage::Setup => &layout.environment.network.setup,
        Stage::Agent => &layout.environment.network.agent,
    };
    if !matches!(policy, NetworkPolicy::Packages(_)) || layout.asked.is_some() {
        return;
    }
    let asked = asked(worker, layout).await;
    layout.asked = Some(Arc::new(asked));
    let found = super::registries_of(worker, layout);
    layout.notes.extend(found.origins.iter().map(|origin| format!("packages: {origin}")));
    layout.notes.extend(found.notes);
}

/// A tool that does not answer is one whose registry is not known.
async fn asked(worker: &Worker, layout: &Layout) -> Asked {
    let managers = layout.checkout.tracked().map_or(Vec::new(), |paths| detect::in_use(&paths));
    let spec = spec(layout);
    let questions = questions(&managers, &|program| base::has_program(&spec, program));
    if questions.is_empty() {
        return Asked { managers, answers: Vec::new() };
    }
    let kept = Kept::of(worker, &spec, &questions);
    let answers = if let Some(answers) = kept.answers(&questions) {
        answers
    } else {
        let answers = answered(worker, spec, &questions).await;
        kept.keep(&answers);
        answers
    };
    Asked { managers, answers }
}

/// What was answered before, on disk: a start must not wait for it each time.
struct Kept(PathBuf);

impl Kept {
    /// Where the answers of these programs, in this base and with these variables, lie.
    fn of(worker: &Worker, spec: &SandboxSpec, questions: &[Question]) -> Self {
        let mut hash = DefaultHasher::new();
        format!("{:?} {:?}", spec.base, spec.env).hash(&mut hash);
        for question in questions {
            question.argv.hash(&mut hash);
            base::stamp_of_program(spec, question.argv[0]).hash(&mut hash);
        }
        let name = format!("{:016x}.json", hash.finish());
        Self(worker.place.data_dir.join("layers/asked").join(name))
    }

    fn answers(&self, questions: &[Question]) -> Option<Vec<Answer>> {
        // A time in the future counts as expired.
        let age = self.0.metadata().ok()?.modified().ok()?.elapsed().ok()?;
        let texts: BTreeMap<String, String> = (age < KEPT)
            .then(|| std::fs::read(&self.0).ok())
            .flatten()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())?;
        let answer = |question: &Question| {
            let text = texts.get(question.says)?.clone();
            Some(Answer { question: *question, text })
        };
        Some(questions.iter().filter_map(answer).collect())
    }

    /// A cache: what cannot be written is asked for again.
    fn keep(&self, answers: &[Answer]) {
        let texts: BTreeMap<&str, &str> =
            answers.iter().map(|answer| (answer.question.says, answer.text.as_str())).collect();
        let (Some(dir), Ok(bytes)) = (self.0.parent(), serde_json::to_vec(&texts)) else { return };
        if answers.is_empty() || std::fs::create_dir_all(dir).is_err() {
            return;
        }
        let new = dir.join(format!("{}.new", std::process::id()));
        let _ = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &self.0));
    }
}

async fn answered(worker: &Worker, spec: SandboxSpec, questions: &[Question]) -> Vec<Answer> {
    let Ok(sandbox) = worker.sandboxes.create(spec).await else { return Vec::new() };
    let mut asked = JoinSet::new();
    for question in questions {
        asked.spawn(answer(Arc::clone(&sandbox), *question));
    }
    let answers = asked.join_all().await.into_iter().flatten().collect();
    // It ends when it is dropped; this only waits for it.
    let _ = sandbox.end().await;
    answers
}

/// The base and the person's toolchains, without the repository and what was set up for it.
fn spec(layout: &Layout) -> SandboxSpec {
    static COUNTED: AtomicU64 = AtomicU64::new(0);
    let plain = layout.beneath(None);
    let number = COUNTED.fetch_add(1, Ordering::Relaxed);
    let name = format!("ask-{}-{number}", std::process::id());
    let mut spec = plain.spec(name, Upper::Memory, SandboxUser::Agent);
    spec.overlays.retain(|overlay| !overlay.target.starts_with(&layout.workspace));
    spec.binds.retain(|bind| !bind.target.starts_with(&layout.workspace));
    spec.workdir = PathBuf::from(EMPTY);
    // They would be what the tools then say.
    for (name, _) in OFFLINE_VARIABLES {
        spec.env.remove(*name);
    }
    spec.env.extend(layout.environment.variables.clone());
    spec.env.insert("CARGO_NET_RETRY".to_owned(), "0".to_owned());
    spec
}

async fn answer(sandbox: Arc<dyn Sandbox>, question: Question) -> Option<Answer> {
    let answered = tokio::time::timeout(ANSWERED, output(sandbox.as_ref(), &question)).await;
    let bytes = answered.ok()?.ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Some(Answer { question, text })
}

async fn output(sandbox: &dyn Sandbox, question: &Question) -> Result<Vec<u8>, SandboxError> {
    let command = Command {
        argv: question.argv.iter().map(|word| (*word).to_owned()).collect(),
        env: BTreeMap::new(),
        workdir: None,
        io: CommandIo::Output,
    };
    let mut started = sandbox.start(command).await?;
    let mut all = Vec::new();
    loop {
        match started.output.next().await? {
            CommandEvent::Output(bytes) | CommandEvent::Error(bytes) => {
                let room = MOST_BYTES.saturating_sub(all.len());
                all.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            CommandEvent::Exited(_) => return Ok(all),
        }
    }
}
