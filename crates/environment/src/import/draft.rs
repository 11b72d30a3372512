//! A recipe that is being put together: what it says, where each part is from, what is left out.

use std::fmt::Write as _;

use quire_domain::environment::Limits;
use toml_writer::{ToTomlKey as _, ToTomlValue as _, TomlKeyBuilder, TomlStringBuilder};

use super::{Fault, Import, Left};
use crate::recipe::{self, Position};

/// The most that is listed as left out; beyond it, only counted.
const MOST_LEFT: usize = 500;

/// Stands before scripts that were written for a shell that is not as strict.
pub const UNSET: &str = "# Elsewhere a variable that is not set is an empty one.\nset +u";

/// A recipe that is being put together.
#[derive(Debug, Default)]
pub struct Draft {
    /// What people call it.
    pub name: Option<Said>,
    /// The base.
    pub image: Option<Said>,
    /// Parts of the setup script, in order.
    pub setup: Vec<Said>,
    /// What has to stand before and after them.
    pub before: Vec<String>,
    /// See [`Self::before`].
    pub after: Vec<String>,
    /// What runs for another commit.
    pub maintenance: Vec<Said>,
    /// Names of secrets.
    pub secrets: Vec<Said>,
    /// Names and values of variables.
    pub variables: Vec<(String, Said)>,
    /// Minutes that setup may take.
    pub timeout_minutes: Option<Said>,
    /// What is left out.
    pub left: Vec<Left>,
}

/// A text and where it is from.
#[derive(Debug, Clone)]
pub struct Said {
    /// Where.
    pub at: Position,
    /// What it is called there.
    pub from: String,
    /// What goes into the recipe.
    pub text: String,
}

impl Draft {
    /// Notes something that is left out.
    pub fn leave(&mut self, at: Position, what: impl Into<String>, why: impl Into<String>) {
        self.left.push(Left { at, what: what.into(), why: why.into() });
    }

