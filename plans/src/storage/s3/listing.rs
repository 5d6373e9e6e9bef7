//! Lists the keys of a bucket page by page. Keys may be any text, also one that no `Path` can
//! hold, so S3 is asked to encode them.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{ObjectMeta, Result};
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde::Deserialize;

use super::requests::{QUERY, Requests};
use crate::storage::names::exact;
use crate::storage::{Entry, Level, Unaddressable};

/// The state of a listing between two pages.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Ends with a slash, unless it is empty.
    prefix: String,
    offset: Option<String>,
    delimited: bool,
    token: Option<String>,
    ended: bool,
}

impl Listing {
    /// A listing of all keys below a folder.
    pub(super) fn below(folder: Option<&Path>) -> Self {
        let folder = folder.map(Path::as_ref).filter(|folder| !folder.is_empty());
        Self {
            prefix: folder.map_or_else(String::new, |folder| format!("{folder}/")),
            ..Self::default()
        }
    }

    /// The same listing, of the keys that sort after `offset`.
    pub(super) fn after(self, offset: &Path) -> Self {
        Self {
            offset: Some(offset.to_string()),
            ..self
        }
    }

    /// The same listing, of only the folders and keys directly in its folder.
    pub(super) fn delimited(self) -> Self {
        Self {
            delimited: true,
            ..self
        }
    }

    /// Returns the query. Signatures require that the names are sorted.
    fn query(&self) -> String {
        let mut query = Vec::new();
        let mut add = |name: &str, value: &str| {
            query.push(format!("{name}={}", utf8_percent_encode(value, QUERY)));
        };
        if let Some(token) = &self.token {
            add("continuation-token", token);
        }
        if self.delimited {
            add("delimiter", "/");
        }
        add("encoding-type", "url");
        add("list-type", "2");
        if !self.prefix.is_empty() {
            add("prefix", &self.prefix);
        }
        if let Some(offset) = &self.offset {
            add("start-after", offset);
        }
        query.join("&")
    }
}

impl Requests {
    /// Returns the next page, or `None` after the last one.
    ///
    /// See <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>.
    pub(super) async fn page(&self, listing: &mut Listing) -> Result<Option<Level>> {
        if listing.ended {
            return Ok(None);
        }
        let mut page: Page = self.get(&listing.query()).await?;
        listing.token = page.next_continuation_token.take();
        listing.ended = listing.token.is_none();
        Ok(Some(page.level(&listing.prefix)))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    contents: Vec<Contents>,
    #[serde(default)]
    common_prefixes: Vec<CommonPrefix>,
    #[serde(default)]
    encoding_type: String,
    next_continuation_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    size: u64,
    last_modified: DateTime<Utc>,
    #[serde(rename = "ETag")]
    e_tag: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

impl Page {
    fn level(self, prefix: &str) -> Level {
        let is_encoded = self.encoding_type.eq_ignore_ascii_case("url");
        let mut level = Level::default();
        for contents in self.contents {
            let key = decoded(&contents.key, is_encoded).into_owned();
            // The marker of the folder itself is nobody's log.
            if contents.size > 0 || key != prefix {
                level.entries.push(contents.entry(key));
            }
        }
        for folder in self.common_prefixes {
            let folder = decoded(&folder.prefix, is_encoded);
            match folder.strip_suffix('/').and_then(exact) {
                Some(path) => level.folders.push(path),
                None => level.entries.push(Entry::Unaddressable(Unaddressable {
                    path: folder.into_owned(),
                    is_empty: false,
                })),
            }
        }
        level
    }
}

impl Contents {
    fn entry(self, key: String) -> Entry {
        match exact(&key) {
            Some(location) => Entry::Object(ObjectMeta {
                location,
                last_modified: self.last_modified,
                size: self.size,
                e_tag: self.e_tag,
                version: None,
            }),
            None => Entry::Unaddressable(Unaddressable {
                path: key,
                is_empty: self.size == 0,
            }),
        }
    }
}

/// Decodes a key. S3 encodes a space as a plus sign, and a plus sign always.
fn decoded(key: &str, is_encoded: bool) -> Cow<'_, str> {
    if !is_encoded || !key.contains(['%', '+']) {
        return key.into();
    }
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8_lossy();
    decoded.into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::s3::requests::parse;

    const HEAD: &str = "<ListBucketResult><EncodingType>url</EncodingType>\
                        <NextContinuationToken>t/1</NextContinuationToken>";

    fn contents(keys: &[&str]) -> String {
        let one = |key: &&str| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2024-01-02T03:04:05.000Z</LastModified>\
                 <ETag>&quot;e&quot;</ETag><Size>5</Size></Contents>"
            )
        };
        keys.iter().map(one).collect()
    }

    fn level(prefix: &str, body: &str) -> Level {
        let page: Page =
            parse(format!("{HEAD}{body}</ListBucketResult>").as_bytes()).expect("a page");
        page.level(prefix)
    }

    fn shown(entry: &Entry) -> String {
        match entry {
            Entry::Object(object) => object.location.to_string(),
            Entry::Unaddressable(bad) => format!("! {}", bad.path),
        }
    }

    #[test]
    fn a_bad_key_is_an_entry_and_hides_no_other() {
        let keys = [
            "in/a+b%2Bc%20/%C3%BC%2520",
            "in//x",
            "in/../x",
            "in/c%01d",
            "in/folder/",
            "in/good.gz",
        ];
        let found: Vec<String> = level("in/", &contents(&keys))
            .entries
            .iter()
            .map(shown)
            .collect();
        let expected = [
            "in/a b+c /ü%20",
            "! in//x",
            "! in/../x",
            "! in/c\u{1}d",
            "! in/folder/",
            "in/good.gz",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_bad_folder_is_an_entry_beside_the_others() {
        let prefixes = ["in//", "in/2024/", "in/%2E%2E/"]
            .map(|prefix| format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>"));
        let level = level("in/", &prefixes.concat());
        assert_eq!(level.folders, [Path::from("in/2024")]);
        let bad: Vec<String> = level.entries.iter().map(shown).collect();
        assert_eq!(bad, ["! in//", "! in/../"]);
    }

    #[test]
    fn the_empty_marker_of_the_folder_is_left_out() {
        let marker = contents(&["in/"]);
        let with_content = level("in/", &marker);
        assert_eq!(with_content.entries.len(), 1);
        let empty = level("in/", &marker.replace("<Size>5<", "<Size>0<"));
        assert!(empty.entries.is_empty());
    }

    #[test]
    fn keys_of_a_store_that_does_not_encode_are_taken_as_they_are() {
        let body = contents(&["in/a+b%20"]);
        let page: Page = parse(format!("<ListBucketResult>{body}</ListBucketResult>").as_bytes())
            .expect("a page");
        let found: Vec<String> = page.level("in/").entries.iter().map(shown).collect();
        assert_eq!(found, ["in/a+b%20"]);
    }

    #[test]
    fn a_query_is_sorted_and_encoded() {
        let folder = Path::parse("a b").expect("a key");
        let mut listing = Listing::below(Some(&folder)).delimited();
        assert_eq!(
            listing.query(),
            "delimiter=%2F&encoding-type=url&list-type=2&prefix=a%20b%2F"
        );
        listing.token = Some("t/1".to_owned());
        assert!(
            listing
                .query()
                .starts_with("continuation-token=t%2F1&delimiter")
        );
        let after = Listing::below(None).after(&folder);
        assert_eq!(
            after.query(),
            "encoding-type=url&list-type=2&start-after=a%20b"
        );
    }
}
