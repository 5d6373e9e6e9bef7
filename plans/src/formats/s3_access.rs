//! S3 server access logs. Fields are separated by spaces. The time is in brackets, and
//! three fields may be quoted. S3 has added fields at the end over the years.

use memchr::memchr;

use crate::decode::column::Span;
use crate::decode::layout::{Field, Names, surplus_key};
use crate::decode::line_decoder::{LineDecoder, LineKind, LineParser};
use crate::decode::rows::{Rejected, Rows};
use crate::decode::time::ACCESS_LOG;
use crate::decode::{Decoder, DecoderRequest, Format, FormatOption, Reading};
use crate::spec::{Column, ColumnKind};

/// The oldest lines end with `version_id`.
const OLDEST_FIELDS: usize = 18;

/// The kind of quoting that a field may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quoting {
    Bare,
    /// Followed by the HTTP status.
    Request,
    /// Followed by the user agent.
    Referrer,
    /// Followed by fields without quotes.
    UserAgent,
}

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
    let fields = Names::new(&request).fields(FIELDS);
    LineDecoder::boxed(AccessParser { fields }, request)
}

struct AccessParser {
    fields: Vec<Field>,
}

impl LineParser for AccessParser {
    fn parse(&mut self, line: Span<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
        let mut position = 0;
        let mut at = 0;
        while at < line.bytes.len() {
            if line.bytes[at] == b' ' {
                at += 1;
                continue;
            }
            let token = token(line.bytes, at, quoting(position))?;
            self.set(position, line.part(token.start, token.end), rows)?;
            position += 1;
            at = token.next;
        }
        if position < OLDEST_FIELDS {
            let detail = format!("{position} of at least {OLDEST_FIELDS} fields");
            return Err(Rejected::new("too_few_fields", detail));
        }
        Ok(LineKind::Row)
    }
}

impl AccessParser {
    fn set(&self, position: usize, text: Span<'_>, rows: &mut Rows) -> Result<(), Rejected> {
        if text.bytes == b"-" {
            return Ok(());
        }
        match self.fields.get(position) {
            Some(Field::Wanted(slot)) => rows.set(*slot, text)?,
            Some(Field::Alternative(one)) => rows.set_alternative(one, text)?,
            Some(_) => {}
            None => rows.add_extra(&surplus_key(position + 1), text.bytes),
        }
        Ok(())
    }
}

fn quoting(position: usize) -> Quoting {
    match position {
        8 => Quoting::Request,
        15 => Quoting::Referrer,
        16 => Quoting::UserAgent,
        _ => Quoting::Bare,
    }
}

/// The position of a field's text, and of the rest of the line.
struct Token {
    start: usize,
    end: usize,
    next: usize,
}

fn token(line: &[u8], at: usize, quoting: Quoting) -> Result<Token, Rejected> {
    let closed = match line[at] {
        b'[' => closing(line, at + 1, b']', |_| true),
        b'"' => closing(line, at + 1, b'"', |rest| may_follow(rest, quoting)),
        _ => {
            let end = memchr(b' ', &line[at..]).map_or(line.len(), |length| at + length);
            return Ok(Token {
                start: at,
                end,
                next: end,
            });
        }
    };
    let end = closed.ok_or_else(|| {
        let detail = format!("the field that begins at byte {} has no end", at + 1);
        Rejected::new("unclosed_quote", detail)
    })?;
    Ok(Token {
        start: at + 1,
        end,
        next: end + 1,
    })
}

/// Finds the `mark` that ends a field. A space must follow, and then a text that `fits`, or
/// the line must end. If no text fits, the first mark with a space behind it is used.
fn closing(line: &[u8], start: usize, mark: u8, fits: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let mut first = None;
    let mut at = start;
    while let Some(length) = memchr(mark, &line[at..]) {
        let end = at + length;
        at = end + 1;
        match line.get(at) {
            None => return first.or(Some(end)),
            Some(b' ') if fits(&line[at + 1..]) => return Some(end),
            Some(b' ') => first = first.or(Some(end)),
            Some(_) => {}
        }
    }
    first
}

/// Whether `rest` can follow the end of a field. S3 does not escape quotes that clients
/// send, so only the text after a quote shows whether the field ends there.
fn may_follow(rest: &[u8], quoting: Quoting) -> bool {
    match quoting {
        Quoting::Request => is_status(rest),
        Quoting::Referrer => rest.starts_with(b"\"") || rest.starts_with(b"- "),
        Quoting::UserAgent | Quoting::Bare => has_no_stray_quote(rest),
    }
}

/// Whether the text starts with an HTTP status. Requests by S3 itself have `- -` instead of
/// status and error code.
fn is_status(rest: &[u8]) -> bool {
    let is_code = |text: &[u8]| text[3] == b' ' && text[..3].iter().all(u8::is_ascii_digit);
    rest.get(..4)
        .is_some_and(|text| text == b"- - " || is_code(text))
}

