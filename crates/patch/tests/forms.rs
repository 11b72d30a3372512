//! Every form in which models write patches, each as what a file was, what was written, and what
//! the file is then.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Write;

use quire_domain::path::WorkspacePath;
use quire_patch::{FaultKind, ParseError, Patch, Place, apply};

type Files = BTreeMap<WorkspacePath, Vec<u8>>;

fn files(list: &[(&str, &str)]) -> Files {
    list.iter()
        .map(|(path, text)| (WorkspacePath::parse(path).unwrap(), text.as_bytes().to_vec()))
        .collect()
}

/// The files after a patch, or what the model is told.
fn after(before: &Files, patch: &str) -> Result<Files, String> {
    let patch = Patch::parse(patch).map_err(|error| error.to_string())?;
    let edits = apply(&patch, before).map_err(|error| error.to_string())?;
    let mut after = before.clone();
    for edit in edits {
        assert_eq!(edit.old.as_ref(), before.get(edit.from.as_ref().unwrap_or(&edit.path)));
        if let Some(from) = &edit.from {
            after.remove(from);
        }
        match edit.new {
            Some(new) => after.insert(edit.path, new),
            None => after.remove(&edit.path),
        };
    }
    Ok(after)
}

#[track_caller]
fn one(before: &str, hunks: &str, expected: &str) {
    let text = format!("*** Begin Patch\n*** Update File: f\n{hunks}\n*** End Patch\n");
    let after = after(&files(&[("f", before)]), &text).unwrap_or_else(|e| panic!("{e}"));
    let bytes = &after[&WorkspacePath::parse("f").unwrap()];
    assert_eq!(String::from_utf8_lossy(bytes), expected);
}

#[test]
fn a_hunk_may_begin_with_or_without_its_marker() {
    one("a\nb\nc\n", "@@\n a\n-b\n+B\n c", "a\nB\nc\n");
    one("a\nb\nc\n", " a\n-b\n+B\n c", "a\nB\nc\n");
    one("a\nb\nc\n", "-b\n+B", "a\nB\nc\n");
    one("a\nb\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c", "a\nB\nc\n");
    one("a\nb\nc\n", "--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c", "a\nB\nc\n");
    one("a\nb\nc\n", "@@\n a\n-b\n+B\n c\n@@", "a\nB\nc\n");
}

#[test]
fn headers_say_below_which_line_and_may_be_stacked() {
    let before = "class A:\n  def f():\n    x\nclass B:\n  def f():\n    x\n  def g():\n    x\n";
    one(
        before,
        "@@ class B:\n@@   def f():\n-    x\n+    y",
        "class A:\n  def f():\n    x\nclass B:\n  def f():\n    y\n  def g():\n    x\n",
    );
    // Set in differently, cut short, closed with `@@`, or wrong where the place is clear anyway.
    one(
        before,
        "@@ class B\n@@ def g\n-    x\n+    y",
        "class A:\n  def f():\n    x\nclass B:\n  def f():\n    x\n  def g():\n    y\n",
    );
    one("def f(a, b):\n  x\n", "@@ def f @@\n-  x\n+  y", "def f(a, b):\n  y\n");
    one("a\nb\n", "@@ no such line\n-b\n+c", "a\nc\n");
}

#[test]
fn a_second_hunk_may_name_the_header_above_it_again() {
    one(
        "class A:\n  a\n  b\n  c\n",
        "@@ class A:\n-  a\n+  A\n@@ class A:\n-  c\n+  C",
        "class A:\n  A\n  b\n  C\n",
    );
}

#[test]
fn hunks_are_found_in_order_from_where_the_last_one_ended() {
    one("x\n1\nx\n2\nx\n3\n", "@@\n-x\n+y\n 1\n@@\n-x\n+z\n 2", "y\n1\nz\n2\nx\n3\n");
    one("x\nx\nx\n", "@@\n-x\n+1\n@@\n-x\n+2\n@@\n-x\n+3", "1\n2\n3\n");
    // Context that the hunk before has named already.
    one("a\nb\nc\nd\n", "@@\n-a\n+A\n b\n c\n@@\n b\n c\n-d\n+D", "A\nb\nc\nD\n");
}

#[test]
fn lines_are_found_by_ever_more_forgiving_comparison_and_keep_their_bytes() {
    one("a  \n\tb\nc\n", "@@\n a\n \tb\n-c\n+C", "a  \n\tb\nC\n");
    one("    a\n\tb\nc\n", "@@\n   a\n b\n-c\n+C", "    a\n\tb\nC\n");
    one(
        "say – “hi”\u{a0}there…\nold\n",
        "@@\n say - \"hi\" there...\n-old\n+new",
        "say – “hi”\u{a0}there…\nnew\n",
    );
    // The exact place wins over an earlier, less exact one.
    one(" b\nb\n", "@@\n-b\n+c", " b\nc\n");
}

