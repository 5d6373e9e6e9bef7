//! The reasons that mean that the object is damaged: rows of it are missing or cut, and only
//! another object can give them. Every other reason is about one bad row.

/// The object ends within a gzip member.
pub(crate) const TRUNCATED_GZIP: &str = "truncated_gzip";
/// The gzip data is invalid, or its checksum is wrong.
pub(crate) const CORRUPT_GZIP: &str = "corrupt_gzip";
/// The object ends within a zstd frame.
pub(crate) const TRUNCATED_ZSTD: &str = "truncated_zstd";
/// The zstd data is invalid, or its checksum is wrong.
pub(crate) const CORRUPT_ZSTD: &str = "corrupt_zstd";
/// The object cannot be read as Parquet.
pub(crate) const CORRUPT_PARQUET: &str = "corrupt_parquet";
/// The object is packed or encoded in a way that is not read.
pub(crate) const UNSUPPORTED_COMPRESSION: &str = "unsupported_compression";
/// The object ends within a record: in a quoted field, a JSON object or an array, or in a line
/// without a line end that lacks fields or whose value is no value.
pub(crate) const CUT_AT_END: &str = "cut_at_end";
/// A record exceeds the size limit. Only its beginning is kept.
pub(crate) const LINE_TOO_LONG: &str = "line_too_long";

/// Every reason of damage.
const DAMAGE: &[&str] = &[
    TRUNCATED_GZIP,
    CORRUPT_GZIP,
    TRUNCATED_ZSTD,
    CORRUPT_ZSTD,
    CORRUPT_PARQUET,
    UNSUPPORTED_COMPRESSION,
    CUT_AT_END,
    LINE_TOO_LONG,
];

/// Whether a row's reason of rejection means that its object is damaged. A bad row of an
/// intact object has another reason.
pub fn is_damage(reason: &str) -> bool {
    DAMAGE.contains(&reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Broken;
    use crate::decode::testing::Case;
    use crate::spec::ColumnKind;

    /// The reasons of the rows of an object that is read to its end.
    fn reasons(format: &'static str, options: &[(&str, &str)], text: &str) -> Vec<String> {
        let mut case = Case::new(format).column("n", ColumnKind::Text);
        if format == "csv" {
            case = case.column("m", ColumnKind::Text);
        }
        for (key, value) in options {
            case = case.option(key, value);
        }
        case.batch_rows = 1;
        let whole = case.reasons(text.as_bytes());
        let rows = case.all(text.as_bytes(), &[3], None);
        let reject = |row: &serde_json::Map<String, serde_json::Value>| {
            let reason = row.get("_reject").and_then(|reason| reason.as_str());
            reason.unwrap_or_default().to_owned()
        };
        assert_eq!(rows.iter().map(reject).collect::<Vec<_>>(), whole);
        whole
    }

    #[test]
    fn a_bad_line_is_no_damage() {
        for reason in [
            "invalid_json",
            "invalid_value",
            "invalid_utf8",
            "too_few_fields",
            "unclosed_quote",
            "unrouted",
            "",
        ] {
            assert!(!is_damage(reason), "{reason}");
        }
        assert!(DAMAGE.iter().all(|reason| is_damage(reason)));
    }

    #[test]
    fn what_the_decompressor_reports_is_damage() {
        for reason in [TRUNCATED_GZIP, UNSUPPORTED_COMPRESSION] {
            let detail = String::new();
            let broken = Broken { reason, detail };
            let case = Case::new("csv").column("n", ColumnKind::Text);
            let rows = case.all(b"a\nb", &[], Some(broken));
            assert_eq!((rows.len(), &rows[1]["_reject"]), (2, &reason.into()));
            assert_eq!(rows[1]["_raw"], "62");
        }
    }

    #[test]
    fn lines_of_text_that_lack_their_end_are_cut() {
        let cut = CUT_AT_END;
        assert_eq!(reasons("csv", &[], "a,b\nc,d"), ["", ""]);
        assert_eq!(reasons("csv", &[], "a,b\nc"), ["", cut]);
        assert_eq!(reasons("csv", &[], "a,b\nc,\"d"), ["", cut]);
        assert_eq!(reasons("csv", &[], "a\nc,d\n"), ["too_few_fields", ""]);
        let json = |text| reasons("json_lines", &[], text);
        assert_eq!(json("{\"n\":\"a\"}\n{\"n\":\"b"), ["", cut]);
        assert_eq!(json("{\"n\":\"a\"}\n{\"n\":\"b}\n"), ["", "invalid_json"]);
        assert_eq!(json("{\"n\":\"a\"}\nnothing"), ["", "invalid_json"]);
    }

    #[test]
    fn quotes_objects_and_arrays_that_lack_their_end_are_cut() {
        let cut = CUT_AT_END;
        let csv = |text| reasons("csv", &[("multiline", "true")], text);
        assert_eq!(csv("a,b\nc,\"d\ne\n"), ["", cut, cut]);
        let unclosed = "unclosed_quote";
        assert_eq!(csv("a,b\nc,\"d\ne,f\ng,h\n"), ["", unclosed, "", ""]);
        assert_eq!(csv("a,b\nc,\"d\ne\"\ng,h\n"), ["", "", ""]);
        let json = |text| reasons("json_lines", &[("multiline", "true")], text);
        assert_eq!(json("{\"n\":1}\n{\"n\":\n2"), ["", cut]);
        assert_eq!(json("[{\"n\":1},\n{\"n\":2}\n]\n"), ["", ""]);
        assert_eq!(json("[{\"n\":1},\n{\"n\":2},\n"), ["", "", cut]);
        assert_eq!(json("[]\n[]"), Vec::<String>::new().as_slice());
    }
}
