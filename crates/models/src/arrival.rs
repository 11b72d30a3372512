//! Takes the bytes of an answer as they come, streamed or whole, and gives the reply they make.

use quire_domain::transcript::Reply;

use crate::catalogue::Dialect;
use crate::dialect::{self, Reader};
use crate::fault::Fault;
use crate::fold::Fold;
use crate::resolve::ResolvedModel;
use crate::sse::SseReader;

/// All bytes of one answer. Some dialects send a reply's text up to four times.
const ANSWER_LIMIT: usize = 160 * 1024 * 1024;
/// One event of a stream.
const EVENT_LIMIT: usize = 64 * 1024 * 1024;

/// An answer that is arriving.
pub(crate) struct Arrival<'a> {
    model: &'a ResolvedModel,
    dialect: Dialect,
    reader: Reader,
    fold: Fold<'a>,
    form: Form,
    received: usize,
}

enum Form {
    /// Nothing but white space came so far.
    Unknown,
    Events(SseReader),
    /// One JSON object, from a server that does not stream.
    Whole(Vec<u8>),
}

impl<'a> Arrival<'a> {
    pub(crate) fn new(model: &'a ResolvedModel, dialect: Dialect, fold: Fold<'a>) -> Self {
        let reader = Reader::new(dialect);
        Self { model, dialect, reader, fold, form: Form::Unknown, received: 0 }
    }