    /// Writes the recipe. What a recipe refuses is left out of it, with the reason it gives.
    pub fn write(mut self, path: &str) -> Result<Import, Fault> {
        self.leave_what_cannot_run();
        let mut text = format!("# From {}.\n", comment(path));
        if let Some(name) = self.name.take() {
            let plain =
                |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
            let short: String = name.text.trim().chars().map(plain).take(60).collect();
            let parts: Vec<&str> = short.split('-').filter(|part| !part.is_empty()).collect();
            let short = parts.join("-");
            self.line(&mut text, "name", &Said { text: short, ..name });
        }
        if let Some(image) = self.image.take() {
            self.line(&mut text, "image", &image);
        }
        let secrets = std::mem::take(&mut self.secrets);
        self.list_secrets(&mut text, secrets);
        let mut setup = std::mem::take(&mut self.setup);
        let (before, after) = (self.before.join("\n"), self.after.join("\n"));
        let surround = |text: String| {
            [before.as_str(), &text, after.as_str()]
                .iter()
                .filter(|part| !part.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join("\n")
        };
        if setup.is_empty() {
            text.push_str("\n# No command is named there: lock files decide what is set up.\n");
        } else {
            let script = script(&mut setup);
            write_line(&mut text, "setup", &surround(script), "commands, each with its place");
        }
        let mut maintenance = std::mem::take(&mut self.maintenance);
        if !maintenance.is_empty() {
            let script = script(&mut maintenance);
            write_line(&mut text, "maintenance", &surround(script), "what it runs for new content");
        }
        let variables = std::mem::take(&mut self.variables);
        self.list_variables(&mut text, variables);
        if let Some(minutes) = self.timeout_minutes.take() {
            let number = minutes.text.parse::<u32>().unwrap_or(0).to_string();
            let line = format!("timeout_minutes = {number}\n");
            if let Some(why) = refused(&format!("[snapshot]\n{line}")) {
                self.leave(minutes.at, minutes.from, why);
            } else {
                let _ = write!(
                    text,
                    "\n[snapshot]\n# line {}: {}\n{line}",
                    minutes.at.line, minutes.from
                );
            }
        }
        self.left.sort_by_key(|left| left.at);
        if !self.left.is_empty() {
            text.push_str("\n# Not carried over:\n");
            for left in self.left.iter().take(MOST_LEFT) {
                let _ = writeln!(text, "# {}", comment(&left.to_string()));
            }
            if self.left.len() > MOST_LEFT {
                let _ = writeln!(text, "# and {} more", self.left.len() - MOST_LEFT);
            }
        }
        match refused(&text) {
            None => Ok(Import { recipe: text, left: self.left }),
            Some(why) => Err((None, format!("comes to a recipe that cannot be read: {why}"))),
        }
    }

    /// Leaves out commands that no shell can be given, which would spoil all others.
    fn leave_what_cannot_run(&mut self) {
        for parts in [&mut self.setup, &mut self.maintenance] {
            for part in parts.extract_if(.., |part| part.text.contains('\0')) {
                let why = "has a NUL, which no program can be given".to_owned();
                self.left.push(Left { at: part.at, what: part.from, why });
            }
        }
    }

    fn line(&mut self, text: &mut String, key: &str, said: &Said) {
        let mut alone = String::new();
        write_line(&mut alone, key, &said.text, &format!("line {}: {}", said.at.line, said.from));
        match refused(&alone) {
            None => text.push_str(&alone),
            Some(why) => self.leave(said.at, format!("{}: {}", said.from, said.text), why),
        }
    }

    fn list_secrets(&mut self, text: &mut String, secrets: Vec<Said>) {
        let mut names: Vec<String> = Vec::new();
        for secret in secrets {
            if names.contains(&secret.text) {
                continue;
            }
            match refused(&format!("secrets = [{}]", value(&secret.text))) {
                None => names.push(secret.text),
                Some(why) => self.leave(secret.at, secret.from, why),
            }
        }
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| value(name)).collect();
            text.push_str("\n# Store each with `quire env secret set NAME`.\n");
            let _ = writeln!(text, "secrets = [{}]", names.join(", "));
        }
    }

    fn list_variables(&mut self, text: &mut String, variables: Vec<(String, Said)>) {
        let mut table = String::new();
        let mut names: Vec<String> = Vec::new();
        // The last of one name counts, as in the files.
        for (name, said) in variables.into_iter().rev() {
            if names.contains(&name) {
                continue;
            }
            let key = TomlKeyBuilder::new(&name).as_default().to_toml_key();
            let line = format!("{key} = {}\n", value(&said.text));
            match refused(&format!("[variables]\n{line}")) {
                None => {
                    let from = format!("# line {}: {}\n", said.at.line, comment(&said.from));
                    table.insert_str(0, &format!("{from}{line}"));
                    names.push(name);
                }
                Some(why) => self.leave(said.at, said.from, why),
            }
        }
        if !table.is_empty() {
            let _ = write!(text, "\n[variables]\n{table}");
        }
    }
}

/// Why a recipe with this text is refused.
fn refused(text: &str) -> Option<String> {
    let defaults = recipe::default_environment(false, Limits::default());
    recipe::read(text, "", defaults).err().map(|error| error.what)
}

fn script(parts: &mut [Said]) -> String {
    let part = |part: &mut Said| {
        let comment = comment(&part.from);
        format!("# line {}: {comment}\n{}", part.at.line, part.text.trim_end())
    };
    parts.iter_mut().map(part).collect::<Vec<_>>().join("\n")
}

fn write_line(text: &mut String, key: &str, said: &str, from: &str) {
    let said = if said.contains('\n') { format!("{said}\n") } else { said.to_owned() };
    let _ = write!(text, "\n# {}\n{key} = {}\n", comment(from), value(&said));
}

fn value(text: &str) -> String {
    TomlStringBuilder::new(text).as_default().to_toml_value()
}

/// A text as it can stand in a comment: one line, without what a terminal would obey.
fn comment(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).take(400).collect()
}

/// A word for a shell, whatever is in it.
pub fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
