//! What a server says is not trusted to be plain text of a decent length.

use quire_api::Problem;

/// A problem without control characters, each part cut at 2,000 characters.
pub(crate) fn plain(problem: Problem) -> Problem {
    let cut = |text: String| {
        text.chars().filter(|c| !c.is_control() || *c == '\n').take(2_000).collect::<String>()
    };
    Problem {
        title: cut(problem.title),
        detail: cut(problem.detail),
        advice: cut(problem.advice),
        ..problem
    }
}
