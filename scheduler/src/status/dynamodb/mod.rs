//! The status store in DynamoDB, for drivers on several machines. Table and attribute names
//! are those of the ETL framework. Every read is strongly consistent, and every change of a
//! period is conditional.
//!
//! It uses `DescribeTable`, `GetItem`, `PutItem`, `Query` and `Scan`. `CreateTable` is only
//! used by `prepare`.

mod attributes;
mod client;
mod failure;
mod load_item;
mod period_item;
mod prepare;
mod tables;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use super::{Expected, LoadRecord, PeriodRecord, Prepared, StatusError, StatusStore, new_id};
use crate::load::days::Month;
use attributes::{BadAttribute, Item, text};
use tables::{BY_START, LOAD, LOAD_ID, LoadsTable, RunStatus};

/// The prefix that the ETL framework uses.
pub const DEFAULT_PREFIX: &str = "asl-etl-framework";
/// The longest prefix: 255 characters minus the longest ending of a table name.
const LONGEST_PREFIX: usize = 255 - "-ocsf-run-status".len();

/// Loads that are read concurrently.
const READS_AT_ONCE: usize = 16;

/// Status tables with a common prefix, in the account and region of the environment.
#[derive(Debug)]
pub struct DynamoDb {
    prefix: String,
    client: OnceCell<Client>,
    run_status: OnceCell<RunStatus>,
    loads: OnceCell<LoadsTable>,
}

impl DynamoDb {
    /// Opens the tables whose names start with `prefix`. An empty prefix means the
    /// framework's. Credentials, region and endpoint are resolved at the first use.
    pub fn new(prefix: &str) -> Result<Self, StatusError> {
        let prefix = match prefix {
            "" => DEFAULT_PREFIX,
            prefix => prefix,
        };
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if !prefix.bytes().all(known) || prefix.len() > LONGEST_PREFIX {
            return Err(StatusError::BadUri {
                uri: format!("dynamodb:{prefix}"),
                what: format!(
                    "table names may contain letters, digits, `_`, `.` and `-`, and the prefix \
                     may have at most {LONGEST_PREFIX} characters"
                ),
            });
        }
        Ok(Self {
            prefix: prefix.to_owned(),
            client: OnceCell::new(),
            run_status: OnceCell::new(),
            loads: OnceCell::new(),
        })
    }

    /// Does the same with an existing client.
    pub fn with_client(prefix: &str, client: Client) -> Result<Self, StatusError> {
        Ok(Self {
            client: OnceCell::new_with(Some(client)),
            ..Self::new(prefix)?
        })
    }

    async fn client(&self) -> Result<&Client, StatusError> {
        let open = || async { client::open(plans::storage::aws::config().await.into()) };
        let client = self.client.get_or_init(open).await;
        if client.config().region().is_none() {
            return Err(StatusError::NoRegion { uri: self.uri() });
        }
        Ok(client)
    }

    fn uri(&self) -> String {
        format!("dynamodb:{}", self.prefix)
    }

    fn period(&self, table: &RunStatus, item: &Item) -> Result<PeriodRecord, StatusError> {
        let record = table.record(item);
        record.map_err(|bad| self.unreadable(&table.name, &bad))
    }

    fn load_of(&self, table: &LoadsTable, item: &Item) -> Result<LoadRecord, StatusError> {
        load_item::record(item).map_err(|bad| self.unreadable(&table.name, &bad))
    }

    fn unreadable(&self, table: &str, bad: &BadAttribute) -> StatusError {
        StatusError::Unreadable {
            uri: self.uri(),
            what: format!("an item of table {table}, {bad}"),
        }
    }

    /// Returns the conflict for a conditional write that failed on this item.
    fn conflict(&self, table: &RunStatus, item: Option<Item>) -> StatusError {
        let item = item.filter(|item| !item.is_empty());
        match item.map(|item| self.period(table, &item)).transpose() {
            Ok(current) => StatusError::Conflict {
                current: current.map(Box::new),
            },
            Err(error) => error,
        }
    }
}

#[async_trait]
impl StatusStore for DynamoDb {
    async fn prepare(&self) -> Result<Vec<Prepared>, StatusError> {
        Box::pin(self.make_tables()).await
    }

