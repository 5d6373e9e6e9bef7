//! The tables: their names, their keys, and whether what stands there has the right shape.
//! `DescribeTable` tells the names of the keys, which are whatever the table was made with.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, KeySchemaElement, KeyType, ScalarAttributeType, TableDescription,
};

use super::DynamoDb;
use crate::status::StatusError;

/// The ETL framework's documents spell the run-status table in two ways; a new one gets the first.
pub(super) const RUN_STATUS: [&str; 2] = ["run-status", "ocsf-run-status"];
/// Loads stand in a table of their own: what the framework's tools read has an item for each
/// period and nothing else.
pub(super) const LOADS: &str = "loads";

/// The keys of a run-status table that we make.
pub(super) const DATASET: &str = "dataset";
pub(super) const PERIOD: &str = "period";

/// The keys of the table of loads. All loads share one partition, so that its local index
/// has them in the order of their starts.
pub(super) const KIND: &str = "kind";
pub(super) const LOAD: &str = "load";
pub(super) const LOAD_ID: &str = "load_id";
pub(super) const STARTED_AT: &str = "started_at";
pub(super) const BY_START: &str = "by_start";

/// The run-status table that stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunStatus {
    pub(super) name: String,
    /// Its keys' names: the partition key holds the dataset, the sort key the month.
    pub(super) partition: String,
    pub(super) sort: String,
}

/// The table of loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoadsTable {
    pub(super) name: String,
}

impl RunStatus {
    /// The name under which an attribute of ours stands.
    pub(super) fn attribute(&self, name: &str) -> String {
        match name == self.partition || name == self.sort {
            true => aside(name),
            false => name.to_owned(),
        }
    }
}

/// Where an attribute stands whose name is a key's.
pub(super) fn aside(name: &str) -> String {
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

    /// The run-status table under the spelling that exists.
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

    /// What DynamoDB says about a table, if it exists.
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
