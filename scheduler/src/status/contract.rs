//! The behaviour of every status store, as a suite that each adapter's tests run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plans::receipt::Ledger;
use tokio::task::JoinSet;

use super::{
    Broken, DayCoverage, Expected, LoadRecord, Owed, PeriodRecord, Rewritten, State, StatusError,
    StatusStore,
};
use crate::load::days::{Moment, Month};
use crate::load::outcome::LoadState;
use crate::load::recorded;

/// Runs the whole suite. `make` returns an empty store at every call.
pub(super) async fn obeys_the_contract(make: impl AsyncFn() -> Arc<dyn StatusStore>) {
    a_new_store_is_empty(make().await).await;
    every_attribute_comes_back(make().await).await;
    items_are_sorted_by_period(make().await).await;
    a_write_with_a_wrong_expectation_changes_nothing(make().await).await;
    a_conflict_returns_the_stored_item(make().await).await;
    one_of_many_first_writers_wins(make().await).await;
    one_of_many_replacing_writers_wins(make().await).await;
    no_update_of_a_contested_counter_is_lost(make().await).await;
    loads_are_sorted_newest_first(make().await).await;
    a_load_is_overwritten(make().await).await;
    the_ids_of_all_loads_are_listed(make().await).await;
    preparing_twice_keeps_the_items(make().await).await;
    the_id_stays_and_is_the_stores_own(make().await, make().await).await;
}

type Store = Arc<dyn StatusStore>;

async fn a_new_store_is_empty(store: Store) {
    assert_eq!(store.get("d", month("2024-01")).await.expect("get"), None);
    assert!(store.periods("d").await.expect("periods").is_empty());
    assert!(store.datasets().await.expect("datasets").is_empty());
    assert!(store.loads(10).await.expect("loads").is_empty());
    assert_eq!(store.load("l").await.expect("load"), None);
    assert!(store.load_ids().await.expect("ids").is_empty());
}

async fn every_attribute_comes_back(store: Store) {
    let full = full_record();
    store.put(&full, &Expected::Absent).await.expect("put");
    let found = store.get(&full.dataset, full.period).await.expect("get");
    assert_eq!(found, Some(full.clone()));
    for state in [
        State::Pending,
        State::Running,
        State::Publishing,
        State::Done,
        State::Failed,
        State::Repairing,
    ] {
        let mut record = PeriodRecord::new(&full.dataset, full.period, "s3_access");
        let current = store.get(&full.dataset, full.period).await.expect("get");
        let current = current.expect("an item");
        record.revision = current.revision + 1;
        record.state = state;
        store.put(&record, &current.expected()).await.expect("put");
        let found = store.get(&full.dataset, full.period).await.expect("get");
        assert_eq!(found, Some(record));
    }
}

async fn items_are_sorted_by_period(store: Store) {
    for (dataset, period) in [
        ("b", "2024-02"),
        ("a", "2024-11"),
        ("a", "2023-12"),
        ("a", "2024-02"),
        ("'; --", "2024-02"),
    ] {
        let record = PeriodRecord::new(dataset, month(period), "vpc_flow");
        store.put(&record, &Expected::Absent).await.expect("put");
    }
    let found = store.periods("a").await.expect("periods");
    let found: Vec<String> = found.iter().map(|item| item.period.to_string()).collect();
    assert_eq!(found, ["2023-12", "2024-02", "2024-11"]);
    assert_eq!(
        store.datasets().await.expect("datasets"),
        ["'; --", "a", "b"]
    );
}

async fn a_write_with_a_wrong_expectation_changes_nothing(store: Store) {
    let mut first = PeriodRecord::new("d", month("2024-01"), "vpc_flow");
    (first.attempt, first.revision) = (3, 5);
    first.lease_owner = Some("me".to_owned());
    conflict(&store, &first.revised(), &first.expected()).await;
    store.put(&first, &Expected::Absent).await.expect("put");
    let next = first.revised();
    let is = |attempt, owner: Option<&str>, revision| Expected::Is {
        attempt,
        lease_owner: owner.map(str::to_owned),
        revision,
    };
    for expected in [
        Expected::Absent,
        is(2, Some("me"), 5),
        is(4, Some("me"), 5),
        is(3, Some("you"), 5),
        is(3, None, 5),
        is(3, Some("me"), 4),
    ] {
        conflict(&store, &next, &expected).await;
        let stored = store.get("d", first.period).await.expect("get");
        assert_eq!(stored.as_ref(), Some(&first), "{expected:?}");
    }
    store.put(&next, &first.expected()).await.expect("put");
}

