//! Folds what arrives of a reply, whatever its dialect, into a complete [`Reply`].

use quire_domain::budget::Usage;
use quire_domain::ids::CallId;
use quire_domain::model::{LiveReply, ReplyDelta};
use quire_domain::transcript::{Reply, ReplyItem, StopReason, ToolCall, ToolInput};
use serde_json::Value;

use crate::fault::Fault;

/// A reply's words, reasoning and inputs together.
const REPLY_LIMIT: usize = 32 * 1024 * 1024;
/// The input of one tool call.
const INPUT_LIMIT: usize = 10 * 1024 * 1024;
/// Tokens of one reply that are believed, so that sums of them do not overflow.
const TOKENS_LIMIT: u64 = 1_000_000_000_000;
/// Pieces of one reply.
const PIECES_LIMIT: usize = 10_000;

/// Whether a tool takes a JSON object or free text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Text,
}

/// A reply that is arriving. Pieces are told apart by their slot; they end up in its order.
pub(crate) struct Fold<'a> {
    live: &'a dyn LiveReply,
    pieces: Vec<(u64, Piece)>,
    bytes: usize,
    usage: Option<Usage>,
    stop: Option<StopReason>,
    refusal: String,
    model: Option<String>,
    provider_id: Option<String>,
    ended: bool,
    /// Makes ids for calls that came without one: unique by the length of the conversation.
    turn: usize,
}

#[derive(Debug)]
struct Piece {
    kind: Kind,
    text: String,
    raw: Option<Value>,
}

#[derive(Debug)]
enum Kind {
    Text,
    Reasoning,
    Tool { id: String, name: String, form: Form },
}

impl<'a> Fold<'a> {
    /// An empty reply to a conversation of `turn` items.
    pub(crate) fn new(live: &'a dyn LiveReply, turn: usize) -> Self {
        Self {
            live,
            pieces: Vec::new(),
            bytes: 0,
            usage: None,
            stop: None,
            refusal: String::new(),
            model: None,
            provider_id: None,
            ended: false,
            turn,
        }
    }

    /// The provider said who answers.
    pub(crate) fn started(&mut self, model: Option<&str>, provider_id: Option<&str>) {
        let named = |text: Option<&str>| text.filter(|t| !t.is_empty()).map(str::to_owned);
        self.model = self.model.take().or_else(|| named(model));
        self.provider_id = self.provider_id.take().or_else(|| named(provider_id));
    }

    /// More words.
    pub(crate) fn text(&mut self, slot: u64, delta: &str) -> Result<(), Fault> {
        self.live(ReplyDelta::Text(delta));
        self.piece(slot, || Kind::Text)?.text.push_str(delta);
        self.count(delta.len())
    }

    /// More reasoning.
    pub(crate) fn reasoning(&mut self, slot: u64, delta: &str) -> Result<(), Fault> {
        self.live(ReplyDelta::Reasoning(delta));
        self.piece(slot, || Kind::Reasoning)?.text.push_str(delta);
        self.count(delta.len())
    }

    /// A call begins, or says more of itself. What was known stays.
    pub(crate) fn tool(
        &mut self,
        slot: u64,
        id: Option<&str>,
        name: Option<&str>,
        form: Form,
    ) -> Result<(), Fault> {
        let fresh = || Kind::Tool { id: String::new(), name: String::new(), form };
        if let Kind::Tool { id: known_id, name: known_name, .. } =
            &mut self.piece(slot, fresh)?.kind
        {
            if known_id.is_empty() {
                id.unwrap_or_default().clone_into(known_id);
            }
            if known_name.is_empty() {
                name.unwrap_or_default().clone_into(known_name);
            }
        }
        Ok(())
    }

    /// More of a call's input.
    pub(crate) fn tool_input(&mut self, slot: u64, delta: &str) -> Result<(), Fault> {
        self.live(ReplyDelta::ToolInput(delta));
        let fresh = || Kind::Tool { id: String::new(), name: String::new(), form: Form::Json };
        let piece = self.piece(slot, fresh)?;
        piece.text.push_str(delta);
        if piece.text.len() > INPUT_LIMIT {
            return Err(Fault::TooLarge("the input of a tool call is larger than 10 MiB"));
        }
        self.count(delta.len())
    }

    /// Replaces what came so far of a piece: the provider sent it whole.
    pub(crate) fn settle(&mut self, slot: u64, item: ReplyItem) -> Result<(), Fault> {
        let (kind, text, raw) = match item {
            ReplyItem::Text { text, raw } => (Kind::Text, text, raw),
            ReplyItem::Reasoning { summary, raw } => (Kind::Reasoning, summary, raw),
            ReplyItem::ToolCall { call, raw } => {
                let (form, text) = match call.input {
                    ToolInput::Json(text) => (Form::Json, text),
                    ToolInput::Text(text) => (Form::Text, text),
                };
                if text.len() > INPUT_LIMIT {
                    return Err(Fault::TooLarge("the input of a tool call is larger than 10 MiB"));
                }
                (Kind::Tool { id: call.id.0, name: call.name, form }, text, raw)
            }
        };
        let added = text.len();
        let piece = self.piece(slot, || Kind::Text)?;
        let removed = piece.text.len();
        *piece = Piece { kind, text, raw };
        self.bytes = self.bytes.saturating_sub(removed);
        self.count(added)
    }

