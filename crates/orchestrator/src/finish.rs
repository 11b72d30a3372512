//! The end of an attempt: what the working tree, the history, the citations and the declared
//! checks look like when the model says that it is done. What follows from it the loop decides.

mod checks;
mod citations;
mod collect;
mod tree;

pub use citations::{Looked, look};
pub use collect::{Collected, From};
pub use tree::TreeFacts;
pub(crate) use tree::quiet_git;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use quire_agent::{ContractError, Findings, Finish, SandboxSource};
use quire_domain::citation::CitationMark;
use quire_domain::citation::CitationVerdict;
use quire_domain::event::Fault;
use quire_domain::ids::{AttemptId, CommitId, TaskId};
use quire_domain::journal::Journal;
use quire_domain::secret::Secret;
use quire_domain::task::{Mode, Request, StartPoint};
use tokio::sync::Mutex;

use crate::prepare::Layout;
use crate::recorder::Recorder;
use crate::services::Services;
use crate::worker::Worker;

/// Looks at what one attempt made.
pub struct AttemptFinish {
    pub(crate) worker: Worker,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) sandbox: Arc<dyn SandboxSource>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) task: TaskId,
    pub(crate) attempt: AttemptId,
    pub(crate) name: String,
    /// The attempts it goes on from, nearest first.
    pub(crate) continued: Vec<AttemptId>,
    pub(crate) request: Request,
    pub(crate) start: StartPoint,
    pub(crate) workspace: PathBuf,
    /// What runs in its sandbox beside the agent, where there is something.
    pub(crate) services: OnceLock<Arc<Services>>,
    /// The values that credentials of its checks are made of.
    pub(crate) secrets: BTreeMap<String, Secret<String>>,
    pub(crate) collected: Mutex<Option<Collected>>,
}

impl AttemptFinish {
    /// The commit that citations of files are looked up at when nothing was changed.
    pub(crate) fn base(&self) -> &CommitId {
        &self.start.base
    }
}

#[async_trait]
impl Finish for AttemptFinish {
    async fn examine(&self, answer: &str) -> Result<Findings, ContractError> {
        let mut faults = Vec::new();
        let mut changed_files = Vec::new();
        let mut head = None;
        if self.request.mode == Mode::Code {
            match self.tree_facts().await? {
                Err(why) => faults.push(Fault::ResultUnusable { why }),
                Ok(facts) => {
                    faults.extend(facts.faults(&self.start, self.request.allow_rewrite));
                    changed_files.clone_from(&facts.dirty);
                    match self.collect(&facts.head, From::Attempt).await? {
                        Err(why) => faults.push(Fault::ResultUnusable { why }),
                        Ok(collected) => {
                            let rewritten = !collected.base_kept && !self.request.allow_rewrite;
                            if rewritten && !faults.contains(&Fault::HistoryRewritten) {
                                faults.push(Fault::HistoryRewritten);
                            }
                            nest(&mut faults, self.undeclared_links(&collected).await?);
                            changed_files.extend(collected.changed);
                        }
                    }
                    head = Some(facts.head);
                }
            }
        }
        changed_files.sort();
        changed_files.dedup();
        let looked = self.look_at_citations(answer).await?;
        for (raw, why) in &looked.malformed {
            faults.push(Fault::BadCitation { citation: raw.clone(), why: why.clone() });
        }
        for cited in &looked.citations {
            let citation = cited.citation.to_string();
            match &cited.verdict {
                CitationVerdict::Rejected { why } => {
                    faults.push(Fault::BadCitation { citation, why: why.to_string() });
                }
                CitationVerdict::Resolved { marks, .. } if marks.contains(&CitationMark::Stale) => {
                    faults.push(Fault::StaleCitation { citation });
                }
                CitationVerdict::Resolved { .. } => {}
            }
        }
        Ok(Findings { faults, answer: looked.text, changed_files, head })
    }

    async fn run_checks(&self) -> Result<Vec<Fault>, ContractError> {
        if self.request.skip_checks || self.request.mode != Mode::Code {
            return Ok(Vec::new());
        }
        self.run_declared_checks().await
    }

    async fn check_output(&self, fault: &Fault, limit: usize) -> Result<String, ContractError> {
        let Fault::CheckFailed { chunk, .. } = fault else { return Ok(String::new()) };
        let reader = self.recorder.chunk(chunk).await.map_err(other)?;
        let lines = reader.size().lines;
        let first = lines.saturating_sub(200).max(1);
        let bytes = reader.lines(first, lines, limit.saturating_mul(4)).await.map_err(other)?;
        let mut screen = quire_agent::Screen::new(limit, first);
        screen.push(&bytes);
        Ok(screen.text())
    }
}

/// Links to other repositories join the repositories that were found in the working tree.
fn nest(faults: &mut Vec<Fault>, links: Vec<String>) {
    if links.is_empty() {
        return;
    }
    let found = faults.iter_mut().find_map(|fault| match fault {
        Fault::NestedRepository { paths } => Some(paths),
        _ => None,
    });
    match found {
        Some(paths) => paths.extend(links),
        None => faults.push(Fault::NestedRepository { paths: links }),
    }
}

/// A failure that is nobody's fault but ours, with its causes.
pub(crate) fn other(error: impl std::error::Error + 'static) -> ContractError {
    if crate::error::is_disk_full(&error) {
        return ContractError::DiskFull;
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    ContractError::Other(text)
}
