//! One server for a data directory: two would only fight over the same attempts' files.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use anyhow::Context as _;

use crate::exit::{Exit, stop};

/// Held while a server works on the directory; given back when the process ends, however it does.
#[derive(Debug)]
pub struct ServerLock {
    file: File,
}

impl ServerLock {
    /// Takes it, or says who has it.
    pub fn take(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join("server.lock");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => {
                let mut about = String::new();
                // What it wrote about itself is for people; without it the words are fewer.
                let _ = (&mut file).take(200).read_to_string(&mut about);
                let about = about.lines().next().unwrap_or_default();
                let about = if about.is_empty() { String::new() } else { format!(" ({about})") };
                Err(stop(
                    Exit::Failed,
                    format!(
                        "a server works on {} already{about}: end it first, or give this one \
                         another --data-dir",
                        data_dir.display()
                    ),
                ))
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Writes down where the server is, for who finds the lock taken.
    pub fn tell(&mut self, address: &str) {
        let about = format!("process {}, {address}\n", std::process::id());
        let mut write = || -> std::io::Result<()> {
            self.file.rewind()?;
            self.file.set_len(0)?;
            self.file.write_all(about.as_bytes())
        };
        let _ = write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_told_where_the_first_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = ServerLock::take(dir.path()).unwrap();
        first.tell("http://127.0.0.1:7413");
        let refused = ServerLock::take(dir.path()).unwrap_err().to_string();
        let about = format!("(process {}, http://127.0.0.1:7413)", std::process::id());
        assert!(refused.contains("already") && refused.contains(&about), "{refused}");
        drop(first);
        ServerLock::take(dir.path()).unwrap();
    }
}
