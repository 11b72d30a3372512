//! What the orchestrator would do for the loop: instruction files, inputs, the purse, the look
//! at the result.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use quire_agent::{
    ContractError, Findings, Finish, Inputs, InstructionTree, Judgement, OutsideFile, Purse,
    ReadText,
};
use quire_domain::budget::{Budget, BudgetLimit, MicroDollars, Spent, Usage};
use quire_domain::event::{Fault, Said};

#[derive(Default)]
pub struct Desk {
    root: PathBuf,
    pub outside: Mutex<Vec<(String, String)>>,
    pub steers: Mutex<Vec<Said>>,
    pub messages: Mutex<Vec<Said>>,
    pub answers: Mutex<Vec<Said>>,
    pub judgements: Mutex<Vec<(u64, Judgement)>>,
    pub budget: Mutex<Budget>,
    pub counted: Mutex<Vec<Usage>>,
    /// Findings of each examination; the last one goes on.
    pub findings: Mutex<Vec<Findings>>,
    pub examined: Mutex<Vec<String>>,
    /// What the checks find each time; the last one goes on.
    pub checks: Mutex<Vec<Vec<Fault>>>,
    pub checked: AtomicU32,
}

impl Desk {
    pub fn new(root: PathBuf) -> Self {
        Self { root, ..Self::default() }
    }
}

pub fn said(input: u64, text: &str) -> Said {
    Said { input, text: text.to_owned() }
}

fn take<T: Clone + Default>(list: &Mutex<Vec<T>>) -> T {
    let mut list = list.lock().unwrap();
    if list.len() > 1 { list.remove(0) } else { list.first().cloned().unwrap_or_default() }
}

#[async_trait]
impl InstructionTree for Desk {
    async fn candidates(&self, names: &[String]) -> Result<Vec<String>, ContractError> {
        let mut found = Vec::new();
        let mut dirs = vec![self.root.clone()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap().flatten() {
                if entry.path().is_dir() {
                    dirs.push(entry.path());
                    continue;
                }
                let path = entry.path().strip_prefix(&self.root).unwrap().to_owned();
                let path = path.to_str().unwrap().to_owned();
                if names.iter().any(|name| path == *name || path.ends_with(&format!("/{name}"))) {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    async fn read(&self, path: &str, limit: usize) -> Result<Option<ReadText>, ContractError> {
        let Ok(bytes) = std::fs::read(self.root.join(path)) else { return Ok(None) };
        let whole = bytes.len() as u64;
        Ok(Some(ReadText { text: bytes[..bytes.len().min(limit)].to_vec().into(), bytes: whole }))
    }

    async fn outside(&self, _limit: usize) -> Result<Vec<OutsideFile>, ContractError> {
        let outside = self.outside.lock().unwrap().clone();
        let file = |(path, text): (String, String)| OutsideFile {
            path,
            content: ReadText { bytes: text.len() as u64, text: text.into() },
        };
        Ok(outside.into_iter().map(file).collect())
    }
}

#[async_trait]
impl Inputs for Desk {
    async fn steers(&self, after: u64) -> Result<Vec<Said>, ContractError> {
        let steers = self.steers.lock().unwrap().clone();
        Ok(steers.into_iter().filter(|said| said.input > after).collect())
    }

    async fn messages(&self, after: u64) -> Result<Vec<Said>, ContractError> {
        let messages = self.messages.lock().unwrap().clone();
        Ok(messages.into_iter().filter(|said| said.input > after).collect())
    }

    async fn answer(&self, after: u64) -> Result<Option<Said>, ContractError> {
        Ok(self.answers.lock().unwrap().iter().find(|said| said.input > after).cloned())
    }

    async fn judgement(&self, after: u64) -> Result<Option<Judgement>, ContractError> {
        let judgements = self.judgements.lock().unwrap();
        let first = judgements.iter().find(|(number, _)| *number > after);
        Ok(first.map(|(_, judgement)| judgement.clone()))
    }

    fn newest(&self) -> u64 {
        let answers = self.answers.lock().unwrap();
        let answers = answers.iter().map(|said| said.input);
        let judgements = self.judgements.lock().unwrap();
        answers.chain(judgements.iter().map(|(number, _)| *number)).max().unwrap_or(0)
    }
}

impl Purse for Desk {
    fn reached(&self, own: &Spent) -> Option<BudgetLimit> {
        self.budget.lock().unwrap().reached(own)
    }

    fn add(&self, usage: Usage, _cost: Option<MicroDollars>) {
        self.counted.lock().unwrap().push(usage);
    }
}

#[async_trait]
impl Finish for Desk {
    async fn examine(&self, answer: &str) -> Result<Findings, ContractError> {
        self.examined.lock().unwrap().push(answer.to_owned());
        Ok(Findings { answer: answer.to_owned(), ..take(&self.findings) })
    }

    async fn run_checks(&self) -> Result<Vec<Fault>, ContractError> {
        self.checked.fetch_add(1, Ordering::Relaxed);
        Ok(take(&self.checks))
    }

    async fn check_output(&self, _: &Fault, _: usize) -> Result<String, ContractError> {
        Ok("1 failed".to_owned())
    }
}
