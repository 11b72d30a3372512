//! Citations as models write them, and what is no citation.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::num::NonZeroU32;

use proptest::prelude::*;
use quire_domain::citation::{Citation, CitationTarget, LineRange};
use quire_domain::ids::ChunkId;
use quire_domain::path::WorkspacePath;
use quire_evidence::citations::{Found, Malformed, read, read_under};

#[test]
fn near_forms_are_rewritten_to_the_stored_form() {
    for (written, stored) in [
        ("【F:src/a.rs†L10】", "【F:src/a.rs†L10】"),
        ("【F:src/a.rs†L10-L20】", "【F:src/a.rs†L10-L20】"),
        ("【3f9a2c†L1-L2】", "【3f9a2c†L1-L2】"),
        // Lines.
        ("【F:a.rs†L10-20】", "【F:a.rs†L10-L20】"),
        ("【F:a.rs†10-20】", "【F:a.rs†L10-L20】"),
        ("【F:a.rs†L10–L20】", "【F:a.rs†L10-L20】"),
        ("【F:a.rs†L10 — L20】", "【F:a.rs†L10-L20】"),
        ("【F:a.rs†L10..L20】", "【F:a.rs†L10-L20】"),
        ("【F:a.rs†lines 10 to 20】", "【F:a.rs†L10-L20】"),
        ("【F:a.rs†line 7】", "【F:a.rs†L7】"),
        ("【F:a.rs†L20-L10】", "【F:a.rs†L10-L20】"),
        ("【F:a.rs†L7-L7】", "【F:a.rs†L7】"),
        ("【F:a.rs†L10C5-L12C8】", "【F:a.rs†L10-L12】"),
        ("【F:a.rs†Ｌ１０－Ｌ２０】", "【F:a.rs†L10-L20】"),
        ("【F:a.rs†L1, L5-L8】", "【F:a.rs†L1】【F:a.rs†L5-L8】"),
        // Without a dagger.
        ("【F:a.rs#L10】", "【F:a.rs†L10】"),
        ("【F:a.rs#L10-L20】", "【F:a.rs†L10-L20】"),
        ("【F:a.rs:10】", "【F:a.rs†L10】"),
        ("【F:a.rs:10-20】", "【F:a.rs†L10-L20】"),
        ("【F:a.rs:L10-L20】", "【F:a.rs†L10-L20】"),
        ("【F:a.rs L10 - L20】", "【F:a.rs†L10-L20】"),
        ("【F:a.rs, lines 10-20】", "【F:a.rs†L10-L20】"),
        ("【F:a.rs (L10)】", "【F:a.rs†L10】"),
        ("【3f9a2c:5】", "【3f9a2c†L5】"),
        ("【3F9A2C L5】", "【3f9a2c†L5】"),
        ("【chunk 3f9a2c†L5】", "【3f9a2c†L5】"),
        // Brackets.
        ("[F:a.rs†L1]", "【F:a.rs†L1】"),
        ("［F:a.rs†L1］", "【F:a.rs†L1】"),
        ("〖F:a.rs†L1〗", "【F:a.rs†L1】"),
        ("【F:a.rs†L1]", "【F:a.rs†L1】"),
        ("[F:a.rs#L1-L3]", "【F:a.rs†L1-L3】"),
        ("[F:a.rs:1]", "【F:a.rs†L1】"),
        ("[3f9a2c†L1]", "【3f9a2c†L1】"),
        ("[3f9a2c L1-L2]", "【3f9a2c†L1-L2】"),
        ("[3f9a2c:L1]", "【3f9a2c†L1】"),
        ("[F:a.rs†L1](a.rs#L1)", "【F:a.rs†L1】(a.rs#L1)"),
        // Spaces and widths.
        ("【 F: src/a.rs † L10 】", "【F:src/a.rs†L10】"),
        ("【F：a.rs†L1】", "【F:a.rs†L1】"),
        ("【f:a.rs†L1】", "【F:a.rs†L1】"),
        ("【F:./src//a.rs†L1】", "【F:src/a.rs†L1】"),
        ("【F:`a.rs`†L1】", "【F:a.rs†L1】"),
        ("【F:a.rs‡L1】", "【F:a.rs†L1】"),
        ("【\u{200b}F:a.rs†L1\u{200b}】", "【F:a.rs†L1】"),
        ("【src/a.rs†L1】", "【F:src/a.rs†L1】"),
        // Several in one.
        ("【F:a†L1; F:b†L2】", "【F:a†L1】【F:b†L2】"),
        ("【F:a†L1, F:b†L2-L3】", "【F:a†L1】【F:b†L2-L3】"),
        ("【F:a†L1；3f9a2c†L2】", "【F:a†L1】【3f9a2c†L2】"),
        // Odd paths.
        ("【F:app/[id]/page.tsx†L3】", "【F:app/[id]/page.tsx†L3】"),
        ("[F:app/[id]/page.tsx†L3]", "【F:app/[id]/page.tsx†L3】"),
        ("【F:my dir/a file (1).txt†L3】", "【F:my dir/a file (1).txt†L3】"),
        ("【F:C++/a#b:c.txt†L3】", "【F:C++/a#b:c.txt†L3】"),
        ("【F:L5†L3】", "【F:L5†L3】"),
        ("【F:10†L3】", "【F:10†L3】"),
        ("【F:日本語.txt†L3】", "【F:日本語.txt†L3】"),
        ("【F:a】b.txt†L3】", "【F:a】b.txt†L3】"),
        // In a sentence.
        ("ok.【F:a†L1】【3f9a2c†L2】 next", "ok.【F:a†L1】【3f9a2c†L2】 next"),
        ("see `【F:a†L1】` there", "see `【F:a†L1】` there"),
        ("* item [x] done [F:a†L1].", "* item [x] done 【F:a†L1】."),
    ] {
        let reading = read(written);
        assert_eq!(reading.text, stored, "{written}");
        assert!(reading.citations().count() > 0, "{written}");
        for found in &reading.found {
            let Found::Citation { citation, at } = found else { panic!("{written}: {found:?}") };
            assert_eq!(reading.text[at.clone()], citation.to_string(), "{written}");
        }
        assert_eq!(read(&reading.text), reading, "reading again changes nothing: {written}");
    }
}

