//! The status store in a SQLite file, the default of embedded loads. Several processes may use
//! it at once. The file is created by the first write.

mod row;
mod tables;

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Executor, Row, Sqlite as Engine, Transaction};
use tokio::sync::OnceCell;

use super::{Expected, LoadRecord, PeriodRecord, Prepared, StatusError, StatusStore};
use crate::load::days::Month;
use row::Columns;
use tables::{
    REPLACE_LOAD, REPLACE_PERIOD, SELECT_DATASETS, SELECT_ID, SELECT_LOAD, SELECT_LOAD_IDS,
    SELECT_LOADS, SELECT_PERIOD, SELECT_PERIODS, TABLES, UPGRADES, USER_VERSION,
};

/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);
/// A status store in a file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    busy_timeout: Duration,
    pool: OnceCell<SqlitePool>,
}

impl Sqlite {
    /// Opens the store in the file at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            busy_timeout: BUSY_TIMEOUT,
            pool: OnceCell::new(),
        }
    }

    /// Returns the connections for reading, or `None` while the file does not exist: a read
    /// must not create it.
    async fn readable(&self) -> Result<Option<&SqlitePool>, StatusError> {
        if self.pool.get().is_none() && !self.path.exists() {
            return Ok(None);
        }
        self.writable().await.map(Some)
    }

    async fn writable(&self) -> Result<&SqlitePool, StatusError> {
        self.pool.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<SqlitePool, StatusError> {
        if let Some(folder) = self.path.parent() {
            let made = tokio::fs::create_dir_all(folder).await;
            made.map_err(|error| self.unreachable(error))?;
        }
        let pool = self.opened().await.map_err(|error| self.failed(error))?;
        if self.prepare(&pool).await? {
            // A connection that has seen the older tables may still use their column names.
            pool.close().await;
            return self.opened().await.map_err(|error| self.failed(error));
        }
        Ok(pool)
    }

    /// Opens the file. Two processes that create it at the same moment both switch it to
    /// write-ahead logging. SQLite refuses that at once instead of waiting, so it is retried.
    async fn opened(&self) -> Result<SqlitePool, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(self.busy_timeout);
        let pool = SqlitePoolOptions::new().max_connections(4);
        for _ in 0..40 {
            match pool.clone().connect_with(options.clone()).await {
                Err(error) if is_busy(&error) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                answer => return answer,
            }
        }
        pool.connect_with(options).await
    }

    /// Creates the tables in a new file, upgrades older ones, and refuses any other layout.
    /// Returns whether it upgraded.
    async fn prepare(&self, pool: &SqlitePool) -> Result<bool, StatusError> {
        let made = async {
            if user_version(pool).await? == USER_VERSION {
                return Ok((USER_VERSION, false));
            }
            let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
            let version = user_version(&mut *transaction).await?;
            let tables: i64 = sqlx::query("SELECT count(*) FROM sqlite_schema")
                .fetch_one(&mut *transaction)
                .await?
                .try_get(0)?;
            if version == 0 && tables == 0 {
                sqlx::raw_sql(TABLES).execute(&mut *transaction).await?;
                transaction.commit().await?;
                return Ok((USER_VERSION, false));
            }
            let upgraded = upgrade(&mut transaction, version).await?;
            transaction.commit().await?;
            Ok((upgraded, upgraded != version))
        };
        match made.await.map_err(|error| self.failed(error))? {
            (USER_VERSION, upgraded) => Ok(upgraded),
            (0, _) => Err(self.unreadable("tables of something else")),
            (version, _) => Err(self.unreadable(&format!(
                "tables of version {version}, where this program knows {USER_VERSION}"
            ))),
        }
    }

    async fn replace(
        &self,
        transaction: &mut Transaction<'_, Engine>,
        record: &PeriodRecord,
    ) -> Result<(), StatusError> {
        // Outside tools read the attributes of the day that was loaded last.
        let last = record.covered_days.values().max_by_key(|day| day.loaded_at);
        let query = sqlx::query(REPLACE_PERIOD)
            .bind(&record.dataset)
            .bind(record.period.to_string())
            .bind(&record.source_log_type)
            .bind(record.load_completed.to_string())
            .bind(self.word(&record.state)?)
            .bind(self.json(&record.asked_days)?)
            .bind(self.json(&record.covered_days)?)
            .bind(last.map(|day| day.config_digest.as_str()))
            .bind(last.map(|day| day.input_digest.as_str()))
            .bind(&record.load_id)
            .bind(record.attempt.cast_signed())
            .bind(&record.lease_owner)
            .bind(record.lease_until.map(String::from))
            .bind(record.revision.cast_signed())
            .bind(&record.manifest)
            .bind(&record.manifest_digest)
            .bind(&record.work)
            .bind(&record.nonce)
            .bind(record.ledger.read.cast_signed())
            .bind(record.ledger.written.cast_signed())
            .bind(record.ledger.quarantined.cast_signed())
            .bind(record.ledger.filtered.cast_signed())
            .bind(record.ledger.duplicated.cast_signed())
            .bind(record.ledger.other_period.cast_signed())
            .bind(record.objects.cast_signed())
            .bind(record.bytes.cast_signed())
            .bind(record.started_at.map(String::from))
            .bind(record.ended_at.map(String::from))
            .bind(&record.error)
            .bind(i64::from(record.schema_version));
        let replaced = query.execute(&mut **transaction).await;
        replaced.map_err(|error| self.failed(error)).map(drop)
    }

    fn json<T: Serialize>(&self, value: &T) -> Result<String, StatusError> {
        serde_json::to_string(value).map_err(|error| self.unreadable(&error.to_string()))
    }

    fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, StatusError> {
        serde_json::from_str(text).map_err(|error| self.unreadable(&error.to_string()))
    }

    /// Serializes a unit variant without the quotes of its JSON.
    fn word<T: Serialize>(&self, value: &T) -> Result<String, StatusError> {
        Ok(self.json(value)?.trim_matches('"').to_owned())
    }

    fn uri(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    fn unreachable(&self, source: impl StdError + Send + Sync + 'static) -> StatusError {
        StatusError::Unreachable {
            uri: self.uri(),
            source: Box::new(source),
        }
    }

    fn unreadable(&self, what: &str) -> StatusError {
        StatusError::Unreadable {
            uri: self.uri(),
            what: what.to_owned(),
        }
    }

    /// Maps an error of the engine: the file is damaged or no database, or it cannot be used
    /// now (locked, read-only, no such folder).
    fn failed(&self, error: sqlx::Error) -> StatusError {
        const NOT_A_DATABASE: i64 = 26;
        const CORRUPT: i64 = 11;
        match primary_code(&error) {
            Some(NOT_A_DATABASE) => self.unreadable("a file that is not a SQLite database"),
            Some(CORRUPT) => self.unreadable("a damaged SQLite database"),
            _ => self.unreachable(error),
        }
    }
}