    /// The id is an item of the loads table, so that it is restored and replicated with it.
    async fn id(&self) -> Result<String, StatusError> {
        if let Some(id) = self.stored_id().await? {
            return Ok(id);
        }
        let table = self.loads_table().await?;
        let made = new_id();
        let request = self.client().await?.put_item().table_name(&table.name);
        let answer = request
            .set_item(Some(load_item::store_item(&made)))
            .condition_expression("attribute_not_exists(kind)")
            .send()
            .await;
        let Err(error) = answer else { return Ok(made) };
        match error.as_service_error() {
            // Another process made it, or the answer to our own write was lost.
            Some(PutItemError::ConditionalCheckFailedException(_)) => {
                let stored = self.stored_id().await?;
                stored.ok_or_else(|| {
                    self.unreachable("the item with the store's id is gone".to_owned())
                })
            }
            _ => Err(self.failed("PutItem", &table.name, error)),
        }
    }

    async fn get(&self, dataset: &str, period: Month) -> Result<Option<PeriodRecord>, StatusError> {
        let table = self.run_status().await?;
        let request = self.client().await?.get_item().table_name(&table.name);
        let request = request.set_key(Some(table.key(dataset, period)));
        let answer = request.consistent_read(true).send().await;
        let answer = answer.map_err(|error| self.failed("GetItem", &table.name, error))?;
        let record = answer.item.map(|item| self.period(table, &item));
        record.transpose()
    }

    async fn periods(&self, dataset: &str) -> Result<Vec<PeriodRecord>, StatusError> {
        let table = self.run_status().await?;
        let request = self.client().await?.query().table_name(&table.name);
        let request = request
            .consistent_read(true)
            .key_condition_expression("#partition = :dataset")
            .expression_attribute_names("#partition", &table.partition)
            .expression_attribute_values(":dataset", text(dataset));
        let mut items = request.into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| self.failed("Query", &table.name, error))?;
            found.push(self.period(table, &item)?);
        }
        Ok(found)
    }

    /// Scans the keys. Callers that need all datasets read their periods next, which costs as
    /// much again. An item per dataset would have to be written together with each first
    /// period, and could be lost between the two writes.
    async fn datasets(&self) -> Result<Vec<String>, StatusError> {
        let table = self.run_status().await?;
        let request = self.client().await?.scan().table_name(&table.name);
        // Other tools of the framework may keep their own items in the table.
        let request = request
            .consistent_read(true)
            .projection_expression("#partition")
            .filter_expression("attribute_exists(#version) AND attribute_exists(#revision)")
            .expression_attribute_names("#partition", &table.partition)
            .expression_attribute_names("#version", table.attribute("schema_version"))
            .expression_attribute_names("#revision", table.attribute("revision"));
        let mut items = request.into_paginator().items().send();
        let mut datasets = BTreeSet::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| self.failed("Scan", &table.name, error))?;
            let dataset = item.get(&table.partition).and_then(|name| name.as_s().ok());
            datasets.extend(dataset.cloned());
        }
        Ok(datasets.into_iter().collect())
    }

    async fn put(&self, record: &PeriodRecord, expected: &Expected) -> Result<(), StatusError> {
        let table = self.run_status().await?;
        if !expected.precedes(record) {
            let current = self.get(&record.dataset, record.period).await?;
            return expected.check(record, current);
        }
        let condition = Condition::of(table, expected);
        let request = self.client().await?.put_item().table_name(&table.name);
        let answer = request
            .set_item(Some(table.item(record)))
            .condition_expression(condition.expression)
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(condition.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else { return Ok(()) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                Err(self.conflict(table, failed.item.clone()))
            }
            _ => Err(self.failed("PutItem", &table.name, error)),
        }
    }

    async fn put_load(&self, load: &LoadRecord) -> Result<(), StatusError> {
        let table = self.loads_table().await?;
        let item = load_item::item(load).map_err(|bad| self.unreadable(&table.name, &bad))?;
        let request = self.client().await?.put_item().table_name(&table.name);
        let answer = request.set_item(Some(item)).send().await;
        let written = answer.map_err(|error| self.failed("PutItem", &table.name, error));
        written.map(drop)
    }

    async fn load(&self, load_id: &str) -> Result<Option<LoadRecord>, StatusError> {
        let table = self.loads_table().await?;
        let request = self.client().await?.get_item().table_name(&table.name);
        let request = request.set_key(Some(load_item::key(load_id)));
        let answer = request.consistent_read(true).send().await;
        let answer = answer.map_err(|error| self.failed("GetItem", &table.name, error))?;
        let record = answer.item.map(|item| self.load_of(table, &item));
        record.transpose()
    }

    async fn loads(&self, limit: usize) -> Result<Vec<LoadRecord>, StatusError> {
        let ids = self.newest_loads(limit).await?;
        let loads = stream::iter(ids).map(|id| async move { self.load(&id).await });
        let loads = loads.buffered(READS_AT_ONCE);
        loads
            .try_filter_map(async |load| Ok(load))
            .try_collect()
            .await
    }

    async fn load_ids(&self) -> Result<BTreeSet<String>, StatusError> {
        Ok(self.newest_loads(usize::MAX).await?.into_iter().collect())
    }
}

