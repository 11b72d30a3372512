//! What holds for every patch: printing is undone by parsing, a difference applied gives the
//! other text, and no bytes make the parser fall over.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use quire_domain::path::WorkspacePath;
use quire_patch::{FilePatch, Hunk, HunkLine, Patch, apply, heredoc};

/// A line of text: no end of its own.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]{0,2}",
        2 => "[ \\t]{0,3}[a-z(){}\"'–“”]{0,8}",
        1 => "(\\*\\*\\* (End Patch|Update File: x|End of File)|@@|@@ a|[+ -]x|\\\\ No newline)",
        1 => "[^\\r\\n]{0,12}",
    ]
}

fn path() -> impl Strategy<Value = WorkspacePath> {
    "[a-zA-Z0-9_é\\[\\]\\(\\)'\" .-]{1,8}(/[a-z]{1,3}){0,2}"
        .prop_filter_map("a path with white space around it is not one", |text| {
            (text.trim() == text).then(|| WorkspacePath::parse(&text).ok()).flatten()
        })
}

fn hunk() -> impl Strategy<Value = Hunk> {
    let header = "[ ]{0,2}[a-z(:][a-z():é ]{0,8}[a-z)]";
    let hunk_line = (0..3u8, line()).prop_map(|(kind, text)| match kind {
        0 => HunkLine::Keep(text),
        1 => HunkLine::Remove(text),
        _ => HunkLine::Add(text),
    });
    (
        proptest::collection::vec(header, 0..3),
        proptest::collection::vec(hunk_line, 1..6),
        any::<bool>(),
    )
        .prop_map(|(headers, mut lines, at_end)| {
            lines.push(HunkLine::Add("end".to_owned()));
            Hunk { headers, lines, at_end, at_line: 0 }
        })
}

fn patch() -> impl Strategy<Value = Patch> {
    let file = prop_oneof![
        (path(), proptest::collection::vec(line(), 0..5))
            .prop_map(|(path, lines)| FilePatch::Add { path, lines }),
        path().prop_map(|path| FilePatch::Delete { path }),
        (path(), proptest::option::of(path()), proptest::collection::vec(hunk(), 1..4))
            .prop_map(|(path, move_to, hunks)| FilePatch::Update { path, move_to, hunks }),
    ];
    proptest::collection::vec(file, 1..5).prop_map(|files| Patch { files })
}

/// The same patch as if it had never been text.
fn without_places(mut patch: Patch) -> Patch {
    for file in &mut patch.files {
        if let FilePatch::Update { hunks, .. } = file {
            for hunk in hunks {
                hunk.at_line = 0;
            }
        }
    }
    patch
}

/// The difference of two lists of lines as hunks with up to `context` lines around each change.
fn hunks_between(old: &[String], new: &[String], context: usize) -> Vec<Hunk> {
    // Longest common subsequence, small and plain.
    let mut common = vec![vec![0usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut all) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            all.push(HunkLine::Keep(old[i].clone()));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            all.push(HunkLine::Remove(old[i].clone()));
            i += 1;
        } else {
            all.push(HunkLine::Add(new[j].clone()));
            j += 1;
        }
    }
    let changes: Vec<usize> =
        (0..all.len()).filter(|at| !matches!(all[*at], HunkLine::Keep(_))).collect();
    let (Some(first), Some(last)) = (changes.first(), changes.last()) else { return Vec::new() };
    // With little context a hunk is found at the first place that fits, which may be another
    // one; a single hunk from the top of the file cannot be.
    let from = if context == usize::MAX { 0 } else { first.saturating_sub(context) };
    let to = last.saturating_add(context).saturating_add(1).min(all.len());
    vec![Hunk { lines: all[from..to].to_vec(), at_end: to == all.len(), ..Hunk::default() }]
}

fn bytes(lines: &[String], end: &str, last: bool) -> Vec<u8> {
    let mut text = lines.join(end);
    if last && !lines.is_empty() {
        text.push_str(end);
    }
    text.into_bytes()
}