#[async_trait]
impl StatusStore for Sqlite {
    async fn prepare(&self) -> Result<Vec<Prepared>, StatusError> {
        let made = !self.path.exists();
        self.writable().await?;
        let name = self.path.display().to_string();
        Ok(vec![Prepared { name, made }])
    }

    async fn id(&self) -> Result<String, StatusError> {
        let pool = self.writable().await?;
        let row = sqlx::query(SELECT_ID).fetch_one(pool).await;
        let row = row.map_err(|error| self.failed(error))?;
        Columns {
            store: self,
            row: &row,
        }
        .text("id")
    }

    async fn get(&self, dataset: &str, period: Month) -> Result<Option<PeriodRecord>, StatusError> {
        let Some(pool) = self.readable().await? else {
            return Ok(None);
        };
        let query = sqlx::query(SELECT_PERIOD)
            .bind(dataset)
            .bind(period.to_string());
        let row = query.fetch_optional(pool).await;
        let row = row.map_err(|error| self.failed(error))?;
        row.map(|row| self.period(&row)).transpose()
    }

    async fn periods(&self, dataset: &str) -> Result<Vec<PeriodRecord>, StatusError> {
        let Some(pool) = self.readable().await? else {
            return Ok(Vec::new());
        };
        let rows = sqlx::query(SELECT_PERIODS)
            .bind(dataset)
            .fetch_all(pool)
            .await;
        let rows = rows.map_err(|error| self.failed(error))?;
        rows.iter().map(|row| self.period(row)).collect()
    }

