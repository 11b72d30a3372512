//! The statement of a list: chosen so that each filter reads a bounded part of one index.
//!
//! A list ends with its page. Where one index has what is asked for in the list's order, its end is
//! read; everything else reads the index that has all that can be asked for, from its end until the
//! page is full. At worst that is all of it: 100,000 tasks in about 10 ms.

use crate::list::ListFilter;
use crate::sql::{Builder, Dialect, Query};

/// How many ends of an index one list may read.
const MOST_ENDS: usize = 32;

/// The statement for a page of `limit` tasks. It asks for one more, to know whether there is another
/// page.
pub(super) fn statement(filter: &ListFilter, limit: usize, dialect: Dialect) -> Query<'_> {
    let limit = limit as u64 + 1;
    let words: Vec<&str> = filter.states.iter().flat_map(|state| meant_by(state)).collect();
    if has_an_index(filter, &words) {
        ends(filter, &words, limit)
    } else {
        scan(filter, &words, limit, dialect)
    }
}

/// Whether one index has what is asked for, in the order of the list: states, teams or both of them,
/// else a repository or an author.
fn has_an_index(filter: &ListFilter, words: &[&str]) -> bool {
    let teams = filter.teams.as_ref().map_or(0, Vec::len);
    let asked = usize::from(teams > 0 || !words.is_empty())
        + usize::from(filter.repository.is_some())
        + usize::from(filter.author.is_some());
    let most = usize::from(filter.archived != Some(true));
    asked <= most && filter.text.is_none() && teams.max(1) * words.len().max(1) <= MOST_ENDS
}

/// Each state of each team is a query of its own: it reads its end of the index and stops, where one
/// over several would sort all that ever was in them.
fn ends<'q>(filter: &'q ListFilter, words: &[&'q str], limit: u64) -> Query<'q> {
    let mut query = Builder::default();
    let teams = match &filter.teams {
        None => vec![None],
        Some(teams) => teams.iter().copied().map(Some).collect(),
    };
    let words =
        if words.is_empty() { vec![None] } else { words.iter().copied().map(Some).collect() };
    let several = teams.len() * words.len() > 1;
    let mut first = true;
    for team in teams {
        for word in &words {
            if several {
                query.push(if first { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
            }
            first = false;
            query.push("SELECT * FROM tasks WHERE ");
            shelf(&mut query, filter);
            if let Some(team) = team {
                query.push(" AND team = ").bind(team);
            }
            if let Some(word) = *word {
                query.push(" AND state_word = ").bind(word);
            }
            if let Some(repository) = &filter.repository {
                query.push(" AND repository = ").bind(repository);
            }
            if let Some(author) = filter.author {
                query.push(" AND author = ").bind(author);
            }
            query.push(" ORDER BY number DESC LIMIT ").bind(limit);
            if several {
                query.push(") AS one");
            }
        }
    }
    if several {
        query.push(" ORDER BY number DESC LIMIT ").bind(limit);
    }
    query.query()
}

/// One query for any combination. SQLite counts nothing and would guess, so it is told the index;
/// Postgres knows how common a value is.
fn scan<'q>(filter: &'q ListFilter, words: &[&'q str], limit: u64, dialect: Dialect) -> Query<'q> {
    let mut query = Builder::new(match dialect {
        Dialect::Sqlite => {
            "SELECT * FROM tasks WHERE number IN (
                 SELECT number FROM tasks INDEXED BY tasks_any WHERE "
        }
        Dialect::Postgres => "SELECT * FROM tasks WHERE ",
    });
    shelf(&mut query, filter);
    if !words.is_empty() {
        query.push(" AND state_word IN (").bind_all(words.iter().copied()).push(")");
    }
    narrow(&mut query, filter);
    if let Some(text) = &filter.text {
        query.push(match dialect {
            Dialect::Sqlite => " AND title LIKE ",
            Dialect::Postgres => " AND title ILIKE ",
        });
        query.bind(holding(text)).push(" ESCAPE '\\'");
    }
    query.push(" ORDER BY number DESC LIMIT ").bind(limit);
    if dialect == Dialect::Sqlite {
        query.push(") ORDER BY number DESC");
    }
    query.query()
}

/// Adds whether they were put away, and after which task the page begins.
fn shelf<'q>(query: &mut Builder<'q>, filter: &'q ListFilter) {
    query.push("archived_at IS ");
    query.push(if filter.archived == Some(true) { "NOT NULL" } else { "NULL" });
    if let Some(before) = filter.before {
        query.push(" AND number < ").bind(before);
    }
}

/// Adds whose tasks, and of which repository.
pub(crate) fn narrow<'q>(query: &mut Builder<'q>, filter: &'q ListFilter) {
    if let Some(repository) = &filter.repository {
        query.push(" AND repository = ").bind(repository);
    }
    if let Some(author) = filter.author {
        query.push(" AND author = ").bind(author);
    }
    if let Some(teams) = &filter.teams {
        query.push(" AND team IN (").bind_all(teams.iter().copied()).push(")");
    }
}

/// The pattern of what holds a text: what a person types stands for itself.
fn holding(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// The words that a word of a filter stands for.
fn meant_by(state: &str) -> Vec<&str> {
    match state {
        "done" => vec!["answered", "changed", "no change", "refused", "cancelled", "failed"],
        "waiting" => vec!["waiting for you", "waiting for approval"],
        one => vec![one],
    }
}
