//! One call of `quire`: started, waited for or killed, and what it printed.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Repository;

/// No call of a test takes longer.
const LIMIT: Duration = Duration::from_mins(2);
/// After the end of a process its output must end as well: what holds it open was left behind.
const OUTPUT_LIMIT: Duration = Duration::from_secs(5);

/// A person presses Ctrl-C again after about this time.
const BETWEEN_INTERRUPTS: Duration = Duration::from_millis(300);

/// A call that is being prepared.
pub struct Call {
    pub(crate) command: Command,
    stdin: Vec<u8>,
    limit: Duration,
}

/// When to kill a call with SIGKILL.
#[derive(Debug, Clone, Copy)]
pub enum KillAt<'a> {
    /// When so many lines (events, with `--json`) were printed.
    Line(usize),
    /// When an event of this kind was printed, with `--json`.
    Event(&'a str),
    /// When so many events of this kind were printed, with `--json`.
    Nth(&'a str, usize),
    /// So long after its start.
    After(Duration),
}

/// What a call left.
#[derive(Debug, Clone)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed for programs.
    pub stdout: String,
    /// What it printed for people.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
    /// From the kill or the first Ctrl-C to the end, if there was one.
    pub answered_in: Option<Duration>,
    /// Whether something it started still held its output open five seconds later.
    pub left_behind: bool,
}

impl Call {
    pub(crate) fn new(program: &Path, dir: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(dir);
        Self { command, stdin: Vec::new(), limit: LIMIT }
    }

    /// In this checkout.
    #[must_use]
    pub fn in_repository(self, repository: &Repository) -> Self {
        self.in_dir(repository.path())
    }

    /// In this directory.
    #[must_use]
    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// With a variable set.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Started by another program, which is given this call as its last words.
    #[must_use]
    pub fn beneath(mut self, program: &[&str]) -> Self {
        let (first, rest) = program.split_first().expect("a program");
        let mut command = Command::new(first);
        command.args(rest).arg(self.command.get_program()).args(self.command.get_args());
        if let Some(dir) = self.command.get_current_dir() {
            command.current_dir(dir);
        }
        command.env_clear();
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        self.command = command;
        self
    }

    /// With this on standard input, which is empty otherwise.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// At most so long, instead of two minutes.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Ended {
        self.drive(None, Blow::Kill)
    }

    /// Kills it as if the machine had: it learns nothing of it. If it ends before, so be it.
    pub fn killed(self, at: KillAt<'_>) -> Ended {
        self.drive(Some(at), Blow::Kill)
    }

    /// Presses Ctrl-C at that moment, `times` times with 300 ms between, and waits for its end,
    /// which [`Ended::answered_in`] counts from the first.
    pub fn interrupted(self, at: KillAt<'_>, times: u32) -> Ended {
        self.drive(Some(at), Blow::Interrupt(times))
    }

    fn drive(mut self, mut at: Option<KillAt<'_>>, blow: Blow) -> Ended {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = self.command.spawn().expect("quire starts");
        let stdin = std::mem::take(&mut self.stdin);
        if let Some(mut pipe) = child.stdin.take() {
            // It may end without reading.
            std::thread::spawn(move || pipe.write_all(&stdin));
        }
        let out = lines(child.stdout.take().expect("piped"));
        let err = lines(child.stderr.take().expect("piped"));
        let mut stdout = Text::default();
        let mut struck = None;
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child of ours") {
                break status;
            }
            let took = begun.elapsed();
            if at.is_some_and(|at| at.is_now(&stdout, took)) {
                at = None;
                struck = Some(Instant::now());
                blow.strike(&mut child);
            }
            if took > self.limit {
                give_up(&mut child, stdout, &err, self.limit);
            }
            stdout.take(&out, Duration::from_millis(1));
        };
        let took = begun.elapsed();
        let answered_in = struck.map(|struck| struck.elapsed());
        let mut stderr = Text::default();
        let deadline = Instant::now() + OUTPUT_LIMIT;
        let left_behind = !stdout.finish(&out, deadline) || !stderr.finish(&err, deadline);
        let (stdout, stderr) = (stdout.text(), stderr.text());
        Ended { status, stdout, stderr, took, answered_in, left_behind }
    }
}