proptest! {
    #[test]
    fn parsing_undoes_printing(patch in patch()) {
        let printed = patch.to_string();
        let parsed = Patch::parse(&printed).map(without_places);
        prop_assert_eq!(parsed, Ok(patch), "{}", printed);
    }

    #[test]
    fn a_difference_applied_gives_the_other_text(
        old in proptest::collection::vec(line(), 1..12),
        new in proptest::collection::vec(line(), 1..12),
        dos in any::<bool>(),
        last in any::<bool>(),
    ) {
        // Without a final newline an empty last line cannot be told from none.
        prop_assume!(last || (old.last() != Some(&String::new()) && new.last() != Some(&String::new())));
        // A single line without an end does not say how the file's lines end.
        prop_assume!(last || !dos || old.len() > 1);
        let end = if dos { "\r\n" } else { "\n" };
        let path = WorkspacePath::parse("f").unwrap();
        let old_bytes = bytes(&old, end, last);
        prop_assume!(!old_bytes.starts_with("\u{feff}".as_bytes()));
        let before = BTreeMap::from([(path.clone(), old_bytes.clone())]);
        let hunks = hunks_between(&old, &new, usize::MAX);
        let new_bytes = bytes(&new, end, last);
        if hunks.is_empty() {
            prop_assert_eq!(old_bytes, new_bytes);
        } else {
            let patch = Patch { files: vec![FilePatch::Update { path, move_to: None, hunks }] };
            // Through the text, as a model would send it.
            let patch = Patch::parse(&patch.to_string()).unwrap();
            let edits = apply(&patch, &before).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let got = edits.into_iter().next().and_then(|edit| edit.new).unwrap_or(old_bytes);
            prop_assert_eq!(
                String::from_utf8_lossy(&got).into_owned(),
                String::from_utf8_lossy(&new_bytes).into_owned(),
                "{}", patch
            );
        }
    }

    #[test]
    fn a_change_of_one_line_of_its_kind_needs_no_more_than_the_lines_beside_it(
        count in 2usize..40, at in 0usize..40, text in "[a-z]{0,5}", context in 0usize..4,
    ) {
        let at = at % count;
        let old: Vec<String> = (0..count).map(|n| format!("line {n}")).collect();
        let mut new = old.clone();
        new[at] = text;
        let path = WorkspacePath::parse("f").unwrap();
        let before = BTreeMap::from([(path.clone(), bytes(&old, "\n", true))]);
        let hunks = hunks_between(&old, &new, context);
        let patch = Patch { files: vec![FilePatch::Update { path, move_to: None, hunks }] };
        let edits = apply(&patch, &before).unwrap();
        prop_assert_eq!(edits[0].new.clone(), Some(bytes(&new, "\n", true)));
        prop_assert_eq!((edits[0].added, edits[0].removed), (1, 1));
    }

    #[test]
    fn no_text_makes_the_parser_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = Patch::parse(&text);
        let _ = heredoc::find(&text);
    }

    #[test]
    fn no_mix_of_the_formats_own_words_makes_it_fall_over(
        words in proptest::collection::vec(
            prop_oneof![
                Just("*** Begin Patch"), Just("*** End Patch"), Just("*** Update File: f"),
                Just("*** Add File: g"), Just("*** Delete File: f"), Just("*** Move to: h"),
                Just("*** End of File"), Just("@@"), Just("@@ a"), Just("+a"), Just("-a"),
                Just(" a"), Just(" b"), Just(""), Just("\n"), Just(" "), Just("a"),
                Just("apply_patch <<'EOF'"), Just("EOF"), Just("cd x &&"), Just("'"), Just("\""),
                Just("["), Just("\r"), Just("é"), Just("\\"),
            ],
            0..30,
        ),
        separator in prop_oneof![Just("\n"), Just(" "), Just("")],
        file in "[ab\n\r ]{0,20}",
    ) {
        let text = words.join(separator);
        let before = BTreeMap::from([(WorkspacePath::parse("f").unwrap(), file.into_bytes())]);
        if let Ok(patch) = Patch::parse(&text) {
            let _ = apply(&patch, &before).map_err(|error| error.to_string());
        }
        let _ = heredoc::find(&text);
    }
}
