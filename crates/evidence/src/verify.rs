//! Checks a bundle: one function for each thing it says, none of them believes another.

use std::collections::{BTreeMap, BTreeSet};

use quire_domain::citation::{CheckedCitation, CitationTarget, CitationVerdict};
use quire_domain::event::EventBody;
use quire_domain::ids::{ChunkId, Sha256};

use crate::bundle::{Bundle, CitedLines, VerifyReport};
use crate::chain::Verifier;
use crate::citations::read;
use crate::digest::sha256;
use crate::dsse::{Verdict, verify_envelope};
use crate::keys::PublicKey;
use crate::resolve::{cut, lines_of};
use crate::statement::{About, Statement};

/// Checks everything that can be checked without a server.
pub(crate) fn verify(bundle: &Bundle, trusted: &[PublicKey]) -> VerifyReport {
    let statement = Statement::from_envelope(&bundle.envelope).map_err(|error| error.to_string());
    let mut cited_lines = CitedLines::default();
    let mut checks = vec![
        ("the log follows from its first event to its last", chain(bundle)),
        ("the log is whole: from the request to the outcome", whole(bundle)),
        ("the signature fits the statement", signature(bundle)),
    ];
    match &statement {
        Ok(statement) => {
            checks.push(("the statement says what the log says", same(bundle, statement)));
            checks.push(("every citation of the answer was looked at", answer(bundle, statement)));
            checks.push(("the contents are those that were recorded", contents(bundle)));
            let (lookup, result) = cited(bundle, statement);
            checks.extend(result.map(|result| (claim(lookup), result)));
            cited_lines = lookup;
        }
        Err(error) => checks.push(("the statement can be read", Err(error.clone()))),
    }
    VerifyReport {
        checks,
        cited: cited_lines,
        signature: verify_envelope(&bundle.envelope, trusted),
    }
}

/// What holds if every line that was looked up was found: not more than was looked at.
fn claim(lookup: CitedLines) -> &'static str {
    if lookup.looked_up == lookup.citations {
        "the cited lines stand in the contents"
    } else {
        "the cited lines stand in those contents that the bundle holds"
    }
}

fn chain(bundle: &Bundle) -> Result<(), String> {
    let mut verifier = Verifier::new();
    bundle
        .entries
        .iter()
        .try_for_each(|entry| verifier.push(entry))
        .map_err(|error| error.to_string())
}

fn whole(bundle: &Bundle) -> Result<(), String> {
    let kind = |at: Option<&crate::record::LogEntry>| at.map(|entry| entry.kind.clone());
    match (kind(bundle.entries.first()).as_deref(), kind(bundle.entries.last()).as_deref()) {
        (Some("submitted"), Some("finished")) => Ok(()),
        (None, _) => Err("there are no events".to_owned()),
        (Some("submitted"), Some(last)) => {
            Err(format!("the last event is `{last}`: the attempt had not ended"))
        }
        (Some(first), _) => Err(format!("the first event is `{first}`")),
    }
}

/// Whether the key in the bundle signed it; whether that key is trusted is another question.
fn signature(bundle: &Bundle) -> Result<(), String> {
    let id = bundle.key.id();
    if bundle.envelope.signatures.iter().any(|signature| signature.keyid != id.as_str()) {
        return Err("it names another key than the bundle".to_owned());
    }
    match verify_envelope(&bundle.envelope, &[bundle.key]) {
        Verdict::Trusted(_) => Ok(()),
        Verdict::UnknownKey(_) => Err("it was made with another key".to_owned()),
        Verdict::Bad(why) => Err(why.to_owned()),
    }
}

/// A statement is a reading of its log: it is read again, and compared.
fn same(bundle: &Bundle, statement: &Statement) -> Result<(), String> {
    let about: About = statement.predicate.about.clone();
    let again = Statement::of_log_with(&bundle.entries, &bundle.contents, about)
        .map_err(|error| error.to_string())?;
    if again == *statement {
        return Ok(());
    }
    let (said, log) = (&statement.predicate, &again.predicate);
    let what = [
        ("what it is about", statement.subject != again.subject),
        ("the number of events", said.events != log.events),
        ("the mode", said.mode != log.mode),
        ("the base", said.base != log.base),
        ("the commit", said.head != log.head),
        ("the outcome", (&said.outcome, said.partial) != (&log.outcome, log.partial)),
        ("the commands", said.chunks != log.chunks),
        ("the checks", said.checks != log.checks),
        ("the citations", said.citations != log.citations),
    ]
    .into_iter()
    .find_map(|(what, differs)| differs.then_some(what));
    Err(format!("it differs in {}", what.unwrap_or("what the attempt goes on from")))
}

fn answer(bundle: &Bundle, statement: &Statement) -> Result<(), String> {
    let Some(answered) = bundle.entries.iter().rev().find(|entry| entry.kind == "answered") else {
        return Ok(());
    };
    // An answer that was too large for the log lies in the contents.
    let EventBody::Answered(answered) = answered.event_with(&bundle.contents).body else {
        return Err("the answer is not in the bundle, or cannot be read".to_owned());
    };
    let looked_at = &statement.predicate.citations;
    let reading = read(&answered.text);
    let missing = reading
        .citations()
        .find(|citation| !looked_at.iter().any(|checked| checked.citation == **citation));
    match missing {
        Some(citation) => Err(format!("{citation} was not")),
        None => Ok(()),
    }
}

fn contents(bundle: &Bundle) -> Result<(), String> {
    match bundle.contents.iter().find(|(digest, bytes)| sha256(bytes) != **digest) {
        Some((digest, _)) => Err(format!("{digest} has another digest")),
        None => Ok(()),
    }
}

/// Looks the cited lines up where their content is at hand. A chunk of which lines were not kept
/// cannot be counted in, and is left out. No result where nothing was looked up.
fn cited(bundle: &Bundle, statement: &Statement) -> (CitedLines, Option<Result<(), String>>) {
    let chunks: BTreeMap<&ChunkId, (&Sha256, bool)> = statement
        .predicate
        .chunks
        .iter()
        .map(|chunk| (&chunk.id, (&chunk.sha256, chunk.not_kept.is_none())))
        .collect();
    let mut lookup = CitedLines::default();
    let (mut absent, mut fault) = (BTreeSet::new(), None);
    for CheckedCitation { citation, verdict } in &statement.predicate.citations {
        let CitationVerdict::Resolved { source, text, .. } = verdict else { continue };
        lookup.citations += 1;
        let chunk = match &citation.target {
            CitationTarget::Chunk(id) => chunks.get(id).map(|chunk| (id, chunk)),
            CitationTarget::File(_) => None,
        };
        if let Some((id, (digest, _))) = chunk
            && *digest != source
        {
            let why = format!("{citation} was read from another output than `{id}`");
            fault.get_or_insert(why);
        }
        let Some(bytes) = bundle.contents.get(source) else {
            absent.insert(source);
            continue;
        };
        if chunk.is_some_and(|(_, (_, countable))| !countable) {
            continue;
        }
        lookup.looked_up += 1;
        if lines_of(bytes, citation.lines).as_deref().map(cut) != Some(text) {
            fault.get_or_insert_with(|| format!("{citation} shows other lines"));
        }
    }
    lookup.not_in_bundle = absent.len();
    let result = match fault {
        Some(why) => Some(Err(why)),
        None => (lookup.looked_up > 0).then_some(Ok(())),
    };
    (lookup, result)
}