/// What befalls a call.
#[derive(Debug, Clone, Copy)]
enum Blow {
    Kill,
    Interrupt(u32),
}

impl Blow {
    fn strike(self, child: &mut Child) {
        match self {
            Self::Kill => child.kill().expect("a child of ours"),
            Self::Interrupt(times) => {
                for time in 0..times {
                    if time > 0 {
                        std::thread::sleep(BETWEEN_INTERRUPTS);
                    }
                    // It is not waited for yet, so the number is still its own.
                    let told = Command::new("bash")
                        .args(["-c", "kill -INT \"$1\"", "bash", &child.id().to_string()])
                        .status();
                    assert!(told.expect("bash starts").success(), "the signal was not sent");
                }
            }
        }
    }
}

fn give_up(child: &mut Child, stdout: Text, err: &Receiver<Vec<u8>>, limit: Duration) -> ! {
    child.kill().expect("a child of ours");
    child.wait().expect("a child of ours");
    let mut stderr = Text::default();
    stderr.finish(err, Instant::now() + Duration::from_secs(1));
    let (out, err) = (stdout.text(), stderr.text());
    panic!("quire did not end within {limit:?}\nstdout:\n{out}\nstderr:\n{err}");
}

impl KillAt<'_> {
    fn is_now(self, stdout: &Text, took: Duration) -> bool {
        match self {
            Self::Line(count) => stdout.lines.len() >= count,
            Self::Event(kind) => stdout.events(kind) >= 1,
            Self::Nth(kind, count) => stdout.events(kind) >= count,
            Self::After(time) => took >= time,
        }
    }
}

/// Lines that came so far.
#[derive(Default)]
struct Text {
    lines: Vec<Vec<u8>>,
}

impl Text {
    /// How many events of this kind came so far.
    fn events(&self, kind: &str) -> usize {
        let mark = format!("\"kind\":\"{kind}\"");
        let of_kind = |line: &&Vec<u8>| String::from_utf8_lossy(line).contains(&mark);
        self.lines.iter().filter(of_kind).count()
    }

    /// Takes what there is, after waiting at most `wait` for the first of it.
    fn take(&mut self, from: &Receiver<Vec<u8>>, wait: Duration) {
        match from.recv_timeout(wait) {
            Ok(line) => self.lines.push(line),
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(wait),
        }
        self.lines.extend(from.try_iter());
    }

    /// Takes all that comes until the end; false if that has not come by `deadline`.
    fn finish(&mut self, from: &Receiver<Vec<u8>>, deadline: Instant) -> bool {
        loop {
            match from.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.lines.push(line),
                Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }

    fn text(self) -> String {
        String::from_utf8_lossy(&self.lines.concat()).into_owned()
    }
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        loop {
            let mut line = Vec::new();
            match reader.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if tell.send(line).is_err() => return,
                Ok(_) => {}
            }
        }
    });
    told
}

impl Ended {
    /// The exit code; `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Whether SIGKILL ended it.
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// Panics with what was printed unless the exit code is `code`.
    #[allow(clippy::return_self_not_must_use, reason = "the check is often all that is wanted")]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            Some(code),
            "quire ended with {}\nstdout:\n{}\nstderr:\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }

    /// The JSON lines on standard output; a last line that was cut off is left out.
    pub fn json(&self) -> Vec<Value> {
        let whole = self.stdout.rfind('\n').map_or("", |end| &self.stdout[..end]);
        let lines = whole.lines().filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The kinds of the events on standard output, in order (`--json`).
    pub fn kinds(&self) -> Vec<String> {
        let kind = |event: &Value| event["kind"].as_str().unwrap_or_default().to_owned();
        self.json().iter().map(kind).collect()
    }

    /// The bodies of the events of one kind (`--json`).
    pub fn bodies(&self, kind: &str) -> Vec<Value> {
        let events = self.json().into_iter().filter(|event| event["kind"] == kind);
        events.map(|mut event| event["body"].take()).collect()
    }
}
