//! Signing and checking offline, and what happens when anything of it is changed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Write;

use proptest::prelude::*;
use quire_domain::ids::{AttemptId, CommitId, Epoch, Seq, Sha256, TaskId, TaskNumber};
use quire_domain::time::Timestamp;
use quire_evidence::about::RecordAbout;
use quire_evidence::bundle::{Bundle, BundleError, CitedLines, VerifyReport};
use quire_evidence::chain::link_parts;
use quire_evidence::digest::sha256;
use quire_evidence::dsse::{Verdict, payload, sign, verify_envelope};
use quire_evidence::keys::{InstallationKey, KeyError, PublicKey};
use quire_evidence::record::LogEntry;
use quire_evidence::statement::{About, Statement, StatementError};
use serde_json::{Value, json};

const OUTPUT: &[u8] = b"collected 1 item\n1 passed in 0.1s\n";

fn chained(bodies: Vec<(&str, Value)>) -> Vec<LogEntry> {
    let mut prev = Sha256::zero();
    (1..)
        .zip(bodies)
        .map(|(n, (kind, body))| {
            let (seq, at, epoch) = (Seq(n), Timestamp(1_000 * n), Epoch(1));
            let hash = link_parts(&prev, seq, at, epoch, kind, &body).unwrap();
            let prev_hash = std::mem::replace(&mut prev, hash.clone());
            LogEntry { seq, at, epoch, kind: kind.to_owned(), body, prev_hash, hash }
        })
        .collect()
}

fn bodies() -> Vec<(&'static str, Value)> {
    let citation = json!({"target": {"chunk": "bbbbbb"}, "lines": {"first": 2, "last": 2}});
    let resolved = json!({
        "verdict": "resolved", "source": sha256(OUTPUT), "text": "1 passed in 0.1s",
    });
    let (base, head) = ("a".repeat(40), "b".repeat(40));
    let check = json!({"name": "tests", "command": "pytest -q"});
    let request = json!({"mode": "code", "prompt": "fix it", "model": "m", "attempts": 1});
    let summary = json!({
        "id": "bbbbbb", "size": {"bytes": OUTPUT.len(), "lines": 2}, "sha256": sha256(OUTPUT),
    });
    vec![
        ("submitted", json!({"request": request, "ordinal": 1})),
        ("base_captured", json!({"base": base, "head": base, "workspace": "/workspace/app"})),
        (
            "cited",
            json!({"citation": citation, "verdict": {"verdict": "rejected", "why": "blank"}}),
        ),
        ("model_replied", json!({"of a later version": "not opened"})),
        (
            "command_started",
            json!({"chunk": "bbbbbb", "purpose": {"call": "c1"}, "command": "pytest -q", "workdir": "."}),
        ),
        ("command_finished", json!({"chunk": summary, "exit": {"code": 0}, "ms": 12})),
        ("committed", json!({"commit": head, "by": "agent", "subject": "Fix it"})),
        (
            "check_finished",
            json!({"check": check, "commit": head, "chunk": "bbbbbb", "exit": {"code": 0}, "ms": 5}),
        ),
        ("cited", json!({"citation": citation, "verdict": resolved})),
        ("answered", json!({"text": "It passes.【bbbbbb†L2】"})),
        (
            "finished",
            json!({"outcome": {"outcome": "changed"}, "spent": {"usage": {}, "cost": 0, "model_calls": 1, "wall_ms": 9}, "head": head}),
        ),
    ]
}

fn about() -> About {
    About {
        task: "018f0000-0000-7000-8000-000000000001".parse::<TaskId>().unwrap(),
        number: Some(TaskNumber(42)),
        attempt: "018f0000-0000-7000-8000-000000000002".parse::<AttemptId>().unwrap(),
        quire_version: "0.1.0".to_owned(),
    }
}

