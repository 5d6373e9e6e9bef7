//! A DynamoDB stand-in, which dynoxide serves from this process.

use std::sync::OnceLock;

use anyhow::Context;
use dynoxide::Database;
use hyper::Method;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::http;
use crate::http::RUNTIME;

static DYNAMO: OnceLock<Result<String, String>> = OnceLock::new();

/// The URL of DynamoDB. All tests of a process share it; each uses its own tables.
pub fn endpoint() -> anyhow::Result<String> {
    let started = DYNAMO.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    started.clone().map_err(anyhow::Error::msg)
}

fn start() -> anyhow::Result<String> {
    let database = Database::memory().map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    RUNTIME.spawn(dynoxide::server::serve_on(listener, database));
    Ok(format!("http://{address}"))
}

/// Calls an operation, such as `Scan`, and returns the JSON of the answer.
pub fn call(endpoint: &str, operation: &str, body: &Value) -> anyhow::Result<Value> {
    let target = format!("DynamoDB_20120810.{operation}");
    let headers = [
        ("x-amz-target", target.as_str()),
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-date", "20240101T000000Z"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=test/20240101/eu-central-1/dynamodb/aws4_request, \
             SignedHeaders=host, Signature=0",
        ),
    ];
    let reply = http::send(Method::POST, endpoint, &headers, body.to_string())?;
    let reply = reply.expect_success(operation)?;
    serde_json::from_slice(&reply.body).with_context(|| reply.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_are_made_and_listed() {
        let endpoint = endpoint().unwrap();
        let table = json!({
            "TableName": "harness-own",
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        });
        call(&endpoint, "CreateTable", &table).unwrap();
        let tables = call(&endpoint, "ListTables", &json!({})).unwrap();
        assert_eq!(tables["TableNames"][0], "harness-own");
        assert!(call(&endpoint, "DescribeTable", &json!({"TableName": "none"})).is_err());
    }
}