#[test]
fn the_end_of_the_file_can_be_named() {
    one("x\ny\nx\n", "@@\n-x\n+z\n*** End of File", "x\ny\nz\n");
    one("x\n", "@@\n+y\n*** End of File", "x\ny\n");
    // Named where it is not: the lines decide.
    one("x\ny\n", "@@\n-x\n+z\n*** End of File", "z\ny\n");
    one("a\nb\n", "@@\n-a\n+A\n*** End of File\n\n@@\n-b\n+B", "A\nB\n");
}

#[test]
fn mere_additions_go_below_their_header_or_to_the_end() {
    one("a\nb\n", "@@\n+c", "a\nb\nc\n");
    one("a\nb\n", "+c\n+d", "a\nb\nc\nd\n");
    one("a\nb\n", "@@ a\n+x", "a\nx\nb\n");
    one("", "@@\n+x", "x\n");
}

#[test]
fn blank_lines_in_a_hunk_stay_and_those_around_it_are_nothing() {
    one("a\n\nb\n", "@@\n a\n\n-b\n+c", "a\n\nc\n");
    one("a\nb\n", "\n@@\n-a\n+A\n b\n\n", "A\nb\n");
    one("a\nb\nc\n", "@@\n-a\n+A\n b\n\n@@\n-c\n+C\n", "A\nb\nC\n");
}

#[test]
fn line_ends_and_the_final_newline_are_kept() {
    one("a\r\nb\r\n", "@@\n a\n-b\n+c\n+d", "a\r\nc\r\nd\r\n");
    one("a\nb", "@@\n-b\n+c", "a\nc");
    one("a\nb", "@@\n b\n+c", "a\nb\nc");
    one("a\r\nb", "@@\n b\n+c", "a\r\nb\r\nc");
    one("a\nb", "@@\n-a\n+A\n b\n\\ No newline at end of file", "A\nb");
    one("a\n", "@@\n-a", "");
    // Mixed: each new line ends like the one before it.
    one("a\r\nb\nc\r\n", "@@\n a\n+x\n b\n+y\n c", "a\r\nx\r\nb\ny\nc\r\n");
}

#[test]
fn a_patch_in_dos_line_ends_is_read_like_any_other() {
    let text =
        "*** Begin Patch\n*** Update File: f\n@@\n-a\n+b\n*** Add File: g\n+x\n*** End Patch";
    let dos = text.replace('\n', "\r\n");
    for before in ["a\n", "a\r\n"] {
        let unix = after(&files(&[("f", before)]), text).unwrap();
        assert_eq!(after(&files(&[("f", before)]), &dos).unwrap(), unix);
    }
}

#[test]
fn a_byte_order_mark_stays_where_it_was() {
    one("\u{feff}a\nb\n", "@@\n-a\n+A\n b", "\u{feff}A\nb\n");
    one("\u{feff}a\nb\n", "@@\n+x\n a", "\u{feff}x\na\nb\n");
    one("\u{feff}a\n", "@@\n-\u{feff}a\n+A", "\u{feff}A\n");
}

#[test]
fn a_file_that_is_no_utf8_is_changed_around_its_bytes() {
    let path = WorkspacePath::parse("f").unwrap();
    let before = Files::from([(path.clone(), b"caf\xe9\nold\n\xff\n".to_vec())]);
    let patch = "*** Begin Patch\n*** Update File: f\n@@\n-old\n+new\n*** End Patch";
    assert_eq!(after(&before, patch).unwrap()[&path], b"caf\xe9\nnew\n\xff\n");
}

#[test]
fn files_are_added_deleted_and_moved() {
    let before = files(&[("a", "1\n"), ("b", "2\n"), ("c", "3\n")]);
    let patch = "*** Begin Patch\n*** Add File: new/x\n+one\n+\n+two\n*** Add File: empty\n\
                 *** Delete File: a\n*** Update File: b\n*** Move to: d/b\n@@\n-2\n+two\n\
                 *** Update File: c\n*** Move to: d/c\n*** End Patch\n";
    let expected =
        files(&[("new/x", "one\n\ntwo\n"), ("empty", ""), ("d/b", "two\n"), ("d/c", "3\n")]);
    assert_eq!(after(&before, patch), Ok(expected));
}

