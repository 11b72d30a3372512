//! Shows what several processes print at the same time, each line under the name of its own.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::thread::JoinHandle;

/// What a process prints while it runs.
pub struct Shown {
    answer: Option<JoinHandle<String>>,
    progress: Option<JoinHandle<()>>,
}

/// Shows the lines of standard error as they come, and keeps standard output for its end.
pub fn show(name: &'static str, child: &mut Child) -> Shown {
    let answer = child.stdout.take().map(|mut pipe| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // A pipe that breaks ends the answer; what came is still shown.
            pipe.read_to_end(&mut bytes).ok();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    });
    let progress = child.stderr.take().map(|pipe| {
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                println!("{name:<13} │ {}", String::from_utf8_lossy(&line));
            }
        })
    });
    Shown { answer, progress }
}

impl Shown {
    /// Waits until both ends are closed and gives standard output.
    pub fn wait(&mut self) -> String {
        if let Some(progress) = self.progress.take() {
            progress.join().ok();
        }
        self.answer.take().and_then(|answer| answer.join().ok()).unwrap_or_default()
    }
}