/// A key that is always the same: PKCS#8 of the seed 00 01 … 1f.
fn key() -> InstallationKey {
    let prefix = [
        0x30, 0x53, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    let public = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
    let public: Vec<u8> =
        (0..32).map(|n| u8::from_str_radix(&public[2 * n..2 * n + 2], 16).unwrap()).collect();
    let mut bytes = prefix.to_vec();
    bytes.extend(0..32);
    bytes.extend([0xa1, 0x23, 0x03, 0x21, 0x00]);
    bytes.extend(public);
    InstallationKey::from_pkcs8(&bytes).unwrap()
}

fn bundle_of(entries: Vec<LogEntry>) -> Bundle {
    let key = key();
    let envelope = Statement::of_log(&entries, about()).unwrap().sign(&key).unwrap();
    let contents = BTreeMap::from([(sha256(OUTPUT), OUTPUT.to_vec())]);
    Bundle { entries, contents, envelope, key: key.public() }
}

fn bundle() -> Bundle {
    bundle_of(chained(bodies()))
}

/// What fails in a bundle, by name.
fn failures(bundle: &Bundle) -> Vec<String> {
    let report = bundle.verify(&[bundle.key]);
    report
        .checks
        .into_iter()
        .filter_map(|(name, result)| result.err().map(|why| format!("{name}: {why}")))
        .collect()
}

#[test]
fn what_was_recorded_and_signed_is_verified_without_a_server() {
    let bundle = bundle();
    let read = Bundle::parse(&bundle.to_text()).unwrap();
    assert_eq!(read, bundle);
    let report = read.verify(&[key().public()]);
    assert!(report.trusted(), "{report:?}");
    insta::assert_snapshot!(
        report.checks.iter().map(|(name, _)| *name).collect::<Vec<_>>().join("\n")
            + "\n\n"
            + report.meaning()
    );
}

#[test]
fn the_statement_is_a_reading_of_the_log() {
    let statement = payload(&bundle().envelope).unwrap();
    let value: Value = serde_json::from_slice(&statement).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
}

#[test]
fn a_request_too_large_for_the_log_is_read_from_its_blob() {
    let mut large = bodies();
    let request = serde_json::to_vec(&large[0].1).unwrap();
    large[0].1 = json!({"$blob": sha256(&request), "bytes": request.len()});
    let entries = chained(large);
    assert_eq!(Statement::of_log(&entries, about()), Err(StatementError::NoRequest));
    assert_eq!(Statement::blobs(&entries), [sha256(&request)]);
    let contents = BTreeMap::from([(sha256(&request), request)]);
    let statement = Statement::of_log_with(&entries, &contents, about()).unwrap();
    let envelope = statement.sign(&key()).unwrap();
    let bundle = Bundle { entries, contents, envelope, key: key().public() };
    assert_eq!(failures(&bundle), [""; 0]);
    assert!(!failures(&Bundle { contents: BTreeMap::new(), ..bundle }).is_empty());
}

/// The checks that speak of cited lines.
fn claims(report: &VerifyReport) -> Vec<&'static str> {
    let names = report.checks.iter().map(|(name, _)| *name);
    names.filter(|name| name.contains("cited lines")).collect()
}

#[test]
fn no_more_is_claimed_of_cited_lines_than_was_looked_up() {
    let whole = bundle();
    let report = whole.verify(&[key().public()]);
    assert_eq!(report.cited, CitedLines { citations: 1, looked_up: 1, not_in_bundle: 0 });
    assert_eq!(claims(&report), ["the cited lines stand in the contents"]);

    let without = Bundle { contents: BTreeMap::new(), ..whole };
    let report = without.verify(&[key().public()]);
    assert_eq!(report.cited, CitedLines { citations: 1, looked_up: 0, not_in_bundle: 1 });
    assert_eq!(claims(&report), [""; 0]);
    assert!(report.trusted(), "a content that was left out is no fault: {report:?}");

    // Two citations of a file that was left out, beside the output that is there.
    let mut more = bodies();
    for line in [1, 2] {
        let citation =
            json!({"target": {"file": "big.py"}, "lines": {"first": line, "last": line}});
        let verdict = json!({"verdict": "resolved", "at": "b".repeat(40), "source": sha256(b"big"), "text": "x"});
        more.insert(9, ("cited", json!({"citation": citation, "verdict": verdict})));
    }
    let report = bundle_of(chained(more)).verify(&[key().public()]);
    assert_eq!(report.cited, CitedLines { citations: 3, looked_up: 1, not_in_bundle: 1 });
    assert_eq!(claims(&report), ["the cited lines stand in those contents that the bundle holds"]);
    assert!(report.trusted(), "{report:?}");
}

