//! Declared checks: run by the system on the final commit, in a sandbox of their own that is
//! thrown away.
//!
//! It is stacked on what the attempt wrote, so that caches are warm and what a check writes
//! dirties nothing; a `clean` one stands on the final commit alone, so that nothing ignored or
//! left behind can help it.

use std::collections::BTreeMap;
use std::time::Duration;

use quire_agent::ContractError;
use quire_domain::environment::CheckSpec;
use quire_domain::event::{
    CheckFinished, CommandFinished, CommandPurpose, CommandStarted, EndedBy, EventBody, Fault,
    Phase, PhaseFinished, PhaseStarted,
};
use quire_domain::ids::{ChunkId, CommitId};
use quire_domain::journal::Journal;
use quire_domain::sandbox::{
    Command, CommandEvent, CommandIo, CommandSignal, ExitStatus, Sandbox, SandboxUser, Upper,
};

use super::{AttemptFinish, other};
use crate::check_out::{Stand, check_out};
use crate::services::Services;
use crate::way_out::behind::Behind;
use crate::way_out::{self, WayOut};

/// How long a check may run where it does not say, in seconds.
const CHECK_SECONDS: u32 = 1_800;

impl AttemptFinish {
    /// The checks of the environment and of the request.
    pub(crate) fn declared_checks(&self) -> Vec<CheckSpec> {
        let environment = self.request.environment.iter().flat_map(|env| &env.checks);
        environment.chain(&self.request.checks).cloned().collect()
    }

    /// Runs those that have not run on this commit yet; gives a fault for each that failed.
    pub(crate) async fn run_declared_checks(&self) -> Result<Vec<Fault>, ContractError> {
        let checks = self.declared_checks();
        if checks.is_empty() {
            return Ok(Vec::new());
        }
        let collected = self.collected.lock().await.clone();
        let (head, changed) = match collected {
            Some(collected) => (collected.head, collected.changed),
            None => (self.base().clone(), Vec::new()),
        };
        let mut results = self.results_on(&head).await?;
        let missing: Vec<CheckSpec> =
            checks.iter().filter(|check| !results.contains_key(&check.name)).cloned().collect();
        if !missing.is_empty() {
            let started = self.worker.clock.now();
            let phase = Phase::Checks;
            self.note(EventBody::PhaseStarted(PhaseStarted { phase })).await?;
            for check in missing {
                let result = self.run_check(&check, &head, &changed).await?;
                results.insert(check.name.clone(), result);
            }
            let ms = self.worker.clock.now().millis_since(started);
            let detail = format!("{} run on {}", results.len(), &head.as_str()[..8]);
            let finished = PhaseFinished { phase, ms, detail, failed: false };
            self.note(EventBody::PhaseFinished(finished)).await?;
        }
        let failed = checks
            .iter()
            .filter_map(|check| results.get(&check.name))
            .filter(|result| !result.exit.is_some_and(ExitStatus::success));
        let failed: Vec<Fault> = failed
            .map(|result| Fault::CheckFailed {
                name: result.check.name.clone(),
                chunk: result.chunk.clone(),
            })
            .collect();
        if let (Some(services), false) = (self.services.get(), failed.is_empty()) {
            // The agent may go on, and does so with them.
            let sandbox = self.sandbox.sandbox().await?;
            services.ensure(sandbox.as_ref()).await.map_err(other)?;
        }
        Ok(failed)
    }

    async fn results_on(
        &self,
        head: &CommitId,
    ) -> Result<BTreeMap<String, CheckFinished>, ContractError> {
        let events = self.recorder.events().await.map_err(other)?;
        let mut results = BTreeMap::new();
        for event in events {
            if let EventBody::CheckFinished(check) = event.body
                && &check.commit == head
            {
                results.insert(check.check.name.clone(), check);
            }
        }
        Ok(results)
    }

