//! A status store in memory, for tests and for loads that keep no state. It stores the
//! serialized text that other stores would write, so it is no more precise than they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Expected, LoadRecord, PeriodRecord, Prepared, StatusError, StatusStore, new_id};
use crate::load::days::Month;

/// A status store that ends with its process.
#[derive(Debug, Default)]
pub struct Memory {
    items: Mutex<Items>,
}

#[derive(Debug, Default)]
struct Items {
    id: Option<String>,
    periods: BTreeMap<(String, Month), String>,
    loads: BTreeMap<String, String>,
}

impl Memory {
    fn items(&self) -> MutexGuard<'_, Items> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StatusStore for Memory {
    async fn prepare(&self) -> Result<Vec<Prepared>, StatusError> {
        Ok(Vec::new())
    }

    async fn id(&self) -> Result<String, StatusError> {
        let mut items = self.items();
        let id = items.id.get_or_insert_with(new_id);
        Ok(id.clone())
    }

    async fn get(&self, dataset: &str, period: Month) -> Result<Option<PeriodRecord>, StatusError> {
        let items = self.items();
        let text = items.periods.get(&(dataset.to_owned(), period));
        text.map(|text| read(text)).transpose()
    }

    async fn periods(&self, dataset: &str) -> Result<Vec<PeriodRecord>, StatusError> {
        let items = self.items();
        let of_dataset = items
            .periods
            .iter()
            .filter(|((name, _), _)| name == dataset);
        of_dataset.map(|(_, text)| read(text)).collect()
    }

    async fn datasets(&self) -> Result<Vec<String>, StatusError> {
        let items = self.items();
        let mut datasets: Vec<_> = items.periods.keys().map(|(name, _)| name.clone()).collect();
        datasets.dedup();
        Ok(datasets)
    }

    async fn put(&self, record: &PeriodRecord, expected: &Expected) -> Result<(), StatusError> {
        let mut items = self.items();
        let key = (record.dataset.clone(), record.period);
        let current = items.periods.get(&key).map(|text| read(text)).transpose()?;
        expected.check(record, current)?;
        items.periods.insert(key, write(record)?);
        Ok(())
    }

    async fn put_load(&self, load: &LoadRecord) -> Result<(), StatusError> {
        let text = write(load)?;
        self.items().loads.insert(load.load_id.clone(), text);
        Ok(())
    }

    async fn load(&self, load_id: &str) -> Result<Option<LoadRecord>, StatusError> {
        let items = self.items();
        items.loads.get(load_id).map(|text| read(text)).transpose()
    }

    async fn loads(&self, limit: usize) -> Result<Vec<LoadRecord>, StatusError> {
        let loads: Result<Vec<LoadRecord>, _> =
            self.items().loads.values().map(|text| read(text)).collect();
        let mut loads = loads?;
        loads.sort_by(|a, b| (b.started_at, &b.load_id).cmp(&(a.started_at, &a.load_id)));
        loads.truncate(limit);
        Ok(loads)
    }

    async fn load_ids(&self) -> Result<BTreeSet<String>, StatusError> {
        Ok(self.items().loads.keys().cloned().collect())
    }
}

fn write<T: serde::Serialize>(item: &T) -> Result<String, StatusError> {
    serde_json::to_string(item).map_err(unreadable)
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StatusError> {
    serde_json::from_str(text).map_err(unreadable)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that map_err needs"
)]
fn unreadable(error: serde_json::Error) -> StatusError {
    StatusError::Unreadable {
        uri: "memory:".to_owned(),
        what: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn obeys_the_contract() {
        crate::status::contract::obeys_the_contract(async || Arc::new(Memory::default()) as _)
            .await;
    }
}
