//! Fields that spaces or tabs separate, and that quotes or brackets hold together: access logs
//! of load balancers, web servers and proxies. The declared order names the columns.

use std::sync::Arc;

use crate::decode::column::Span;
use crate::decode::layout::{Field, Names};
use crate::decode::line_decoder::{LineDecoder, LineKind, LineParser};
use crate::decode::marked::{Line, Marks, Token, put};
use crate::decode::readings::{FieldSet, Layout, MAX_FIELDS, Reading as Quotes, read};
use crate::decode::rows::{Rejected, Rows};
use crate::decode::time::TimeFormat;
use crate::decode::{Decoder, DecoderRequest, Format, FormatOption, Reading, value};
use crate::spec::{Column, ColumnKind};

/// The longest text of a value that is not a text.
const LONGEST_VALUE: usize = 64;

/// The format `tokens`. `options` explains its options.
#[derive(Debug)]
pub(super) struct Tokens;

impl Format for Tokens {
    fn name(&self) -> &'static str {
        "tokens"
    }

    fn help(&self) -> &'static str {
        "fields between spaces or tabs; quotes and brackets hold one together, `-` is NULL"
    }

    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn options(&self) -> &'static [FormatOption] {
        &OPTIONS
    }

    fn reading(&self) -> Reading {
        Reading::Blocks(decoder)
    }
}

static OPTIONS: [FormatOption; 3] = [
    FormatOption {
        name: "delimiter",
        values: "space, tab",
        default: "space",
        help: "what separates the fields; several spaces count as one, and each tab ends a field",
    },
    FormatOption {
        name: "fixed",
        values: "true, false",
        default: "false",
        help: "every line has one field for each column; a text that looks like fields then moves none",
    },
    FormatOption {
        name: "min_fields",
        values: "a number",
        default: "all columns",
        help: "the fewest fields of a line; the columns after the last field are NULL",
    },
];

fn decoder(request: DecoderRequest) -> Box<dyn Decoder> {
    LineDecoder::boxed(TokenParser::new(&request), request)
}

struct TokenParser {
    fields: Vec<Field>,
    marks: Marks,
    columns: Columns,
    /// Memory for the fields of a line.
    tokens: Vec<Token>,
}

impl TokenParser {
    fn new(request: &DecoderRequest) -> Self {
        let option = |name| request.options.get(name).map(String::as_str);
        let fields = Names::new(request).declared(request);
        let is_tab = matches!(option("delimiter"), Some("tab" | "\\t" | "\t"));
        let is_fixed = option("fixed").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let minimum = option("min_fields").and_then(|text| text.parse().ok());
        let minimum = minimum.filter(|_| !is_fixed);
        Self {
            marks: Marks {
                separator: if is_tab { b'\t' } else { b' ' },
                escapes: true,
                brackets: true,
            },
            columns: Columns::new(request, minimum.unwrap_or(fields.len()), is_fixed),
            fields,
            tokens: Vec::new(),
        }
    }

    fn take(&mut self, line: Line<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
        self.tokens.clear();
        let split = self.marks.split(line.span.bytes, 0, &mut self.tokens);
        let is_clean = matches!(split, Ok(true));
        let outcome = split.and_then(|_| self.fill(line, rows));
        let has_quotes = self.tokens.iter().any(|token| token.is_quoted);
        let is_certain = is_clean && (outcome.is_ok() || self.tokens.len() < self.columns.minimum);
        match has_quotes && (self.columns.is_fixed || !is_certain) {
            true => self.take_by_reading(line, is_clean, outcome, rows),
            false => outcome,
        }
    }

    /// Takes a line whose quotes do not all begin or end fields, or whose fields do not have the
    /// types of their columns. `outcome` is what the line is without a look at the types.
    fn take_by_reading(
        &mut self,
        line: Line<'_>,
        is_clean: bool,
        outcome: Result<LineKind, Rejected>,
        rows: &mut Rows,
    ) -> Result<LineKind, Rejected> {
        let bytes = line.span.bytes;
        self.columns.is_exact = true;
        let mut reading = read(self.marks, bytes, 0, 0, &self.columns);
        // A wrong value is likelier than a shift that another number of fields would explain.
        if reading == Quotes::None && !is_clean && !self.columns.is_fixed {
            self.columns.is_exact = false;
            reading = read(self.marks, bytes, 0, 0, &self.columns);
        }
        match reading {
            Quotes::One(ends) => {
                rows.restart_row();
                self.tokens.clear();
                self.marks.split_by(bytes, 0, &ends, &mut self.tokens)?;
                self.fill(line, rows)
            }
            Quotes::Several if !is_clean || self.columns.is_fixed => Err(Quotes::several()),
            _ => Err(outcome.err().unwrap_or_else(Quotes::none)),
        }
    }

