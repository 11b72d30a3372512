//! Tables: columns as wide as they need, the last one cut to the terminal.

use super::style::fit;

/// Lays out rows under a heading. `width` is the terminal's, in columns.
pub fn table(heading: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let columns = heading.len();
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (index, cell) in row.iter().enumerate().take(columns) {
            widths[index] = widths[index].max(cell.chars().count());
        }
    }
    let fixed: usize = widths.iter().take(columns.saturating_sub(1)).map(|w| w + 2).sum();
    let last = width.saturating_sub(fixed).max(12);
    let mut text = String::new();
    let heading: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    for row in std::iter::once(&heading).chain(rows) {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate().take(columns) {
            if index + 1 == columns {
                line.push_str(&fit(cell, last));
            } else {
                let padding = widths[index].saturating_sub(cell.chars().count()) + 2;
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', padding));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_column_is_cut_to_the_terminal() {
        let rows = vec![vec!["1".to_owned(), "a rather long title".to_owned()]];
        assert_eq!(table(&["task", "title"], &rows, 18), "task  title\n1     a rather lo…\n");
    }
}
