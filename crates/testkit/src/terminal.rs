//! A call of `quire` at a terminal of its own: typed into, and what it shows read.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::Call;

/// What is waited for comes within this time.
const LIMIT: Duration = Duration::from_mins(1);

/// A terminal at which `quire` was started.
pub struct Terminal {
    child: Child,
    keys: File,
    shown: Receiver<Vec<u8>>,
    all: String,
    /// Up to where it was waited for.
    read: usize,
}

impl Call {
    /// Starts it at a terminal of this size, as a shell would.
    pub fn at_terminal(self, columns: u16, rows: u16) -> Terminal {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        tcsetwinsize(&keys, size(columns, rows)).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let theirs = open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let mut command = self.beneath(&["setsid", "--ctty", "--wait"]).command;
        command.stdin(Stdio::from(theirs.try_clone().unwrap()));
        command.stdout(Stdio::from(theirs.try_clone().unwrap())).stderr(Stdio::from(theirs));
        let child = command.spawn().expect("quire starts");
        // Its ends of the terminal stay open in it otherwise.
        drop(command);
        let keys = File::from(keys);
        let shown = pieces(keys.try_clone().unwrap());
        Terminal { child, keys, shown, all: String::new(), read: 0 }
    }
}

impl Terminal {
    /// Types; `\x03` is Ctrl-C.
    pub fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until `words` are shown behind what was waited for before; gives what came until then.
    ///
    /// # Panics
    ///
    /// With all that was shown, if they do not come.
    pub fn until(&mut self, words: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.all[self.read..].find(words) {
                let end = self.read + at + words.len();
                let came = self.all[self.read..end].to_owned();
                self.read = end;
                return came;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(bytes) => self.all.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let _ = self.child.kill();
                    panic!("`{words}` did not come:\n{}", self.all);
                }
            }
        }
    }

    /// Gives it another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        tcsetwinsize(&self.keys, size(columns, rows)).unwrap();
    }

    /// Whether it shows what is typed, as it did at the start.
    pub fn echoes(&self) -> bool {
        tcgetattr(&self.keys).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// The process that was started here, to be sent signals.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end; gives how it ended and all that was shown.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("quire did not end:\n{}", self.all);
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        while let Ok(bytes) = self.shown.recv_timeout(Duration::from_millis(100)) {
            self.all.push_str(&String::from_utf8_lossy(&bytes));
        }
        (status, self.all)
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }
}

/// What is shown, as it comes, until the last of its programs has ended.
fn pieces(mut from: File) -> Receiver<Vec<u8>> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut piece = vec![0; 4096];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            if tell.send(piece[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    told
}
