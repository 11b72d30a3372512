//! An attempt in whose sandbox nothing happens for long: what still runs there is ended, so that
//! its memory is given back, and begins anew with the next command.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use quire_agent::SandboxSource;
use quire_domain::event::{EventBody, Interrupted, InterruptedWhat};
use quire_domain::sandbox::{Sandbox, SandboxError};
use quire_domain::time::{Clock, Timestamp};
use tokio::task::JoinHandle;

use super::Life;
use crate::recorder::Recorder;
use crate::services::Services;

/// How often it is looked, at least and at most.
const LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Looks in the time that is allowed: it may last a part of it longer.
const LOOKS: u32 = 6;

/// What uses no more of one processor than this part of the time does nothing: servers that wait
/// wake now and then.
const QUIET_SHARE: u64 = 100;

/// How long nothing has happened, by what is seen from time to time. Pure.
#[derive(Debug, Clone, Copy)]
struct Quiet {
    looked: Timestamp,
    signs: u64,
    processor: Option<Duration>,
    for_ms: u64,
}

impl Quiet {
    fn new(now: Timestamp, signs: u64) -> Self {
        Self { looked: now, signs, processor: None, for_ms: 0 }
    }

    /// Looks once more, some `every` after the last time: `signs` grows with what a model or a
    /// command says, `processor` with what processes use; it is `None` where there are none.
    ///
    /// A clock that jumps counts for two looks at most.
    fn look(
        &mut self,
        now: Timestamp,
        every: Duration,
        signs: u64,
        processor: Option<Duration>,
    ) -> u64 {
        let most = u64::try_from(every.as_millis()).unwrap_or(u64::MAX).saturating_mul(2);
        let passed = now.millis_since(self.looked).min(most);
        let still = match (self.processor, processor) {
            (Some(before), Some(after)) => after.checked_sub(before).is_some_and(|used| {
                used.as_millis() * u128::from(QUIET_SHARE) <= u128::from(passed)
            }),
            _ => false,
        };
        self.for_ms = if still && signs == self.signs { self.for_ms + passed } else { 0 };
        (self.looked, self.signs, self.processor) = (now, signs, processor);
        self.for_ms
    }
}

/// The sandbox that is attended to: asked for, it has its services again.
pub(super) struct Attended {
    source: Arc<dyn SandboxSource>,
    services: Option<Arc<Services>>,
    recorder: Arc<Recorder>,
    clock: Arc<dyn Clock>,
    limit: Duration,
    /// Whether its services were ended as nothing happened. Held while that changes.
    asleep: tokio::sync::Mutex<bool>,
    news: Mutex<Vec<String>>,
}

impl Attended {
    /// Looks from time to time until it is aborted.
    fn watch(self: &Arc<Self>) -> JoinHandle<()> {
        let attended = Arc::clone(self);
        let every = (attended.limit / LOOKS).clamp(LOOK.0, LOOK.1);
        tokio::spawn(async move {
            let mut quiet = Quiet::new(attended.clock.now(), attended.recorder.signs());
            loop {
                tokio::time::sleep(every).await;
                let Ok(sandbox) = attended.source.sandbox().await else { return };
                let processor = sandbox.processor_time().await;
                let signs = attended.recorder.signs();
                let idle_ms = quiet.look(attended.clock.now(), every, signs, processor);
                if u128::from(idle_ms) >= attended.limit.as_millis() {
                    attended.end_what_runs(sandbox.as_ref(), signs).await;
                    quiet = Quiet::new(attended.clock.now(), attended.recorder.signs());
                }
            }
        })
    }

