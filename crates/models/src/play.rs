//! The scripted provider: plays written model turns over HTTP, in all three dialects.
//!
//! A [`Script`] holds conversations, a conversation holds turns. The server keeps no state of a
//! conversation: the turn to play is found from the request alone, by the number of replies in
//! its list. So any number of conversations run at once, and a restart changes nothing. Only how
//! often a fault was met is counted, by the bytes of the request.
//!
//! Which conversation is played: that named in the path (`/r/<run>/<name>/v1/…`), else the first
//! whose `word` stands in the first message of the user, else the first without a `word`.

mod answer;
mod conversation;
mod played;
mod script;
mod server;
mod template;

pub use script::{Call, Conversation, Fault, Script, ScriptError, Turn};
pub use server::{PlayError, PlayOptions, PlayServer, RecordedRequest, serve};
