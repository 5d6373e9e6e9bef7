//! Converts table rows to records.

use plans::receipt::Ledger;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite as Engine};

use super::Sqlite;
use crate::status::{LoadRecord, PeriodRecord, StatusError};

impl Sqlite {
    /// Converts a row of `run_status` to a period.
    pub(super) fn period(&self, row: &SqliteRow) -> Result<PeriodRecord, StatusError> {
        let row = Columns { store: self, row };
        Ok(PeriodRecord {
            dataset: row.text("dataset")?,
            period: row.parsed("period")?,
            source_log_type: row.text("source_log_type")?,
            load_completed: row.text("load_completed")? == "true",
            state: row.word("state")?,
            asked_days: row.json("asked_days")?,
            covered_days: row.json("covered_days")?,
            load_id: row.text("load_id")?,
            attempt: row.count("attempt")?,
            lease_owner: row.get("lease_owner")?,
            lease_until: row.optional("lease_until")?,
            revision: row.count("revision")?,
            manifest: row.get("manifest")?,
            manifest_digest: row.get("manifest_digest")?,
            work: row.get("work")?,
            nonce: row.get("nonce")?,
            ledger: row.ledger()?,
            objects: row.count("objects")?,
            bytes: row.count("bytes")?,
            started_at: row.optional("started_at")?,
            ended_at: row.optional("ended_at")?,
            error: row.get("error")?,
            schema_version: row.get("schema_version")?,
        })
    }

    /// Converts a row of `loads` to a load.
    pub(super) fn load_of(&self, row: &SqliteRow) -> Result<LoadRecord, StatusError> {
        let row = Columns { store: self, row };
        let outcome: Option<String> = row.get("outcome")?;
        Ok(LoadRecord {
            load_id: row.text("load_id")?,
            dataset: row.text("dataset")?,
            source: row.text("source")?,
            state: row.word("state")?,
            request: row.json("request")?,
            outcome: outcome.map(|text| self.read(&text)).transpose()?,
            started_at: row.parsed("started_at")?,
            ended_at: row.optional("ended_at")?,
        })
    }
}

/// Reads the columns of a row by name.
pub(super) struct Columns<'a> {
    pub(super) store: &'a Sqlite,
    pub(super) row: &'a SqliteRow,
}

impl Columns<'_> {
    fn get<'r, T>(&'r self, column: &'static str) -> Result<T, StatusError>
    where
        T: sqlx::Decode<'r, Engine> + sqlx::Type<Engine>,
    {
        let value = self.row.try_get(column);
        value.map_err(|error| self.store.unreadable(&error.to_string()))
    }

    pub(super) fn text(&self, column: &'static str) -> Result<String, StatusError> {
        self.get(column)
    }

    fn count(&self, column: &'static str) -> Result<u64, StatusError> {
        self.get(column).map(i64::cast_unsigned)
    }

    fn parsed<T>(&self, column: &'static str) -> Result<T, StatusError>
    where
        T: TryFrom<String, Error: std::fmt::Display>,
    {
        let value = T::try_from(self.text(column)?);
        value.map_err(|error| self.store.unreadable(&format!("{column}: {error}")))
    }

    fn optional<T>(&self, column: &'static str) -> Result<Option<T>, StatusError>
    where
        T: TryFrom<String, Error: std::fmt::Display>,
    {
        match self.get::<Option<String>>(column)? {
            Some(_) => self.parsed(column).map(Some),
            None => Ok(None),
        }
    }

    fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StatusError> {
        self.store.read(&self.text(column)?)
    }

    fn word<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StatusError> {
        let word = serde_json::Value::String(self.text(column)?);
        let value = serde_json::from_value(word);
        value.map_err(|error| self.store.unreadable(&format!("{column}: {error}")))
    }

    fn ledger(&self) -> Result<Ledger, StatusError> {
        Ok(Ledger {
            read: self.count("rows_read")?,
            written: self.count("rows_written")?,
            quarantined: self.count("rows_quarantined")?,
            filtered: self.count("rows_filtered")?,
            duplicated: self.count("rows_duplicated")?,
            other_period: self.count("rows_other_period")?,
        })
    }
}