    async fn end_what_runs(&self, sandbox: &dyn Sandbox, signs: u64) {
        let mut asleep = self.asleep.lock().await;
        // Something was asked for just now.
        if self.recorder.signs() != signs {
            return;
        }
        let minutes = self.limit.as_secs() / 60;
        if let Some(services) = &self.services {
            services.end().await;
            *asleep = true;
        }
        // With nothing but services in it, it is put away with what lies in `/tmp`.
        let _ = sandbox.fold().await;
        let _ = sandbox.end_idle(minutes).await;
        let what = InterruptedWhat::Idle { minutes };
        // A broken record shows at the next write that matters.
        let _ = self.recorder.note(vec![EventBody::Interrupted(Interrupted { what })]).await;
        self.tell(format!(
            "Nothing happened in the sandbox for {minutes} min (no output, no processor time), \
             so all that ran in it was ended. Files are kept; what you need again, start again."
        ));
    }

    fn tell(&self, text: String) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

#[async_trait]
impl SandboxSource for Attended {
    async fn sandbox(&self) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let sandbox = self.source.sandbox().await?;
        let mut asleep = self.asleep.lock().await;
        if std::mem::take(&mut *asleep)
            && let Some(services) = &self.services
        {
            match services.ensure(sandbox.as_ref()).await {
                Ok(()) => self.tell("The environment's services were started anew.".to_owned()),
                Err(error) => self.tell(format!(
                    "The environment's services could not be started anew: {}",
                    crate::prepare::causes(&error)
                )),
            }
        }
        Ok(sandbox)
    }

    async fn news(&self) -> Vec<String> {
        let own = std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
        own.into_iter().chain(self.source.news().await).collect()
    }

    fn begin(&self) {
        self.source.begin();
    }
}

impl Life {
    /// What the agent works in, and who looks whether anything happens there.
    pub(super) fn attend(
        &self,
        source: Arc<dyn SandboxSource>,
    ) -> (Arc<dyn SandboxSource>, JoinHandle<()>) {
        let limits = crate::submit::environment(self.request()).limits;
        let attended = Arc::new(Attended {
            source,
            services: self.services.get().cloned(),
            recorder: Arc::clone(&self.recorder),
            clock: Arc::clone(&self.worker.clock),
            limit: Duration::from_secs(limits.idle_s.max(1)),
            asleep: tokio::sync::Mutex::new(false),
            news: Mutex::default(),
        });
        let watching = attended.watch();
        (attended, watching)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000)
    }

    fn used(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn idle_is_neither_output_nor_processor_time_while_something_runs() {
        let mut quiet = Quiet::new(at(0), 7);
        // Seen for the first time: nothing is known of what it used before.
        assert_eq!(quiet.look(at(30), EVERY, 7, Some(used(900))), 0);
        assert_eq!(quiet.look(at(60), EVERY, 7, Some(used(1_000))), 30_000);
        assert_eq!(quiet.look(at(90), EVERY, 7, Some(used(1_300))), 60_000, "1 % is waking up");
        assert_eq!(quiet.look(at(120), EVERY, 7, Some(used(1_700))), 0, "more is work");
        assert_eq!(quiet.look(at(150), EVERY, 7, Some(used(1_700))), 30_000);
        assert_eq!(quiet.look(at(180), EVERY, 8, Some(used(1_700))), 0, "somebody said something");
        assert_eq!(quiet.look(at(210), EVERY, 8, Some(used(1_700))), 30_000);
        assert_eq!(
            quiet.look(at(240), EVERY, 8, Some(used(500))),
            0,
            "other processes than before"
        );
        assert_eq!(quiet.look(at(270), EVERY, 8, None), 0, "nothing runs");
    }

    #[test]
    fn a_clock_that_jumps_makes_nothing_idle() {
        let mut quiet = Quiet::new(at(1_000), 0);
        quiet.look(at(1_030), EVERY, 0, Some(used(1)));
        assert_eq!(quiet.look(at(90_000), EVERY, 0, Some(used(1))), 60_000);
        assert_eq!(quiet.look(at(10), EVERY, 0, Some(used(1))), 60_000, "back again");
        assert_eq!(quiet.look(at(40), EVERY, 0, Some(used(1))), 90_000);
    }
}
