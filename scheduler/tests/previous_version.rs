//! Status tables and manifests that the previous version wrote (0.1.0 of November 2026) can be
//! read.

use std::path::Path;

use plans::receipt::Ledger;
use scheduler::load::outcome::LoadState;
use scheduler::load::recorded::Origin;
use scheduler::publish::manifest::Manifest;
use scheduler::status::sqlite::Sqlite;
use scheduler::status::{State, StatusStore};

const STATE: &str = include_str!("previous/state.sql");
const MANIFEST: &str = include_str!("previous/manifest.json");
/// The row counts of the recorded load.
const LEDGER: Ledger = Ledger {
    read: 29,
    written: 24,
    quarantined: 5,
    filtered: 0,
    duplicated: 0,
    other_period: 0,
};

async fn restored(folder: &Path) -> Sqlite {
    let path = folder.join("state.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options)
        .await
        .expect("a file");
    sqlx::raw_sql(STATE).execute(&pool).await.expect("the dump");
    pool.close().await;
    Sqlite::new(path)
}

#[tokio::test]
async fn periods_are_read_and_keep_their_row_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let status = restored(folder.path()).await;
    let periods = status.periods("vpc_flow-default-7c408398").await;
    let periods = periods.expect("readable");
    assert_eq!(periods.len(), 1);
    let period = &periods[0];
    assert_eq!(period.state, State::Done);
    assert!(period.load_completed);
    assert_eq!(period.covered_days.len(), 2);
    assert_eq!(period.ledger, LEDGER);
}

#[tokio::test]
async fn an_upgraded_file_is_written_and_opened_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = "vpc_flow-default-7c408398";
    let status = restored(folder.path()).await;
    let mut found = status.periods(dataset).await.expect("readable");
    let found = found.remove(0);
    let mut changed = found.revised();
    changed.ledger.other_period = 3;
    let put = status.put(&changed, &found.expected()).await;
    put.expect("written");
    let again = Sqlite::new(folder.path().join("state.db"));
    let read = again.periods(dataset).await.expect("readable");
    assert_eq!(read, [changed]);
}

#[tokio::test]
async fn embedded_and_cluster_loads_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let loads = restored(folder.path()).await.loads(10).await;
    let loads = loads.expect("readable");
    assert_eq!(loads.len(), 3);
    for load in loads {
        let request = load.request;
        let of_cluster = load.load_id == "3d7610cbae1b4c759951e6d365418e21";
        assert_eq!(request.is_of_cluster(), of_cluster);
        assert_eq!(load.state == LoadState::Failed, of_cluster);
        if let Origin::Cluster { source, retry_of } = request.origin {
            assert_eq!((source.name.as_str(), retry_of), ("vpc_flow", None));
            assert_eq!(source.config_digest, request.config_digest);
        }
        let terms = request.terms.expect("readable");
        assert_eq!(terms.check(), Ok(()));
    }
}

#[test]
fn a_manifest_is_read_with_its_row_counts() {
    // The recorded load read no row of another period.
    let text = MANIFEST.replace("\"elsewhere\": 0", "\"elsewhere\": 3");
    let manifest: Manifest = serde_json::from_str(&text).expect("readable");
    let expected = Ledger {
        other_period: 3,
        ..LEDGER
    };
    assert_eq!(manifest.ledger, expected);
    assert_eq!(manifest.coverage.len(), 2);
}