    async fn datasets(&self) -> Result<Vec<String>, StatusError> {
        let Some(pool) = self.readable().await? else {
            return Ok(Vec::new());
        };
        let rows = sqlx::query(SELECT_DATASETS).fetch_all(pool).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        let names = rows
            .iter()
            .map(|row| Columns { store: self, row }.text("dataset"));
        names.collect()
    }

    async fn put(&self, record: &PeriodRecord, expected: &Expected) -> Result<(), StatusError> {
        let pool = self.writable().await?;
        // Immediate, because a transaction that starts with a read cannot wait for the write
        // lock.
        let started = pool.begin_with("BEGIN IMMEDIATE").await;
        let mut transaction = started.map_err(|error| self.failed(error))?;
        let query = sqlx::query(SELECT_PERIOD).bind(&record.dataset);
        let query = query.bind(record.period.to_string());
        let row = query.fetch_optional(&mut *transaction).await;
        let row = row.map_err(|error| self.failed(error))?;
        let current = row.map(|row| self.period(&row)).transpose()?;
        expected.check(record, current)?;
        self.replace(&mut transaction, record).await?;
        transaction
            .commit()
            .await
            .map_err(|error| self.failed(error))
    }

    async fn put_load(&self, load: &LoadRecord) -> Result<(), StatusError> {
        let pool = self.writable().await?;
        let outcome = load.outcome.as_ref().map(ToString::to_string);
        let query = sqlx::query(REPLACE_LOAD)
            .bind(&load.load_id)
            .bind(&load.dataset)
            .bind(&load.source)
            .bind(load.state.as_str())
            .bind(self.json(&load.request)?)
            .bind(outcome)
            .bind(load.started_at.to_string())
            .bind(load.ended_at.map(String::from));
        let written = query.execute(pool).await;
        written.map_err(|error| self.failed(error)).map(drop)
    }

    async fn load(&self, load_id: &str) -> Result<Option<LoadRecord>, StatusError> {
        let Some(pool) = self.readable().await? else {
            return Ok(None);
        };
        let row = sqlx::query(SELECT_LOAD)
            .bind(load_id)
            .fetch_optional(pool)
            .await;
        let row = row.map_err(|error| self.failed(error))?;
        row.map(|row| self.load_of(&row)).transpose()
    }

    async fn loads(&self, limit: usize) -> Result<Vec<LoadRecord>, StatusError> {
        let Some(pool) = self.readable().await? else {
            return Ok(Vec::new());
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(SELECT_LOADS).bind(limit).fetch_all(pool).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        rows.iter().map(|row| self.load_of(row)).collect()
    }

    async fn load_ids(&self) -> Result<BTreeSet<String>, StatusError> {
        let Some(pool) = self.readable().await? else {
            return Ok(BTreeSet::new());
        };
        let rows = sqlx::query(SELECT_LOAD_IDS).fetch_all(pool).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        let ids = rows
            .iter()
            .map(|row| Columns { store: self, row }.text("load_id"));
        ids.collect()
    }
}

/// Upgrades tables of an older version step by step. Returns their new version.
async fn upgrade(
    transaction: &mut Transaction<'_, Engine>,
    mut version: i64,
) -> Result<i64, sqlx::Error> {
    while let Some((_, statements)) = UPGRADES.iter().find(|(from, _)| *from == version) {
        sqlx::raw_sql(*statements)
            .execute(&mut **transaction)
            .await?;
        version += 1;
    }
    Ok(version)
}

async fn user_version<'e>(
    connection: impl Executor<'e, Database = Engine>,
) -> Result<i64, sqlx::Error> {
    let row = sqlx::query("PRAGMA user_version")
        .fetch_one(connection)
        .await?;
    row.try_get(0)
}

fn is_busy(error: &sqlx::Error) -> bool {
    const BUSY: i64 = 5;
    primary_code(error) == Some(BUSY)
}

