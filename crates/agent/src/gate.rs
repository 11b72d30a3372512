//! The finish gate's policy: whether an answer is accepted, sent back, or has to wait for the
//! declared checks. Pure; the driver gathers the facts and performs the verdict.

use std::fmt::Write;

use quire_domain::event::Fault;
use quire_domain::task::Mode;

use crate::transcript::GateRecord;

/// Messages the gate sends at most; after that the faults are the person's to see.
pub const ROUNDS: u32 = 3;

/// What is known when the model says that it is done.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What the turn may do.
    pub mode: Mode,
    /// Whether the turn skips declared checks.
    pub skip_checks: bool,
    /// Whether the answer has words.
    pub has_answer: bool,
    /// Why the answer has not the form that was asked for, where one was.
    pub wrong_form: Option<String>,
    /// Commands that still run.
    pub running: Vec<Fault>,
    /// What the examination found.
    pub found: Vec<Fault>,
    /// Whether the attempt changed anything.
    pub changed: bool,
    /// Instruction files of changed files that the model was never shown.
    pub unseen: Vec<String>,
    /// Commands that instructions name and that did not run after the last change.
    pub not_run: Vec<String>,
    /// What the declared checks found; `None` if they have not been asked.
    pub checks: Option<Vec<Fault>>,
    /// What the gate has done before.
    pub record: GateRecord,
}

/// What is to be done with an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It stands, with these faults shown to the person.
    Accept(Vec<Fault>),
    /// The model is told these faults.
    SendBack(Vec<Fault>),
    /// The declared checks are to run first.
    RunChecks,
}

/// Decides.
pub fn judge(facts: &Facts) -> Verdict {
    let code = facts.mode == Mode::Code;
    let may_send = facts.record.rounds < ROUNDS;
    let mut faults = facts.running.clone();
    if !facts.has_answer {
        faults.push(Fault::EmptyAnswer);
    } else if let Some(why) = &facts.wrong_form {
        faults.push(Fault::WrongForm { why: why.clone() });
    }
    faults.extend(facts.found.iter().filter(|fault| code || is_citation(fault)).cloned());
    if code && !facts.unseen.is_empty() {
        faults.push(Fault::InstructionsUnseen { files: facts.unseen.clone() });
    }
    let commands = (code && facts.changed && !facts.not_run.is_empty())
        .then(|| Fault::ChecksNotRun { commands: facts.not_run.clone() });
    let ask_for_commands = commands.is_some() && !facts.record.asked_for_commands;
    let blocked = !faults.is_empty();
    faults.extend(commands);
    if may_send && (blocked || ask_for_commands) {
        return Verdict::SendBack(faults);
    }
    if code && facts.changed && !facts.skip_checks {
        match &facts.checks {
            None => return Verdict::RunChecks,
            Some(failed) if !failed.is_empty() && may_send && !facts.record.sent_check => {
                return Verdict::SendBack(failed.clone());
            }
            Some(failed) => faults.extend(failed.iter().cloned()),
        }
    }
    Verdict::Accept(faults)
}

fn is_citation(fault: &Fault) -> bool {
    matches!(fault, Fault::BadCitation { .. } | Fault::StaleCitation { .. })
}

/// What the model is told. `outputs` has the end of the output of each failed check, in order.
pub fn message(faults: &[Fault], outputs: &[String]) -> String {
    let mut text = "You are not done yet. The system looked and found:\n".to_owned();
    let mut outputs = outputs.iter();
    for fault in faults {
        text.push_str("\n- ");
        describe(fault, &mut text);
        if matches!(fault, Fault::CheckFailed { .. })
            && let Some(output) = outputs.next()
        {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\n\n```\n{}\n```\n", output.trim_end());
        }
    }
    text.push_str("\n\nMend what can be mended, then give your whole final answer again.");
    if faults.iter().any(|fault| matches!(fault, Fault::CheckFailed { .. })) {
        text.push_str(
            " If a failing check is not yours to mend, say so plainly in the answer: it is then \
             accepted as it stands.",
        );
    }
    text
}

