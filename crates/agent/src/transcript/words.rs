//! What the fold itself says to the model.

use quire_domain::event::Said;
use quire_domain::task::{Mode, Request, ReviewTarget};
use quire_domain::transcript::{Item, Message, Part, Role};

use super::commands::CommandRecord;

/// After a reply that ran into the output limit.
pub const CUT_REPLY: &str =
    "Your reply reached the output limit and was cut. Go on exactly where it ended.";

/// For a call whose result was never written down.
pub const NO_RESULT: &str = "The attempt ended before this call had a result. It may have taken \
     effect in part; look before you repeat it.";

/// For a call whose command was cut off by the end of a worker.
pub fn command_cut_off(record: &CommandRecord) -> String {
    format!(
        "[{}] cut off: the sandbox ended while `{}` ran. What it printed until then is kept; it \
         was not run again. Look at what it has done before you repeat it.",
        record.chunk,
        record.command.lines().next().unwrap_or_default()
    )
}

/// The result of a call that asked a person. Number 0 is nobody, and then the words are ours.
pub fn answer(said: &Said) -> String {
    match said.input {
        0 => said.text.clone(),
        _ => format!("The person answers: {}", said.text),
    }
}

/// Where a person stopped an attempt that is continued later.
pub const STOPPED_BY_PERSON: &str =
    "The person stopped the attempt here. What was done so far is kept.";

/// The person's request as the model is told it.
pub fn request(request: &Request) -> Item {
    let mut text = request.prompt.clone();
    if let (Mode::Review, Some(target)) = (request.mode, &request.review) {
        if !text.trim().is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&review(target));
    }
    if text.trim().is_empty() {
        "(The request has no words.)".clone_into(&mut text);
    }
    let images = request.images.iter().cloned().map(|image| Part::Image { image });
    let parts = std::iter::once(Part::Text { text }).chain(images).collect();
    Item::Message(Message { role: Role::User, parts })
}

fn review(target: &ReviewTarget) -> String {
    match target {
        ReviewTarget::Base(base) => format!(
            "Review what HEAD adds since it left `{base}`: `git diff {base}...HEAD` shows it."
        ),
        ReviewTarget::Commit(commit) => format!("Review one commit: `git show {commit}`."),
        ReviewTarget::Uncommitted => "Review the uncommitted work. It stands in the commit at \
             HEAD, which was made for this purpose: `git show HEAD`."
            .to_owned(),
    }
}

/// Whether a message is [`CUT_REPLY`].
pub fn is_cut_note(message: &Message) -> bool {
    matches!(message.parts.as_slice(), [Part::Text { text }] if text == CUT_REPLY)
}
