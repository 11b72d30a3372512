//! A stage for the loop: the far ends of its contracts, played. A script instead of a model, a
//! record in memory, processes in a temporary directory instead of a sandbox.
#![allow(dead_code, missing_docs, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

pub mod desk;
pub mod player;
pub mod processes;
pub mod record;

use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quire_agent::{AgentError, AttemptRun, End, Settings, run};
use quire_domain::event::{Event, EventBody, Submitted};
use quire_domain::task::{Mode, Request};
use quire_domain::time::{Clock, Timestamp};
use quire_domain::transcript::{Item, Reply};
use tokio_util::sync::CancellationToken;

use desk::Desk;
use player::Player;
use processes::Processes;
use record::Record;

pub struct Wall(Timestamp, std::time::Instant);

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        self.0.plus_millis(u64::try_from(self.1.elapsed().as_millis()).unwrap())
    }
}

pub struct Stage {
    pub repo: tempfile::TempDir,
    pub record: Arc<Record>,
    pub desk: Arc<Desk>,
    pub player: Arc<Player>,
    pub mode: Mode,
    pub prompt: String,
    pub settings: Settings,
    pub cancel: CancellationToken,
    pub earlier: Vec<Event>,
    pub edit_request: fn(&mut Request),
    pub folds: Arc<AtomicU32>,
}

impl Stage {
    pub fn new(replies: Vec<Reply>) -> Self {
        Self::playing(Player::script(replies))
    }

    pub fn playing(player: Player) -> Self {
        let repo = tempfile::tempdir().unwrap();
        let desk = Desk::new(repo.path().to_owned());
        Self {
            repo,
            record: Arc::new(Record::default()),
            desk: Arc::new(desk),
            player: Arc::new(player),
            mode: Mode::Code,
            prompt: "do it".to_owned(),
            settings: Settings::default(),
            cancel: CancellationToken::new(),
            earlier: Vec::new(),
            edit_request: |_| {},
            folds: Arc::default(),
        }
    }

    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.repo.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.repo.path().join(path)).unwrap()
    }

    pub fn request(&self) -> Request {
        let request = serde_json::json!({
            "mode": self.mode, "prompt": self.prompt, "model": "scripted", "attempts": 1,
        });
        let mut request: Request = serde_json::from_value(request).unwrap();
        (self.edit_request)(&mut request);
        request
    }

    pub fn submit(&self) {
        if self.record.bodies().is_empty() {
            let submitted = Submitted { request: self.request(), ordinal: 1, continues: None };
            self.record.put(vec![EventBody::Submitted(submitted)]);
        }
    }

    pub fn attempt(&self) -> AttemptRun {
        let sandbox = Arc::new(Processes::new(self.repo.path().to_owned(), self.folds.clone()));
        AttemptRun {
            model: self.player.clone(),
            journal: self.record.clone(),
            sandbox: Arc::new(processes::Ready(sandbox)),
            finish: self.desk.clone(),
            inputs: self.desk.clone(),
            purse: self.desk.clone(),
            instructions: self.desk.clone(),
            clock: Arc::new(Wall(Timestamp(1_000), std::time::Instant::now())),
            request: self.request(),
            earlier: self.earlier.clone(),
            workspace: self.repo.path().to_owned(),
            start_dir: None,
            branch: Some("main".to_owned()),
            cache_key: "attempt".to_owned(),
            settings: self.settings.clone(),
            cancel: self.cancel.clone(),
        }
    }

    pub async fn try_run(&self) -> Result<End, AgentError> {
        self.submit();
        tokio::time::timeout(Duration::from_mins(1), run(self.attempt())).await.unwrap()
    }

    pub async fn run(&self) -> End {
        let end = self.try_run().await.unwrap();
        self.requests_begin_with_the_ones_before();
        end
    }

    /// The answer and the faults it was accepted with.
    pub async fn answer(&self) -> (String, Vec<String>) {
        match self.run().await {
            End::Finished { answer, faults } => {
                let name = |fault: &quire_domain::event::Fault| {
                    let value = serde_json::to_value(fault).unwrap();
                    value["fault"].as_str().unwrap().to_owned()
                };
                (answer, faults.iter().map(name).collect())
            }
            end => panic!("{end:?}"),
        }
    }

    /// What each tool call was answered, texts joined.
    pub fn answers(&self) -> Vec<String> {
        let bodies = self.record.bodies();
        bodies
            .iter()
            .filter_map(|body| match body {
                EventBody::ToolAnswered(answered) => Some(texts(&answered.parts)),
                _ => None,
            })
            .collect()
    }

    /// The kinds of the log, one a line.
    pub fn kinds(&self) -> String {
        let bodies = self.record.bodies();
        bodies.iter().map(EventBody::kind).collect::<Vec<_>>().join("\n")
    }

    pub fn requests(&self) -> Vec<Vec<Item>> {
        self.player.requests.lock().unwrap().clone()
    }

    /// The append-only rule: within a window, each request's items begin with those of the one
    /// before, to the byte.
    pub fn requests_begin_with_the_ones_before(&self) {
        let requests = self.requests();
        for pair in requests.windows(2) {
            if pair[1].len() < pair[0].len() {
                // A new window.
                continue;
            }
            let bytes = |items: &[Item]| serde_json::to_string(items).unwrap();
            let same = bytes(&pair[0]) == bytes(&pair[1][..pair[0].len()]);
            assert!(same, "a request does not begin with the one before");
        }
    }
}

pub fn texts(parts: &[quire_domain::transcript::Part]) -> String {
    let text = |part: &quire_domain::transcript::Part| match part {
        quire_domain::transcript::Part::Text { text } => text.clone(),
        quire_domain::transcript::Part::Image { image } => format!("<{}>", image.media_type),
    };
    parts.iter().map(text).collect::<Vec<_>>().join("\n")
}

/// A shared list, for what a contract was told.
pub type Shared<T> = Mutex<Vec<T>>;

pub fn path(text: &str) -> PathBuf {
    PathBuf::from(text)
}

/// Providers refuse a call without a result, and a result without a call.
pub fn every_call_has_its_result(items: &[Item]) {
    let mut items = items.iter().peekable();
    while let Some(item) = items.next() {
        match item {
            Item::Reply(reply) => {
                let calls: Vec<_> = reply.tool_calls().map(|call| &call.id).collect();
                if calls.is_empty() {
                    continue;
                }
                let Some(Item::ToolResults { results }) = items.next() else {
                    panic!("no results after {calls:?}");
                };
                assert_eq!(calls, results.iter().map(|r| &r.call_id).collect::<Vec<_>>());
            }
            Item::ToolResults { .. } => panic!("results without calls"),
            Item::Message(_) => {}
        }
    }
}
