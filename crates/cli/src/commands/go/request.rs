//! From the command line to a request: prompt, pictures, budget, source, checks.

use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use quire_domain::budget::{Budget, MicroDollars};
use quire_domain::environment::{CheckSpec, Environment};
use quire_domain::task::Mode;
use quire_domain::task::{Image, ReviewTarget};
use quire_orchestrator::found::Source;
use quire_orchestrator::submit::check_output_schema;

use super::{Asked, Common};
use crate::commands::Context;
use crate::exit::usage;
use crate::installation::Installation;

/// A prompt is at most this long, in bytes.
const MOST_PROMPT: usize = 1 << 20;

/// No more than this is read of a schema, in bytes; what may be used is shorter.
const MOST_SCHEMA: u64 = 1 << 20;

/// A picture is at most this long, in bytes.
const MOST_IMAGE: u64 = 20 << 20;

/// All pictures of a prompt together, in bytes: each request carries them.
const MOST_IMAGES: u64 = 40 << 20;

/// The form of the answer, where the person gave one: a schema that can be used.
pub fn read_schema(common: &Common, mode: Mode, current: &Path) -> anyhow::Result<Option<String>> {
    let Some(file) = &common.output_schema else { return Ok(None) };
    if mode == Mode::Review {
        return Err(usage("a review has findings of its own form: leave --output-schema out"));
    }
    let shown = file.display();
    let mut text = String::new();
    std::fs::File::open(current.join(file))
        .and_then(|opened| opened.take(MOST_SCHEMA + 1).read_to_string(&mut text))
        .map_err(|error| usage(format!("cannot read the schema {shown}: {error}")))?;
    check_output_schema(&text).map_err(|error| usage(format!("{shown}: {error}")))?;
    Ok(Some(text))
}

/// The prompt: an argument, a file, standard input; of a review its target.
pub fn read_prompt(asked: &Asked, context: &Context) -> anyhow::Result<String> {
    let from_stdin = asked.prompt.as_deref() == Some("-")
        || asked.prompt_file.as_deref() == Some(std::path::Path::new("-"));
    let text = if from_stdin {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(MOST_PROMPT as u64 + 1).read_to_end(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| usage("the prompt on standard input is not UTF-8"))?
    } else if let Some(path) = &asked.prompt_file {
        let bytes = std::fs::read(path).map_err(|error| {
            usage(format!("cannot read the prompt {}: {error}", path.display()))
        })?;
        String::from_utf8(bytes)
            .map_err(|_| usage(format!("the prompt {} is not UTF-8", path.display())))?
    } else {
        asked.prompt.clone().unwrap_or_default()
    };
    if text.len() > MOST_PROMPT {
        return Err(usage("the prompt is longer than 1 MiB: name files of the repository instead"));
    }
    if let (true, Some(target)) = (text.trim().is_empty(), &asked.review) {
        return Ok(match target {
            ReviewTarget::Base(base) => format!("Review what is new since {base}."),
            ReviewTarget::Commit(commit) => format!("Review the commit {commit}."),
            ReviewTarget::Uncommitted => "Review what is not committed.".to_owned(),
        });
    }
    if text.trim().is_empty() {
        let hint = if context.surroundings.stdin_terminal {
            ""
        } else {
            " (`-` reads it from standard input)"
        };
        return Err(usage(format!("the prompt is empty: say what is to be done{hint}")));
    }
    Ok(text)
}

/// Where the repository is.
pub fn source_of(repo: Option<&str>, current: &std::path::Path) -> Source {
    match repo {
        None => Source::Checkout(current.to_owned()),
        Some(text) if text.contains("://") || looks_like_scp(text) => Source::Url(text.to_owned()),
        Some(path) => Source::Checkout(current.join(path)),
    }
}

/// `git@host:path`, as ssh addresses are often written.
fn looks_like_scp(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(host, path)| host.contains('@') && !host.contains('/') && !path.is_empty())
}

