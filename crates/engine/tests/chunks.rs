//! Chunks on real files: what a command printed is read back by line and by byte.

#![allow(clippy::unwrap_used, clippy::format_collect, reason = "a test")]

mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use quire_domain::ids::{ChunkId, Sha256};
use quire_domain::journal::{ChunkSize, JournalError};
use quire_engine::{AttemptChunks, Chunks, Redactor};
use stage::attempt;

const NO_CAP: u64 = 1 << 31;

struct Stage {
    directory: tempfile::TempDir,
    chunks: AttemptChunks,
}

fn stage() -> Stage {
    let directory = tempfile::tempdir().unwrap();
    let chunks = Chunks::new(directory.path().join("chunks")).of(attempt(1), Vec::new());
    Stage { directory, chunks }
}

fn sha256(bytes: &[u8]) -> Sha256 {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    Sha256::from_bytes(&digest)
}

/// The lines of a text as the chunk counts them: with their newlines, a rest included.
fn lines_of(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

#[tokio::test]
async fn a_command_s_output_is_kept_whole_and_read_by_line() {
    let stage = stage();
    let mut writer = stage.chunks.create(NO_CAP).await.unwrap();
    for piece in ["one\ntw", "o\n", "", "\nfo", "ur"] {
        writer.write(piece.as_bytes()).await.unwrap();
    }
    assert_eq!(writer.so_far(), ChunkSize { bytes: 13, lines: 4 });
    let id = writer.id().clone();
    let growing = stage.chunks.read(&id).await.unwrap();
    assert_eq!(growing.size(), ChunkSize { bytes: 13, lines: 4 });
    assert_eq!(stage.chunks.unfinished().await.unwrap(), std::slice::from_ref(&id));
    writer.write(b"!\n").await.unwrap();
    assert_eq!(growing.size(), ChunkSize { bytes: 15, lines: 4 });

    let summary = writer.finish().await.unwrap();
    assert_eq!(summary.id, id);
    assert_eq!(summary.size, ChunkSize { bytes: 15, lines: 4 });
    assert_eq!(summary.sha256, sha256(b"one\ntwo\n\nfour!\n"));
    assert_eq!(summary.not_kept, None);
    assert_eq!(stage.chunks.unfinished().await.unwrap(), []);

    let reader = stage.chunks.read(&id).await.unwrap();
    assert_eq!(reader.sha256().await.unwrap(), summary.sha256);
    for (first, last, limit, expected) in [
        (1, 1, 100, "one\n"),
        (2, 3, 100, "two\n\n"),
        (4, 9, 100, "four!\n"),
        (5, 9, 100, ""),
        (0, 2, 100, ""),
        (3, 2, 100, ""),
        (1, 4, 6, "one\ntw"),
        (u64::MAX, u64::MAX, 9, ""),
    ] {
        let lines = reader.lines(first, last, limit).await.unwrap();
        assert_eq!(lines, expected.as_bytes(), "{first} {last} {limit}");
    }
}

#[tokio::test]
async fn an_empty_output_is_a_chunk_too() {
    let stage = stage();
    let writer = stage.chunks.create(NO_CAP).await.unwrap();
    let summary = writer.finish().await.unwrap();
    assert_eq!(summary.size, ChunkSize::default());
    assert_eq!(summary.sha256, sha256(b""));
    let reader = stage.chunks.read(&summary.id).await.unwrap();
    assert_eq!(reader.size(), ChunkSize::default());
    assert_eq!(reader.lines(1, 5, 100).await.unwrap(), "");
}

#[tokio::test]
async fn a_growing_chunk_is_read_by_byte_and_each_byte_once() {
    let stage = stage();
    let mut writer = stage.chunks.create(NO_CAP).await.unwrap();
    let id = writer.id().clone();
    let mut seen = Vec::new();
    for n in 0..50 {
        writer.write(format!("line {n}\n").as_bytes()).await.unwrap();
        let piece = stage.chunks.piece(&id, seen.len() as u64, 1000).await.unwrap();
        assert_eq!(piece.offset, seen.len() as u64);
        seen.extend_from_slice(&piece.bytes);
    }
    let expected: String = (0..50).map(|n| format!("line {n}\n")).collect();
    assert_eq!(String::from_utf8(seen).unwrap(), expected);
    let end = stage.chunks.piece(&id, expected.len() as u64, 10).await.unwrap();
    assert_eq!((end.offset, end.bytes.len()), (expected.len() as u64, 0));
}

#[tokio::test]
async fn an_id_that_is_taken_here_or_in_what_is_continued_is_drawn_again() {
    let directory = tempfile::tempdir().unwrap();
    let draws = [7, 7, 8, 7, 8, 9];
    let next = Arc::new(AtomicU32::new(0));
    let chunks = Chunks::new(directory.path())
        .with_random(Arc::new(move || draws[next.fetch_add(1, Ordering::Relaxed) as usize]));
    let before = chunks.of(attempt(1), Vec::new());
    let first = before.create(NO_CAP).await.unwrap();
    assert_eq!(first.id(), &ChunkId::from_random(7));
    let mut second = before.create(NO_CAP).await.unwrap();
    assert_eq!(second.id(), &ChunkId::from_random(8));
    second.write(b"from before\n").await.unwrap();
    let second = second.finish().await.unwrap();

    let after = chunks.of(attempt(2), vec![attempt(1)]);
    let third = after.create(NO_CAP).await.unwrap();
    assert_eq!(third.id(), &ChunkId::from_random(9));
    let reader = after.read(&second.id).await.unwrap();
    assert_eq!(reader.lines(1, 1, 100).await.unwrap(), "from before\n");
    let stranger = chunks.of(attempt(3), Vec::new());
    assert!(matches!(stranger.read(&second.id).await, Err(JournalError::Missing { .. })));
    assert!(matches!(
        stranger.finish_interrupted(&second.id).await,
        Err(JournalError::Missing { .. })
    ));
}

#[tokio::test]
async fn a_chunk_whose_writer_died_is_finished_with_what_is_there() {
    let stage = stage();
    let mut writer = stage.chunks.create(NO_CAP).await.unwrap();
    let id = writer.id().clone();
    let text = "some words\n".repeat(20_000);
    writer.write(text.as_bytes()).await.unwrap();
    drop(writer);
    // A crash of the machine may leave anything in the index.
    let index = stage.directory.path().join(format!("chunks/{}/{id}.lines", attempt(1)));
    std::fs::write(&index, [0xff; 64]).unwrap();

    assert_eq!(stage.chunks.unfinished().await.unwrap(), std::slice::from_ref(&id));
    let summary = stage.chunks.finish_interrupted(&id).await.unwrap();
    assert_eq!(summary.size, ChunkSize { bytes: 220_000, lines: 20_000 });
    assert_eq!(summary.sha256, sha256(text.as_bytes()));
    assert_eq!(stage.chunks.unfinished().await.unwrap(), []);
    assert_eq!(stage.chunks.finish_interrupted(&id).await.unwrap(), summary);
    let reader = stage.chunks.read(&id).await.unwrap();
    assert_eq!(reader.lines(19_999, 20_000, 100).await.unwrap(), "some words\n".repeat(2));
}

struct Hide;

impl Redactor for Hide {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend(bytes.iter().map(|byte| if byte.is_ascii_digit() { b'*' } else { *byte }));
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"held back\n");
    }
}