fn describe(fault: &Fault, text: &mut String) {
    // Writing to a `String` cannot fail.
    let _ = match fault {
        Fault::CommandRuns { chunk, command } => write!(
            text,
            "Command [{chunk}] `{}` still runs. Wait for it or end it with `write_stdin`.",
            brief(command)
        ),
        Fault::Dirty { paths } => write!(
            text,
            "The working tree is not as clean as it was at the start: {}. Commit what belongs to \
             the change; remove or undo the rest.",
            list(paths)
        ),
        Fault::BranchChanged { expected, found } => write!(
            text,
            "The branch is `{found}` and was `{expected}` at the start. Bring your commits onto \
             `{expected}` and check it out."
        ),
        Fault::NestedRepository { paths } => write!(
            text,
            "These directories are git repositories of their own, so a commit takes of each only \
             a link and none of its files: {}. To have the files in the change remove its `.git` \
             (and the link, with `git rm --cached`) and add them; else have git ignore it.",
            list(paths)
        ),
        Fault::HistoryRewritten => write!(
            text,
            "The commit you started from is no longer part of the history. Put your commits on \
             top of it; existing commits are not to be changed."
        ),
        Fault::InstructionsUnseen { files } => write!(
            text,
            "Files were changed that these instructions hold for, and you had not seen them: {}. \
             They follow below; make the change obey them.",
            list(files)
        ),
        Fault::BadCitation { citation, why } => {
            write!(text, "The citation {citation} leads nowhere: {why}.")
        }
        Fault::StaleCitation { citation } => write!(
            text,
            "The citation {citation} is of a command that ran before the last change. Run it \
             again and cite the new output."
        ),
        Fault::ChecksNotRun { commands } => write!(
            text,
            "The instructions name commands that did not run after the last change: {}. Run \
             those that check the work, or say in the answer why not.",
            list(commands)
        ),
        Fault::CheckFailed { name, chunk } => {
            write!(
                text,
                "The check `{name}` fails on your final commit. Its output [{chunk}] ends:"
            )
        }
        Fault::ResultUnusable { why } => write!(
            text,
            "Your commits cannot be taken out of the repository: {why}. Mend it so that the \
             starting branch holds your work on top of the commit you started from.",
        ),
        Fault::EmptyAnswer => write!(text, "Your reply was empty."),
        Fault::WrongForm { why } => write!(
            text,
            "Your answer has to be one JSON value that fits the schema, and nothing else:\n{why}"
        ),
    };
}

fn list(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", brief(word))).collect();
    quoted.join(", ")
}

