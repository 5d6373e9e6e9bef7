//! The columns of a file, and what decides whether a text is one of its records.

use std::sync::Arc;

use super::quoting::{Flaw, Quoting, Token};
use crate::decode::DecoderRequest;
use crate::decode::kind_check::KindCheck;
use crate::decode::layout::{Field, Names, normal, surplus_key};
use crate::decode::lines::BOM;
use crate::decode::rows::Rejected;

/// Bytes of a header that a message shows.
const SHOWN: usize = 64;
/// Fields that a damage between two records may reach.
const BESIDE_DAMAGE: usize = 2;
/// Other delimiters that a header may have.
const DELIMITERS: [(u8, &str); 6] = [
    (b',', ","),
    (b';', ";"),
    (b'\t', "tab"),
    (b'|', "|"),
    (b':', ":"),
    (b' ', " "),
];

/// The fields of the lines.
pub(super) struct Columns {
    names: Names,
    pub(super) fields: Vec<Field>,
    /// The declared column of each field, for those with values that not every text is.
    typed: Vec<Option<usize>>,
    /// The test of each declared column.
    checks: Vec<Option<KindCheck>>,
    /// The least number of fields of a record, if records may lack some.
    min_fields: Option<usize>,
    /// Unquoted texts that are NULL.
    null: Vec<u8>,
    nulls: Arc<[String]>,
    /// The names of declared columns and of headers, sorted.
    header_names: Vec<String>,
    /// Whether one of them begins with this byte.
    is_first_byte: [bool; 256],
    /// Whether messages may show a header.
    is_shown: bool,
    /// Whether a header named the fields.
    pub(super) has_header: bool,
    /// Why the first line is no header.
    no_header: Option<String>,
}

/// What a field says about its line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// Every text would fit.
    None,
    Fits,
    Contradicts,
}

impl Columns {
    pub(super) fn new(request: &DecoderRequest, null: &str, min_fields: Option<usize>) -> Self {
        let names = Names::new(request);
        let columns = request.columns.iter();
        // A column with several names takes the text of only one of them.
        let checks = columns.clone().map(|column| match column.names.len() {
            ..2 => KindCheck::of(&column.kind),
            _ => None,
        });
        let declared = columns
            .clone()
            .enumerate()
            .filter(|(_, column)| column.is_read());
        let typed: Vec<_> = declared.map(|(index, _)| Some(index)).collect();
        let mut header_names: Vec<_> = names.known().map(str::to_owned).collect();
        header_names.sort_unstable();
        let mut columns = Self {
            fields: names.declared(request),
            names,
            typed,
            checks: checks.collect(),
            min_fields,
            null: null.as_bytes().to_vec(),
            nulls: Arc::clone(&request.null),
            header_names,
            is_first_byte: [false; 256],
            is_shown: !request.columns.iter().any(|column| column.hidden),
            has_header: false,
            no_header: None,
        };
        columns.note_first_bytes();
        columns
    }

    fn note_first_bytes(&mut self) {
        for name in &self.header_names {
            let first = name.bytes().next().unwrap_or_default();
            for byte in [first, first.to_ascii_uppercase()] {
                self.is_first_byte[usize::from(byte)] = true;
            }
            self.is_first_byte[usize::from(b'-')] |= first == b'_';
        }
    }

    /// Whether a record may have this many fields.
    #[inline]
    pub(super) fn is_count(&self, fields: usize) -> bool {
        fields == self.fields.len() || (fields < self.fields.len() && self.is_enough(fields))
    }

    /// Whether a record may lack the fields behind the first ones.
    #[inline]
    pub(super) fn is_enough(&self, fields: usize) -> bool {
        let all = self.fields.len();
        fields >= self.min_fields.map_or(all, |min| min.min(all))
    }

    /// Whether an unquoted text is NULL.
    #[inline]
    pub(super) fn is_null(&self, text: &[u8]) -> bool {
        text.is_empty() || *text == *self.null
    }

    /// Whether every value of a text is one of its column.
    pub(super) fn fits(&self, text: &[u8], quoting: &Quoting) -> bool {
        let mut tokens = quoting.tokens(text).enumerate();
        tokens.all(|(position, token)| {
            let evidence = |token| self.evidence(position, &token, text, quoting);
            token.is_ok_and(|token| evidence(token) != Evidence::Contradicts)
        })
    }

    /// Whether the line is a whole record.
    pub(super) fn is_record(&self, line: &[u8], quoting: &Quoting) -> bool {
        let shape = quoting.shape(line);
        shape.flaw.is_none() && self.is_count(shape.fields) && self.fits(line, quoting)
    }