/// `2.50` dollars, `500000t` tokens, `40c` model calls.
pub fn parse_budget(text: &str, origin: &str) -> anyhow::Result<Budget> {
    let bad = || {
        usage(format!(
            "{origin}: `{text}` is no budget: give dollars (`2.50`), tokens (`500000t`) or model calls (`40c`)"
        ))
    };
    let text = text.trim().trim_start_matches('$');
    if let Some(tokens) = text.strip_suffix('t') {
        let tokens: u64 = tokens.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?;
        return Ok(Budget { tokens: Some(tokens), ..Budget::default() });
    }
    if let Some(calls) = text.strip_suffix('c') {
        let calls: u32 = calls.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?;
        return Ok(Budget { model_calls: Some(calls), ..Budget::default() });
    }
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 6 || !digits(whole) || !digits(decimals) {
        return Err(bad());
    }
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    let decimals: u64 = format!("{decimals:0<6}").parse().map_err(|_| bad())?;
    let micros = whole.checked_mul(1_000_000).and_then(|w| w.checked_add(decimals));
    let micros = micros.filter(|micros| *micros > 0).ok_or_else(bad)?;
    Ok(Budget { cost: Some(MicroDollars(micros)), ..Budget::default() })
}

/// The budget of a turn: the flag's, else its environment's; with the time limit.
pub fn budget_of(flag: Option<Budget>, environment: &Environment) -> Budget {
    let wall_ms = environment.limits.wall_clock_s.saturating_mul(1_000);
    let budget = flag.or(environment.budget).unwrap_or_default();
    Budget { wall_ms: Some(wall_ms), ..budget }
}

/// Keeps the pictures of a prompt.
pub async fn read_images(
    installation: &Installation,
    files: &[PathBuf],
) -> anyhow::Result<Vec<Image>> {
    let mut images = Vec::new();
    let mut all = 0;
    for path in files {
        let shown = path.display();
        let bytes = Bytes::from(read_picture(path)?);
        let media_type = media_type(&bytes)
            .ok_or_else(|| usage(format!("{shown} is neither PNG, JPEG, GIF nor WebP")))?;
        let size = bytes.len() as u64;
        all += size;
        if all > MOST_IMAGES {
            return Err(usage(format!(
                "with {shown} the pictures have more than 40 MiB: give fewer, or smaller ones"
            )));
        }
        let blob = installation.worker.record.blobs.put(bytes).await?;
        images.push(Image { blob, media_type: media_type.to_owned(), bytes: size });
    }
    Ok(images)
}

fn read_picture(path: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let unread = |error| usage(format!("cannot read the picture {shown}: {error}"));
    let found = std::fs::metadata(path).map_err(unread)?;
    if !found.is_file() {
        return Err(usage(format!("the picture {shown} is not a file")));
    }
    if found.len() > MOST_IMAGE {
        let mib = found.len() >> 20;
        return Err(usage(format!(
            "the picture {shown} has {mib} MiB: 20 MiB are the most, make it smaller"
        )));
    }
    std::fs::read(path).map_err(unread)
}

fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', _, ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// A declared check from the command line.
pub fn check(command: &str) -> CheckSpec {
    CheckSpec {
        name: command.to_owned(),
        command: command.to_owned(),
        clean: false,
        timeout_s: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_dollars_tokens_or_calls() {
        let read = |text: &str| parse_budget(text, "--budget").ok();
        assert_eq!(read("2.50").unwrap().cost, Some(MicroDollars(2_500_000)));
        assert_eq!(read("$0.000001").unwrap().cost, Some(MicroDollars(1)));
        assert_eq!(read("500000t").unwrap().tokens, Some(500_000));
        assert_eq!(read("40c").unwrap().model_calls, Some(40));
        for bad in ["", "0", "-1", "1e3", "0.0000001", "x", "t", "99999999999999999999"] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_told_from_a_path() {
        let here = std::path::Path::new("/here");
        assert_eq!(source_of(None, here), Source::Checkout("/here".into()));
        assert_eq!(source_of(Some("x/y"), here), Source::Checkout("/here/x/y".into()));
        for url in ["https://example.com/a", "git@example.com:a/b.git", "file:///x"] {
            assert_eq!(source_of(Some(url), here), Source::Url(url.to_owned()), "{url}");
        }
    }
}
