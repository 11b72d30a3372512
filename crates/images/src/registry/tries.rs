//! How often something is tried again, and when.

use std::future::Future;
use std::time::Duration;

use super::Call;
use super::fault::{self, Trouble};
use crate::error::ImageError;
use crate::progress::Progress;
use crate::reference::Reference;
use crate::settings::{Settings, Timing};

/// The longest pause between two tries of our own accord.
const LONGEST: Duration = Duration::from_mins(1);

/// The tries of one thing.
pub(crate) struct Tries<'a> {
    timing: &'a Timing,
    reference: &'a Reference,
    call: Call<'a>,
    failed: u32,
    pause: Duration,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(settings: &'a Settings, reference: &'a Reference, call: Call<'a>) -> Self {
        let timing = &settings.timing;
        Self { timing, reference, call, failed: 0, pause: timing.backoff }
    }

    /// Does something unless, or until, it is called off.
    pub(crate) async fn called_off<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, ImageError> {
        tokio::select! {
            () = self.call.cancel.cancelled() => Err(ImageError::Cancelled),
            done = work => Ok(done),
        }
    }

    /// Waits until it is worth another try; an error where it is not, or was tried often enough.
    pub(crate) async fn pause(&mut self, trouble: Trouble) -> Result<(), ImageError> {
        let (error, after, moved) = match trouble {
            Trouble::Stop(error) => return Err(error),
            Trouble::Passing { error, after, moved } => (error, after, moved),
        };
        if moved {
            (self.failed, self.pause) = (0, self.timing.backoff);
        }
        self.failed += 1;
        let wait = after.unwrap_or(self.pause);
        if self.failed >= self.timing.tries || wait > self.timing.longest_wait {
            return Err(match error {
                ImageError::Server { registry, status, .. } => {
                    ImageError::Server { registry, status, tries: self.failed }
                }
                other => other,
            });
        }
        let after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let why = fault::short(&error, self.reference);
        self.call.teller.tell(Progress::Retrying { why, after_ms });
        self.called_off(tokio::time::sleep(wait)).await?;
        self.pause = (self.pause * 2).min(LONGEST);
        Ok(())
    }
}
