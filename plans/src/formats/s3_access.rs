//! S3 server access logs. Fields are separated by spaces. The time is in brackets, and
//! three fields may be quoted. S3 has added fields at the end over the years.

use memchr::{memchr, memchr2};

use crate::decode::column::Span;
use crate::decode::layout::{Field, Names};
use crate::decode::line_decoder::{LineDecoder, LineKind, LineParser};
use crate::decode::marked::{Line, Marks, QUOTE, Token, put};
use crate::decode::readings::{FieldSet, Layout, Reading as Quotes, read};
use crate::decode::rows::{Rejected, Rows};
use crate::decode::time::ACCESS_LOG;
use crate::decode::{Decoder, DecoderRequest, Format, FormatOption, Reading};
use crate::spec::{Column, ColumnKind};

/// The oldest lines end with `version_id`.
const OLDEST_FIELDS: usize = 18;

const MARKS: Marks = Marks {
    separator: b' ',
    escapes: false,
    brackets: true,
};

// Positions of fields.
const TIME: usize = 2;
const REQUESTER: usize = 4;
const URI: usize = 8;
const STATUS: usize = 9;
const ERROR: usize = 10;
const BYTES_SENT: usize = 11;
const REFERRER: usize = 15;
const USER_AGENT: usize = 16;
const HOST_ID: usize = 18;
const SIGNATURE: usize = 19;
const CIPHER: usize = 20;
const AUTHENTICATION: usize = 21;
const TLS: usize = 23;
const ACCESS_POINT: usize = 24;
const ACL: usize = 25;
const REGION: usize = 26;

/// The fields that clients write. S3 does not escape the quotes in them.
const FREE: FieldSet = 1 << URI | 1 << REFERRER | 1 << USER_AGENT;

const FIELDS: [&str; 27] = [
    "bucket_owner",
    "bucket",
    "time",
    "remote_ip",
    "requester",
    "request_id",
    "operation",
    "key",
    "request_uri",
    "http_status",
    "error_code",
    "bytes_sent",
    "object_size",
    "total_time",
    "turnaround_time",
    "referrer",
    "user_agent",
    "version_id",
    "host_id",
    "signature_version",
    "cipher_suite",
    "authentication_type",
    "host_header",
    "tls_version",
    "access_point_arn",
    "acl_required",
    "source_region",
];

#[derive(Debug)]
pub(super) struct S3Access;

impl Format for S3Access {
    fn name(&self) -> &'static str {
        "s3_access"
    }

    fn help(&self) -> &'static str {
        "S3 server access logs, from the oldest fields to the newest; `-` is NULL"
    }

    fn columns(&self) -> Vec<Column> {
        let column = |name: &&str| Column::new(*name, kind(name));
        FIELDS.iter().map(column).collect()
    }

    fn options(&self) -> &'static [FormatOption] {
        &[]
    }

    fn reading(&self) -> Reading {
        Reading::Blocks(decoder)
    }
}

fn kind(name: &str) -> ColumnKind {
    match name {
        "time" => ColumnKind::Strftime(ACCESS_LOG.to_owned()),
        "http_status" => ColumnKind::Int32,
        "bytes_sent" | "object_size" | "total_time" | "turnaround_time" => ColumnKind::Int64,
        // This includes remote_ip, which is a name for requests by AWS services.
        _ => ColumnKind::Text,
    }
}

fn decoder(request: DecoderRequest) -> Box<dyn Decoder> {
    let parser = AccessParser {
        fields: Names::new(&request).fields(FIELDS),
        tokens: Vec::new(),
    };
    LineDecoder::boxed(parser, request)
}

struct AccessParser {
    fields: Vec<Field>,
    /// Memory for the fields of a line.
    tokens: Vec<Token>,
}

impl LineParser for AccessParser {
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

impl AccessParser {
    fn take(&mut self, line: Line<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
        self.tokens.clear();
        let bytes = line.span.bytes;
        let Some(start) = head(bytes, &mut self.tokens)? else {
            return self.take_plainly(line, rows);
        };
        let is_clean = matches!(MARKS.split(bytes, start, &mut self.tokens), Ok(true));
        if is_clean && is_certain(bytes, &self.tokens) {
            return self.fill(line, rows);
        }
        for known in &Knowledge::LEVELS {
            match read(MARKS, bytes, start, URI, known) {
                Quotes::One(ends) => {
                    self.tokens.truncate(URI);
                    MARKS.split_by(bytes, start, &ends, &mut self.tokens)?;
                    return self.fill(line, rows);
                }
                Quotes::Several => return Err(Quotes::several()),
                Quotes::None => {}
            }
        }
        self.take_plainly(line, rows)
    }

    /// Takes a line that does not have the fields of a record, to say what it lacks.
    fn take_plainly(&mut self, line: Line<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
        self.tokens.clear();
        MARKS.split(line.span.bytes, 0, &mut self.tokens)?;
        self.fill(line, rows)?;
        Err(Quotes::none())
    }

