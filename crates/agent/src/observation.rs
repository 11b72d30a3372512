//! What the model sees of a command.

use std::fmt::Write;

use quire_domain::event::EndedBy;
use quire_domain::ids::ChunkId;
use quire_domain::journal::ChunkSize;
use quire_domain::sandbox::ExitStatus;

use crate::screen::{Screen, grouped};

/// How a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It ended.
    Ended {
        /// How.
        exit: ExitStatus,
        /// Who ended it, if it did not end by itself.
        by: Option<EndedBy>,
    },
    /// It goes on in the background.
    Running,
}

/// The observation's first line, e.g. `[3f9a2c] exit 1 · 2.4 s · 3,330 lines`.
pub fn header(
    chunk: &ChunkId,
    standing: Standing,
    ms: u64,
    size: ChunkSize,
    not_kept: Option<(u64, u64)>,
) -> String {
    let mut line = format!("[{chunk}] ");
    // Writing to a `String` cannot fail.
    let _ = match standing {
        Standing::Running => write!(line, "running"),
        Standing::Ended { by: Some(EndedBy::SandboxGone), .. } => write!(line, "cut off"),
        Standing::Ended { by: Some(EndedBy::Idle), .. } => write!(line, "ended, nothing happened"),
        Standing::Ended { exit: ExitStatus::Code(code), .. } => write!(line, "exit {code}"),
        Standing::Ended { exit: ExitStatus::Signal(signal), .. } => {
            write!(line, "ended by signal {signal}")
        }
    };
    line.push_str(" · ");
    line.push_str(&duration(ms));
    line.push_str(" · ");
    match size.lines {
        0 => line.push_str("no output"),
        1 => line.push_str("1 line"),
        lines => {
            line.push_str(&grouped(lines));
            line.push_str(" lines");
        }
    }
    if let Some((first, last)) = not_kept {
        let _ = write!(line, " · lines {}–{} were not kept", grouped(first), grouped(last));
    }
    if standing == Standing::Running {
        let _ = write!(line, " so far · session {chunk}");
    }
    line
}

/// The header and what is on the screen.
pub fn observation(header: String, screen: &Screen) -> String {
    if screen.is_empty() {
        return header;
    }
    let before = match screen.first_line() {
        1 => String::new(),
        2 => "\n… line 1 was shown before …".to_owned(),
        first => format!("\n… lines 1–{} were shown before …", grouped(first - 1)),
    };
    format!("{header}{before}\n{}", screen.text())
}

/// An observation without what differs each time it is made (its first line's id and times), and
/// whether making it again is mere waiting: the command runs, or it succeeded in silence as
/// `sleep` does. Gives the text whole if it is no command's.
pub fn without_header(text: &str) -> (&str, bool) {
    let is_header = |line: &str| {
        line.starts_with('[') && line.get(7..9) == Some("] ") && ChunkId::parse(&line[1..7]).is_ok()
    };
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    if !is_header(first) {
        return (text, false);
    }
    let how = &first[9..];
    (rest, how.starts_with("running ") || (how.starts_with("exit 0 ") && rest.is_empty()))
}

/// `14 ms`, `2.4 s`, `3 min 12 s`.
pub fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> ChunkId {
        ChunkId::parse("3f9a2c").unwrap()
    }

    #[test]
    fn the_first_line_says_how_it_ended_how_long_it_took_and_how_much_it_printed() {
        let ended = |exit| Standing::Ended { exit, by: None };
        let size = |lines| ChunkSize { bytes: 1, lines };
        let table = [
            header(&chunk(), ended(ExitStatus::Code(1)), 2_430, size(3_330), None),
            header(&chunk(), ended(ExitStatus::Code(0)), 9, size(0), None),
            header(&chunk(), ended(ExitStatus::Signal(9)), 192_000, size(1), None),
            header(&chunk(), Standing::Running, 60_004, size(12), None),
            header(&chunk(), ended(ExitStatus::Code(0)), 9, size(9_000), Some((40, 8_000))),
        ];
        insta::assert_snapshot!(table.join("\n"), @r"
        [3f9a2c] exit 1 · 2.4 s · 3,330 lines
        [3f9a2c] exit 0 · 9 ms · no output
        [3f9a2c] ended by signal 9 · 3 min 12 s · 1 line
        [3f9a2c] running · 1 min 0 s · 12 lines so far · session 3f9a2c
        [3f9a2c] exit 0 · 9 ms · 9,000 lines · lines 40–8,000 were not kept
        ");
    }

    #[test]
    fn two_runs_of_one_command_compare_equal_without_their_first_lines() {
        assert_eq!(without_header("[3f9a2c] exit 1 · 2.4 s\nno"), ("no", false));
        assert_eq!(without_header("[3f9a2c] running · 2.4 s · no output so far"), ("", true));
        assert_eq!(without_header("[3f9a2c] exit 0 · 5.0 s · no output"), ("", true));
        assert_eq!(without_header("[3f9a2c] exit 1 · 5.0 s · no output"), ("", false));
        assert_eq!(without_header("[warning] exit"), ("[warning] exit", false));
        assert_eq!(without_header("é"), ("é", false));
    }

    #[test]
    fn a_noisy_output_reads_like_a_terminal_and_keeps_its_line_numbers() {
        let mut screen = Screen::new(400, 1);
        screen.push(b"\x1b[1m\x1b[92m   Compiling\x1b[0m app v0.1.0\r\n");
        screen.push(b"\r  0%\r 50%\r100% done\n\n");
        for number in 4..=1_200 {
            screen.push(format!("\x1b[32mok\x1b[0m {number} - test_{number}\n").as_bytes());
        }
        screen.push(b"\x1b]0;title\x07FAILED: 1 of 1,197 \xff\n");
        let size = ChunkSize { bytes: 0, lines: 1_201 };
        let standing = Standing::Ended { exit: ExitStatus::Code(1), by: None };
        let text = observation(header(&chunk(), standing, 2_400, size, None), &screen);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_was_shown_before_is_named_so_that_lines_can_be_cited() {
        let mut screen = Screen::new(400, 1);
        screen.push(b"one\ntwo\n");
        let mut next = screen.following();
        next.push(b"three\n");
        let text = observation("[3f9a2c] exit 0 · 9 ms · 3 lines".to_owned(), &next);
        insta::assert_snapshot!(text, @r"
        [3f9a2c] exit 0 · 9 ms · 3 lines
        … lines 1–2 were shown before …
        three
        ");
    }
}
