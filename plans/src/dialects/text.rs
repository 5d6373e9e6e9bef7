//! Converts byte offsets in a text to lines and columns.

use std::sync::Arc;

use super::File;
use crate::diagnostics::Origin;

/// The text of a file with the offsets of its lines.
#[derive(Clone, Debug)]
pub(super) struct Text<'a> {
    pub(super) file: Arc<str>,
    pub(super) text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Text<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        let breaks = file.text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self {
            file: Arc::clone(&file.name),
            text: &file.text,
            starts: std::iter::once(0).chain(breaks).collect(),
        }
    }

    /// Returns the position of a byte offset. Columns count characters from 1.
    pub(super) fn origin(&self, offset: usize, key: impl Into<String>) -> Origin {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line.saturating_sub(1)];
        let before = self.text.get(start..offset).unwrap_or_default();
        Origin {
            file: Arc::clone(&self.file),
            line: number(line),
            column: number(before.chars().count() + 1),
            key: key.into(),
        }
    }

    /// Returns the position of the entire file.
    pub(super) fn whole(&self) -> Origin {
        self.origin(0, "")
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_becomes_a_line_and_a_column_of_characters() {
        let file = File {
            name: Arc::from("a.toml"),
            text: "x\nä = 1\n".to_owned(),
        };
        let text = Text::new(&file);
        let check = |offset, line, column| {
            let origin = text.origin(offset, "k");
            assert_eq!((origin.line, origin.column), (line, column), "{offset}");
        };
        check(0, 1, 1);
        check(1, 1, 2);
        check(2, 2, 1);
        check(5, 2, 3);
        check(99, 3, 1);
    }
}
