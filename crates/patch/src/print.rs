//! Prints a patch in the one form that parsing reads back to the same value.

use std::fmt;

use crate::patch::{FilePatch, Hunk, HunkLine, Patch};

impl fmt::Display for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("*** Begin Patch\n")?;
        for file in &self.files {
            match file {
                FilePatch::Add { path, lines } => {
                    writeln!(f, "*** Add File: {path}")?;
                    for line in lines {
                        writeln!(f, "+{line}")?;
                    }
                }
                FilePatch::Delete { path } => writeln!(f, "*** Delete File: {path}")?,
                FilePatch::Update { path, move_to, hunks } => {
                    writeln!(f, "*** Update File: {path}")?;
                    if let Some(to) = move_to {
                        writeln!(f, "*** Move to: {to}")?;
                    }
                    for hunk in hunks {
                        print_hunk(hunk, f)?;
                    }
                }
            }
        }
        f.write_str("*** End Patch\n")
    }
}

fn print_hunk(hunk: &Hunk, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if hunk.headers.is_empty() {
        f.write_str("@@\n")?;
    }
    for header in &hunk.headers {
        writeln!(f, "@@ {header}")?;
    }
    for line in &hunk.lines {
        match line {
            HunkLine::Keep(text) => writeln!(f, " {text}")?,
            HunkLine::Remove(text) => writeln!(f, "-{text}")?,
            HunkLine::Add(text) => writeln!(f, "+{text}")?,
        }
    }
    if hunk.at_end { f.write_str("*** End of File\n") } else { Ok(()) }
}
