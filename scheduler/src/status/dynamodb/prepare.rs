//! Creates missing tables and checks existing ones. It changes no existing table.

use std::time::Duration;

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, LocalSecondaryIndex, Projection,
    ProjectionType, ScalarAttributeType, TableStatus,
};

use super::DynamoDb;
use super::tables::{BY_START, DATASET, KIND, LOAD_ID, LOADS, PERIOD, RUN_STATUS, STARTED_AT};
use crate::status::{Prepared, StatusError};

const PAUSE: Duration = Duration::from_millis(500);
/// A new table is usually ready within ten seconds.
const MAX_POLLS: u32 = 600;

impl DynamoDb {
    /// Creates the missing tables and waits until all are ready.
    pub(super) async fn make_tables(&self) -> Result<Vec<Prepared>, StatusError> {
        // If one table has another shape, the other one is not created either.
        let (run_status, loads) = tokio::try_join!(self.find_run_status(), self.find_loads())?;
        let run_status = run_status.map(|table| table.name);
        let loads = loads.map(|table| table.name);
        let (run_status, loads) = tokio::try_join!(
            self.made(run_status, RUN_STATUS[0], run_status_table),
            self.made(loads, LOADS, loads_table),
        )?;
        // A table that another process created in the meantime must have the right shape too.
        tokio::try_join!(self.run_status(), self.loads_table())?;
        Ok(vec![run_status, loads])
    }

    async fn made(
        &self,
        found: Option<String>,
        ending: &str,
        shape: fn(CreateTableFluentBuilder) -> Result<CreateTableFluentBuilder, BuildError>,
    ) -> Result<Prepared, StatusError> {
        let (name, made) = match found {
            Some(name) => (name, false),
            None => {
                let name = self.table(ending);
                let made = self.make(&name, shape).await?;
                (name, made)
            }
        };
        self.wait_for(&name).await?;
        Ok(Prepared { name, made })
    }

    /// Creates a table. Returns false if another process was faster.
    async fn make(
        &self,
        name: &str,
        shape: fn(CreateTableFluentBuilder) -> Result<CreateTableFluentBuilder, BuildError>,
    ) -> Result<bool, StatusError> {
        let request = self.client().await?.create_table().table_name(name);
        let request = request.billing_mode(BillingMode::PayPerRequest);
        let request = shape(request).map_err(|error| self.rejected("CreateTable", name, &error))?;
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ResourceInUseException") => Ok(false),
            Err(error) => Err(self.failed("CreateTable", name, error)),
        }
    }

    async fn wait_for(&self, table: &str) -> Result<(), StatusError> {
        for _ in 0..MAX_POLLS {
            let found = self.describe(table).await?;
            let status = found.and_then(|found| found.table_status);
            if matches!(status, Some(TableStatus::Active | TableStatus::Updating)) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(self.unreachable(format!("table {table} is still not ACTIVE")))
    }
}

fn run_status_table(
    request: CreateTableFluentBuilder,
) -> Result<CreateTableFluentBuilder, BuildError> {
    Ok(request
        .attribute_definitions(text(DATASET)?)
        .attribute_definitions(text(PERIOD)?)
        .key_schema(key(DATASET, KeyType::Hash)?)
        .key_schema(key(PERIOD, KeyType::Range)?))
}

fn loads_table(request: CreateTableFluentBuilder) -> Result<CreateTableFluentBuilder, BuildError> {
    let by_start = LocalSecondaryIndex::builder()
        .index_name(BY_START)
        .key_schema(key(KIND, KeyType::Hash)?)
        .key_schema(key(STARTED_AT, KeyType::Range)?)
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::KeysOnly)
                .build(),
        )
        .build()?;
    Ok(request
        .attribute_definitions(text(KIND)?)
        .attribute_definitions(text(LOAD_ID)?)
        .attribute_definitions(text(STARTED_AT)?)
        .key_schema(key(KIND, KeyType::Hash)?)
        .key_schema(key(LOAD_ID, KeyType::Range)?)
        .local_secondary_indexes(by_start))
}

fn text(name: &str) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S)
        .build()
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, BuildError> {
    KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind)
        .build()
}
