//! A bucket as the tests look at it: objects, incomplete uploads, lifecycle rules.
//! Plain requests to the stand-in, which checks no signature.

use bytes::Bytes;
use hyper::Method;

use crate::http;
use crate::http::Reply;

/// Names the service and the region to the stand-in.
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
    /// Makes the bucket, in `eu-central-1`.
    pub fn create(endpoint: &str, name: &str) -> anyhow::Result<Self> {
        let bucket = Self {
            endpoint: endpoint.to_owned(),
            name: name.to_owned(),
        };
        let body = "<CreateBucketConfiguration><LocationConstraint>eu-central-1\
                    </LocationConstraint></CreateBucketConfiguration>";
        bucket.ask(Method::PUT, "", body)?;
        Ok(bucket)
    }

    /// `s3://BUCKET/KEY`
    pub fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    pub fn put(&self, key: &str, body: impl Into<Bytes>) -> anyhow::Result<()> {
        self.ask(Method::PUT, &format!("/{}", encoded(key)), body)?;
        Ok(())
    }

    pub fn get(&self, key: &str) -> anyhow::Result<Bytes> {
        let reply = self.ask(Method::GET, &format!("/{}", encoded(key)), "")?;
        Ok(reply.body)
    }

    pub fn delete(&self, key: &str) -> anyhow::Result<()> {
        self.ask(Method::DELETE, &format!("/{}", encoded(key)), "")?;
        Ok(())
    }

    /// The keys below `prefix`, in order.
    pub fn keys(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut after = String::new();
        loop {
            let query = format!(
                "?list-type=2&max-keys=1000&prefix={}{after}",
                encoded(prefix).replace('/', "%2F")
            );
            let page = self.ask(Method::GET, &query, "")?.text();
            keys.extend(elements(&page, "Contents").map(|object| text(object, "Key")));
            if text(&page, "IsTruncated") != "true" {
                return Ok(keys);
            }
            let token = text(&page, "NextContinuationToken");
            after = format!("&continuation-token={}", encoded(&token));
        }
    }

    /// Every incomplete upload, in order.
    pub fn uploads(&self) -> anyhow::Result<Vec<Upload>> {
        let mut uploads = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.ask(Method::GET, &format!("?uploads{after}"), "")?;
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

    /// Begins an upload and leaves it.
    pub fn begin_upload(&self, key: &str) -> anyhow::Result<Upload> {
        let reply = self.ask(Method::POST, &format!("/{}?uploads", encoded(key)), "")?;
        Ok(Upload {
            key: key.to_owned(),
            id: text(&reply.text(), "UploadId"),
        })
    }

    /// Aborts an upload, as a lifecycle rule would.
    pub fn abort(&self, upload: &Upload) -> anyhow::Result<()> {
        let path = format!("/{}?uploadId={}", encoded(&upload.key), upload.id);
        self.ask(Method::DELETE, &path, "")?;
        Ok(())
    }

    /// Has incomplete uploads aborted after so many days, says the bucket.
    pub fn abort_uploads_after(&self, days: u32) -> anyhow::Result<()> {
        let rules = format!(
            "<LifecycleConfiguration><Rule><ID>uploads</ID><Status>Enabled</Status>\
             <Filter><Prefix></Prefix></Filter><AbortIncompleteMultipartUpload>\
             <DaysAfterInitiation>{days}</DaysAfterInitiation></AbortIncompleteMultipartUpload>\
             </Rule></LifecycleConfiguration>"
        );
        self.ask(Method::PUT, "?lifecycle", rules)?;
        Ok(())
    }

    /// Has it hold small objects of these keys, which are not stored one by one.
    pub fn prefill(&self, keys: &[String]) -> anyhow::Result<()> {
        let url = format!("{}/_gate/prefill/{}", self.endpoint, self.name);
        let reply = http::send(Method::PUT, &url, &[], keys.join("\n"))?;
        reply.expect_success("prefill").map(drop)
    }

    fn ask(&self, method: Method, path: &str, body: impl Into<Bytes>) -> anyhow::Result<Reply> {
        let url = format!("{}/{}{path}", self.endpoint, self.name);
        let what = format!("{method} {url}");
        let headers = [("authorization", AUTHORIZATION)];
        http::send(method, &url, &headers, body)?.expect_success(&what)
    }
}

/// A key as a URL holds it.
fn encoded(key: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    key.bytes().map(byte).collect()
}

/// What stands in each `<name>…</name>` of a document without nested ones.
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

/// The text of the first `<name>`, empty if there is none.
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
    fn a_bucket_lists_strange_keys_and_uploads_in_pages() {
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

        let mut begun: Vec<Upload> = (0..20)
            .map(|number| bucket.begin_upload(&format!("u/{}", number % 3)).unwrap())
            .collect();
        begun.sort();
        assert_eq!(bucket.uploads().unwrap(), begun);
        bucket.abort(&begun[0]).unwrap();
        assert!(bucket.abort(&begun[0]).is_err(), "it is gone");
        assert_eq!(bucket.uploads().unwrap(), begun[1..]);
    }

    #[test]
    fn a_prefilled_bucket_lists_what_it_was_told() {
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
