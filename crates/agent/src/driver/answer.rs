//! The model says that it is done: gathers the facts, and does what the gate decides.

use quire_domain::event::{EventBody, Fault, GateFailed, InstructionsAt};
use quire_domain::task::Mode;

use super::{Driver, Halt};
use crate::contracts::{ContractError, Findings};
use crate::gate::{self, Facts, Verdict};
use crate::instructions::{Found, commands};
use crate::run::End;

/// How much of a failed check's output the model is shown, in bytes.
const CHECK_OUTPUT: usize = 8 * 1024;

impl Driver {
    /// Looks at an answer. Returns to the loop if something is said to the model.
    pub(super) async fn look_at(&mut self, answer: String) -> Result<(), Halt> {
        // The examination reads the log, so it must be whole.
        self.flush().await?;
        // What was said for the next call makes one; what was said for after the turn, too.
        if self.take_steers().await? || self.take_messages().await? {
            return Ok(());
        }
        let (answer, wrong_form) = match &self.form {
            Some(form) => match form.take(&answer) {
                Ok(value) => (value, None),
                Err(why) => (answer, Some(why)),
            },
            None => (answer, None),
        };
        let findings = self.unless_cancelled(self.attempt.finish.examine(&answer)).await?;
        let (mut facts, unseen) = self.facts(&answer, &findings).await?;
        facts.wrong_form = wrong_form;
        loop {
            match gate::judge(&facts) {
                Verdict::RunChecks => {
                    let checks = self.unless_cancelled(self.attempt.finish.run_checks()).await?;
                    facts.checks = Some(checks);
                }
                Verdict::SendBack(faults) => return self.send_back(faults, &unseen).await,
                Verdict::Accept(faults) => {
                    let answer = findings.answer;
                    return Err(Halt::End(End::Finished { answer, faults }));
                }
            }
        }
    }

    /// What people said for after the turn: the model goes on with it.
    pub(super) async fn take_messages(&mut self) -> Result<bool, Halt> {
        let last = self.transcript.last_message();
        let mut any = false;
        for said in self.attempt.inputs.messages(last).await? {
            if said.input > self.transcript.last_message() {
                self.record(EventBody::MessageReceived(said));
                any = true;
            }
        }
        Ok(any)
    }

    async fn facts(&self, answer: &str, findings: &Findings) -> Result<(Facts, Vec<Found>), Halt> {
        let request = &self.attempt.request;
        let code = request.mode == Mode::Code;
        let changed = || findings.changed_files.iter().map(String::as_str);
        let running = self.sessions.running().into_iter().map(|session| Fault::CommandRuns {
            chunk: session.chunk.clone(),
            command: session.of.command.clone(),
        });
        let (mut unseen, mut not_run) = (Vec::new(), Vec::new());
        if code && !findings.changed_files.is_empty() {
            unseen = self.instructions.unseen(&self.transcript, changed());
            let named = self.instructions.named_commands(changed()).await?;
            let commands = self.transcript.commands();
            let fresh = commands
                .all()
                .iter()
                .filter(|record| record.exit.is_some() && !commands.is_stale(record));
            not_run = commands::not_run(named, fresh);
        }
        let facts = Facts {
            mode: request.mode,
            skip_checks: request.skip_checks,
            has_answer: !answer.trim().is_empty(),
            wrong_form: None,
            running: running.collect(),
            found: findings.faults.clone(),
            changed: !findings.changed_files.is_empty(),
            unseen: unseen.iter().map(|found| found.path.clone()).collect(),
            not_run,
            checks: None,
            record: self.transcript.gate(),
        };
        Ok((facts, unseen))
    }

    /// Tells the model what is wrong, as one message, with instructions it has not seen.
    async fn send_back(&mut self, faults: Vec<Fault>, unseen: &[Found]) -> Result<(), Halt> {
        let mut outputs = Vec::new();
        for fault in faults.iter().filter(|fault| matches!(fault, Fault::CheckFailed { .. })) {
            outputs.push(self.attempt.finish.check_output(fault, CHECK_OUTPUT).await?);
        }
        let text = Some(gate::message(&faults, &outputs));
        let round = self.transcript.gate().rounds + 1;
        self.record(EventBody::GateFailed(GateFailed { round, faults, text }));
        if !unseen.is_empty() {
            let loaded = self.instructions.load(unseen, InstructionsAt::Start).await?;
            self.record(EventBody::InstructionsLoaded(loaded));
        }
        Ok(())
    }

    async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, ContractError>>,
    ) -> Result<T, Halt> {
        tokio::select! {
            biased;
            () = self.attempt.cancel.cancelled() => Err(Halt::End(End::Cancelled)),
            done = work => Ok(done?),
        }
    }
}