async fn a_conflict_returns_the_stored_item(store: Store) {
    let full = full_record();
    let current = conflict(&store, &full.revised(), &full.expected()).await;
    assert_eq!(current, None);
    store.put(&full, &Expected::Absent).await.expect("put");
    let current = conflict(&store, &full.revised(), &Expected::Absent).await;
    assert_eq!(current, Some(full));
}

async fn conflict(
    store: &Store,
    record: &PeriodRecord,
    expected: &Expected,
) -> Option<PeriodRecord> {
    match store.put(record, expected).await {
        Err(StatusError::Conflict { current }) => current.map(|current| *current),
        answer => panic!("{expected:?} should be a conflict, not {answer:?}"),
    }
}

async fn one_of_many_first_writers_wins(store: Store) {
    let record = PeriodRecord::new("d", month("2024-01"), "vpc_flow");
    one_of_many_wins(&store, record, &Expected::Absent).await;
}

async fn one_of_many_replacing_writers_wins(store: Store) {
    let record = PeriodRecord::new("d", month("2024-01"), "vpc_flow");
    store.put(&record, &Expected::Absent).await.expect("put");
    one_of_many_wins(&store, record.revised(), &record.expected()).await;
}

async fn one_of_many_wins(store: &Store, record: PeriodRecord, expected: &Expected) {
    let mut writers = JoinSet::new();
    for number in 0..32 {
        let (store, expected) = (store.clone(), expected.clone());
        let mut record = record.clone();
        record.load_id = format!("writer {number}");
        writers.spawn(async move { (record.load_id.clone(), store.put(&record, &expected).await) });
    }
    let mut winners = Vec::new();
    for (writer, answer) in writers.join_all().await {
        match answer {
            Ok(()) => winners.push(writer),
            Err(StatusError::Conflict { current: Some(_) }) => {}
            Err(error) => panic!("{writer}: {error:?}"),
        }
    }
    let stored = store.get("d", record.period).await.expect("get");
    assert_eq!(winners, [stored.expect("an item").load_id]);
}

async fn no_update_of_a_contested_counter_is_lost(store: Store) {
    let record = PeriodRecord::new("d", month("2024-01"), "vpc_flow");
    store.put(&record, &Expected::Absent).await.expect("put");
    let mut lease_clients = JoinSet::new();
    for _ in 0..8 {
        let (store, record) = (store.clone(), record.clone());
        lease_clients.spawn(async move {
            for _ in 0..5 {
                lease(&store, record.clone()).await;
            }
        });
    }
    lease_clients.join_all().await;
    let stored = store.get("d", record.period).await.expect("get");
    let stored = stored.expect("an item");
    assert_eq!((stored.attempt, stored.revision), (40, 40));
}

/// Adds an attempt and retries until no other writer was faster.
async fn lease(store: &Store, mut current: PeriodRecord) {
    loop {
        let mut next = current.revised();
        next.attempt += 1;
        match store.put(&next, &current.expected()).await {
            Ok(()) => return,
            Err(StatusError::Conflict {
                current: Some(stored),
            }) => current = *stored,
            Err(error) => panic!("{error:?}"),
        }
    }
}

async fn loads_are_sorted_newest_first(store: Store) {
    for (load_id, started_at) in [
        ("middle", "2024-02-01T00:00:00.500Z"),
        ("oldest", "2023-12-31T23:59:59.999Z"),
        ("newest", "2024-02-01T00:00:01Z"),
    ] {
        store
            .put_load(&load(load_id, started_at))
            .await
            .expect("put");
    }
    let found = store.loads(2).await.expect("loads");
    let found: Vec<String> = found.into_iter().map(|load| load.load_id).collect();
    assert_eq!(found, ["newest", "middle"]);
    assert_eq!(store.loads(99).await.expect("loads").len(), 3);
}

async fn a_load_is_overwritten(store: Store) {
    let mut record = load("l", "2024-02-01T00:00:00Z");
    store.put_load(&record).await.expect("put");
    assert_eq!(store.load("l").await.expect("load"), Some(record.clone()));
    record.state = LoadState::Done;
    record.outcome = Some(serde_json::json!({"exit_code": 0, "warnings": ["é \"quoted\""]}));
    record.ended_at = Some(moment("2024-02-01T00:01:00Z"));
    store.put_load(&record).await.expect("put");
    assert_eq!(store.load("l").await.expect("load"), Some(record));
    assert_eq!(store.loads(99).await.expect("loads").len(), 1);
}

