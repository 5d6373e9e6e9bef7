//! Records that span lines.

use super::quoting::{Flaw, Quoting};
use super::{BACKSLASH, CsvParser};
use crate::decode::spanning::{RecordParser, Step};

/// A record whose quoted field goes on in the next line.
pub(super) struct OpenField {
    /// The fields before it.
    fields: usize,
    /// Whether backslashes are escapes although none is declared.
    has_backslashes: bool,
}

impl OpenField {
    fn quoting<'a>(&self, parser: &'a CsvParser) -> &'a Quoting {
        let other = parser.with_backslash.as_ref();
        other
            .filter(|_| self.has_backslashes)
            .unwrap_or(&parser.quoting)
    }
}

impl RecordParser for CsvParser {
    type Open = OpenField;

    fn open(&self, line: &[u8]) -> Option<OpenField> {
        if self.is_left_out(line) {
            return None;
        }
        [false, true].into_iter().find_map(|has_backslashes| {
            let open = OpenField {
                fields: 0,
                has_backslashes,
            };
            let shape = open.quoting(self).shape(line);
            let is_open = matches!(shape.flaw, Some(Flaw::Open(_)));
            is_open.then_some(OpenField {
                fields: shape.fields,
                has_backslashes,
            })
        })
    }

    fn go_on(&self, open: &mut OpenField, text: &[u8], line: usize) -> Step {
        let before = open.fields;
        let mut shape = open.quoting(self).shape_inside(text, line, before);
        if let Some(Flaw::Stray(at)) = shape.flaw
            && self.may_be_escaped(open, text, at)
        {
            open.has_backslashes = true;
            shape = open.quoting(self).shape(text);
        }
        open.fields = shape.fields;
        match shape.flaw {
            Some(Flaw::Open(_)) => Step::Open,
            Some(_) => Step::Broken,
            None => self.end(open, text, line, before),
        }
    }

    fn is_record(&self, line: &[u8]) -> bool {
        self.columns.is_record(line, &self.quoting)
    }
}

impl CsvParser {
    /// Whether the quote at `at` is text if backslashes are escapes.
    fn may_be_escaped(&self, open: &OpenField, text: &[u8], at: usize) -> bool {
        let is_possible = !open.has_backslashes && self.with_backslash.is_some();
        is_possible && text[..at].last() == Some(&BACKSLASH)
    }

    /// Judges a record that ends with the line at `line`. `before` are the fields before the
    /// one that is open where this line begins.
    fn end(&self, open: &OpenField, text: &[u8], line: usize, before: usize) -> Step {
        let columns = &self.columns;
        let (quoting, fields) = (open.quoting(self), open.fields);
        if self.awaits_header {
            return Step::Whole;
        }
        let is_whole = columns.is_enough(fields) && !columns.is_joined(text, quoting, fields);
        let has_all = columns.is_count(fields);
        let line = &text[line..];
        if !is_whole || (!has_all && self.is_record(line)) {
            return Step::Broken;
        }
        if !columns.begins_record(line, &self.quoting, before) {
            return Step::Whole;
        }
        match has_all && columns.fits(text, quoting) {
            true => Step::Doubtful,
            false => Step::Broken,
        }
    }
}