    fn fill(&mut self, line: Line<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
        if self.tokens.len() < OLDEST_FIELDS {
            let found = self.tokens.len();
            let detail = format!("{found} of at least {OLDEST_FIELDS} fields");
            return Err(Rejected::new("too_few_fields", detail));
        }
        for (position, token) in self.tokens.iter().enumerate() {
            put(rows, self.fields.get(position), position, token, line)?;
        }
        Ok(LineKind::Row)
    }
}

/// Appends the fields before the request URI, and returns its position. `None`: they are not
/// those of a record.
///
/// The requester may contain spaces. The operation behind it shows where it ends.
fn head(line: &[u8], tokens: &mut Vec<Token>) -> Result<Option<usize>, Rejected> {
    let mut at = 0;
    for position in 0..REQUESTER {
        let field = match position {
            TIME => time(line, at),
            _ => word(line, at).filter(|word| !word.is_quoted),
        };
        let Some(field) = field else {
            return Ok(None);
        };
        at = field.next;
        tokens.push(field);
    }
    let Some(found) = requester(line, at)? else {
        return Ok(None);
    };
    tokens.extend(found.fields);
    Ok(Some(found.uri))
}

/// The requester, the request id, the operation and the key, and where the request URI starts.
struct Requested {
    fields: [Token; 4],
    uri: usize,
}

fn requester(line: &[u8], mut at: usize) -> Result<Option<Requested>, Rejected> {
    let Some(first) = word(line, at) else {
        return Ok(None);
    };
    // The last words: the end of the requester, the request id, the operation and the key.
    let mut fields = [first; 4];
    let (mut found, mut usual) = (None, None);
    let mut count = 0;
    while let Some(word) = word(line, at) {
        let is_uri = word.is_quoted || (word.bytes(line) == b"-" && has_status(line, word.next));
        if count >= fields.len() && is_uri {
            let uri = word.start;
            let [last, rest @ ..] = fields;
            let whole = Token::bare(first.start, last.end);
            let requested = Requested {
                fields: [whole, rest[0], rest[1], rest[2]],
                uri,
            };
            match is_operation(line, &rest) {
                true if found.is_some() => return Err(Quotes::several()),
                true => found = Some(requested),
                // An operation of another form is taken where the requester has no spaces.
                false if count == fields.len() => usual = Some(requested),
                false => {}
            }
        }
        if word.is_quoted {
            break;
        }
        fields.rotate_left(1);
        fields[3] = word;
        count += 1;
        at = word.next;
    }
    Ok(found.or(usual))
}

/// The next field up to a space. Of a quoted one, only the start counts.
fn word(line: &[u8], at: usize) -> Option<Token> {
    let start = at + line[at..].iter().position(|byte| *byte != b' ')?;
    let length = memchr(b' ', &line[start..]).unwrap_or(line.len() - start);
    Some(Token {
        is_quoted: line[start] == QUOTE,
        ..Token::bare(start, start + length)
    })
}

/// The next field if it is in brackets, without them.
fn time(line: &[u8], at: usize) -> Option<Token> {
    let word = word(line, at)?;
    if line[word.start] != b'[' {
        return (!word.is_quoted).then_some(word);
    }
    let end = word.start + memchr(b']', &line[word.start..])?;
    Some(Token {
        next: end + 1,
        ..Token::bare(word.start + 1, end)
    })
}

/// Whether the words are a request id and an operation.
fn is_operation(line: &[u8], [id, operation, _]: &[Token; 3]) -> bool {
    let is_id = id.bytes(line).iter().all(u8::is_ascii_alphanumeric);
    let operation = operation.bytes(line);
    let Some(length) = memchr(b'.', operation) else {
        return false;
    };
    let (kind, rest) = operation.split_at(length);
    let is_kind = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_');
    is_id && !kind.is_empty() && kind.iter().all(is_kind) && rest.iter().all(is_name)
}

/// Whether an HTTP status, or a dash in place of it, is the next field.
fn has_status(line: &[u8], at: usize) -> bool {
    word(line, at).is_some_and(|word| is_status(word.bytes(line)))
}

fn is_status(text: &[u8]) -> bool {
    text == b"-" || (text.len() == 3 && text.iter().all(u8::is_ascii_digit))
}

/// Whether the fields from the request URI on leave no doubt, if none has a quote inside. S3
/// writes six quotes, so a client cannot add any. Where S3 writes only the two of the request,
/// the client may add four, but then the user agent seems to end as a request does.
fn is_certain(line: &[u8], tokens: &[Token]) -> bool {
    let [
        Some(uri),
        Some(referrer),
        Some(agent),
        Some(host_id),
        Some(signature),
    ] = [URI, REFERRER, USER_AGENT, HOST_ID, SIGNATURE].map(|position| tokens.get(position))
    else {
        return false;
    };
    let [strictest, ..] = &Knowledge::LEVELS;
    let quoted = tokens[URI..].iter().filter(|token| token.is_quoted).count();
    let has_three = [uri, referrer, agent].iter().all(|token| token.is_quoted);
    has_three
        && quoted == 3
        && strictest.quoted(URI, uri.bytes(line))
        && !has_version(agent.bytes(line))
        && strictest.is_bare(HOST_ID, host_id.bytes(line))
        && strictest.is_bare(SIGNATURE, signature.bytes(line))
}

/// What is taken for granted about the fields from the request URI on. A reading that fits more
/// knowledge comes before one that fits less.
struct Knowledge {
    /// The request line ends with the version of HTTP.
    version: bool,
    /// The fields after the user agent have the forms that are known today.
    tail: bool,
    /// Only the three fields that outsiders write are in quotes.
    quotes: bool,
}

impl Knowledge {
    const LEVELS: [Self; 5] = [
        Self::of(true, true, true),
        Self::of(false, true, true),
        Self::of(true, false, true),
        Self::of(false, false, true),
        Self::of(false, false, false),
    ];

