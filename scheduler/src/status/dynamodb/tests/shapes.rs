//! Tables that others created: the framework's other spelling, other keys, other shapes.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};

use super::*;

type Key = (&'static str, ScalarAttributeType);

/// Creates a table with these keys, the partition key first.
async fn table(server: &Server, name: &str, keys: &[Key]) {
    let mut request = server.client().create_table().table_name(name);
    for ((name, kind), role) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let attribute = AttributeDefinition::builder().attribute_name(*name);
        let attribute = attribute.attribute_type(kind.clone()).build();
        let key = KeySchemaElement::builder().attribute_name(*name);
        let key = key.key_type(role).build().expect("a key");
        request = request.attribute_definitions(attribute.expect("an attribute"));
        request = request.key_schema(key);
    }
    let request = request.billing_mode(BillingMode::PayPerRequest);
    request.send().await.expect("made");
}

fn text_keys(partition: &'static str, sort: &'static str) -> [Key; 2] {
    [partition, sort].map(|name| (name, ScalarAttributeType::S))
}

#[tokio::test]
async fn the_tables_are_created_once() {
    let server = Server::start().await;
    let store = server.store("x");
    let error = store
        .get("d", month("2024-01"))
        .await
        .expect_err("no table");
    assert_eq!(
        error.to_string(),
        "the status store at dynamodb:x has no table x-run-status in region eu-central-1"
    );
    assert!(
        error
            .remedy()
            .contains("lakebolt config init --state dynamodb:x")
    );
    assert!(!error.retryable());
    store.load("l").await.expect_err("no table either");
    let prepared = |made| {
        ["x-run-status", "x-loads"].map(|name| Prepared {
            name: name.to_owned(),
            made,
        })
    };
    let (one, other) = tokio::join!(store.prepare(), async { server.store("y").prepare().await });
    assert_eq!(one.expect("made"), prepared(true));
    other.expect("made");
    assert_eq!(store.prepare().await.expect("prepared"), prepared(false));
    assert_eq!(store.get("d", month("2024-01")).await.expect("get"), None);
    let table = server.client().describe_table().table_name("x-run-status");
    let table = table.send().await.expect("an answer").table;
    let keys = table.expect("a table").key_schema.expect("keys");
    let keys: Vec<&str> = keys.iter().map(KeySchemaElement::attribute_name).collect();
    assert_eq!(keys, ["dataset", "period"]);
}

#[tokio::test]
async fn the_frameworks_other_spelling_and_its_keys_are_used() {
    let server = Server::start().await;
    let keys = text_keys("source_log_type", "state");
    table(&server, "asl-etl-framework-ocsf-run-status", &keys).await;
    let store = server.store("");
    let prepared = store.prepare().await.expect("prepared");
    assert_eq!(prepared[0].name, "asl-etl-framework-ocsf-run-status");
    assert!(!prepared[0].made && prepared[1].made);
    let mut record = january();
    record.state = State::Publishing;
    record.lease_owner = Some("me".to_owned());
    store.put(&record, &Expected::Absent).await.expect("put");
    let again = store.put(&record, &Expected::Absent).await;
    assert!(
        matches!(again, Err(StatusError::Conflict { current: Some(current) }) if *current == record)
    );
    let next = record.revised();
    store.put(&next, &record.expected()).await.expect("put");
    assert_eq!(
        store.periods(&record.dataset).await.expect("periods"),
        [next]
    );
    assert_eq!(store.datasets().await.expect("datasets"), [record.dataset]);
}

#[tokio::test]
async fn two_run_status_tables_are_an_error() {
    let server = Server::start().await;
    for name in ["x-run-status", "x-ocsf-run-status"] {
        table(&server, name, &text_keys("dataset", "period")).await;
    }
    for error in [
        server.store("x").datasets().await.expect_err("two tables"),
        server.store("x").prepare().await.expect_err("two tables"),
    ] {
        let text = error.to_string();
        assert!(
            text.contains("x-run-status and x-ocsf-run-status"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn with_a_table_of_another_shape_no_table_is_created() {
    let number = ScalarAttributeType::N;
    let text = ScalarAttributeType::S;
    let server = Server::start().await;
    for (prefix, ending, keys) in [
        ("a", "run-status", vec![("dataset", text.clone())]),
        (
            "b",
            "run-status",
            vec![("dataset", text.clone()), ("period", number.clone())],
        ),
        (
            "c",
            "ocsf-run-status",
            vec![("dataset", number), ("period", text.clone())],
        ),
        (
            "d",
            "loads",
            vec![("kind", text.clone()), ("load_id", text)],
        ),
    ] {
        table(&server, &format!("{prefix}-{ending}"), &keys).await;
        let store = server.store(prefix);
        let error = store.prepare().await.expect_err("another shape");
        assert!(matches!(error, StatusError::OtherShape { .. }), "{error:?}");
        assert!(!error.to_string().contains('\n'));
    }
    let tables = server.client().list_tables().send().await.expect("tables");
    assert_eq!(tables.table_names().len(), 4);
}

/// Version 0.1 before November 2026 called the rows of other periods `rows_elsewhere`.
#[tokio::test]
async fn an_item_of_the_previous_version_keeps_its_row_counts() {
    let server = Server::start().await;
    let store = server.store("x");
    store.prepare().await.expect("made");
    let mut record = PeriodRecord::new("d", month("2024-01"), "vpc_flow");
    record.ledger.read = 7;
    record.ledger.other_period = 7;
    let put = store.put(&record, &Expected::Absent).await;
    put.expect("written");
    let renamed = server.client().update_item().table_name("x-run-status");
    let renamed = renamed
        .key("dataset", AttributeValue::S("d".to_owned()))
        .key("period", AttributeValue::S("2024-01".to_owned()))
        .update_expression("SET rows_elsewhere = rows_other_period REMOVE rows_other_period");
    renamed.send().await.expect("renamed");
    let read = store.get("d", record.period).await.expect("readable");
    assert_eq!(read, Some(record));
}