async fn the_ids_of_all_loads_are_listed(store: Store) {
    for load_id in ["b", "a", "b", "c"] {
        let record = load(load_id, "2024-02-01T00:00:00Z");
        store.put_load(&record).await.expect("put");
    }
    let ids = store.load_ids().await.expect("ids");
    assert_eq!(ids.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
}

async fn preparing_twice_keeps_the_items(store: Store) {
    store.prepare().await.expect("prepared");
    let record = PeriodRecord::new("d", month("2024-01"), "vpc_flow");
    store.put(&record, &Expected::Absent).await.expect("put");
    let again = store.prepare().await.expect("prepared again");
    assert!(again.iter().all(|prepared| !prepared.made), "{again:?}");
    let stored = store.get("d", record.period).await.expect("get");
    assert_eq!(stored, Some(record));
}

async fn the_id_stays_and_is_the_stores_own(store: Store, other: Store) {
    let asked = [store.id(), store.id(), store.id(), store.id()];
    let ids = futures::future::join_all(asked).await;
    let ids: BTreeSet<String> = ids.into_iter().map(|id| id.expect("an id")).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let id = store.id().await.expect("an id");
    assert!(ids.contains(&id) && !id.is_empty());
    assert_ne!(id, other.id().await.expect("an id"));
    assert!(store.loads(10).await.expect("loads").is_empty());
    assert!(store.load_ids().await.expect("ids").is_empty());
}

fn load(load_id: &str, started_at: &str) -> LoadRecord {
    LoadRecord {
        load_id: load_id.to_owned(),
        dataset: "d".to_owned(),
        source: "vpc_flow".to_owned(),
        state: LoadState::Running,
        request: recorded::example(),
        outcome: None,
        started_at: moment(started_at),
        ended_at: None,
    }
}

fn full_record() -> PeriodRecord {
    let loaded_at = moment("2024-03-01T10:11:12.345Z");
    let coverage = DayCoverage {
        load_id: "load-1".to_owned(),
        margin: Some(u32::MAX),
        owed: Some(Owed {
            objects: 1,
            rows: u64::MAX,
        }),
        rewritten: Some(Rewritten {
            gone_objects: 1,
            gone_rows: 2,
            new_objects: 3,
            new_rows: 4,
            input_digest: "12:abcd".to_owned(),
        }),
        broken: Some(Broken { objects: 5 }),
        ..DayCoverage::new("c0ffee", "12:abcd", true, loaded_at)
    };
    let days = ["2024-01-01", "2024-01-31"].map(|day| day.parse().expect("a day"));
    PeriodRecord {
        dataset: "vpc_flow › file:///out \"é\" 'x'".to_owned(),
        period: month("2024-01"),
        source_log_type: "vpc_flow".to_owned(),
        load_completed: true,
        state: State::Publishing,
        asked_days: BTreeSet::from(days),
        covered_days: BTreeMap::from(days.map(|day| (day, coverage.clone()))),
        load_id: "load-1".to_owned(),
        attempt: u64::MAX,
        lease_owner: Some("host 7 › 42".to_owned()),
        lease_until: Some(moment("2024-03-01T10:12:12.345Z")),
        revision: 1 << 60,
        manifest: Some("manifests/a b.json".to_owned()),
        manifest_digest: Some("c0ffee".to_owned()),
        work: Some("s3://lake/lakebolt-work".to_owned()),
        nonce: Some("n".to_owned()),
        ledger: Ledger {
            read: 6,
            written: 1,
            quarantined: 2,
            filtered: 3,
            duplicated: 4,
            other_period: 5,
        },
        objects: 7,
        bytes: 1 << 50,
        started_at: Some(moment("2024-03-01T10:11:00Z")),
        ended_at: Some(moment("2024-03-01T10:11:30Z")),
        error: Some("a line\nand another".to_owned()),
        schema_version: 1,
    }
}

fn month(text: &str) -> Month {
    text.parse().expect("a month")
}

fn moment(text: &str) -> Moment {
    text.parse().expect("a moment")
}