    /// Attaches the provider's own form to a piece, if the piece is there.
    pub(crate) fn raw(&mut self, slot: u64, raw: Value) {
        if let Some((_, piece)) = self.pieces.iter_mut().find(|(known, _)| *known == slot) {
            piece.raw = Some(raw);
        }
    }

    /// The text of a piece so far.
    pub(crate) fn text_of(&self, slot: u64) -> &str {
        self.pieces.iter().find(|(known, _)| *known == slot).map_or("", |(_, p)| &p.text)
    }

    /// Whether any piece has come.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// More of the words with which the model declines.
    pub(crate) fn refusal(&mut self, delta: &str) -> Result<(), Fault> {
        self.live(ReplyDelta::Text(delta));
        self.refusal.push_str(delta);
        self.count(delta.len())
    }

    /// The words of the refusal, whole.
    pub(crate) fn settle_refusal(&mut self, words: &str) {
        words.clone_into(&mut self.refusal);
    }

    /// What it used, as counted by the provider; the last word counts.
    pub(crate) fn usage(&mut self, usage: Usage) {
        let sane = |tokens: u64| tokens.min(TOKENS_LIMIT);
        self.usage = Some(Usage {
            input_tokens: sane(usage.input_tokens),
            cached_input_tokens: sane(usage.cached_input_tokens),
            cache_write_tokens: sane(usage.cache_write_tokens),
            output_tokens: sane(usage.output_tokens),
            reasoning_tokens: sane(usage.reasoning_tokens),
        });
    }

    /// Why it ended.
    pub(crate) fn stop(&mut self, stop: StopReason) {
        self.stop = Some(stop);
    }

    /// Whether a reason for its end has come: what follows can only be usage.
    pub(crate) fn has_stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// Nothing more will come.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether nothing more will come.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The whole reply. `request_bytes` serves to estimate the usage that was not told.
    ///
    /// # Errors
    ///
    /// A fault that may be tried again, where the reply was cut.
    pub(crate) fn finish(
        mut self,
        asked_for: &str,
        dialect: String,
        request_bytes: usize,
    ) -> Result<Reply, Fault> {
        if !self.ended && self.stop.is_none() {
            return Err(Fault::broken("the stream was cut before the reply was complete"));
        }
        self.pieces.sort_by_key(|(slot, _)| *slot);
        let usage = self.usage.unwrap_or(Usage {
            input_tokens: tokens(request_bytes),
            output_tokens: tokens(self.bytes),
            ..Usage::default()
        });
        let turn = self.turn;
        let items: Vec<ReplyItem> =
            self.pieces.into_iter().map(|(slot, piece)| piece.into_item(slot, turn)).collect();
        let calls = items.iter().any(|item| matches!(item, ReplyItem::ToolCall { .. }));
        let stop = match self.stop {
            _ if !self.refusal.is_empty() => StopReason::Refused { words: self.refusal },
            // Servers say `stop` after tool calls, and the other way round.
            Some(StopReason::EndTurn | StopReason::ToolUse) | None if calls => StopReason::ToolUse,
            Some(StopReason::ToolUse) | None => StopReason::EndTurn,
            Some(other) => other,
        };
        Ok(Reply {
            items,
            stop,
            usage,
            model: self.model.unwrap_or_else(|| asked_for.to_owned()),
            dialect,
            provider_id: self.provider_id,
        })
    }

    fn live(&self, delta: ReplyDelta<'_>) {
        let (ReplyDelta::Text(text) | ReplyDelta::Reasoning(text) | ReplyDelta::ToolInput(text)) =
            delta
        else {
            return;
        };
        if !text.is_empty() {
            self.live.delta(delta);
        }
    }

    fn piece(&mut self, slot: u64, fresh: impl FnOnce() -> Kind) -> Result<&mut Piece, Fault> {
        // Deltas nearly always belong to the newest piece.
        let place = match self.pieces.iter().rposition(|(known, _)| *known == slot) {
            Some(place) => place,
            None if self.pieces.len() >= PIECES_LIMIT => {
                return Err(Fault::TooLarge("the reply has more than 10,000 pieces"));
            }
            None => {
                self.pieces.push((slot, Piece { kind: fresh(), text: String::new(), raw: None }));
                self.pieces.len() - 1
            }
        };
        Ok(&mut self.pieces[place].1)
    }

    fn count(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes += bytes;
        if self.bytes > REPLY_LIMIT {
            return Err(Fault::TooLarge("the reply is larger than 32 MiB"));
        }
        Ok(())
    }
}

impl Piece {
    fn into_item(self, slot: u64, turn: usize) -> ReplyItem {
        let Self { kind, text, raw } = self;
        match kind {
            Kind::Text => ReplyItem::Text { text, raw },
            Kind::Reasoning => ReplyItem::Reasoning { summary: text, raw },
            Kind::Tool { id, name, form } => {
                let id = if id.is_empty() { format!("call_{turn}_{slot}") } else { id };
                let input = match form {
                    Form::Json => ToolInput::Json(text),
                    Form::Text => ToolInput::Text(text),
                };
                ReplyItem::ToolCall { call: ToolCall { id: CallId(id), name, input }, raw }
            }
        }
    }
}

/// A rough count of tokens, where nobody counted.
pub(crate) fn tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4)
}