    const fn of(version: bool, tail: bool, quotes: bool) -> Self {
        Self {
            version,
            tail,
            quotes,
        }
    }

    fn is_bare(&self, field: usize, text: &[u8]) -> bool {
        let is_null = text == b"-";
        match field {
            URI | REFERRER | USER_AGENT => is_null,
            STATUS => is_status(text),
            ERROR => {
                is_null || (text.first().is_some_and(u8::is_ascii_alphabetic) && all(text, is_word))
            }
            BYTES_SENT..REFERRER => is_null || (text.len() < 20 && all(text, u8::is_ascii_digit)),
            _ if !self.tail => true,
            HOST_ID => text.len() >= 16 && all(text, is_base64),
            SIGNATURE => is_null || text.starts_with(b"SigV"),
            CIPHER => is_null || all(text, is_word),
            AUTHENTICATION | ACL => is_null || all(text, u8::is_ascii_alphabetic),
            TLS => is_null || starts_with(text, b"TLS") || starts_with(text, b"SSL"),
            ACCESS_POINT => is_null || text.starts_with(b"arn:"),
            REGION => is_null || all(text, is_word),
            _ => true,
        }
    }
}

impl Layout for Knowledge {
    fn count(&self) -> usize {
        FIELDS.len()
    }

    fn quotable(&self) -> FieldSet {
        match self.quotes {
            true => FREE,
            false => FieldSet::MAX,
        }
    }

    fn free(&self) -> FieldSet {
        FREE
    }

    fn bare(&self, fields: FieldSet, text: &[u8]) -> FieldSet {
        let asked = (0..FIELDS.len()).filter(|field| fields & (1 << field) != 0);
        let bare = asked.filter(|field| self.is_bare(*field, text));
        bare.fold(0, |set, field| set | 1 << field)
    }

    fn quoted(&self, field: usize, text: &[u8]) -> bool {
        match field {
            URI if self.version => text == b"-" || has_version(text),
            _ if is_free(field) => true,
            _ => !text.is_empty() && self.is_bare(field, text),
        }
    }

    /// A referrer that is a URL has no spaces and no quotes. Both it and the user agent are of
    /// the same client, so that nobody gains by another border between them.
    fn is_whole(&self, field: usize, text: &[u8]) -> bool {
        field == REFERRER && memchr2(b' ', QUOTE, text).is_none()
    }

    fn counts_marks(&self) -> bool {
        true
    }

    /// Only S3 writes the end of the line. So if all that follows the last quote has its type,
    /// the user agent ends there, and what looks like that before it is a part of the text.
    fn rank(&self, count: usize, last: Option<usize>) -> Option<u8> {
        let is_known = self.tail && last.is_some() && count > HOST_ID;
        (count >= OLDEST_FIELDS).then_some(u8::from(is_known))
    }
}

fn is_free(field: usize) -> bool {
    FREE & (1 << field) != 0
}

fn has_version(request_line: &[u8]) -> bool {
    let ends = |pattern: &[u8]| {
        let start = request_line.len().checked_sub(pattern.len());
        let end = start.map(|start| &request_line[start..]);
        let fits = |(byte, pattern): (&u8, &u8)| {
            byte == pattern || (*pattern == b'#' && byte.is_ascii_digit())
        };
        end.is_some_and(|end| end.iter().zip(pattern).all(fits))
    };
    ends(b" HTTP/#.#") || ends(b" HTTP/#")
}

#[inline]
fn all(text: &[u8], is_part: impl Fn(&u8) -> bool) -> bool {
    text.iter().all(is_part)
}

fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    let start = text.get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests;