    async fn run_check(
        &self,
        check: &CheckSpec,
        head: &CommitId,
        changed: &[String],
    ) -> Result<CheckFinished, ContractError> {
        let dir = self.worker.place.upper(self.attempt).join("way-out-of-checks");
        let recorder = Some(std::sync::Arc::clone(&self.recorder));
        let way_out = way_out::for_agent(&self.worker, &self.layout, &dir, recorder, &self.secrets);
        let way_out = way_out.map_err(other)?;
        if let (Some(services), false) = (self.services.get(), check.clean) {
            // What the attempt wrote is frozen: a database that was killed is not what it left.
            services.end().await;
        }
        let sandbox = self.check_sandbox(check, head, way_out.as_ref()).await?;
        let behind = way_out.as_ref().map(WayOut::behind);
        if let Some(behind) = behind {
            behind.stands_at(&sandbox);
        }
        let services = self.services_of_check().behind(way_out.as_ref());
        services.ensure(sandbox.as_ref()).await.map_err(other)?;
        let result = self.run_check_in(check, head, changed, sandbox.as_ref(), behind).await;
        services.end().await;
        sandbox.end().await?;
        if let Some(way_out) = way_out {
            way_out.close().await;
        }
        result
    }

    fn services_of_check(&self) -> Services {
        Services::new(
            std::sync::Arc::clone(&self.recorder),
            std::sync::Arc::clone(&self.worker.clock),
            self.workspace.display().to_string(),
            self.layout.environment.services.clone(),
        )
    }

    /// A throw-away sandbox over what the attempt wrote, or over the final commit alone.
    async fn check_sandbox(
        &self,
        check: &CheckSpec,
        head: &CommitId,
        way_out: Option<&WayOut>,
    ) -> Result<std::sync::Arc<dyn Sandbox>, ContractError> {
        let name = format!("{}-check", self.name);
        let open = |spec| match way_out {
            Some(way_out) => way_out.added_to(spec),
            None => spec,
        };
        if check.clean {
            let spec = self.layout.untouched().spec(name, Upper::Memory, SandboxUser::Agent);
            let sandbox = self.worker.sandboxes.create(open(spec)).await?;
            let store = self.results().await?;
            let git = &self.worker.git;
            check_out(git, &store, sandbox.as_ref(), self.base(), head, Stand::At).await?;
            return Ok(sandbox);
        }
        let frozen = self.sandbox.sandbox().await?.freeze_until_restart().await?;
        let spec = self.layout.over(&frozen).spec(name, Upper::Memory, SandboxUser::Agent);
        Ok(self.worker.sandboxes.create(open(spec)).await?)
    }

    async fn run_check_in(
        &self,
        check: &CheckSpec,
        head: &CommitId,
        changed: &[String],
        sandbox: &dyn Sandbox,
        behind: Option<&std::sync::Arc<Behind>>,
    ) -> Result<CheckFinished, ContractError> {
        let mut chunk = self.recorder.open_chunk().await.map_err(other)?;
        let id: ChunkId = chunk.id().clone();
        let begun = EventBody::CommandStarted(CommandStarted {
            chunk: id.clone(),
            purpose: CommandPurpose::Check(check.name.clone()),
            command: check.command.clone(),
            workdir: self.workspace.display().to_string(),
            terminal: false,
        });
        self.recorder.append(vec![begun]).await.map_err(other)?;
        let started_at = self.worker.clock.now();
        let command = Command {
            argv: ["bash", "-c", &check.command].map(str::to_owned).to_vec(),
            env: quiet(),
            workdir: None,
            io: CommandIo::Output,
        };
        let started = sandbox.start(command).await?;
        if let Some(behind) = behind {
            behind.runs(started.number, &id);
        }
        let seconds = check.timeout_s.unwrap_or(CHECK_SECONDS);
        let deadline = tokio::time::sleep(Duration::from_secs(seconds.into()));
        tokio::pin!(deadline);
        let mut output = started.output;
        let mut out_of_time = false;
        let mut ended_by = None;
        let exit = loop {
            tokio::select! {
                event = output.next() => match event {
                    Ok(CommandEvent::Output(bytes) | CommandEvent::Error(bytes)) => {
                        chunk.write(&bytes).await.map_err(other)?;
                    }
                    Ok(CommandEvent::Exited(exit)) => break exit,
                    // It used more than it may: a check that failed, and nothing of ours.
                    Err(error) if error.limit_key().is_some() => {
                        let line = format!("\n[{error}]\n");
                        chunk.write(line.as_bytes()).await.map_err(other)?;
                        ended_by = Some(EndedBy::SandboxGone);
                        break ExitStatus::Signal(9);
                    }
                    Err(error) => return Err(error.into()),
                },
                () = &mut deadline, if !out_of_time => {
                    out_of_time = true;
                    started.control.signal(CommandSignal::Kill).await?;
                }
            }
        };
        for met in output.limits_met() {
            chunk.write(met.line().as_bytes()).await.map_err(other)?;
        }
        let summary = chunk.finish().await.map_err(other)?;
        let ms = self.worker.clock.now().millis_since(started_at);
        let ended_by = if out_of_time { Some(EndedBy::Timeout) } else { ended_by };
        let finished = CheckFinished {
            check: check.clone(),
            commit: head.clone(),
            chunk: id,
            exit: (!out_of_time).then_some(exit),
            ms,
            touched_tests: touched_tests(check, changed),
        };
        self.recorder
            .append(vec![
                EventBody::CommandFinished(CommandFinished { chunk: summary, exit, ms, ended_by }),
                EventBody::CheckFinished(finished.clone()),
            ])
            .await
            .map_err(other)?;
        Ok(finished)
    }