#[tokio::test]
async fn what_a_redactor_takes_out_is_never_written() {
    let stage = stage();
    let mut writer = stage.chunks.create_redacted(NO_CAP, Box::new(Hide)).await.unwrap();
    writer.write(b"token 123\n").await.unwrap();
    let summary = writer.finish().await.unwrap();
    let reader = stage.chunks.read(&summary.id).await.unwrap();
    assert_eq!(reader.lines(1, 9, 100).await.unwrap(), "token ***\nheld back\n");
    assert_eq!(summary.sha256, sha256(b"token ***\nheld back\n"));
}

#[tokio::test]
async fn above_the_cap_start_and_end_are_kept_and_lines_go_on_being_counted() {
    let stage = stage();
    let cap = 16 * 1024;
    let mut writer = stage.chunks.create(cap).await.unwrap();
    let text: String = (1..=20_000).map(|n| format!("line {n}\n")).collect();
    for piece in text.as_bytes().chunks(777) {
        writer.write(piece).await.unwrap();
    }
    let summary = writer.finish().await.unwrap();
    assert_eq!(summary.size, ChunkSize { bytes: text.len() as u64, lines: 20_000 });
    let (first, last) = summary.not_kept.unwrap();
    let reader = stage.chunks.read(&summary.id).await.unwrap();
    assert_eq!(reader.not_kept(), Some((first, last)));
    assert_eq!(reader.sha256().await.unwrap(), summary.sha256);
    let all = reader.lines(1, 20_000, usize::MAX).await.unwrap();
    let expected: String =
        (1..first).chain(last + 1..=20_000).map(|n| format!("line {n}\n")).collect();
    assert_eq!(String::from_utf8(all.to_vec()).unwrap(), expected);
    assert_eq!(reader.lines(first, last, 1000).await.unwrap(), "");
    assert_eq!(reader.lines(20_000, 20_000, 1000).await.unwrap(), "line 20000\n");
    // The start has half of the cap, the end nearly as much.
    assert!(expected.len() as u64 > cap * 7 / 8, "{}", expected.len());
    let on_disk = disk_use(&stage.directory.path().join("chunks"));
    assert!(on_disk <= cap, "{on_disk}");
    let middle = stage.chunks.piece(&summary.id, cap, 100).await.unwrap();
    assert!(middle.offset > cap && middle.bytes.len() == 100);
    assert_eq!(middle.bytes, &text.as_bytes()[usize::try_from(middle.offset).unwrap()..][..100]);
}