#[test]
fn ordinary_brackets_and_links_are_left_alone() {
    for text in [
        "a [link](https://example.com#L10)",
        "[F:10](x)",
        "[F:a.rs:10](a.rs)",
        "array[10], a[1:2], x[100000:200000], [123456:78]",
        "[123456] [abcdef]",
        "[x] [ ] [1] [^1] [a][b] [[wiki]]",
        "[L10] [F1] [F: maybe] [Foo:10]",
        "【注意】 【重要: 10】 【202401】",
        "[CVE-2024-1] [fix] [3f9a2c]",
        "```\n【F:a†L1】 [F:a†L1]\n```\n",
        "~~~text\n```\n【F:a†L1】\n~~~",
        "`[F:a†L1]` and ``x ` [F:a†L1]``",
        "[",
        "【",
        "【F:a†L1",
        "[F:a†L1\n]",
        "",
    ] {
        let reading = read(text);
        assert_eq!((reading.text.as_str(), reading.found.len()), (text, 0), "{text}");
    }
}

#[test]
fn what_was_meant_and_cannot_be_read_is_named_and_left_as_it_is() {
    for (text, why) in [
        ("【F:a.rs】", Malformed::NoLine),
        ("【F:a.rs†】", Malformed::NoLine),
        ("【F:a.rs†foo】", Malformed::NoLine),
        ("[F:a.rs†]", Malformed::NoLine),
        ("【3f9a2c†】", Malformed::NoLine),
        ("【F:a.rs†L0】", Malformed::BadLine),
        ("【F:a.rs†L99999999999】", Malformed::BadLine),
        ("[F:a.rs:0]", Malformed::BadLine),
        ("【F:/etc/passwd†L1】", Malformed::BadPath),
        ("【F:../a†L1】", Malformed::BadPath),
        ("【F:.git/config†L1】", Malformed::BadPath),
        ("【F:†L1】", Malformed::BadPath),
        ("【12†source】", Malformed::NoTarget),
        ("【turn0search1†L3】", Malformed::NoTarget),
        ("【3f9a2†L3】", Malformed::NoTarget),
    ] {
        let reading = read(text);
        assert_eq!(reading.text, text);
        match reading.found.as_slice() {
            [Found::Malformed { raw, why: found, at }] => {
                assert_eq!((raw.as_str(), *found, at.clone()), (text, why, 0..text.len()));
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn brackets_that_are_no_citation_do_not_swallow_the_one_behind_them() {
    // The stored form of the path this seems to name would be read as another citation.
    let text = "【3f9a2c?L1, L5】 [x](y:src/a.rs†L10-L20?F:a†L1; F:b†L2】";
    let reading = read(text);
    assert_eq!((reading.text.as_str(), reading.citations().count()), (text, 0));
    let reading = read("【注意】 see 【F:a†L1】");
    assert_eq!(reading.text, "【注意】 see 【F:a†L1】");
    assert_eq!(reading.citations().count(), 1);
}

#[test]
fn a_path_below_the_workspace_is_read_as_relative() {
    let reading = read_under("【F:/workspace/app/src/a.rs†L1】", "/workspace/app/");
    assert_eq!(reading.text, "【F:src/a.rs†L1】");
    assert_eq!(read_under("【F:/workspace/apple†L1】", "/workspace/app").citations().count(), 0);
}

#[test]
fn an_answer_made_of_brackets_is_read_in_time() {
    for piece in ["[", "[F:", "[F:a]", "【F:a", "【", "[abcdef", "`", "【F:†】"] {
        let text = piece.repeat((1 << 20) / piece.len());
        let started = std::time::Instant::now();
        let reading = read(&text);
        assert_eq!(reading.text.len(), text.len());
        assert!(started.elapsed().as_secs() < 20, "{piece}: {:?}", started.elapsed());
    }
}

fn citation() -> impl Strategy<Value = Citation> {
    let path = "[^\\n【】†‡;；,，、]{1,20}".prop_filter_map("a path", |text| {
        let path = WorkspacePath::parse(&text).ok()?;
        // Models put spaces and backticks around paths; a name that begins or ends so is read
        // without them.
        let odd = |c: char| {
            c.is_whitespace()
                || c == '`'
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
        };
        (!path.as_str().starts_with(odd) && !path.as_str().ends_with(odd)).then_some(path)
    });
    let target = prop_oneof![
        path.prop_map(CitationTarget::File),
        any::<u32>().prop_map(|n| CitationTarget::Chunk(ChunkId::from_random(n))),
    ];
    (target, 1..=u32::MAX, 1..=u32::MAX).prop_map(|(target, a, b)| {
        let line = |n| NonZeroU32::new(n).unwrap();
        Citation { target, lines: LineRange::new(line(a), line(b)) }
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(
        citation in citation(), before in "[a-z .\\]]{0,5}", after in "[a-z .(]{0,5}",
    ) {
        let text = format!("{before}{citation}{after}");
        let reading = read(&text);
        prop_assert_eq!(&reading.text, &text);
        prop_assert_eq!(reading.citations().collect::<Vec<_>>(), vec![&citation]);
    }

    #[test]
    fn reading_is_done_once(text in "([\\[\\]【】†F:abc123L# `;,\\-]|\\n|é){0,60}") {
        let once = read(&text);
        let twice = read(&once.text);
        prop_assert_eq!(&twice.text, &once.text, "{}", text);
        prop_assert_eq!(once.citations().collect::<Vec<_>>(), twice.citations().collect::<Vec<_>>());
    }

    #[test]
    fn no_text_makes_the_reader_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        for found in read(&text).found {
            let (Found::Citation { at, .. } | Found::Malformed { at, .. }) = found;
            prop_assert!(at.start < at.end);
        }
    }
}
