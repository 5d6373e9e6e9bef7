//! The tests' access to a bucket: objects, incomplete uploads, lifecycle rules. It sends plain
//! requests to the stand-in, which checks no signatures.

use bytes::Bytes;
use hyper::Method;

use crate::http;
use crate::http::Reply;

/// The header by which the stand-in finds the service and the region.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
     Credential=test/20240101/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// A bucket of a stand-in.
#[derive(Clone, Debug)]
pub struct Bucket {
    endpoint: String,
    pub name: String,
}

/// A multipart upload that was neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upload {
    pub key: String,
    pub id: String,
}

impl Bucket {
    /// Creates the bucket in `eu-central-1`.
    pub fn create(endpoint: &str, name: &str) -> anyhow::Result<Self> {
        let bucket = Self {
            endpoint: endpoint.to_owned(),
            name: name.to_owned(),
        };
        let body = "<CreateBucketConfiguration><LocationConstraint>eu-central-1\
                    </LocationConstraint></CreateBucketConfiguration>";
        bucket.send(Method::PUT, "", body)?;
        Ok(bucket)
    }

    /// `s3://BUCKET/KEY`
    pub fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    pub fn put(&self, key: &str, body: impl Into<Bytes>) -> anyhow::Result<()> {
        self.send(Method::PUT, &format!("/{}", encoded(key)), body)?;
        Ok(())
    }

    pub fn get(&self, key: &str) -> anyhow::Result<Bytes> {
        let reply = self.send(Method::GET, &format!("/{}", encoded(key)), "")?;
        Ok(reply.body)
    }

    pub fn delete(&self, key: &str) -> anyhow::Result<()> {
        self.send(Method::DELETE, &format!("/{}", encoded(key)), "")?;
        Ok(())
    }

    /// The keys below `prefix`, sorted.
    pub fn keys(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut after = String::new();
        loop {
            let query = format!(
                "?list-type=2&max-keys=1000&prefix={}{after}",
                encoded(prefix).replace('/', "%2F")
            );
            let page = self.send(Method::GET, &query, "")?.text();
            keys.extend(elements(&page, "Contents").map(|object| text(object, "Key")));
            if text(&page, "IsTruncated") != "true" {
                return Ok(keys);
            }
            let token = text(&page, "NextContinuationToken");
            after = format!("&continuation-token={}", encoded(&token));
        }
    }

    /// Every incomplete upload, sorted.
    pub fn uploads(&self) -> anyhow::Result<Vec<Upload>> {
        let mut uploads = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.send(Method::GET, &format!("?uploads{after}"), "")?;
            let page = page.text();
            uploads.extend(elements(&page, "Upload").map(|upload| Upload {
                key: text(upload, "Key"),
                id: text(upload, "UploadId"),
            }));
            if text(&page, "IsTruncated") != "true" {
                return Ok(uploads);
            }
            after = format!(
                "&key-marker={}&upload-id-marker={}",
                encoded(&text(&page, "NextKeyMarker")),
                encoded(&text(&page, "NextUploadIdMarker"))
            );
        }
    }

    /// Starts an upload and leaves it incomplete.
    pub fn start_upload(&self, key: &str) -> anyhow::Result<Upload> {
        let reply = self.send(Method::POST, &format!("/{}?uploads", encoded(key)), "")?;
        Ok(Upload {
            key: key.to_owned(),
            id: text(&reply.text(), "UploadId"),
        })
    }

    /// Aborts an upload, as a lifecycle rule would.
    pub fn abort(&self, upload: &Upload) -> anyhow::Result<()> {
        let path = format!("/{}?uploadId={}", encoded(&upload.key), upload.id);
        self.send(Method::DELETE, &path, "")?;
        Ok(())
    }

    /// Sets a lifecycle rule that aborts incomplete uploads after `days` days.
    pub fn abort_uploads_after(&self, days: u32) -> anyhow::Result<()> {
        let rules = format!(
            "<LifecycleConfiguration><Rule><ID>uploads</ID><Status>Enabled</Status>\
             <Filter><Prefix></Prefix></Filter><AbortIncompleteMultipartUpload>\
             <DaysAfterInitiation>{days}</DaysAfterInitiation></AbortIncompleteMultipartUpload>\
             </Rule></LifecycleConfiguration>"
        );
        self.send(Method::PUT, "?lifecycle", rules)?;
        Ok(())
    }

    /// Fills the bucket with small objects of these keys, without storing each of them.
    pub fn prefill(&self, keys: &[String]) -> anyhow::Result<()> {
        let url = format!("{}/_gate/prefill/{}", self.endpoint, self.name);
        let reply = http::send(Method::PUT, &url, &[], keys.join("\n"))?;
        reply.expect_success("prefill").map(drop)
    }

    fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> anyhow::Result<Reply> {
        let url = format!("{}/{}{path}", self.endpoint, self.name);
        let what = format!("{method} {url}");
        let headers = [("authorization", AUTHORIZATION)];
        http::send(method, &url, &headers, body)?.expect_success(&what)
    }
}

/// A key in percent-encoding.
fn encoded(key: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    key.bytes().map(byte).collect()
}

/// The content of each `<name>…</name>` of a document, which must not be nested.
fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (inner, after) = after.split_once(&close)?;
        rest = after;
        Some(inner)
    })
}

/// The text of the first `<name>`; empty if there is none.
fn text(xml: &str, name: &str) -> String {
    let inner = elements(xml, name).next().unwrap_or_default();
    let marks = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    let plain = |text: String, (mark, plain): (&str, &str)| text.replace(mark, plain);
    marks.into_iter().fold(inner.to_owned(), plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moto;

    #[test]
    fn a_bucket_lists_unusual_keys_and_uploads_in_pages() {
        let Some(endpoint) = moto::endpoint("a_bucket_lists_in_pages").unwrap() else {
            return;
        };
        let bucket = Bucket::create(&endpoint, "harness-own").unwrap();
        let mut keys = ["a b+c/ü%20&<>.gz", "a b+c/=;,'\".gz"].map(str::to_owned);
        keys.sort();
        for key in &keys {
            bucket.put(key, key.clone()).unwrap();
        }
        assert_eq!(bucket.keys("a b+").unwrap(), keys);
        assert_eq!(bucket.get(&keys[0]).unwrap(), keys[0]);
        bucket.delete(&keys[0]).unwrap();
        assert_eq!(bucket.keys("").unwrap(), keys[1..]);

        let mut started: Vec<Upload> = (0..20)
            .map(|number| bucket.start_upload(&format!("u/{}", number % 3)).unwrap())
            .collect();
        started.sort();
        assert_eq!(bucket.uploads().unwrap(), started);
        bucket.abort(&started[0]).unwrap();
        assert!(bucket.abort(&started[0]).is_err(), "it is aborted already");
        assert_eq!(bucket.uploads().unwrap(), started[1..]);
    }

    #[test]
    fn a_prefilled_bucket_lists_its_keys() {
        let Some(endpoint) = moto::endpoint("a_prefilled_bucket").unwrap() else {
            return;
        };
        let bucket = Bucket::create(&endpoint, "harness-prefilled").unwrap();
        let keys: Vec<String> = (0..2500)
            .map(|number| format!("in/{number:05}.gz"))
            .collect();
        bucket.prefill(&keys).unwrap();
        assert_eq!(bucket.keys("in/").unwrap(), keys);
        assert_eq!(bucket.keys("in/0001").unwrap().len(), 10);
        assert_eq!(bucket.get("in/00003.gz").unwrap(), "small");
    }
}
