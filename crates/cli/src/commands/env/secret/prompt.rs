//! Asking for a value at the terminal without showing it.

use std::io::{BufRead, Read, Write};
use std::os::fd::AsFd;

use quire_domain::secret::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::MOST_VALUE;

/// Shows what is typed again, whatever happens meanwhile.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> std::io::Result<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(stdin.as_fd())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown, so that a person sees that it was taken.
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(stdin.as_fd(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin().as_fd(), OptionalActions::Flush, &self.0);
    }
}

/// Asks for one line; `None` where the person pressed Ctrl-C.
pub async fn ask(question: &str) -> std::io::Result<Option<Secret<Vec<u8>>>> {
    let hidden = Hidden::begin()?;
    {
        let mut err = std::io::stderr().lock();
        err.write_all(question.as_bytes())?;
        err.flush()?;
    }
    let reading = tokio::task::spawn_blocking(read_line);
    let line = tokio::select! {
        line = reading => Some(line.map_err(std::io::Error::other)??),
        // The thread that reads is left behind: the process ends.
        _ = tokio::signal::ctrl_c() => None,
    };
    drop(hidden);
    if line.is_none() {
        let _ = writeln!(std::io::stderr().lock());
    }
    Ok(line)
}

/// One line of standard input.
pub fn read_line() -> std::io::Result<Secret<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(4_096);
    let stdin = std::io::stdin().lock();
    stdin.take(MOST_VALUE as u64 + 3).read_until(b'\n', &mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(Secret::new(bytes))
}