fn disk_use(path: &std::path::Path) -> u64 {
    std::fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let found = entry.metadata().unwrap();
            if found.is_dir() { disk_use(&entry.path()) } else { found.len() }
        })
        .sum()
}

/// Output with long and short lines, in pieces of any size.
fn outputs() -> impl Strategy<Value = (Vec<u8>, Vec<usize>, u64)> {
    let line = prop_oneof![
        8 => (0..90usize).prop_map(|n| (n, true)),
        1 => (60_000..140_000usize).prop_map(|n| (n, true)),
        1 => (0..300usize).prop_map(|n| (n, false)),
    ];
    let text = proptest::collection::vec(line, 0..60).prop_map(|lines| {
        let mut text = Vec::new();
        for (n, (length, newline)) in lines.into_iter().enumerate() {
            text.resize(text.len() + length, b'a' + u8::try_from(n % 26).unwrap());
            text.extend(newline.then_some(b'\n'));
        }
        text
    });
    let pieces = proptest::collection::vec(1..100_000usize, 1..8);
    let cap = prop_oneof![Just(NO_CAP), 16..300_000u64];
    (text, pieces, cap)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_printed_the_chunk_agrees_with_a_plain_reading_of_it(
        (text, pieces, cap) in outputs(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let stage = stage();
            let mut writer = stage.chunks.create(cap).await.unwrap();
            let id = writer.id().clone();
            let mut rest = text.as_slice();
            for piece in pieces.iter().cycle() {
                if rest.is_empty() { break; }
                let (now, later) = rest.split_at(rest.len().min(*piece));
                writer.write(now).await.unwrap();
                rest = later;
            }
            let lines = lines_of(&text);
            let size = ChunkSize { bytes: text.len() as u64, lines: lines.len() as u64 };
            assert_eq!(writer.so_far(), size);
            let growing = stage.chunks.read(&id).await.unwrap();
            assert_eq!(growing.size(), size);
            let summary = writer.finish().await.unwrap();
            assert_eq!(summary.size, size);
            let reader = stage.chunks.read(&id).await.unwrap();
            assert_eq!(reader.size(), size);
            assert_eq!(reader.not_kept(), summary.not_kept);
            assert_eq!(reader.sha256().await.unwrap(), summary.sha256);
            assert_eq!(stage.chunks.finish_interrupted(&id).await.unwrap(), summary.clone());
            if text.len() as u64 <= cap / 2 {
                assert_eq!(summary.not_kept, None);
                assert_eq!(summary.sha256, sha256(&text));
            }
            let kept = |n: u64| summary.not_kept.is_none_or(|(a, b)| n < a || n > b);
            for n in 1..=size.lines {
                let expected = if kept(n) { lines[usize::try_from(n).unwrap() - 1] } else { b"" };
                let found = reader.lines(n, n, usize::MAX).await.unwrap();
                assert!(found == expected, "line {n} of {}, {:?}", size.lines, summary.not_kept);
            }
            let all = reader.lines(1, size.lines, usize::MAX).await.unwrap();
            let expected: Vec<u8> = (1..=size.lines).filter(|n| kept(*n))
                .flat_map(|n| lines[usize::try_from(n).unwrap() - 1].iter().copied()).collect();
            assert!(all == expected);
            // By byte: what is kept, each byte from its own place.
            let mut at = 0;
            let mut by_byte = Vec::new();
            loop {
                let piece = stage.chunks.piece(&id, at, 50_000).await.unwrap();
                if piece.bytes.is_empty() { break; }
                let start = usize::try_from(piece.offset).unwrap();
                assert!(piece.bytes == text[start..][..piece.bytes.len()]);
                by_byte.extend_from_slice(&piece.bytes);
                at = piece.offset + piece.bytes.len() as u64;
            }
            assert_eq!(sha256(&by_byte), summary.sha256, "the digest is of the bytes that are kept");
        });
    }
}
