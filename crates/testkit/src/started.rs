//! A call that goes on while the test does other things: a server.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Call;

/// A `quire` that runs. Killed when it is dropped.
pub struct Started {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Call {
    /// Starts it and does not wait.
    pub fn start(mut self) -> Started {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("quire starts");
        let said = Arc::new(Mutex::new(Vec::new()));
        let out: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("piped"));
        let err: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("piped"));
        for mut pipe in [out, err] {
            let said = Arc::clone(&said);
            std::thread::spawn(move || {
                let mut some = [0; 4_096];
                while let Ok(count @ 1..) = pipe.read(&mut some) {
                    said.lock().unwrap_or_else(PoisonError::into_inner).extend(&some[..count]);
                }
            });
        }
        Started { child, said }
    }
}

impl Started {
    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far, to both.
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Waits until it has printed this.
    pub fn until_it_says(&mut self, words: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.said().contains(words) {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                panic!("it ended with {status} before it said `{words}`: {}", self.said());
            }
            assert!(Instant::now() < deadline, "it does not say `{words}`: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends it a signal by its name, e.g. `TERM`.
    pub fn signal(&self, name: &str) {
        // It is not waited for yet, so the number is still its own.
        let kill = format!("kill -{name} {}", self.child.id());
        let told = Command::new("bash").args(["-c", &kill]).status();
        assert!(told.expect("bash starts").success(), "the signal was not sent");
    }

    /// Waits for its end.
    pub fn end(mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "it did not end within {within:?}: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it as if the machine had.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