#[test]
fn an_answer_that_is_not_in_the_bundle_was_not_looked_at() {
    let mut large = bodies();
    let answer = serde_json::to_vec(&large[9].1).unwrap();
    large[9].1 = json!({"$blob": sha256(&answer), "bytes": answer.len()});
    let mut bundle = bundle_of(chained(large));
    let expected = "every citation of the answer was looked at: the answer is not in the bundle, or cannot be read";
    assert_eq!(failures(&bundle), [expected]);
    bundle.contents.insert(sha256(&answer), answer);
    assert_eq!(failures(&bundle), [""; 0]);
}

#[test]
fn a_bundle_says_what_it_is_about() {
    let about = RecordAbout::of(&bundle()).unwrap();
    let expected = RecordAbout {
        task: self::about().task,
        number: Some(TaskNumber(42)),
        attempt: self::about().attempt,
        ordinal: Some(1),
        request: Some("fix it".to_owned()),
        is_follow_up: false,
        base: Some(CommitId::parse(&"a".repeat(40)).unwrap()),
        head: Some(CommitId::parse(&"b".repeat(40)).unwrap()),
    };
    assert_eq!(about, expected);
    let mut long = bodies();
    long[0].1["request"]["prompt"] = json!("\n \n  First. \r\nSecond.");
    let about = RecordAbout::of(&bundle_of(chained(long))).unwrap();
    assert_eq!(about.request.as_deref(), Some("First."));
}

#[test]
fn a_statement_of_an_earlier_version_has_no_number_and_holds() {
    let entries = chained(bodies());
    let about = About { number: None, ..about() };
    let envelope = Statement::of_log(&entries, about).unwrap().sign(&key()).unwrap();
    assert!(!String::from_utf8(payload(&envelope).unwrap()).unwrap().contains("\"number\""));
    let bundle = Bundle { envelope, ..bundle() };
    assert_eq!(failures(&bundle), [""; 0]);
    assert_eq!(RecordAbout::of(&bundle).unwrap().number, None);
}

#[test]
fn a_statement_needs_a_request() {
    let mut short = bodies();
    short.remove(0);
    assert_eq!(Statement::of_log(&chained(short), about()), Err(StatementError::NoRequest));
    assert_eq!(Statement::of_log(&[], about()), Err(StatementError::NoRequest));
}

#[test]
fn a_key_that_nobody_accepted_proves_nothing_and_is_called_unknown() {
    let bundle = bundle();
    let report = bundle.verify(&[]);
    assert!(report.intact() && !report.trusted());
    assert_eq!(report.signature, Verdict::UnknownKey(key().public().id().to_string()));
    assert!(report.meaning().starts_with("Signed by an unknown key"));
    let other = InstallationKey::from_pkcs8(&InstallationKey::generate().unwrap()).unwrap();
    assert!(!bundle.verify(&[other.public()]).trusted());
    assert!(bundle.verify(&[other.public(), key().public()]).trusted());
}

#[test]
fn each_forgery_is_noticed_and_named() {
    let good = bundle();
    let mut found = String::new();
    let mut try_forgery = |name: &str, forged: Bundle| {
        let failures = failures(&forged);
        assert!(!failures.is_empty(), "{name}");
        writeln!(found, "## {name}\n{}\n", failures.join("\n")).unwrap();
    };
    let other = InstallationKey::from_pkcs8(&InstallationKey::generate().unwrap()).unwrap();

    let mut cut = good.clone();
    cut.entries.pop();
    try_forgery("the end of the log is cut off", cut);
    let mut altered = good.clone();
    altered.entries[5].body["exit"] = json!({"code": 1});
    try_forgery("an exit status is changed", altered);
    // A log that is well chained again, under the old signature.
    let mut rewritten = bodies();
    rewritten[5].1["exit"] = json!({"code": 1});
    try_forgery("the log is rewritten", Bundle { entries: chained(rewritten), ..good.clone() });
    let mut swapped = good.clone();
    swapped.key = other.public();
    try_forgery("another key is put in", swapped);
    let mut content = good.clone();
    content.contents.insert(sha256(OUTPUT), b"1 passed\n1 passed in 0.1s\n".to_vec());
    try_forgery("a content is replaced", content);
    let mut extended = good.clone();
    extended.envelope = sign(b"{\"_type\":\"something else\"}", &key());
    try_forgery("the key signed something else", extended);

    // By the installation itself: it lies in its own statement.
    let mut uncited = bodies();
    uncited[9].1["text"] = json!("It passes.【bbbbbb†L1】");
    try_forgery("a citation nobody looked at", bundle_of(chained(uncited)));
    let mut wrong = bodies();
    wrong[8].1["verdict"]["text"] = json!("2 passed");
    try_forgery("other words than the lines say", bundle_of(chained(wrong)));
    let mut statement = Statement::from_envelope(&good.envelope).unwrap();
    statement.predicate.head = Some(CommitId::parse(&"c".repeat(40)).unwrap());
    let envelope = statement.sign(&key()).unwrap();
    try_forgery("a statement that says more than the log", Bundle { envelope, ..good.clone() });

    insta::assert_snapshot!(found.replace(&other.public().to_string(), "OTHER"));
}