    fn fill(&mut self, line: Line<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
        if self.tokens.len() < self.columns.minimum {
            let (found, minimum) = (self.tokens.len(), self.columns.minimum);
            let detail = format!("{found} of at least {minimum} fields");
            return Err(Rejected::new("too_few_fields", detail));
        }
        if self.columns.is_fixed && self.tokens.len() > self.fields.len() {
            let (found, columns) = (self.tokens.len(), self.fields.len());
            let detail = format!("{found} fields for {columns} columns");
            return Err(Rejected::new("too_many_fields", detail));
        }
        for (position, token) in self.tokens.iter().enumerate() {
            put(rows, self.fields.get(position), position, token, line)?;
        }
        Ok(LineKind::Row)
    }
}

impl LineParser for TokenParser {
    fn parse(&mut self, line: Span<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
        self.take(Line::new(line), rows)
    }

    fn parse_bytes(
        &mut self,
        line: Span<'_>,
        _why: Rejected,
        rows: &mut Rows,
    ) -> Result<LineKind, Rejected> {
        self.take(Line::of_any_bytes(line), rows)
    }
}

/// What the declared columns say about the fields.
struct Columns {
    minimum: usize,
    /// Whether every line has a field for each column and no other.
    is_fixed: bool,
    /// Whether a line must have a field for each column and no other.
    is_exact: bool,
    /// The columns that take any text.
    texts: FieldSet,
    types: Vec<Type>,
    null: Arc<[String]>,
}

/// The values of a column.
enum Type {
    Text,
    Ip,
    Integer,
    Double,
    Boolean,
    Time(TimeFormat),
}

impl Type {
    fn of(kind: &ColumnKind) -> Self {
        match kind {
            ColumnKind::Ip => Self::Ip,
            ColumnKind::Int32 | ColumnKind::Int64 => Self::Integer,
            ColumnKind::Double => Self::Double,
            ColumnKind::Boolean => Self::Boolean,
            kind => TimeFormat::of(kind).map_or(Self::Text, Self::Time),
        }
    }

    fn takes(&self, text: &[u8]) -> bool {
        match self {
            Self::Text => true,
            _ if text.len() > LONGEST_VALUE => false,
            Self::Ip => value::ip(text).is_some(),
            Self::Integer => value::integer(text).is_some(),
            Self::Double => value::double(text).is_some(),
            Self::Boolean => value::boolean(text).is_some(),
            Self::Time(format) => format.read(text).is_some(),
        }
    }
}

impl Columns {
    fn new(request: &DecoderRequest, minimum: usize, is_fixed: bool) -> Self {
        let columns = request.columns.iter().filter(|column| column.is_read());
        let types = columns.map(|column| Type::of(&column.kind));
        let types: Vec<_> = types.take(MAX_FIELDS).collect();
        let texts = types.iter().enumerate();
        let texts = texts.filter(|(_, ty)| matches!(ty, Type::Text));
        Self {
            minimum,
            is_fixed,
            is_exact: false,
            texts: texts.fold(0, |set, (position, _)| set | 1 << position),
            types,
            null: Arc::clone(&request.null),
        }
    }

    fn takes(&self, field: usize, text: &[u8]) -> bool {
        let is_null = || self.null.iter().any(|null| null.as_bytes() == text);
        self.types[field].takes(text) || matches!(text, b"" | b"-") || is_null()
    }
}

impl Layout for Columns {
    fn count(&self) -> usize {
        self.types.len()
    }

    fn quotable(&self) -> FieldSet {
        FieldSet::MAX
    }

    fn free(&self) -> FieldSet {
        self.texts
    }

    fn bare(&self, fields: FieldSet, text: &[u8]) -> FieldSet {
        let typed = (0..self.types.len()).filter(|field| fields & !self.texts & (1 << field) != 0);
        let fitting = typed.filter(|field| self.takes(*field, text));
        fitting.fold(fields & self.texts, |set, field| set | 1 << field)
    }

    fn quoted(&self, field: usize, text: &[u8]) -> bool {
        self.takes(field, text)
    }

    fn is_whole(&self, _field: usize, text: &[u8]) -> bool {
        !self.is_fixed && text == b"-"
    }

    fn counts_marks(&self) -> bool {
        !self.is_exact
    }

    fn rank(&self, count: usize, _last: Option<usize>) -> Option<u8> {
        let is_usual = match self.is_exact {
            true => count == self.types.len(),
            false => count >= self.minimum,
        };
        is_usual.then_some(0)
    }
}

#[cfg(test)]
mod tests;
