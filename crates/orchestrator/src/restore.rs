//! What a working tree is rebuilt from when the sandbox's own files are gone, and what the model
//! is told of it.

use std::fmt::Write as _;

use quire_domain::event::{CommandPurpose, Event, EventBody, Restored};
use quire_domain::ids::{CommitId, Seq};

use crate::checkpoint::newest;

/// Why the files are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The machine went down while they were written.
    MachineWentDown,
    /// They are no longer kept.
    NotKept,
}

/// What is brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// What the event with this number put away. The working tree stands as it was, on top of the
    /// commit's parent.
    Checkpoint {
        /// The event.
        from: Seq,
        /// The commit it put the tree away as.
        commit: CommitId,
    },
    /// A commit, and nothing on top of it.
    Commit(CommitId),
}

/// Files of later changes that are named.
const MOST_PATHS: usize = 20;

/// Whether the log of an attempt says that its sandbox may hold something.
pub fn has_acted(events: &[Event]) -> bool {
    events.iter().any(|event| match &event.body {
        // Setup has a sandbox of its own, and services are started anew.
        EventBody::CommandStarted(started) => {
            matches!(started.purpose, CommandPurpose::Call(_) | CommandPurpose::Check(_))
        }
        EventBody::PatchApplied(_) | EventBody::Checkpointed(_) | EventBody::Restored(_) => true,
        _ => false,
    })
}

/// The event of a restoration: what the model is told stands in it.
pub fn event(source: &Source, why: Why, events: &[Event]) -> Restored {
    let mut text = match why {
        Why::MachineWentDown => "The machine went down, and what the sandbox had written can no \
                                 longer be trusted, so it was given up."
            .to_owned(),
        Why::NotKept => "The files of the sandbox are no longer kept.".to_owned(),
    };
    let from = match source {
        Source::Checkpoint { from, commit } => {
            tell_of_checkpoint(&mut text, *from, commit, events);
            *from
        }
        Source::Commit(commit) => {
            let short: String = commit.as_str().chars().take(10).collect();
            let _ = write!(
                text,
                " The working tree stands at commit {short}, which was the last to be taken out; \
                 whatever was not committed by then is gone."
            );
            Seq(0)
        }
    };
    text.push_str(
        " Gone are also files that git ignores, what lay outside the repository, running \
         processes, and other branches, stashes and the index. Nothing was run again: look at the \
         working tree before you go on.",
    );
    Restored { from, text }
}

fn tell_of_checkpoint(text: &mut String, from: Seq, commit: &CommitId, events: &[Event]) {
    let last = events.last().map_or_else(Default::default, |event| event.at);
    let found = newest(events).find(|(_, checkpointed)| checkpointed.commit == *commit);
    let seconds = found.map_or(0, |(event, _)| last.millis_since(event.at) / 1000);
    let _ = write!(
        text,
        " The working tree was rebuilt as it stood at event {}, {seconds} s before the record \
         ended; what was not committed then is uncommitted again. Changes after that are gone.",
        from.0
    );
    let after = events.iter().filter(|event| event.seq > from);
    let (mut commands, mut paths) = (0, Vec::new());
    for event in after {
        match &event.body {
            EventBody::CommandStarted(started) => {
                commands += u32::from(matches!(started.purpose, CommandPurpose::Call(_)));
            }
            EventBody::PatchApplied(patch) => {
                paths.extend(patch.files.iter().map(|file| file.path.as_str()));
            }
            EventBody::FilesChanged(changed) => {
                paths.extend(changed.paths.iter().map(String::as_str));
            }
            _ => {}
        }
    }
    paths.sort_unstable();
    paths.dedup();
    if commands > 0 || !paths.is_empty() {
        let _ = write!(text, " The record has {commands} commands that began after it");
        if !paths.is_empty() {
            let more = if paths.len() > MOST_PATHS { " and more" } else { "" };
            paths.truncate(MOST_PATHS);
            let _ =
                write!(text, ", and changes of {}{more}: they may be missing", paths.join(", "));
        }
        text.push('.');
    }
    if let Some((_, checkpointed)) = found
        && !checkpointed.left_out.is_empty()
    {
        let more = match checkpointed.more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names = checkpointed.left_out.join(", ");
        let _ = write!(text, " Not put away, as too large or unreadable: {names}{more}.");
    }
}
