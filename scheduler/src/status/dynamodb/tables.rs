//! The tables: their names, their keys, and the check of their shape. A table may have been
//! created with other key names; `DescribeTable` returns them.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, KeySchemaElement, KeyType, ScalarAttributeType, TableDescription,
};

use super::DynamoDb;
use crate::status::StatusError;

/// The ETL framework's documents spell the run-status table in two ways. New tables get the
/// first.
pub(super) const RUN_STATUS: [&str; 2] = ["run-status", "ocsf-run-status"];
/// Loads have their own table: the framework's tools expect one item per period in run-status
/// and nothing else.
pub(super) const LOADS: &str = "loads";

/// The keys of a run-status table that lakebolt creates.
pub(super) const DATASET: &str = "dataset";
pub(super) const PERIOD: &str = "period";

/// The keys of the loads table. All loads share one partition, so its local index sorts them
/// by start.
pub(super) const KIND: &str = "kind";
pub(super) const LOAD: &str = "load";
/// The kind of the one item that holds the id of the store.
pub(super) const STORE: &str = "store";
pub(super) const STORE_ID: &str = "store_id";
pub(super) const LOAD_ID: &str = "load_id";
pub(super) const STARTED_AT: &str = "started_at";
pub(super) const BY_START: &str = "by_start";

/// An existing run-status table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunStatus {
    pub(super) name: String,
    /// Name of the partition key, which holds the dataset. The sort key holds the month.
    pub(super) partition: String,
    pub(super) sort: String,
}

/// An existing loads table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoadsTable {
    pub(super) name: String,
}

impl RunStatus {
    /// Returns the name under which the table stores an attribute.
    pub(super) fn attribute(&self, name: &str) -> String {
        match name == self.partition || name == self.sort {
            true => renamed(name),
            false => name.to_owned(),
        }
    }
}

/// The name of an attribute whose own name is used by a key.
pub(super) fn renamed(name: &str) -> String {
    format!("lakebolt_{name}")
}

impl DynamoDb {
    pub(super) async fn run_status(&self) -> Result<&RunStatus, StatusError> {
        let found = || async {
            let found = Box::pin(self.find_run_status()).await?;
            found.ok_or_else(|| self.no_table(&self.table(RUN_STATUS[0])))
        };
        self.run_status.get_or_try_init(found).await
    }

    pub(super) async fn loads_table(&self) -> Result<&LoadsTable, StatusError> {
        let found = || async {
            let found = Box::pin(self.find_loads()).await?;
            found.ok_or_else(|| self.no_table(&self.table(LOADS)))
        };
        self.loads.get_or_try_init(found).await
    }

    pub(super) fn table(&self, ending: &str) -> String {
        format!("{}-{ending}", self.prefix)
    }

    /// Finds the run-status table under either spelling.
    pub(super) async fn find_run_status(&self) -> Result<Option<RunStatus>, StatusError> {
        let [first, second] = RUN_STATUS.map(|ending| self.table(ending));
        let found = tokio::try_join!(self.describe(&first), self.describe(&second))?;
        let (name, table) = match found {
            (Some(_), Some(_)) => {
                let uri = self.uri();
                return Err(StatusError::TwoTables { uri, first, second });
            }
            (Some(table), None) => (first, table),
            (None, Some(table)) => (second, table),
            (None, None) => return Ok(None),
        };
        let keys = Keys::of(&table, table.key_schema());
        match (keys.partition, keys.sort) {
            (Some(partition), Some(sort)) => Ok(Some(RunStatus {
                name,
                partition,
                sort,
            })),
            _ => Err(self.other_shape(
                &name,
                "a run-status table has a partition key and a sort key, both strings",
            )),
        }
    }

    pub(super) async fn find_loads(&self) -> Result<Option<LoadsTable>, StatusError> {
        let name = self.table(LOADS);
        let Some(table) = self.describe(&name).await? else {
            return Ok(None);
        };
        let by_start = table.local_secondary_indexes().iter();
        let by_start = by_start
            .filter(|index| index.index_name() == Some(BY_START))
            .map(|index| Keys::of(&table, index.key_schema()));
        let right = Keys::of(&table, table.key_schema()).are(KIND, LOAD_ID)
            && by_start.into_iter().any(|keys| keys.are(KIND, STARTED_AT));
        match right {
            true => Ok(Some(LoadsTable { name })),
            false => Err(self.other_shape(
                &name,
                "a table of loads has the keys kind and load_id, and a local index by_start",
            )),
        }
    }

    /// Describes a table. Returns `None` if it does not exist.
    pub(super) async fn describe(
        &self,
        table: &str,
    ) -> Result<Option<TableDescription>, StatusError> {
        let request = self.client().await?.describe_table().table_name(table);
        match request.send().await {
            Ok(answer) => Ok(answer.table),
            Err(error) => match self.failed("DescribeTable", table, error) {
                StatusError::NoTable { .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    fn other_shape(&self, table: &str, wanted: &'static str) -> StatusError {
        StatusError::OtherShape {
            uri: self.uri(),
            table: table.to_owned(),
            wanted,
        }
    }
}

/// The names of the keys that are strings.
#[derive(Debug)]
struct Keys {
    partition: Option<String>,
    sort: Option<String>,
}

impl Keys {
    fn of(table: &TableDescription, schema: &[KeySchemaElement]) -> Self {
        let is_text = |name: &str| {
            let text = |definition: &AttributeDefinition| {
                definition.attribute_name() == name
                    && *definition.attribute_type() == ScalarAttributeType::S
            };
            table.attribute_definitions().iter().any(text)
        };
        let key = |kind: &KeyType| {
            let key = schema.iter().find(|key| key.key_type() == kind);
            let name = key.map(KeySchemaElement::attribute_name);
            name.filter(|name| is_text(name)).map(str::to_owned)
        };
        Self {
            partition: key(&KeyType::Hash),
            sort: key(&KeyType::Range),
        }
    }

    fn are(&self, partition: &str, sort: &str) -> bool {
        self.partition.as_deref() == Some(partition) && self.sort.as_deref() == Some(sort)
    }
}