/// Whether all quotes enclose whole fields.
fn has_no_stray_quote(rest: &[u8]) -> bool {
    let mut at = 0;
    while let Some(length) = memchr(b'"', &rest[at..]) {
        let quote = at + length;
        let opens = quote == 0 || rest[quote - 1] == b' ';
        let Some(end) = memchr(b'"', &rest[quote + 1..]).filter(|_| opens) else {
            return false;
        };
        at = quote + 1 + end + 1;
        if rest.get(at).is_some_and(|byte| *byte != b' ') {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use crate::decode::testing::{Case, own_samples, shared_samples};

    const HEAD: &str =
        "owner bucket [06/Feb/2019:01:00:38 +0100] 192.0.2.3 user id REST.GET.OBJECT a%2520b";

    fn line(request: &str, referrer: &str, agent: &str, tail: &str) -> String {
        format!("{HEAD} {request} 200 - 113 - 7 - {referrer} {agent} {tail}")
    }

    fn quoted_fields(request: &str, referrer: &str, agent: &str) -> [Option<String>; 3] {
        let rows = Case::new("s3_access").rows(&line(request, referrer, agent, "- host SigV4"));
        assert!(rows[0].get("_reject").is_none(), "{}", rows[0]);
        assert_eq!(rows[0]["signature_version"], "SigV4");
        let text = |name: &str| {
            rows[0]
                .get(name)
                .and_then(|value| value.as_str())
                .map(str::to_owned)
        };
        ["request_uri", "referrer", "user_agent"].map(text)
    }

    #[test]
    fn a_line_of_eighteen_fields_is_complete() {
        assert_eq!(
            Case::new("s3_access").rows(&line("\"GET /a HTTP/1.1\"", "\"-\"", "\"curl\"", "-")),
            [json!({
                "bucket_owner": "owner", "bucket": "bucket", "time": "2019-02-06T00:00:38Z",
                "remote_ip": "192.0.2.3", "requester": "user", "request_id": "id",
                "operation": "REST.GET.OBJECT", "key": "a%2520b", "request_uri": "GET /a HTTP/1.1",
                "http_status": 200, "bytes_sent": 113, "total_time": 7, "user_agent": "curl",
            })]
        );
    }

    #[test]
    fn surplus_fields_are_kept() {
        let tail = "v h s c a hh tls arn Yes eu-west-1 new \"two words\"";
        let rows = Case::new("s3_access").rows(&line("-", "-", "-", tail));
        assert_eq!(rows[0]["source_region"], "eu-west-1");
        assert_eq!(
            rows[0]["_extra"],
            r#"{"field_28":"new","field_29":"two words"}"#
        );
    }

    #[test]
    fn stray_quotes_stay_inside_their_field() {
        let check = |request: &str, referrer: &str, agent: &str| {
            let quoted = [request, referrer, agent].map(|text| format!("\"{text}\""));
            let expected = [request, referrer, agent].map(|text| Some(text.to_owned()));
            assert_eq!(quoted_fields(&quoted[0], &quoted[1], &quoted[2]), expected);
        };
        check("GET / HTTP/1.1", "x", "a \"b\" c");
        check("GET /?q=\"a\" b HTTP/1.1", "x", "y");
        check(
            "GET / HTTP/1.1",
            "https://x/\"say \"hi\"",
            "many \"quotes\" and \"\" pairs",
        );
        check("GET / HTTP/1.1", "", "");
        check("GET / HTTP/1.1", "x", "ends with \"\"");
    }

    #[test]
    fn bare_dashes_are_null() {
        assert_eq!(quoted_fields("-", "-", "-"), [None, None, None]);
        assert_eq!(
            quoted_fields("\"-\"", "-", "\"x\""),
            [None, None, Some("x".to_owned())]
        );
    }

    #[test]
    fn own_samples_are_read_and_bad_lines_rejected() {
        for (name, input) in own_samples("s3_access") {
            let reasons = Case::new("s3_access").reasons(&input);
            if name == "bad-lines.log" {
                let bad = "invalid_value";
                assert_eq!(
                    reasons,
                    [
                        "too_few_fields",
                        bad,
                        bad,
                        "unclosed_quote",
                        "unclosed_quote",
                        ""
                    ]
                );
            } else {
                assert!(reasons.iter().all(String::is_empty), "{name} {reasons:?}");
            }
        }
    }

    #[test]
    fn shared_samples_have_no_rejected_row() {
        for (name, input) in shared_samples("s3_access") {
            let rows = Case::new("s3_access").all(&input, &[], None);
            for row in &rows {
                assert!(
                    row.get("_reject").is_none() && row.get("_extra").is_none(),
                    "{name} {row:?}"
                );
                assert!(
                    row.contains_key("host_id") && row.contains_key("http_status"),
                    "{name}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn every_line_is_a_row_for_any_block_size(
            texts in prop::collection::vec(r#"[a "\[\]é-]{0,30}"#, 0..10),
            noise in prop::collection::vec(any::<u8>(), 0..60),
            sizes in prop::collection::vec(1_usize..90, 1..6),
        ) {
            let mut input = noise;
            for text in texts {
                input.extend_from_slice(b"\n");
                input.extend_from_slice(line("\"GET /\"", "-", &format!("\"{text}\""), "- -").as_bytes());
            }
            let case = Case::new("s3_access");
            let whole = case.all(&input, &[], None);
            let is_row = |line: &&[u8]| !line.is_empty() && *line != b"\r";
            prop_assert_eq!(whole.len(), input.split(|byte| *byte == b'\n').filter(is_row).count());
            prop_assert_eq!(case.all(&input, &sizes, None), whole);
        }
    }
}