/// Returns SQLite's primary result code: the lowest byte of the extended code.
fn primary_code(error: &sqlx::Error) -> Option<i64> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i64>().ok().map(|code| code & 0xff)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    fn status_in(folder: &Path) -> Sqlite {
        Sqlite::new(folder.join("made/on the way/state.db"))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn obeys_the_contract() {
        let folder = tempfile::tempdir().expect("a folder");
        let number = std::sync::atomic::AtomicUsize::new(0);
        crate::status::contract::obeys_the_contract(async || {
            let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Arc::new(status_in(&folder.path().join(number.to_string()))) as _
        })
        .await;
    }

    #[tokio::test]
    async fn reading_does_not_create_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let status = status_in(folder.path());
        assert!(status.loads(10).await.expect("readable").is_empty());
        assert!(status.datasets().await.expect("readable").is_empty());
        assert!(!folder.path().join("made").exists());
    }

    #[tokio::test]
    async fn the_next_process_reads_the_written_items() {
        let folder = tempfile::tempdir().expect("a folder");
        let month: Month = "2024-01".parse().expect("a month");
        let mut record = PeriodRecord::new("d", month, "vpc_flow");
        record.revision = 1;
        let status = status_in(folder.path());
        let written = status.put(&record, &Expected::Absent).await;
        written.expect("written");
        let found = status_in(folder.path()).get("d", month).await;
        assert_eq!(found.expect("readable"), Some(record));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_writers_can_create_the_file_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let month: Month = "2024-01".parse().expect("a month");
        let mut writers = tokio::task::JoinSet::new();
        for number in 0..12 {
            let status = status_in(folder.path());
            writers.spawn(async move {
                let mut record = PeriodRecord::new("d", month, "vpc_flow");
                record.revision = 1;
                record.load_id = number.to_string();
                status.put(&record, &Expected::Absent).await
            });
        }
        let answers = writers.join_all().await;
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(won, 1, "{answers:?}");
        let lost = |answer: &Result<(), StatusError>| {
            matches!(
                answer,
                Ok(()) | Err(StatusError::Conflict { current: Some(_) })
            )
        };
        assert!(answers.iter().all(lost), "{answers:?}");
    }

    #[tokio::test]
    async fn a_file_of_another_kind_is_unreadable() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        std::fs::write(
            &path,
            "these are a user's notes and not a database".repeat(20),
        )
        .expect("written");
        let error = Sqlite::new(&path).loads(1).await.expect_err("no database");
        assert!(matches!(error, StatusError::Unreadable { .. }), "{error:?}");
        assert!(
            error.to_string().contains("not a SQLite database"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn tables_of_another_version_are_unreadable() {
        let folder = tempfile::tempdir().expect("a folder");
        for (number, (statement, what)) in [
            ("PRAGMA user_version = 7", "tables of version 7"),
            ("CREATE TABLE notes (text TEXT)", "tables of something else"),
        ]
        .into_iter()
        .enumerate()
        {
            let path = folder.path().join(number.to_string());
            let pool = Sqlite::new(&path).opened().await.expect("opened");
            sqlx::raw_sql(statement).execute(&pool).await.expect("run");
            pool.close().await;
            let error = Sqlite::new(&path)
                .loads(1)
                .await
                .expect_err("another layout");
            assert!(error.to_string().contains(what), "{error}");
        }
    }

    #[tokio::test]
    async fn a_locked_table_is_unreachable() {
        let folder = tempfile::tempdir().expect("a folder");
        let other = status_in(folder.path());
        let pool = other.writable().await.expect("opened");
        let held = pool.begin_with("BEGIN IMMEDIATE").await.expect("started");
        let mut status = status_in(folder.path());
        status.busy_timeout = Duration::from_millis(50);
        let record = PeriodRecord::new("d", "2024-01".parse().expect("a month"), "vpc_flow");
        let error = status.put(&record, &Expected::Absent).await;
        let error = error.expect_err("locked by another connection");
        assert!(error.retryable(), "{error:?}");
        assert!(format!("{error:?}").contains("locked"), "{error:?}");
        assert!(status.datasets().await.expect("readable").is_empty());
        held.rollback().await.expect("released");
        status.put(&record, &Expected::Absent).await.expect("put");
    }

    #[tokio::test]
    async fn a_path_that_cannot_be_created_is_unreachable() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "x").expect("written");
        let status = Sqlite::new(file.join("state.db"));
        let month: Month = "2024-01".parse().expect("a month");
        let record = PeriodRecord::new("d", month, "vpc_flow");
        let error = status.put(&record, &Expected::Absent).await;
        let error = error.expect_err("no folder");
        assert!(
            matches!(error, StatusError::Unreachable { .. }),
            "{error:?}"
        );
        assert!(error.retryable());
    }
}
