//! What is asked for, from the wire to the desk: every bound is checked here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use quire_api as wire;
use quire_api::ProblemKind;
use quire_domain::budget::Budget;
use quire_domain::environment::CheckSpec;
use quire_domain::task::{Image, Mode, ReviewTarget};

use crate::desk::Wish;
use crate::refusal::{Refusal, Result};
use crate::state::State;

const MOST_PROMPT_BYTES: usize = 1 << 20;
const MOST_IMAGES: usize = 16;
const MOST_IMAGE_BYTES: usize = 20 << 20;
const MOST_SCHEMA_BYTES: usize = 32 << 10;
const MOST_CHECKS: usize = 50;

/// Reads what is asked for in a turn, and keeps its pictures. The prompt may be empty where
/// `review` says what is meant.
pub(crate) async fn read(state: &State, wish: wire::Wish, review: bool) -> Result<Wish> {
    text("prompt", &wish.prompt, MOST_PROMPT_BYTES)?;
    if wish.prompt.trim().is_empty() && !review {
        return Err(Refusal::invalid("the prompt is empty", "say what is to be done"));
    }
    if let Some(model) = &wish.model {
        name("model", model, 200)?;
    }
    if !(1..=4).contains(&wish.attempts) {
        return Err(Refusal::invalid(
            format!("`attempts` is {}", wish.attempts),
            "ask for 1 to 4 attempts",
        ));
    }
    if let Some(asked) = wish.budget {
        budget(asked)?;
    }
    let output_schema = wish.output_schema.map(|schema| schema.to_string());
    if let Some(schema) = &output_schema {
        text("output_schema", schema, MOST_SCHEMA_BYTES)?;
    }
    if wish.images.len() > MOST_IMAGES {
        return Err(Refusal::invalid("there are more than 16 pictures", "send fewer"));
    }
    let mut images = Vec::with_capacity(wish.images.len());
    for picture in wish.images {
        images.push(keep(state, picture).await?);
    }
    Ok(Wish {
        mode: wish.mode,
        prompt: wish.prompt,
        images,
        model: wish.model,
        attempts: wish.attempts,
        budget: wish.budget,
        skip_checks: wish.skip_checks,
        questions: wish.questions,
        output_schema,
    })
}

/// A budget whose limits can be counted, for a new turn and for one that goes on.
pub(crate) fn budget(budget: Budget) -> Result<Budget> {
    if [budget.cost.map(|cost| cost.0), budget.tokens, budget.wall_ms]
        .into_iter()
        .flatten()
        .any(|limit| limit == 0 || i64::try_from(limit).is_err())
        || budget.model_calls == Some(0)
    {
        return Err(Refusal::invalid(
            "a limit of the budget is zero or too large",
            "leave it out for no limit of that kind",
        ));
    }
    Ok(budget)
}

/// What a review is about, for a mode that needs it or has none.
pub(crate) fn review(
    mode: Option<Mode>,
    review: Option<wire::Review>,
) -> Result<Option<ReviewTarget>> {
    match (mode, review) {
        (Some(Mode::Review), None) => Err(Refusal::invalid(
            "it is not said what is to be reviewed",
            "name a branch or commit as `review`: {\"base\": \"main\"}",
        )),
        (Some(Mode::Review), Some(wire::Review::Base(base))) => {
            name("review.base", &base, 255)?;
            Ok(Some(ReviewTarget::Base(base)))
        }
        (Some(Mode::Review), Some(wire::Review::Commit(commit))) => {
            name("review.commit", &commit, 255)?;
            Ok(Some(ReviewTarget::Commit(commit)))
        }
        (_, Some(_)) => Err(Refusal::invalid(
            "`review` is for the mode `review`",
            "leave it out, or ask for that mode",
        )),
        (_, None) => Ok(None),
    }
}

/// Checks declared with a request.
pub(crate) fn checks(checks: Vec<wire::NewCheck>) -> Result<Vec<CheckSpec>> {
    if checks.len() > MOST_CHECKS {
        return Err(Refusal::invalid("there are more than 50 checks", "declare fewer"));
    }
    let read = |check: wire::NewCheck| {
        text("command of a check", &check.command, 4096)?;
        if check.command.trim().is_empty() {
            return Err(Refusal::invalid("the command of a check is empty", "leave it out"));
        }
        if let Some(called) = &check.name {
            name("name of a check", called, 200)?;
        }
        let called = check.name.unwrap_or_else(|| check.command.chars().take(200).collect());
        Ok(CheckSpec { name: called, command: check.command, clean: false, timeout_s: None })
    };
    checks.into_iter().map(read).collect()
}

/// The bytes of a picture, kept.
async fn keep(state: &State, picture: wire::Picture) -> Result<Image> {
    let bytes = STANDARD.decode(picture.base64.as_bytes()).map_err(|error| {
        Refusal::invalid(format!("a picture is not base64: {error}"), "encode it")
    })?;
    if bytes.len() > MOST_IMAGE_BYTES {
        return Err(Refusal::new(
            ProblemKind::TooLarge,
            "a picture has more than 20 MiB",
            "make it smaller",
        ));
    }
    let media_type = media_type(&bytes).ok_or_else(|| {
        Refusal::invalid("a picture is neither PNG, JPEG, GIF nor WebP", "send one that is")
    })?;
    let size = bytes.len() as u64;
    let blob = state.blobs.put(Bytes::from(bytes)).await?;
    Ok(Image { blob, media_type: media_type.to_owned(), bytes: size })
}

/// What the first bytes say it is.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// A text within its bound, that the store can keep.
pub(crate) fn text(what: &str, value: &str, most_bytes: usize) -> Result<()> {
    if value.len() > most_bytes {
        return Err(Refusal::invalid(
            format!("{what} has {} bytes, {most_bytes} are the most", value.len()),
            "make it shorter",
        ));
    }
    // Postgres keeps no such character, and no person means it.
    if value.contains('\0') {
        return Err(Refusal::invalid(format!("{what} holds a NUL"), "leave it out"));
    }
    Ok(())
}

/// A text of one line that is not empty.
pub(crate) fn name(what: &str, value: &str, most_bytes: usize) -> Result<()> {
    text(what, value, most_bytes)?;
    if value.trim().is_empty() || value.chars().any(char::is_control) {
        return Err(Refusal::invalid(
            format!("{what} is empty or has control characters"),
            "give a name of one line",
        ));
    }
    Ok(())
}
