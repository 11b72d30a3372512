//! What an answer may claim and what the record knows: each lie is rejected or marked.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use quire_domain::citation::{CitationFault, CitationMark, CitationVerdict, LineRange};
use quire_domain::ids::{ChunkId, CommitId};
use quire_domain::path::WorkspacePath;
use quire_evidence::citations::read;
use quire_evidence::digest::sha256;
use quire_evidence::{MAX_CITED_BYTES, OpenedChunk, OpenedFile, ShownText, Sources, resolve};

/// A command's output, whether it ran before the last change, and the lines not kept.
type Output = (&'static str, bool, Option<(u64, u64)>);

/// A small attempt: what it started from, what it left, what it ran and what it saw.
struct Stage {
    base: BTreeMap<&'static str, &'static str>,
    now: BTreeMap<&'static str, &'static str>,
    has_change: bool,
    chunks: BTreeMap<&'static str, Output>,
    shown: ShownText,
}

const LOGIN_OLD: &str =
    "def login(user):\n    check(user)\n\n    return True\n    # end\n    x = 1\n";
const LOGIN_NEW: &str = "def login(user):\n    verify(user)\n\n    return True\n";

fn stage() -> Stage {
    let mut shown = ShownText::new();
    // `cat -n`, a diff the model wrote, and two commands' output.
    shown.add(
        "     1\tdef login(user):\n     2\t    check(user)\n     3\t\n     4\t    return True",
    );
    shown.add("*** Update File: login.py\n-    check(user)\n+    verify(user)");
    shown.add("1 failed in 0.1s\nFAILED test_login");
    shown.add("1 passed in 0.1s");
    shown.add("README.md:1:Read me");
    shown.add("gone.py\ngone = 1");
    Stage {
        base: BTreeMap::from([
            ("login.py", LOGIN_OLD),
            ("README.md", "Read me\nsecret line\n"),
            ("gone.py", "gone = 1\n"),
            ("blob.bin", "\0\u{1}\n"),
        ]),
        now: BTreeMap::from([
            ("login.py", LOGIN_NEW),
            ("README.md", "Read me\nsecret line\n"),
            ("new.py", "verify = 1\n"),
            ("blob.bin", "\0\u{1}\n"),
        ]),
        has_change: true,
        chunks: BTreeMap::from([
            ("aaaaaa", ("1 failed in 0.1s\nFAILED test_login\n", true, None)),
            ("bbbbbb", ("\u{1b}[32m1 passed\u{1b}[0m in 0.1s\n\nnever shown\n", false, None)),
            ("cccccc", ("head\ntail\n", false, Some((2, 900)))),
        ]),
        shown,
    }
}

fn opened(
    files: &BTreeMap<&str, &'static str>,
    at: char,
    path: &str,
) -> Option<OpenedFile<'static>> {
    let at = CommitId::parse(&at.to_string().repeat(40)).unwrap();
    files.get(path).map(|text| OpenedFile { at, bytes: Cow::Borrowed(text.as_bytes()) })
}

impl Sources for Stage {
    fn file(&self, path: &WorkspacePath) -> Option<OpenedFile<'_>> {
        opened(&self.now, 'b', path.as_str())
    }

    fn base_file(&self, path: &WorkspacePath) -> Option<OpenedFile<'_>> {
        if self.has_change { opened(&self.base, 'a', path.as_str()) } else { None }
    }

    fn has_change(&self) -> bool {
        self.has_change
    }

    fn chunk(&self, id: &ChunkId, lines: LineRange) -> Option<OpenedChunk<'_>> {
        let (text, before_last_change, not_kept) = *self.chunks.get(id.as_str())?;
        let (first, last) = (lines.first.get() as usize, lines.last.get() as usize);
        let cited: String =
            text.split_inclusive('\n').skip(first - 1).take(last - first + 1).collect();
        let lines = not_kept.map_or(text.lines().count() as u64, |(_, last)| last + 1);
        let cited = Cow::Owned(cited.into_bytes());
        let sha256 = sha256(text.as_bytes());
        Some(OpenedChunk { sha256, lines, not_kept, text: cited, before_last_change })
    }

    fn shown(&self) -> &ShownText {
        &self.shown
    }
}

fn verdict(stage: &Stage, written: &str) -> CitationVerdict {
    let reading = read(written);
    let citation = reading.citations().next().unwrap_or_else(|| panic!("{written}"));
    resolve(citation, stage)
}

fn marks(stage: &Stage, written: &str) -> Vec<CitationMark> {
    match verdict(stage, written) {
        CitationVerdict::Resolved { marks, .. } => marks,
        CitationVerdict::Rejected { why } => panic!("{written}: {why}"),
    }
}

