//! A script behind HTTP: `quire model play`, as long as the value lives.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

/// A played model. Dropping it ends it.
pub struct Player {
    child: Child,
    url: String,
}

impl Player {
    /// Starts it and waits until it says where it listens.
    pub fn start(quire: &Path, script: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(quire)
            .args(["model", "play"])
            .arg(script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start quire model play")?;
        let (stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
        let mut player = Self { child, url: String::new() };
        let mut lines = BufReader::new(stdout.context("no output")?);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            if let Some(url) = url_in(&line) {
                url.clone_into(&mut player.url);
                // What it prints later has to go somewhere.
                std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
                // How to use it by hand is not for those who watch the demo.
                std::thread::spawn(move || stderr.map(|mut it| it.read_to_end(&mut Vec::new())));
                return Ok(player);
            }
            line.clear();
        }
        let mut said = String::new();
        if let Some(stderr) = &mut stderr {
            stderr.read_to_string(&mut said)?;
        }
        bail!("quire model play {} ended before it listened: {}", script.display(), said.trim())
    }

    /// The base URL to give to a client.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // It may have ended by itself; nothing else can be done about it here.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn url_in(line: &str) -> Option<&str> {
    let start = line.find("http://")?;
    line[start..].split(|c: char| c.is_whitespace() || c == '"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_line_for_people() {
        assert_eq!(
            url_in("listening on http://127.0.0.1:41/v1 (scripted)\n"),
            Some("http://127.0.0.1:41/v1")
        );
        assert_eq!(url_in("no address"), None);
    }
}