    pub(crate) async fn note(&self, body: EventBody) -> Result<(), ContractError> {
        self.recorder.note(vec![body]).await.map_err(other)
    }
}

/// Variables that keep a check from paging and asking.
fn quiet() -> BTreeMap<String, String> {
    let mut env = super::tree::quiet_git();
    // A language that an image does not know would have bash complain in the check's own words.
    env.remove("LC_ALL");
    for (name, value) in [("PAGER", "cat"), ("EDITOR", "true"), ("CI", "1")] {
        env.insert(name.to_owned(), value.to_owned());
    }
    env
}

/// Files of the change that a check's result hangs on: tests, and what the check's own words name.
fn touched_tests(check: &CheckSpec, changed: &[String]) -> Vec<String> {
    changed.iter().filter(|path| is_test(path) || names(&check.command, path)).cloned().collect()
}

/// Whether a path looks like a test or like the configuration of a test runner.
fn is_test(path: &str) -> bool {
    const RUNNERS: [&str; 14] = [
        "pytest.ini",
        "tox.ini",
        "noxfile.py",
        "conftest.py",
        "setup.cfg",
        "jest.config.js",
        "jest.config.ts",
        "vitest.config.ts",
        "vitest.config.js",
        "karma.conf.js",
        ".mocharc.json",
        "phpunit.xml",
        "nextest.toml",
        ".rspec",
    ];
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.split('.').next().unwrap_or(name);
    let in_tests =
        path.split('/').rev().skip(1).any(|dir| {
            matches!(dir, "test" | "tests" | "__tests__" | "spec" | "specs" | "testdata")
        });
    in_tests
        || RUNNERS.contains(&name)
        || stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_spec")
        || stem.ends_with("Test")
        || name.contains(".test.")
        || name.contains(".spec.")
}

/// Whether a command names a file, as a word of its own or behind a directory.
fn names(command: &str, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    command
        .split(|c: char| c.is_whitespace() || "\"';&|()=".contains(c))
        .any(|word| word == path || word.strip_prefix("./") == Some(path) || word == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_to_what_a_check_hangs_on_is_named() {
        let check = CheckSpec {
            name: "t".into(),
            command: "sh ./run-checks.sh && make test".into(),
            clean: false,
            timeout_s: None,
        };
        let changed = [
            "src/a.py",
            "tests/test_a.py",
            "run-checks.sh",
            "web/x.test.ts",
            "src/contest.rs",
            "a_test.go",
            "docs/latest.md",
        ]
        .map(str::to_owned);
        assert_eq!(
            touched_tests(&check, &changed),
            ["tests/test_a.py", "run-checks.sh", "web/x.test.ts", "a_test.go"]
        );
    }
}
