//! A person's editor over a text, opened again for as long as that cannot be read.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use quire_environment::recipe::MOST_BYTES;

use crate::exit::{Exit, stop, usage};
use crate::installation::Installation;
use crate::show;

/// What begins the lines that say what is wrong; taken out again.
const FAULT: &str = "#! ";

/// The person's editor.
pub struct Editor {
    /// As `VISUAL` or `EDITOR` has it: words for a shell.
    command: String,
    dir: PathBuf,
    /// What the names of its files end in, for the editor to know what it is.
    ending: &'static str,
}

/// What came of it.
pub enum Edited {
    /// Another text, which can be read.
    Text(Draft),
    /// The text as it was.
    Unchanged,
}

/// A text that was written, and the file it is in. The file is removed when the text was kept.
#[derive(Debug)]
pub struct Draft {
    text: String,
    file: PathBuf,
}

impl Draft {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The file, for a person who has to take the text elsewhere.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The text; the file goes.
    pub fn keep(self) -> String {
        let _ = std::fs::remove_file(&self.file);
        self.text
    }
}

impl Editor {
    /// The editor of `VISUAL` or `EDITOR`; `vi` where a person is there. `instead` is what helps
    /// where there is none.
    pub fn of(
        installation: &Installation,
        ending: &'static str,
        instead: &str,
    ) -> anyhow::Result<Self> {
        let surroundings = &installation.surroundings;
        let named = surroundings.variable("VISUAL").or_else(|| surroundings.variable("EDITOR"));
        let command = match named {
            Some(command) => command.to_owned(),
            None if surroundings.stdin_terminal && surroundings.stdout_terminal => "vi".to_owned(),
            None => {
                return Err(usage(format!("there is no editor to open: {instead}, or set EDITOR")));
            }
        };
        let dir = installation.worker.place.data_dir.join("drafts");
        Ok(Self { command, dir, ending })
    }

    /// Opens the editor on `text` until what it leaves can be read.
    ///
    /// # Errors
    ///
    /// An editor that failed, or left what cannot be read twice in the same form: its file stays,
    /// and is named.
    pub async fn edit(
        &self,
        name: &str,
        text: &str,
        read: impl Fn(&str) -> Result<(), String>,
    ) -> anyhow::Result<Edited> {
        let file = self.write_draft(name, text)?;
        let mut before: Option<String> = None;
        loop {
            self.open(&file).await?;
            let written = read_draft(&file)?;
            let clean: String =
                written.split_inclusive('\n').filter(|line| !line.starts_with(FAULT)).collect();
            if clean == text {
                let _ = std::fs::remove_file(&file);
                return Ok(Edited::Unchanged);
            }
            let Err(why) = read(&clean) else {
                return Ok(Edited::Text(Draft { text: clean, file }));
            };
            if before.as_deref() == Some(clean.as_str()) {
                let file = file.display();
                return Err(usage(format!("{why}\n  what you wrote is in {file}")));
            }
            let fault = why.replace('\n', &format!("\n{FAULT}"));
            std::fs::write(&file, format!("{FAULT}{fault}\n{clean}"))?;
            show::err(&why);
            before = Some(clean);
        }
    }

    fn write_draft(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        // Another draft of the same name may hold what a person could not keep.
        for number in 0..1_000 {
            let file =
                self.dir.join(format!("{name}.{}.{number}.{}", std::process::id(), self.ending));
            let open =
                std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
            match open {
                Ok(mut open) => {
                    open.write_all(text.as_bytes())?;
                    return Ok(file);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(usage(format!("{} is full of drafts: look through them", self.dir.display())))
    }

    /// Waits for the editor for as long as the person needs it.
    async fn open(&self, file: &Path) -> anyhow::Result<()> {
        // The variable holds words for a shell, by old custom; the path is never part of them.
        let status = tokio::process::Command::new("/bin/sh")
            .arg("-c")
            .arg(format!("{} \"$1\"", self.command))
            .arg("editor")
            .arg(file)
            .status()
            .await
            .map_err(|error| usage(format!("cannot start `{}`: {error}", self.command)))?;
        if status.success() {
            return Ok(());
        }
        let (command, file) = (&self.command, file.display());
        Err(stop(Exit::Failed, format!("`{command}` ended with {status}; the draft is {file}")))
    }
}

fn read_draft(file: &Path) -> anyhow::Result<String> {
    let shown = file.display();
    let found = std::fs::metadata(file)
        .map_err(|error| usage(format!("cannot read what the editor left, {shown}: {error}")))?;
    if found.len() > 2 * MOST_BYTES as u64 {
        return Err(usage(format!("{shown} is longer than {MOST_BYTES} bytes")));
    }
    let bytes = std::fs::read(file)?;
    String::from_utf8(bytes).map_err(|_| usage(format!("{shown} is not UTF-8")))
}