impl DynamoDb {
    async fn stored_id(&self) -> Result<Option<String>, StatusError> {
        let table = self.loads_table().await?;
        let request = self.client().await?.get_item().table_name(&table.name);
        let request = request.set_key(Some(load_item::store_key()));
        let answer = request.consistent_read(true).send().await;
        let answer = answer.map_err(|error| self.failed("GetItem", &table.name, error))?;
        let id = answer.item.map(|item| load_item::store_id(&item));
        id.transpose()
            .map_err(|bad| self.unreadable(&table.name, &bad))
    }

    /// Returns the ids of the newest loads from the table's local index. Unlike a global index
    /// it allows consistent reads. It only holds keys, so all ids fit in a page or two.
    async fn newest_loads(&self, limit: usize) -> Result<Vec<String>, StatusError> {
        let table = self.loads_table().await?;
        let request = self.client().await?.query().table_name(&table.name);
        let request = request
            .index_name(BY_START)
            .consistent_read(true)
            .key_condition_expression("kind = :load")
            .expression_attribute_values(":load", text(LOAD))
            .scan_index_forward(false);
        let pages = request.into_paginator();
        let pages = match i32::try_from(limit) {
            Ok(limit) => pages.page_size(limit.max(1)),
            Err(_) => pages,
        };
        let mut items = pages.items().send();
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(item) = items.next().await
        {
            let item = item.map_err(|error| self.failed("Query", &table.name, error))?;
            found.extend(item.get(LOAD_ID).and_then(|id| id.as_s().ok()).cloned());
        }
        Ok(found)
    }
}

/// The condition of a write, as a DynamoDB expression.
struct Condition {
    expression: String,
    names: HashMap<String, String>,
    values: Option<Item>,
}

impl Condition {
    fn of(table: &RunStatus, expected: &Expected) -> Self {
        match expected {
            Expected::Absent => Self {
                expression: "attribute_not_exists(#partition)".to_owned(),
                names: names([("#partition", table.partition.clone())]),
                values: None,
            },
            Expected::Is {
                attempt,
                lease_owner,
                revision,
            } => {
                let owned = match lease_owner {
                    Some(_) => "#owner = :owner",
                    None => "attribute_not_exists(#owner)",
                };
                let number = |count: &u64| AttributeValue::N(count.to_string());
                let mut values = HashMap::from([
                    (":attempt".to_owned(), number(attempt)),
                    (":revision".to_owned(), number(revision)),
                ]);
                if let Some(owner) = lease_owner {
                    values.insert(":owner".to_owned(), text(owner));
                }
                Self {
                    expression: format!(
                        "#attempt = :attempt AND #revision = :revision AND {owned}"
                    ),
                    names: names([
                        ("#attempt", table.attribute("attempt")),
                        ("#revision", table.attribute("revision")),
                        ("#owner", table.attribute("lease_owner")),
                    ]),
                    values: Some(values),
                }
            }
        }
    }
}

fn names<const N: usize>(names: [(&str, String); N]) -> HashMap<String, String> {
    let owned = names.map(|(short, name)| (short.to_owned(), name));
    owned.into()
}