    /// Whether the values of a line show that it is a record by itself, or the beginning of
    /// one. A column behind the field `open` shows nothing: it has the same value if the line
    /// goes on in that field of another record.
    pub(super) fn begins_record(&self, line: &[u8], quoting: &Quoting, open: usize) -> bool {
        let mut has_evidence = false;
        let mut fields = 0;
        for token in quoting.tokens(line) {
            let token = match token {
                Ok(token) => token,
                Err(Flaw::Open(_)) => return has_evidence && fields < self.fields.len(),
                Err(Flaw::Stray(_)) => return false,
            };
            match self.evidence(fields, &token, line, quoting) {
                Evidence::None => {}
                Evidence::Fits => has_evidence |= fields <= open,
                Evidence::Contradicts => return false,
            }
            fields += 1;
        }
        has_evidence && self.is_count(fields)
    }

    /// Whether a line with too many fields holds the fields of two records: those behind the
    /// first record have values of the last columns. Without a header the declared columns may
    /// be only the first ones, so that more is needed to decide.
    pub(super) fn is_joined(&self, line: &[u8], quoting: &Quoting, fields: usize) -> bool {
        let all = self.fields.len();
        let surplus = fields.saturating_sub(all);
        let is_possible = match self.has_header {
            true => surplus >= 2.max((all - 1) / 2),
            false => (all / 2..=2 * all).contains(&surplus) && all >= 4,
        };
        if !is_possible {
            return false;
        }
        let mut fitting = 0;
        let first = surplus.max(all);
        for (at, token) in quoting.tokens(line).enumerate().skip(first) {
            let Ok(token) = token else { return false };
            match self.evidence(at - surplus, &token, line, quoting) {
                Evidence::Fits => fitting += 1,
                // What joined the records may have damaged the first fields of the second one.
                Evidence::Contradicts if at >= first + BESIDE_DAMAGE => return false,
                _ => {}
            }
        }
        let is_typed = self
            .typed
            .iter()
            .flatten()
            .any(|index| self.checks[*index].is_some());
        match self.has_header {
            true if is_typed => fitting > 0,
            true => fields + 1 >= 2 * all,
            false => fitting > 1,
        }
    }

    fn evidence(&self, at: usize, token: &Token, line: &[u8], quoting: &Quoting) -> Evidence {
        let column = self.typed.get(at).copied().flatten();
        let Some(check) = column.and_then(|index| self.checks[index].as_ref()) else {
            return Evidence::None;
        };
        let text = quoting.text(token, line);
        let is_null = text.is_empty() || (!token.is_quoted && self.is_null(&text));
        if is_null || self.nulls.iter().any(|null| null.as_bytes() == &*text) {
            return Evidence::None;
        }
        match check.fits(&text) {
            true => Evidence::Fits,
            false => Evidence::Contradicts,
        }
    }

    /// Reads the first header.
    pub(super) fn take_first_header(
        &mut self,
        line: &[u8],
        quoting: &Quoting,
    ) -> Result<(), Rejected> {
        let names = names(line, quoting)?;
        let known = self.known(&names);
        let is_header = match self.no_header {
            None => known > 0,
            Some(_) => self.is_header_with(&names, known),
        };
        if is_header {
            self.set_header(&names);
            return Ok(());
        }
        let detail = self.why_no_header(line, &names);
        let first = self.no_header.get_or_insert_with(|| detail.clone());
        let is_hint = detail.contains("delimiter");
        Err(Rejected::new(
            "header_without_columns",
            if is_hint { detail } else { first.clone() },
        ))
    }

    /// Reads the line if it is a header between records.
    #[inline]
    pub(super) fn take_repeated_header(&mut self, line: &[u8], quoting: &Quoting) -> bool {
        let line = line.strip_prefix(BOM).unwrap_or(line);
        let first = line.iter().find(|byte| !matches!(byte, b'"' | b' '));
        let may_be = first.is_some_and(|byte| self.is_first_byte[usize::from(*byte)]);
        may_be && self.take_if_header(line, quoting)
    }

    fn take_if_header(&mut self, line: &[u8], quoting: &Quoting) -> bool {
        let Some(Ok(token)) = quoting.tokens(line).next() else {
            return false;
        };
        let first = line[token.start..token.end].trim_ascii();
        let is_first = |name: &String| is_name(name.as_bytes(), first);
        self.header_names.iter().any(is_first) && self.take_other_header(line, quoting)
    }