#[test]
fn an_edit_says_what_was_there_and_how_many_lines_changed() {
    let before = files(&[("a", "1\n2\n"), ("b", "x\ny\n")]);
    let patch = "*** Begin Patch\n*** Delete File: a\n*** Update File: b\n*** Move to: c\n@@\n-x\n\
                 +z\n+z\n*** Add File: d\n+n\n*** End Patch";
    let edits = apply(&Patch::parse(patch).unwrap(), &before).unwrap();
    let mut shown = String::new();
    for edit in edits {
        let text = |bytes: Option<Vec<u8>>| bytes.map(|b| String::from_utf8(b).unwrap());
        let from = edit.from.map(|from| from.as_str().to_owned());
        writeln!(
            shown,
            "{} {from:?} {:?} {:?} -> {:?} +{} -{}",
            edit.path,
            edit.kind,
            text(edit.old),
            text(edit.new),
            edit.added,
            edit.removed
        )
        .unwrap();
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn later_sections_see_what_earlier_ones_did() {
    let before = files(&[("a", "1\n2\n"), ("b", "x\n")]);
    let patch = |body: &str| format!("*** Begin Patch\n{body}\n*** End Patch");
    let twice = patch("*** Update File: a\n-1\n+one\n*** Update File: a\n-2\n+two");
    assert_eq!(after(&before, &twice), Ok(files(&[("a", "one\ntwo\n"), ("b", "x\n")])));
    let replaced = patch("*** Delete File: a\n*** Add File: a\n+new");
    assert_eq!(after(&before, &replaced), Ok(files(&[("a", "new\n"), ("b", "x\n")])));
    let swapped = patch(
        "*** Update File: a\n*** Move to: t\n*** Update File: b\n*** Move to: a\n\
         *** Update File: t\n*** Move to: b",
    );
    assert_eq!(after(&before, &swapped), Ok(files(&[("a", "x\n"), ("b", "1\n2\n")])));
    let nothing = patch("*** Add File: t\n+x\n*** Delete File: t");
    assert_eq!(apply(&Patch::parse(&nothing).unwrap(), &before), Ok(vec![]));
}

#[test]
fn words_fences_and_shell_around_a_patch_are_passed_over() {
    let body = "*** Update File: f\n@@\n-a\n+b\n";
    let before = files(&[("f", "a\n")]);
    let expected = files(&[("f", "b\n")]);
    for text in [
        format!("*** Begin Patch\n{body}*** End Patch"),
        format!("Here it is:\n\n```diff\n*** Begin Patch\n{body}*** End Patch\n```\nDone."),
        format!("apply_patch <<'EOF'\n*** Begin Patch\n{body}*** End Patch\nEOF\n"),
        format!("\u{feff}*** Begin Patch\n{body}*** End Patch\n\n"),
        format!("  *** Begin Patch  \n{body}*** End Patch \t"),
        format!("*** Begin Patch\n   {body}   *** End Patch"),
        format!("*** Begin Patch\n\n{body}\n*** End Patch"),
        format!("{body}*** End Patch"),
        format!("*** Begin Patch\n{body}*** End Patch").replace("*** Update", "  *** Update"),
        format!("*** Begin Patch\n{body}*** End Patch")
            .lines()
            .fold(String::new(), |all, line| all + "    " + line + "\n"),
        serde_json::to_string(&["apply_patch", &format!("*** Begin Patch\n{body}*** End Patch")])
            .unwrap(),
    ] {
        assert_eq!(after(&before, &text), Ok(expected.clone()), "{text}");
    }
}

#[test]
fn two_patches_in_one_text_are_one() {
    let text = "*** Begin Patch\n*** Add File: a\n+1\n*** End Patch\n\n\
                *** Begin Patch\n*** Add File: b\n+2\n*** End Patch\n";
    assert_eq!(after(&files(&[]), text), Ok(files(&[("a", "1\n"), ("b", "2\n")])));
}

#[test]
fn a_patch_of_a_file_that_holds_a_patch_is_not_confused_by_it() {
    one(
        "*** End Patch\n*** Update File: x\n@@\nold\n",
        " *** End Patch\n *** Update File: x\n @@\n-old\n+*** Begin Patch",
        "*** End Patch\n*** Update File: x\n@@\n*** Begin Patch\n",
    );
}

#[test]
fn what_is_no_patch_is_refused_with_its_line() {
    let mut told = String::new();
    for (name, text) in [
        ("nothing", ""),
        ("only words", "I changed the file."),
        ("cut short", "*** Begin Patch\n*** Update File: f\n@@\n-a\n+b"),
        (
            "cut short behind a padded line",
            "*** Begin Patch\n*** Update File: f\n *** End Patch\n+b",
        ),
        ("empty", "*** Begin Patch\n*** End Patch"),
        ("no change", "*** Begin Patch\n*** Update File: f\n*** End Patch"),
        ("context only", "*** Begin Patch\n*** Update File: f\n@@\n a\n*** End Patch"),
        ("absolute path", "*** Begin Patch\n*** Delete File: /etc/passwd\n*** End Patch"),
        ("way out", "*** Begin Patch\n*** Delete File: a/../../b\n*** End Patch"),
        ("inside git", "*** Begin Patch\n*** Add File: .git/hooks/x\n+x\n*** End Patch"),
        ("bad move", "*** Begin Patch\n*** Update File: a\n*** Move to: ../b\n*** End Patch"),
        ("no path", "*** Begin Patch\n*** Delete File:\n*** End Patch"),
        ("bare added line", "*** Begin Patch\n*** Add File: f\nx\n*** End Patch"),
        ("bare hunk line", "*** Begin Patch\n*** Update File: f\n@@\n-a\nb\n*** End Patch"),
        ("lines after a deletion", "*** Begin Patch\n*** Delete File: f\n-a\n*** End Patch"),
        ("unknown marker", "*** Begin Patch\n*** Rename File: f\n*** End Patch"),
        ("begin inside", "*** Begin Patch\n*** Update File: f\n*** Begin Patch\n*** End Patch"),
    ] {
        let error = Patch::parse(text).expect_err(name);
        writeln!(told, "{name}: {error}").unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_patch_that_does_not_fit_says_where_and_what_is_nearest_and_changes_nothing() {
    let long = (1..=200).fold(String::new(), |text, n| text + &format!("line number {n}\n"));
    let before = files(&[
        ("src/a.py", "def login(user):\n    check(user)\n    return True\n"),
        ("src/b.py", "one\ntwo\nthree\nfour\n"),
        ("src/long.txt", &long),
        ("c", "c\n"),
    ]);
    let mut told = String::new();
    for (name, body) in [
        (
            "wrong line",
            "*** Update File: src/a.py\n@@ def login(user):\n     check(user)\n-    return False\n+    return None",
        ),
        ("wrong order", "*** Update File: src/b.py\n-three\n+3\n@@\n-one\n+1"),
        ("second hunk", "*** Update File: src/b.py\n-one\n+1\n@@\n two\n-drei\n+3"),
        ("header", "*** Update File: src/a.py\n@@ def logout(user):\n+    x"),
        ("nothing like it", "*** Update File: c\n-zzzzzzzzzzzzzzz\n+y"),
        (
            "one line in two hundred",
            "*** Update File: src/long.txt\n-line number 140\n-line nmbr 141\n+x",
        ),
        ("missing", "*** Update File: nope\n-a\n+b\n*** Delete File: gone"),
        ("exists", "*** Add File: c\n+x\n*** Update File: src/b.py\n*** Move to: c"),
        (
            "failed before",
            "*** Update File: c\n-x\n+y\n*** Update File: c\n-z\n+y\n*** Delete File: c",
        ),
        ("good and bad", "*** Delete File: c\n*** Delete File: d"),
    ] {
        let patch = format!("*** Begin Patch\n{body}\n*** End Patch");
        let error = after(&before, &patch).expect_err(name);
        writeln!(told, "## {name}\n{error}\n").unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn paths_are_read_from_the_directory_the_command_ran_in() {
    let place = Place { root: "/workspace/app", workdir: "web" };
    let patch = Patch::parse_at(
        "*** Begin Patch\n*** Add File: x\n*** Delete File: /workspace/app/y\n*** Update File: ../z\n\
         *** Move to: z\n*** End Patch",
        place,
    )
    .unwrap();
    let paths: Vec<&str> = patch.paths().into_iter().map(WorkspacePath::as_str).collect();
    assert_eq!(paths, ["web/x", "web/z", "y", "z"]);
}

#[test]
fn what_is_too_large_or_too_repetitive_is_refused_soon() {
    let big = "x".repeat(quire_patch::MAX_PATCH_BYTES + 1);
    assert!(matches!(Patch::parse(&big), Err(ParseError::TooLarge { .. })));
    let text = |body: &str| format!("*** Begin Patch\n{body}*** End Patch");
    let kind = |patch: &str, before: &Files| {
        apply(&Patch::parse(patch).unwrap(), before).unwrap_err().faults.remove(0).kind
    };
    // Every place looks right up to its last line.
    let before = files(&[("f", &("a\n".repeat(9) + "b\n").repeat(1 << 12))]);
    let hunk = "@@\n".to_owned() + &" a\n".repeat(9) + " b\n b\n-a\n+c\n";
    let patch = text(&format!("*** Update File: f\n{}", hunk.repeat(100)));
    assert!(matches!(kind(&patch, &before), FaultKind::NoMatch { hunk: 1, .. }));
    // A large file, named again and again.
    let before = files(&[("f", &"x\n".repeat(1 << 18))]);
    let patch = text(&"*** Update File: f\n-x\n+x \n".repeat(5000));
    assert_eq!(kind(&patch, &before), FaultKind::TooMuchWork);
    let before = files(&[("f", &"x".repeat(quire_patch::MAX_FILE_BYTES + 1))]);
    let patch = text("*** Update File: f\n-x\n+y\n");
    assert!(matches!(kind(&patch, &before), FaultKind::TooLarge { .. }));
}