fn brief(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.len() == text.len() && line.len() <= 200 {
        return line.to_owned();
    }
    format!("{}…", &line[..line.floor_char_boundary(200)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use quire_domain::ids::ChunkId;

    fn clean() -> Facts {
        Facts {
            mode: Mode::Code,
            skip_checks: false,
            has_answer: true,
            wrong_form: None,
            running: Vec::new(),
            found: Vec::new(),
            changed: true,
            unseen: Vec::new(),
            not_run: Vec::new(),
            checks: Some(Vec::new()),
            record: GateRecord::default(),
        }
    }

    fn chunk() -> ChunkId {
        ChunkId::from_random(0x003f_9a2c)
    }

    fn runs() -> Fault {
        Fault::CommandRuns { chunk: chunk(), command: "sleep 9".to_owned() }
    }

    fn dirty() -> Fault {
        Fault::Dirty { paths: vec!["a.txt".to_owned()] }
    }

    fn bad_citation() -> Fault {
        Fault::BadCitation {
            citation: "【F:a†L9】".to_owned(),
            why: "there are fewer lines".to_owned(),
        }
    }

    fn failed() -> Fault {
        Fault::CheckFailed { name: "tests".to_owned(), chunk: chunk() }
    }

    fn not_run() -> Fault {
        Fault::ChecksNotRun { commands: vec!["make test".to_owned()] }
    }

    #[test]
    fn every_case_has_its_verdict() {
        let rounds = |rounds| GateRecord { rounds, ..GateRecord::default() };
        let asked = GateRecord { rounds: 1, asked_for_commands: true, ..GateRecord::default() };
        let sent = GateRecord { rounds: 1, sent_check: true, ..GateRecord::default() };
        let names = || vec!["make test".to_owned()];
        let table: Vec<(&str, Facts, Verdict)> = vec![
            ("all well", clean(), Verdict::Accept(vec![])),
            ("checks come last", Facts { checks: None, ..clean() }, Verdict::RunChecks),
            (
                "checks wait until the rest is well",
                Facts { checks: None, found: vec![dirty()], ..clean() },
                Verdict::SendBack(vec![dirty()]),
            ),
            (
                "checks are skipped where the turn says so",
                Facts { checks: None, skip_checks: true, ..clean() },
                Verdict::Accept(vec![]),
            ),
            (
                "nothing changed, nothing to check",
                Facts { checks: None, changed: false, not_run: names(), ..clean() },
                Verdict::Accept(vec![]),
            ),
            (
                "all faults go back as one message",
                Facts { running: vec![runs()], found: vec![dirty(), bad_citation()], ..clean() },
                Verdict::SendBack(vec![runs(), dirty(), bad_citation()]),
            ),
            (
                "after three rounds the faults are the person's",
                Facts { found: vec![dirty()], record: rounds(3), ..clean() },
                Verdict::Accept(vec![dirty()]),
            ),
            (
                "checks run even then",
                Facts { found: vec![dirty()], checks: None, record: rounds(3), ..clean() },
                Verdict::RunChecks,
            ),
            (
                "an empty answer",
                Facts { has_answer: false, ..clean() },
                Verdict::SendBack(vec![Fault::EmptyAnswer]),
            ),
            (
                "an answer of another form",
                Facts { wrong_form: Some("at /a".to_owned()), mode: Mode::Ask, ..clean() },
                Verdict::SendBack(vec![Fault::WrongForm { why: "at /a".to_owned() }]),
            ),
            (
                "commands are asked for",
                Facts { not_run: names(), ..clean() },
                Verdict::SendBack(vec![not_run()]),
            ),
            (
                "once, and shown then",
                Facts { not_run: names(), record: asked, ..clean() },
                Verdict::Accept(vec![not_run()]),
            ),
            (
                "a failing check goes back",
                Facts { checks: Some(vec![failed()]), ..clean() },
                Verdict::SendBack(vec![failed()]),
            ),
            (
                "once, then it is part of the answer",
                Facts { checks: Some(vec![failed()]), record: sent, ..clean() },
                Verdict::Accept(vec![failed()]),
            ),
            (
                "unseen instructions",
                Facts { unseen: vec!["web/AGENTS.md".to_owned()], ..clean() },
                Verdict::SendBack(vec![Fault::InstructionsUnseen {
                    files: vec!["web/AGENTS.md".to_owned()],
                }]),
            ),
            (
                "an answer's citations and commands count, not its tree",
                Facts {
                    mode: Mode::Ask,
                    running: vec![runs()],
                    found: vec![dirty(), bad_citation()],
                    unseen: vec!["web/AGENTS.md".to_owned()],
                    not_run: names(),
                    checks: None,
                    ..clean()
                },
                Verdict::SendBack(vec![runs(), bad_citation()]),
            ),
        ];
        for (name, facts, verdict) in table {
            assert_eq!(judge(&facts), verdict, "{name}");
        }
    }

    #[test]
    fn the_message_says_what_to_do_about_each_fault() {
        let faults = [
            runs(),
            dirty(),
            Fault::BranchChanged { expected: "main".to_owned(), found: "fix".to_owned() },
            Fault::HistoryRewritten,
            Fault::InstructionsUnseen { files: vec!["web/AGENTS.md".to_owned()] },
            bad_citation(),
            Fault::StaleCitation { citation: "【3f9a2c†L1】".to_owned() },
            not_run(),
            failed(),
            Fault::EmptyAnswer,
        ];
        insta::assert_snapshot!(message(&faults, &["1 failed\n".to_owned()]));
    }
}
