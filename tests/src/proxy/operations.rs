//! Finds the S3 or DynamoDB operation of a request, by AWS's name.

use hyper::{HeaderMap, Method};

/// The operation's name, such as `UploadPart`.
pub(crate) fn recognise(
    method: &Method,
    path: &str,
    query: &str,
    headers: &HeaderMap,
) -> &'static str {
    let target = headers
        .get("x-amz-target")
        .and_then(|name| name.to_str().ok());
    match target {
        Some(target) => of_dynamo(target.rsplit('.').next().unwrap_or_default()),
        None => of_s3(method, path, query),
    }
}

fn of_dynamo(name: &str) -> &'static str {
    const KNOWN: [&str; 15] = [
        "BatchGetItem",
        "BatchWriteItem",
        "CreateTable",
        "DeleteItem",
        "DescribeTable",
        "DescribeTimeToLive",
        "GetItem",
        "ListTables",
        "PutItem",
        "Query",
        "Scan",
        "TransactGetItems",
        "TransactWriteItems",
        "UpdateItem",
        "UpdateTimeToLive",
    ];
    let known = KNOWN.into_iter().find(|known| *known == name);
    known.unwrap_or("OtherOfDynamoDb")
}

fn of_s3(method: &Method, path: &str, query: &str) -> &'static str {
    let is_bucket = !path.trim_matches('/').contains('/');
    match (method.as_str(), is_bucket) {
        ("GET", true) if has(query, "list-type") => "ListObjectsV2",
        ("GET", true) if has(query, "uploads") => "ListMultipartUploads",
        ("GET", true) if has(query, "lifecycle") => "GetBucketLifecycleConfiguration",
        ("GET", true) if has(query, "location") => "GetBucketLocation",
        ("HEAD", true) => "HeadBucket",
        ("POST", true) if has(query, "delete") => "DeleteObjects",
        ("GET", false) if has(query, "uploadId") => "ListParts",
        ("GET", false) => "GetObject",
        ("HEAD", false) => "HeadObject",
        ("PUT", false) if has(query, "partNumber") => "UploadPart",
        ("PUT", false) => "PutObject",
        ("POST", false) if has(query, "uploads") => "CreateMultipartUpload",
        ("POST", false) if has(query, "uploadId") => "CompleteMultipartUpload",
        ("DELETE", false) if has(query, "uploadId") => "AbortMultipartUpload",
        ("DELETE", false) => "DeleteObject",
        _ => "OtherOfS3",
    }
}

fn has(query: &str, name: &str) -> bool {
    let mut names = query.split('&').map(|pair| pair.split('=').next());
    names.any(|found| found == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn of(method: &Method, path: &str, query: &str) -> &'static str {
        recognise(method, path, query, &HeaderMap::new())
    }

    #[test]
    fn every_request_of_a_load_is_recognised() {
        assert_eq!(
            of(&Method::GET, "/b", "list-type=2&prefix=a"),
            "ListObjectsV2"
        );
        assert_eq!(of(&Method::GET, "/b/", "uploads="), "ListMultipartUploads");
        assert_eq!(of(&Method::GET, "/b/k/uploads", ""), "GetObject");
        assert_eq!(of(&Method::HEAD, "/b/k", ""), "HeadObject");
        assert_eq!(of(&Method::PUT, "/b/k", ""), "PutObject");
        assert_eq!(
            of(&Method::POST, "/b/k", "uploads"),
            "CreateMultipartUpload"
        );
        assert_eq!(
            of(&Method::PUT, "/b/k", "partNumber=1&uploadId=u"),
            "UploadPart"
        );
        assert_eq!(
            of(&Method::POST, "/b/k", "uploadId=u"),
            "CompleteMultipartUpload"
        );
        assert_eq!(
            of(&Method::DELETE, "/b/k", "uploadId=u"),
            "AbortMultipartUpload"
        );
        assert_eq!(of(&Method::DELETE, "/b/k", ""), "DeleteObject");
        assert_eq!(of(&Method::POST, "/b", "delete"), "DeleteObjects");
    }

    #[test]
    fn a_header_names_the_operation_of_dynamo() {
        let target = HeaderValue::from_static("DynamoDB_20120810.UpdateItem");
        let headers = HeaderMap::from_iter([("x-amz-target".parse().unwrap(), target)]);
        assert_eq!(recognise(&Method::POST, "/", "", &headers), "UpdateItem");
    }
}
