//! The adapter against a stand-in: the contract, names and shapes of tables, races, faults, sizes.

mod faults;
mod races;
mod shapes;
mod sizes;

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;

use super::testing::Server;
use super::*;
use crate::load::days::Day;
use crate::load::outcome::LoadState;
use crate::load::recorded;
use crate::status::{DayCoverage, State, contract};

fn month(text: &str) -> Month {
    text.parse().expect("a month")
}

fn day(text: &str) -> Day {
    text.parse().expect("a day")
}

fn january() -> PeriodRecord {
    PeriodRecord::new("vpc_flow-default-c0ffee", month("2024-01"), "vpc_flow")
}

fn load(load_id: &str, started_at: &str) -> LoadRecord {
    LoadRecord {
        load_id: load_id.to_owned(),
        dataset: "d".to_owned(),
        source: "vpc_flow".to_owned(),
        state: LoadState::Running,
        request: recorded::example(),
        outcome: None,
        started_at: started_at.parse().expect("a moment"),
        ended_at: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn obeys_the_contract() {
    let server = Server::start().await;
    contract::obeys_the_contract(async || server.new_store().await as Arc<dyn StatusStore>).await;
}

#[tokio::test]
async fn a_prefix_is_valid_in_table_names_or_refused() {
    let name = |prefix| DynamoDb::new(prefix).map(|store| store.uri());
    assert_eq!(name("").expect("a default"), "dynamodb:asl-etl-framework");
    assert_eq!(name("a.b-C_9").expect("a prefix"), "dynamodb:a.b-C_9");
    for prefix in ["a b", "a/b", "//a", "é", "a:b", &"a".repeat(240)] {
        let error = name(prefix).expect_err("no prefix");
        assert!(matches!(error, StatusError::BadUri { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn people_and_the_framework_read_the_item_by_attribute_name() {
    let server = Server::start().await;
    let store = server.new_store().await;
    let mut record = january();
    (record.attempt, record.state, record.load_completed) = (u64::MAX, State::Done, true);
    record.asked_days.insert(day("2024-01-31"));
    let loaded_at = "2024-03-01T00:00:00Z".parse().expect("a moment");
    let coverage = DayCoverage::new("c1", "i1", true, loaded_at);
    record.covered_days.insert(day("2024-01-31"), coverage);
    store.put(&record, &Expected::Absent).await.expect("put");
    let request = server.client().get_item().table_name("test-0-run-status");
    let request = request.key("dataset", text("vpc_flow-default-c0ffee"));
    let answer = request.key("period", text("2024-01")).send().await;
    let item = answer.expect("an answer").item.expect("an item");
    for (name, value) in [
        ("source_log_type", text("vpc_flow")),
        ("load_completed", text("true")),
        ("state", text("done")),
        ("config_digest", text("c1")),
        ("input_digest", text("i1")),
        ("attempt", AttributeValue::N(u64::MAX.to_string())),
        ("rows_written", AttributeValue::N("0".to_owned())),
        ("asked_days", AttributeValue::L(vec![text("2024-01-31")])),
    ] {
        assert_eq!(item.get(name), Some(&value), "{name}");
    }
    let covered = item["covered_days"].as_m().expect("a map");
    let covered = covered["2024-01-31"].as_m().expect("a map");
    assert_eq!(covered["closed"], AttributeValue::Bool(true));
    assert!(!item.contains_key("lease_owner"), "no lease, no attribute");
    let next = PeriodRecord {
        load_completed: false,
        ..record.revised()
    };
    store.put(&next, &record.expected()).await.expect("put");
    let found = store.get(&record.dataset, record.period).await;
    assert_eq!(found.expect("get"), Some(next));
}

#[tokio::test]
async fn items_of_other_tools_are_not_datasets() {
    let server = Server::start().await;
    let store = server.new_store().await;
    store.put(&january(), &Expected::Absent).await.expect("put");
    let foreign = server.client().put_item().table_name("test-0-run-status");
    let foreign = foreign.item("dataset", text("vpc-flow-log"));
    let foreign = foreign.item("period", text("2024-01"));
    let foreign = foreign.item("load_completed", text("true"));
    foreign.send().await.expect("put");
    let datasets = store.datasets().await.expect("datasets");
    assert_eq!(datasets, ["vpc_flow-default-c0ffee"]);
    let error = store.get("vpc-flow-log", month("2024-01")).await;
    let error = error.expect_err("not ours").to_string();
    assert!(error.contains("test-0-run-status, attribute `"), "{error}");
}

#[tokio::test]
async fn an_item_of_a_later_version_is_unreadable() {
    let server = Server::start().await;
    let store = server.new_store().await;
    let mut record = january();
    record.schema_version = 2;
    store.put(&record, &Expected::Absent).await.expect("put");
    let error = store.get(&record.dataset, record.period).await;
    let error = error.expect_err("a later version");
    assert!(matches!(error, StatusError::Unreadable { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("schema_version`: is 2, where this program knows 1"),
        "{error}"
    );
}