    /// Reads the line if most of its fields are names of columns.
    pub(super) fn take_other_header(&mut self, line: &[u8], quoting: &Quoting) -> bool {
        let Ok(names) = names(line, quoting) else {
            return false;
        };
        let known = self.known(&names);
        let is_header = self.is_header_with(&names, known);
        if is_header {
            self.set_header(&names);
        }
        is_header
    }

    fn known(&self, names: &[String]) -> usize {
        let is_known = |name: &&String| self.header_names.binary_search(&normal(name)).is_ok();
        names.iter().filter(is_known).count()
    }

    /// Whether a line with names of which so many are known is a header.
    fn is_header_with(&self, names: &[String], known: usize) -> bool {
        let all = self.header_names.len();
        known >= 2.min(all) && known * 2 > names.len()
    }

    fn set_header(&mut self, names: &[String]) {
        (self.fields, self.typed) = (Vec::new(), Vec::new());
        self.has_header = true;
        let mut seen: Vec<String> = Vec::new();
        for (position, name) in names.iter().enumerate() {
            let normal = normal(name);
            // The first column with a name has it. The values of the others are kept.
            let is_twice = seen.contains(&normal);
            self.fields.push(match is_twice || normal.is_empty() {
                true => Field::Unknown(surplus_key(position + 1)),
                false => self.names.field(name),
            });
            let column = self.names.column(name).filter(|_| !is_twice);
            self.typed.push(column);
            seen.push(normal);
        }
        self.header_names.extend(seen);
        self.header_names.sort_unstable();
        self.header_names.dedup();
        self.header_names.retain(|name| !name.is_empty());
        self.note_first_bytes();
    }

    fn why_no_header(&self, line: &[u8], names: &[String]) -> String {
        let shown = match self.is_shown {
            true => format!(" `{}`", beginning(line)),
            false => String::new(),
        };
        let mut why = format!("the header{shown} names no declared column");
        if let Some(delimiter) = self.better_delimiter(line) {
            why += &format!("; with the delimiter `{delimiter}` it does");
        } else if let Some(stated) = line.strip_prefix(b"sep=") {
            let stated = beginning(stated.trim_ascii());
            why += &format!("; the line says that the delimiter is `{stated}`");
        } else if names.len() == self.fields.len() && names.len() > 1 {
            why += "; if the file has none, write `header = false`";
        } else {
            let found = names.len();
            why += &format!("; it has {found} fields with this delimiter");
        }
        why
    }

    /// Returns the delimiter with which the line names most columns.
    fn better_delimiter(&self, line: &[u8]) -> Option<&'static str> {
        let known = |delimiter: u8| {
            let names = line.split(|byte| *byte == delimiter);
            let names = names.map(|name| String::from_utf8_lossy(name.trim_ascii()));
            let names = names.map(|name| name.trim_matches('"').to_owned());
            self.known(&names.collect::<Vec<_>>())
        };
        let counts = DELIMITERS.iter().map(|(byte, name)| (known(*byte), *name));
        let best = counts.max_by_key(|(count, _)| *count);
        best.filter(|(count, _)| *count > 0).map(|(_, name)| name)
    }
}

fn names(line: &[u8], quoting: &Quoting) -> Result<Vec<String>, Rejected> {
    let mut names = Vec::new();
    for token in quoting.tokens(line) {
        let token = token.map_err(unclosed)?;
        let name = quoting.text(&token, line);
        names.push(String::from_utf8_lossy(&name).into_owned());
    }
    Ok(names)
}

/// Whether `text` is the name, in any case and with hyphens or underscores.
fn is_name(name: &[u8], text: &[u8]) -> bool {
    let same = |(name, byte): (&u8, &u8)| {
        name.eq_ignore_ascii_case(byte) || (*name == b'_' && *byte == b'-')
    };
    name.len() == text.len() && name.iter().zip(text).all(same)
}

fn beginning(line: &[u8]) -> String {
    let beginning = String::from_utf8_lossy(&line[..line.len().min(SHOWN)]);
    let dots = if line.len() > SHOWN { "…" } else { "" };
    format!("{beginning}{dots}")
}

/// The reason why a line with a quoted field that does not end is rejected.
pub(super) fn unclosed(flaw: Flaw) -> Rejected {
    let (Flaw::Open(at) | Flaw::Stray(at)) = flaw;
    let detail = match flaw {
        Flaw::Open(_) => format!("the field that begins at byte {} has no end", at + 1),
        Flaw::Stray(_) => format!("no delimiter follows the quote at byte {}", at + 1),
    };
    Rejected::new("unclosed_quote", detail)
}