#[test]
fn what_is_no_bundle_is_refused() {
    let text = bundle().to_text();
    assert!(matches!(Bundle::parse(""), Err(BundleError::NoBundle)));
    assert!(matches!(Bundle::parse("{}"), Err(BundleError::NoBundle)));
    let later = text.replacen("\"quire_evidence\":1", "\"quire_evidence\":2", 1);
    assert!(matches!(Bundle::parse(&later), Err(BundleError::NoBundle)));
    let without = text.lines().next().unwrap().to_owned();
    assert!(matches!(Bundle::parse(&without), Err(BundleError::NoStatement)));
    let twice = format!("{text}{}\n", text.lines().last().unwrap());
    assert!(matches!(Bundle::parse(&twice), Err(BundleError::NoStatement)));
    let broken = text.replacen("{\"event\"", "{\"event", 1);
    assert!(matches!(Bundle::parse(&broken), Err(BundleError::BadLine { line: 2, .. })));
}

#[test]
fn a_public_key_is_written_as_openssl_reads_it_and_named_by_its_digest() {
    let public = key().public();
    assert_eq!(
        public.to_pem(),
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n\
         -----END PUBLIC KEY-----\n"
    );
    assert_eq!(PublicKey::parse(&public.to_pem()), Ok(public));
    assert_eq!(PublicKey::parse(&public.to_string()), Ok(public));
    assert_eq!(public.id(), sha256(&public.spki()));
    for bad in ["", "AAAA", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"] {
        assert_eq!(PublicKey::parse(bad), Err(KeyError::BadPublicKey));
    }
    assert!(matches!(InstallationKey::from_pkcs8(b"x"), Err(KeyError::BadPrivateKey)));
}

#[test]
fn a_signature_is_over_type_and_payload() {
    let envelope = sign(b"hello", &key());
    let trusted = [key().public()];
    assert_eq!(verify_envelope(&envelope, &trusted), Verdict::Trusted(key().public()));
    let mut typed = envelope.clone();
    typed.payload_type = "text/plain".to_owned();
    assert!(matches!(verify_envelope(&typed, &trusted), Verdict::Bad(_)));
    let mut changed = envelope.clone();
    changed.payload = sign(b"hellp", &key()).payload;
    assert!(matches!(verify_envelope(&changed, &trusted), Verdict::Bad(_)));
    let mut unsigned = envelope.clone();
    unsigned.signatures.clear();
    assert!(matches!(verify_envelope(&unsigned, &trusted), Verdict::Bad(_)));
    // The key's name is only a hint.
    let mut renamed = envelope;
    renamed.signatures[0].keyid = "somebody".to_owned();
    assert_eq!(verify_envelope(&renamed, &trusted), Verdict::Trusted(key().public()));
}

proptest! {
    #[test]
    fn any_flipped_bit_of_a_bundle_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let good = bundle();
        let mut bytes = good.to_text().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let read = String::from_utf8(bytes).ok().and_then(|text| Bundle::parse(&text).ok());
        if let Some(read) = read {
            prop_assert!(read == good || !read.verify(&[key().public()]).trusted());
        }
    }
}