    /// Takes the next bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.received += bytes.len();
        if self.received > ANSWER_LIMIT {
            return Err(Fault::TooLarge("the answer is larger than 160 MiB"));
        }
        if matches!(self.form, Form::Unknown) {
            self.form = match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
                None => return Ok(()),
                Some(b'{') => Form::Whole(Vec::new()),
                Some(b'<') => return Err(Fault::NotAReply("a web page instead of a reply")),
                Some(_) => Form::Events(SseReader::new(EVENT_LIMIT)),
            };
        }
        match &mut self.form {
            Form::Unknown => Ok(()),
            Form::Whole(whole) => {
                whole.extend_from_slice(bytes);
                Ok(())
            }
            Form::Events(events) => {
                let (model, reader, fold) = (self.model, &mut self.reader, &mut self.fold);
                events.take(bytes, |event| reader.event(model, &event, fold))
            }
        }
    }

    /// Whether any byte has come.
    pub(crate) fn has_begun(&self) -> bool {
        self.received > 0
    }

    /// Whether all has come that is needed, by the dialect's own word.
    pub(crate) fn has_ended(&self) -> bool {
        self.fold.has_ended()
    }

    /// Whether only the count of tokens can still be missing.
    pub(crate) fn has_stopped(&self) -> bool {
        self.fold.has_stopped()
    }

    /// The reply, now that nothing more comes. `request_bytes` serves to estimate what was not
    /// counted.
    pub(crate) fn finish(mut self, request_bytes: usize) -> Result<Reply, Fault> {
        match &mut self.form {
            Form::Whole(whole) => {
                let text = String::from_utf8_lossy(whole);
                self.reader.whole(self.model, &text, &mut self.fold)?;
            }
            Form::Events(events) if !self.fold.has_ended() => {
                if let Some(event) = events.rest() {
                    match self.reader.event(self.model, &event, &mut self.fold) {
                        // Cut in the middle of an event: what it would have said is not known.
                        Ok(()) | Err(Fault::Again(_)) => {}
                        Err(fault) => return Err(fault),
                    }
                }
                self.reader.closed(&mut self.fold);
            }
            Form::Events(_) | Form::Unknown => {}
        }
        let tag = dialect::tag(self.dialect, self.model);
        self.fold.finish(&self.model.model, tag, request_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;
    use quire_domain::model::{LiveReply, ReplyDelta};

    use super::*;
    use crate::{Catalogue, Settings};

    const STREAMS: [(&str, &[u8]); 3] = [
        ("demo", include_bytes!("../tests/streams/responses.sse")),
        ("chat", include_bytes!("../tests/streams/chat.sse")),
        ("messages", include_bytes!("../tests/streams/messages.sse")),
    ];

    struct Silent;

    impl LiveReply for Silent {
        fn delta(&self, _: ReplyDelta<'_>) {}
    }

    async fn model(name: &str) -> ResolvedModel {
        let settings = Settings::with_base_url("scripted", "http://127.0.0.1:9/v1");
        let catalogue = Catalogue::load(None).unwrap();
        catalogue.resolve(Some(&format!("scripted/{name}")), &settings).await.unwrap()
    }

    fn reply(model: &ResolvedModel, pieces: &[&[u8]]) -> Result<Reply, Fault> {
        let mut arrival = Arrival::new(model, model.dialect, Fold::new(&Silent, 1));
        for piece in pieces {
            arrival.take(piece)?;
        }
        arrival.finish(400)
    }

    #[tokio::test]
    async fn a_stream_cut_at_any_byte_is_the_whole_reply_or_may_be_asked_again() {
        for (name, bytes) in STREAMS {
            let model = model(name).await;
            let whole = reply(&model, &[bytes]).unwrap();
            let mut first_whole = None;
            for cut in 0..bytes.len() {
                match reply(&model, &[&bytes[..cut]]) {
                    Ok(reply) => {
                        assert_eq!(reply.items, whole.items, "{name} cut at {cut}");
                        assert_eq!(reply.stop, whole.stop);
                        first_whole.get_or_insert(cut);
                    }
                    Err(Fault::Again(_)) => {
                        assert_eq!(first_whole, None, "{name} cut at {cut}");
                    }
                    Err(fault) => panic!("{name} cut at {cut}: {fault:?}"),
                }
            }
            // What follows the reason for the end is only usage and the end's own event.
            let first_whole = first_whole.unwrap_or(bytes.len());
            assert!(bytes.len() - first_whole < 700, "{name} is whole from {first_whole} on");
        }
    }

    #[tokio::test]
    async fn a_stream_is_the_same_wherever_it_is_split() {
        for (name, bytes) in STREAMS {
            let model = model(name).await;
            let whole = reply(&model, &[bytes]).unwrap();
            for split in 0..bytes.len() {
                let (one, other) = bytes.split_at(split);
                assert_eq!(reply(&model, &[one, other]).unwrap(), whole, "{name} at {split}");
            }
        }
    }

    #[tokio::test]
    async fn numbers_that_cannot_be_are_not_believed() {
        let model = model("messages").await;
        let answer = format!(
            r#"{{"content":[],"stop_reason":"end_turn","usage":{{"input_tokens":{0},
                "cache_read_input_tokens":{0},"cache_creation_input_tokens":{0},
                "output_tokens":{0}}}}}"#,
            u64::MAX
        );
        let reply = reply(&model, &[answer.as_bytes()]).unwrap();
        assert_eq!(reply.usage.total_tokens(), 2_000_000_000_000);
    }

    #[tokio::test]
    async fn no_change_of_its_bytes_makes_the_reading_of_a_stream_fail() {
        let models = [model("demo").await, model("chat").await, model("messages").await];
        let change = (0..3_usize, any::<prop::sample::Index>(), 0..40_usize, any::<Vec<u8>>());
        let mut runner = TestRunner::new(ProptestConfig::with_cases(400));
        let outcome = runner.run(&change, |(stream, place, length, bytes)| {
            let mut changed = STREAMS[stream].1.to_vec();
            let start = place.index(changed.len());
            let end = (start + length).min(changed.len());
            changed.splice(start..end, bytes);
            // Whatever comes of it: a reply or a fault.
            let _ = reply(&models[stream], &[&changed]);
            Ok(())
        });
        outcome.unwrap();
    }

    #[tokio::test]
    async fn an_answer_that_is_whole_may_begin_with_white_space_of_its_own() {
        let model = model("chat").await;
        let answer = br#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
        for pieces in [[b"\n \r\n".as_slice(), answer], [b"".as_slice(), answer]] {
            assert_eq!(reply(&model, &pieces).unwrap().text(), "hi");
        }
    }

    #[tokio::test]
    async fn an_error_without_a_last_blank_line_is_still_read() {
        let model = model("chat").await;
        let error = br#"data: {"error":{"code":"insufficient_quota","message":"no credit"}}"#;
        let fault = reply(&model, &[error]).unwrap_err();
        assert!(matches!(fault, Fault::Fatal(_)), "{fault:?}");
    }
}
