//! Parses CSV text to cells with positions. Errors need the line and column of a cell, which
//! the usual CSV readers do not keep.

use std::iter::Peekable;
use std::str::Chars;

use crate::diagnostics::{Diagnostics, Origin};
use crate::dialects::File;
use crate::dialects::text::Text;

/// A value and its position.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) at: Origin,
}

/// A header and the rows below it.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) header: Vec<Cell>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// Reads a file. Empty lines are skipped. Typographic quotes are replaced by straight ones
/// with a warning.
pub(super) fn table(file: &File, found: &mut Diagnostics, warnings: &mut Diagnostics) -> Table {
    let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
    let fixed = File {
        name: file.name.clone(),
        text: text.chars().map(straight).collect(),
    };
    if let Some((offset, _)) = text.char_indices().find(|(_, c)| straight(*c) != *c) {
        let original = File {
            name: file.name.clone(),
            text: text.to_owned(),
        };
        let at = Text::new(&original).origin(offset, "");
        warnings.push(
            &at,
            "typographic quote read as a straight one",
            "replace it in the file",
        );
    }
    let mut rows = Scanner::new(&Text::new(&fixed)).rows(found);
    rows.retain(|row| row.iter().any(|cell| !cell.text.trim().is_empty()));
    if rows.is_empty() {
        found.push(
            &Text::new(&fixed).whole(),
            "the file is empty",
            "add its header line",
        );
        return Table::default();
    }
    let header = rows.remove(0);
    Table { header, rows }
}

/// Returns the position of a header cell. Its key is the name of the column.
pub(super) fn header_origin(cell: &Cell) -> Origin {
    Origin {
        key: cell.text.clone(),
        ..cell.at.clone()
    }
}

fn straight(c: char) -> char {
    match c {
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' => '"',
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' => '\'',
        other => other,
    }
}

struct Scanner<'a> {
    text: &'a Text<'a>,
    chars: Peekable<Chars<'a>>,
    line: u32,
    column: u32,
    header: Vec<String>,
    /// Index of the current cell in its row.
    index: usize,
}

/// The reason for the end of a cell.
enum End {
    Cell,
    Row,
    Text,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a Text<'a>) -> Self {
        Self {
            text,
            chars: text.text.chars().peekable(),
            line: 1,
            column: 1,
            header: Vec::new(),
            index: 0,
        }
    }

    fn rows(mut self, found: &mut Diagnostics) -> Vec<Vec<Cell>> {
        let mut rows = Vec::new();
        let mut row = Vec::new();
        loop {
            let (cell, end) = self.cell(found);
            row.push(cell);
            self.index = row.len();
            match end {
                End::Cell => {}
                End::Row => {
                    self.index = 0;
                    if rows.is_empty() {
                        self.header = row.iter().map(|cell: &Cell| cell.text.clone()).collect();
                    }
                    rows.push(std::mem::take(&mut row));
                }
                End::Text => {
                    rows.push(row);
                    return rows;
                }
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        if c == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn origin(&self) -> Origin {
        Origin {
            line: self.line,
            column: self.column,
            key: self.header.get(self.index).cloned().unwrap_or_default(),
            ..self.text.whole()
        }
    }

    fn cell(&mut self, found: &mut Diagnostics) -> (Cell, End) {
        while self.chars.peek() == Some(&' ') {
            self.next();
        }
        let at = self.origin();
        if self.chars.peek() != Some(&'"') {
            let (text, end) = self.bare();
            let text = text.trim().to_owned();
            return (Cell { text, at }, end);
        }
        self.next();
        let text = self.quoted(&at, found);
        let behind = self.origin();
        let (rest, end) = self.bare();
        if !rest.trim().is_empty() {
            found.push(
                &behind,
                "text after a closing quote",
                "double the quotes inside a quoted value",
            );
        }
        (Cell { text, at }, end)
    }

    /// Reads up to the next comma or line end.
    fn bare(&mut self) -> (String, End) {
        let mut text = String::new();
        loop {
            match self.next() {
                None => return (text, End::Text),
                Some(',') => return (text, End::Cell),
                Some('\n') => return (text, End::Row),
                Some(c) => text.push(c),
            }
        }
    }

    /// Reads up to the closing quote.
    fn quoted(&mut self, opening: &Origin, found: &mut Diagnostics) -> String {
        let mut text = String::new();
        while let Some(c) = self.next() {
            if c != '"' {
                text.push(c);
            } else if self.chars.peek() == Some(&'"') {
                self.next();
                text.push('"');
            } else {
                return text;
            }
        }
        found.push(
            opening,
            "this quote is never closed",
            "close it, or double it inside a quoted value",
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Vec<String>>, Vec<String>, usize) {
        let file = File {
            name: "a.csv".into(),
            text: text.to_owned(),
        };
        let (mut found, mut warnings) = (Diagnostics::default(), Diagnostics::default());
        let table = table(&file, &mut found, &mut warnings);
        let texts = |row: &Vec<Cell>| row.iter().map(|cell| cell.text.clone()).collect();
        let rows = std::iter::once(&table.header).chain(&table.rows).map(texts);
        let found = found.0.iter().map(ToString::to_string).collect();
        (rows.collect(), found, warnings.0.len())
    }

    #[test]
    fn cells_are_trimmed_unless_quoted() {
        let (rows, found, warnings) = read("\u{feff}a, b \r\n\" \",\"x,\"\"y\"\"\"\n\n,,\n");
        assert_eq!(rows, [["a", "b"], [" ", "x,\"y\""]]);
        assert!(found.is_empty() && warnings == 0);
    }

    #[test]
    fn typographic_quotes_are_replaced_with_one_warning() {
        let (rows, _, warnings) = read("a,b\n“ ”,‘x’\n");
        assert_eq!(
            (rows[1].clone(), warnings),
            (vec![" ".to_owned(), "'x'".to_owned()], 1)
        );
    }

    #[test]
    fn invalid_quoting_is_an_error_with_its_position() {
        let (_, found, _) = read("a,b\n1,\"2\n");
        assert!(
            found[0].starts_with("a.csv:2:3: b: this quote is never closed"),
            "{found:?}"
        );
        let (_, found, _) = read("a,b\n1,\"2\"3\n");
        assert!(
            found[0].starts_with("a.csv:2:6: b: text after"),
            "{found:?}"
        );
    }
}