#[test]
fn the_truth_resolves_without_a_mark() {
    let stage = stage();
    for written in
        ["【F:login.py†L1-L4】", "【F:login.py†L2】", "【bbbbbb†L1】", "【bbbbbb†L1-L2】"]
    {
        assert_eq!(marks(&stage, written), [], "{written}");
    }
    assert_eq!(
        verdict(&stage, "【F:login.py†L2】"),
        CitationVerdict::Resolved {
            at: Some(CommitId::parse(&"b".repeat(40)).unwrap()),
            source: sha256(LOGIN_NEW.as_bytes()),
            text: "    verify(user)".to_owned(),
            marks: vec![],
        }
    );
}

#[test]
fn each_lie_is_rejected_or_marked() {
    let stage = stage();
    let lies: [(&str, &str, Result<CitationMark, CitationFault>); 14] = [
        ("a run from before the last edit", "【aaaaaa†L1】", Ok(CitationMark::Stale)),
        ("output it was never shown", "【bbbbbb†L3】", Ok(CitationMark::Unseen)),
        ("a file's line it never saw", "【F:README.md†L2】", Ok(CitationMark::Unseen)),
        ("a file it did not change", "【F:README.md†L1】", Ok(CitationMark::Unchanged)),
        ("a file it deleted", "【F:gone.py†L1】", Ok(CitationMark::Deleted)),
        ("lines it deleted", "【F:login.py†L5-L6】", Ok(CitationMark::Deleted)),
        ("a blank line", "【F:login.py†L3】", Err(CitationFault::Blank)),
        ("a blank line of output", "【bbbbbb†L2】", Err(CitationFault::Blank)),
        ("a line beyond the end", "【F:login.py†L40】", Err(CitationFault::NoSuchLine)),
        ("a range that runs over the end", "【bbbbbb†L1-L9】", Err(CitationFault::NoSuchLine)),
        ("a file that never was", "【F:nope.py†L1】", Err(CitationFault::NoSuchFile)),
        ("output of another attempt", "【dddddd†L1】", Err(CitationFault::NoSuchChunk)),
        ("output that was not kept", "【cccccc†L40】", Err(CitationFault::NotKept)),
        ("a file that is not text", "【F:blob.bin†L1】", Err(CitationFault::Binary)),
    ];
    for (lie, written, expected) in lies {
        match (verdict(&stage, written), expected) {
            (CitationVerdict::Resolved { marks, .. }, Ok(mark)) => {
                assert!(marks.contains(&mark), "{lie}: {marks:?}");
            }
            (CitationVerdict::Rejected { why }, Err(fault)) => assert_eq!(why, fault, "{lie}"),
            (verdict, _) => panic!("{lie}: {verdict:?}"),
        }
    }
}

#[test]
fn where_nothing_is_changed_nothing_is_marked_as_unchanged() {
    let stage = Stage { has_change: false, ..stage() };
    assert_eq!(marks(&stage, "【F:README.md†L1】"), []);
}

#[test]
fn lines_that_only_moved_are_not_called_deleted() {
    let mut stage = stage();
    stage.base.insert("login.py", "\n\n\n\n\n\ndef login(user):\n");
    assert_eq!(
        verdict(&stage, "【F:login.py†L7】"),
        CitationVerdict::Rejected { why: CitationFault::NoSuchLine }
    );
}

#[test]
fn long_text_is_cut_between_characters() {
    let mut stage = stage();
    stage.now.insert("login.py", Box::leak("é".repeat(5000).into_boxed_str()));
    let CitationVerdict::Resolved { text, marks, .. } = verdict(&stage, "【F:login.py†L1】")
    else {
        panic!()
    };
    assert!(text.len() <= MAX_CITED_BYTES && text.chars().all(|c| c == 'é'));
    assert_eq!(marks, [CitationMark::Unseen]);
}

#[test]
fn a_line_counts_as_seen_through_what_tools_put_before_it() {
    for shown in [
        "let x = f(a);",
        "\tlet   x = f(a); ",
        "    12\tlet x = f(a);",
        "12:let x = f(a);",
        "12-    let x = f(a);",
        "  12 | let x = f(a);",
        "  12 let x = f(a);",
        "+    let x = f(a);",
        "-let x = f(a);",
        "src/a.rs:12:let x = f(a);",
        "src/a-b.rs-12-let x = f(a);",
        "src/a.rs:let x = f(a);",
        "src/a.rs:12:+let x = f(a);",
        "1a2b3c4d (A. Name 2024-01-31 10:00:00 +0000 12) let x = f(a);",
        "\u{1b}[31mlet x\u{1b}[0m = f(a);",
        "\u{1b}]0;title\u{7}let x = f(a);",
    ] {
        let mut index = ShownText::new();
        index.add(&format!("before\n{shown}\r\nafter"));
        assert!(index.has_line("    let x = f(a);"), "{shown}");
        assert!(!index.has_line("let x = f(b);"), "{shown}");
    }
    assert!(ShownText::new().has_line("  \t"));
    let mut index = ShownText::new();
    index.add("100%");
    assert!(index.has_line(" 10%\r 50%\r100%"));
}
