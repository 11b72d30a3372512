//! What a setup prints, without the values of its secrets, whoever listens: a listener that does not
//! record would hand them on in the words of a failure.

use async_trait::async_trait;
use quire_domain::event::EndedBy;
use quire_domain::journal::JournalError;
use quire_domain::sandbox::ExitStatus;
use quire_engine::{Redaction, Stream};
use quire_environment::snapshot::SetupLog;

/// Hands on what is left.
pub struct RedactedLog<'a> {
    inner: &'a mut dyn SetupLog,
    redaction: Redaction,
    stream: Stream,
    clean: Vec<u8>,
}

impl<'a> RedactedLog<'a> {
    /// For `inner`, without what `redaction` knows.
    pub fn new(inner: &'a mut dyn SetupLog, redaction: Redaction) -> Self {
        let stream = redaction.stream();
        Self { inner, redaction, stream, clean: Vec::new() }
    }
}

#[async_trait]
impl SetupLog for RedactedLog<'_> {
    async fn begun(&mut self, script: &str) -> Result<(), JournalError> {
        self.stream = self.redaction.stream();
        self.inner.begun(&self.redaction.text(script)).await
    }

    async fn output(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        self.clean.clear();
        self.stream.push(bytes, &mut self.clean);
        self.inner.output(&self.clean).await
    }

    fn recorded(&self) -> Option<&[u8]> {
        Some(self.inner.recorded().unwrap_or(&self.clean))
    }

    async fn ended(
        &mut self,
        exit: ExitStatus,
        ms: u64,
        ended_by: Option<EndedBy>,
    ) -> Result<(), JournalError> {
        self.clean.clear();
        self.stream.finish(&mut self.clean);
        if !self.clean.is_empty() {
            self.inner.output(&self.clean).await?;
        }
        self.inner.ended(exit, ms, ended_by).await
    }
}

#[cfg(test)]
mod tests {
    use quire_domain::secret::Secret;

    use super::*;

    /// Records nothing, as what repeats a setup does.
    #[derive(Default)]
    struct Heard(Vec<u8>);

    #[async_trait]
    impl SetupLog for Heard {
        async fn begun(&mut self, _: &str) -> Result<(), JournalError> {
            Ok(())
        }

        async fn output(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }

        async fn ended(
            &mut self,
            _: ExitStatus,
            _: u64,
            _: Option<EndedBy>,
        ) -> Result<(), JournalError> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn nobody_hears_a_value_however_it_is_split() {
        let redaction = Redaction::of([Secret::new(b"t0ken-value-1".to_vec())]);
        let mut heard = Heard::default();
        let mut log = RedactedLog::new(&mut heard, redaction);
        log.begun("script").await.unwrap();
        let mut told = Vec::new();
        for piece in ["a t0ken-", "value-1 b t0ken-value-1", "\nlast t0ken"] {
            log.output(piece.as_bytes()).await.unwrap();
            told.extend_from_slice(log.recorded().unwrap());
        }
        log.ended(ExitStatus::Code(0), 1, None).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&told), "a *** b ***\nlast ");
        assert_eq!(String::from_utf8_lossy(&heard.0), "a *** b ***\nlast t0ken");
    }
}
