//! Order in bounded memory: rows gather in a run, runs that outgrow the budget are
//! sorted and spilled, and spilled runs are merged.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt32Type};
use datafusion::common::Result;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryPool, MemoryReservation, UnboundedMemoryPool,
};
use datafusion::execution::{SpillFile, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::sorts::streaming_merge::StreamingMergeBuilder;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};

use crate::decode::{OFFSET, RAW};
use crate::scan::reader::BATCH_ROWS;

const GROUP: &str = "_group";
const TIME: &str = "_time";
/// What a spilled batch comes to, of rows of any width: a merge holds some of every run.
const SPILLED_BYTES: u64 = 2 << 20;
const LEAST_SPILLED_ROWS: u64 = 64;

/// A kept row: its group, its time, and where it stands in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub group: u32,
    pub time: i64,
    pub batch: u32,
    pub row: u32,
}

/// Neighbouring rows of one group, in time order.
pub(super) struct Chunk {
    pub group: u32,
    pub min_time: i64,
    pub max_time: i64,
    pub rows: RecordBatch,
}

/// Rows on their way into order.
pub(super) struct Runs {
    schema: SchemaRef,
    budget: u64,
    held: u64,
    batches: Vec<RecordBatch>,
    keys: Vec<Key>,
    /// What is held, of what all tasks of the process may hold.
    reservation: MemoryReservation,
    spill: Spill,
}

struct Spill {
    manager: SpillManager,
    files: Vec<(Arc<dyn SpillFile>, usize)>,
    bytes: u64,
    /// Of a batch, by the widest run.
    rows: usize,
    metrics: ExecutionPlanMetricsSet,
    partition: usize,
}

impl Runs {
    pub(super) fn new(
        schema: SchemaRef,
        budget: u64,
        context: &TaskContext,
        partition: usize,
    ) -> Self {
        let metrics = ExecutionPlanMetricsSet::new();
        let spilled = with_keys(&schema);
        let manager = SpillManager::new(
            context.runtime_env(),
            SpillMetrics::new(&metrics, partition),
            spilled,
        );
        let consumer = MemoryConsumer::new("rows in no order yet").with_can_spill(true);
        let reservation = consumer.register(context.memory_pool());
        let spill = Spill {
            manager,
            files: Vec::new(),
            bytes: 0,
            rows: BATCH_ROWS,
            metrics,
            partition,
        };
        Self {
            schema,
            budget,
            held: 0,
            batches: Vec::new(),
            keys: Vec::new(),
            reservation,
            spill,
        }
    }

    /// The index that the next batch of the run will have.
    pub(super) fn next_index(&self) -> u32 {
        self.batches.len() as u32
    }

    pub(super) fn keys(&mut self) -> &mut Vec<Key> {
        &mut self.keys
    }

    /// Takes the batch whose keys were just added, with the bytes of the text that it keeps;
    /// spills when the run is full.
    pub(super) fn push(&mut self, batch: RecordBatch, text: u64) -> Result<()> {
        self.held += fixed_width(&batch) + text;
        self.batches.push(batch);
        let held = usize::try_from(self.held).unwrap_or(usize::MAX);
        if self.held >= self.budget || self.reservation.try_resize(held).is_err() {
            self.spill_run()?;
        }
        Ok(())
    }

    fn spill_run(&mut self) -> Result<()> {
        let held = self.held;
        let (batches, keys) = self.take_run();
        if keys.is_empty() {
            return Ok(());
        }
        self.spill.bound(held / keys.len() as u64);
        let schema = with_keys(&self.schema);
        let sorted = sorted_chunks(&batches, &keys, self.spill.rows).map(|chunk| {
            let (rows, keys) = chunk?;
            let groups = UInt32Array::from_iter_values(keys.iter().map(|key| key.group));
            let times = Int64Array::from_iter_values(keys.iter().map(|key| key.time));
            let mut columns = rows.columns().to_vec();
            columns.push(Arc::new(groups));
            columns.push(Arc::new(times));
            Ok(RecordBatch::try_new(schema.clone(), columns)?)
        });
        self.spill.write(sorted)?;
        self.reservation.free();
        Ok(())
    }

    fn take_run(&mut self) -> (Vec<RecordBatch>, Vec<Key>) {
        self.held = 0;
        let mut keys = std::mem::take(&mut self.keys);
        if !keys.is_sorted() {
            keys.sort_unstable();
        }
        (std::mem::take(&mut self.batches), keys)
    }

    /// All rows in the order of their groups and times, and the bytes that were spilled.
    pub(super) fn into_chunks(mut self) -> Result<(BoxStream<'static, Result<Chunk>>, u64)> {
        if self.spill.files.is_empty() {
            let (batches, keys) = self.take_run();
            let chunks = InMemory {
                batches,
                keys,
                next: 0,
                _reservation: self.reservation,
            };
            return Ok((stream::iter(chunks).boxed(), 0));
        }
        self.spill_run()?;
        let spilled = self.spill.bytes;
        let merged = self.spill.merge(&with_keys(&self.schema))?;
        let chunks = merged.flat_map(|batch| stream::iter(chunks_of(batch)));
        Ok((chunks.boxed(), spilled))
    }
}

impl Spill {
    /// Batches of fewer rows where a row takes so many bytes.
    fn bound(&mut self, row: u64) {
        let rows = (SPILLED_BYTES / row.max(1)).max(LEAST_SPILLED_ROWS);
        self.rows = self.rows.min(usize::try_from(rows).unwrap_or(BATCH_ROWS));
    }

    fn write(&mut self, sorted: impl Iterator<Item = Result<RecordBatch>>) -> Result<()> {
        let mut file = self.manager.create_in_progress_file("sorted run")?;
        let mut largest = 0;
        for batch in sorted {
            let batch = batch?;
            largest = largest.max(batch.get_array_memory_size());
            file.append_batch(&batch)?;
        }
        if let Some(file) = file.finish()? {
            self.bytes += file.size().unwrap_or(0);
            self.files.push((file, largest));
        }
        Ok(())
    }

    fn merge(self, schema: &SchemaRef) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let column = |name: &str| {
            Ok::<_, arrow::error::ArrowError>(Arc::new(Column::new(name, schema.index_of(name)?)))
        };
        let order = [
            PhysicalSortExpr::new_default(column(GROUP)?),
            PhysicalSortExpr::new_default(column(TIME)?),
        ];
        let order = LexOrdering::new(order).expect("two sort expressions are an ordering");
        let streams = self
            .files
            .into_iter()
            .map(|(file, largest)| self.manager.read_spill_as_stream(file, Some(largest)));
        // A batch of each run: refusing it would fail what could not be done with less.
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let merged = StreamingMergeBuilder::new()
            .with_streams(streams.collect::<Result<_>>()?)
            .with_schema(schema.clone())
            .with_expressions(&order)
            .with_metrics(BaselineMetrics::new(&self.metrics, self.partition))
            .with_batch_size(self.rows)
            .with_reservation(MemoryConsumer::new("merge of sorted runs").register(&pool))
            .build()?;
        Ok(merged.boxed())
    }
}

/// The chunks of a run that was never spilled.
struct InMemory {
    batches: Vec<RecordBatch>,
    keys: Vec<Key>,
    next: usize,
    _reservation: MemoryReservation,
}

impl Iterator for InMemory {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        let keys = &self.keys[self.next..];
        let first = keys.first()?;
        let keys = &keys[..keys.len().min(BATCH_ROWS)];
        let same = keys.partition_point(|key| key.group == first.group);
        self.next += same;
        Some(gather(&self.batches, &keys[..same]).map(|rows| Chunk {
            group: first.group,
            min_time: first.time,
            max_time: keys[same - 1].time,
            rows,
        }))
    }
}

fn sorted_chunks<'a>(
    batches: &'a [RecordBatch],
    keys: &'a [Key],
    rows: usize,
) -> impl Iterator<Item = Result<(RecordBatch, &'a [Key])>> {
    keys.chunks(rows)
        .map(|keys| Ok((gather(batches, keys)?, keys)))
}

/// The rows that `keys` name, in their order.
pub(crate) fn gather(batches: &[RecordBatch], keys: &[Key]) -> Result<RecordBatch> {
    if let [first, .., last] = keys
        && first.batch == last.batch
        && keys
            .windows(2)
            .all(|pair| pair[1].row == pair[0].row + 1 && pair[1].batch == pair[0].batch)
    {
        return Ok(batches[first.batch as usize].slice(first.row as usize, keys.len()));
    }
    let (used, indices) = compact(keys);
    let used: Vec<&RecordBatch> = used.iter().map(|index| &batches[*index as usize]).collect();
    Ok(interleave_record_batch(&used, &indices)?)
}

/// The batches that `keys` touch and the keys' indices into these, since gathering
/// costs something for each batch it is given.
fn compact(keys: &[Key]) -> (Vec<u32>, Vec<(usize, usize)>) {
    let mut used: Vec<u32> = keys.iter().map(|key| key.batch).collect();
    used.sort_unstable();
    used.dedup();
    let position = |batch| {
        used.binary_search(&batch)
            .expect("every key's batch was listed")
    };
    let indices = keys
        .iter()
        .map(|key| (position(key.batch), key.row as usize))
        .collect();
    (used, indices)
}

fn with_keys(schema: &SchemaRef) -> SchemaRef {
    let mut fields = schema.fields().to_vec();
    fields.push(Arc::new(Field::new(GROUP, DataType::UInt32, false)));
    fields.push(Arc::new(Field::new(TIME, DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}

/// Cuts a merged batch where its group changes.
fn chunks_of(batch: Result<RecordBatch>) -> Vec<Result<Chunk>> {
    let batch = match batch {
        Ok(batch) => batch,
        Err(error) => return vec![Err(error)],
    };
    let keys = batch.num_columns() - 2;
    let groups = batch.column(keys).as_primitive::<UInt32Type>().clone();
    let times = batch.column(keys + 1).as_primitive::<Int64Type>().clone();
    let narrow: Vec<usize> = (0..keys).collect();
    let mut chunks = Vec::new();
    let mut start = 0;
    while start < groups.len() {
        let group = groups.value(start);
        let same = groups.values()[start..].partition_point(|other| *other == group);
        let rows = batch.project(&narrow).map(|rows| rows.slice(start, same));
        let (min_time, max_time) = (times.value(start), times.value(start + same - 1));
        chunks.push(
            rows.map(|rows| Chunk {
                group,
                min_time,
                max_time,
                rows,
            })
            .map_err(Into::into),
        );
        start += same;
    }
    chunks
}

/// Bytes that holding the batch keeps in memory besides its text, which views share.
fn fixed_width(batch: &RecordBatch) -> u64 {
    let rows = batch.num_rows();
    let columns = batch
        .columns()
        .iter()
        .filter(|column| column.null_count() < rows);
    let fixed: usize = columns
        .map(|column| column.data_type().primitive_width().unwrap_or(16) * rows)
        .sum();
    fixed as u64
}

/// Bytes of text from the first line of a batch to the end of its last, all of one object.
pub(super) fn text_span(batch: &RecordBatch) -> u64 {
    let (Some(offsets), Some(raw)) = (batch.column_by_name(OFFSET), batch.column_by_name(RAW))
    else {
        return 0;
    };
    let offsets = offsets.as_primitive::<arrow::datatypes::UInt64Type>();
    if offsets.is_empty() {
        return 0;
    }
    let last = raw
        .as_binary_view_opt()
        .filter(|raw| raw.is_valid(raw.len() - 1))
        .map_or(0, |raw| raw.value(raw.len() - 1).len());
    offsets
        .value(offsets.len() - 1)
        .saturating_sub(offsets.value(0))
        + last as u64
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionConfig;

    use super::*;
    use crate::session;

    /// Rows of eight bytes each, in an order that is none.
    fn batch(number: u32) -> (RecordBatch, Vec<Key>) {
        let rows = 1000;
        let values = (0..rows).map(|row| i64::from(row * 7919 % rows));
        let values: Vec<i64> = values.collect();
        let key = |(row, time): (usize, &i64)| Key {
            group: 0,
            time: *time,
            batch: number,
            row: row as u32,
        };
        let keys = values.iter().enumerate().map(key).collect();
        let schema = Schema::new(vec![Field::new("value", DataType::Int64, false)]);
        let column = Arc::new(Int64Array::from(values));
        let batch = RecordBatch::try_new(Arc::new(schema), vec![column]);
        (batch.expect("one column"), keys)
    }

    /// The times of ten batches in order, and the bytes that were spilled on the way.
    async fn sorted(memory: Option<usize>) -> (Vec<i64>, u64) {
        let scratch = tempfile::tempdir().expect("a folder");
        let runtime = session::runtime(scratch.path(), memory).expect("a runtime");
        let state = session::state(SessionConfig::new(), runtime);
        let context = TaskContext::from(&state);
        let schema = batch(0).0.schema();
        let mut runs = Runs::new(schema, u64::MAX, &context, 0);
        for _ in 0..10 {
            let (batch, keys) = batch(runs.next_index());
            runs.keys().extend(keys);
            runs.push(batch, 0).expect("room on disk");
        }
        let (mut chunks, spilled) = runs.into_chunks().expect("runs");
        let mut times = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let rows = chunk.expect("a chunk").rows;
            times.extend(rows.column(0).as_primitive::<Int64Type>().values());
        }
        (times, spilled)
    }

    #[tokio::test]
    async fn what_all_tasks_may_hold_bounds_a_run_whatever_its_own_budget_is() {
        let (in_memory, nothing) = sorted(None).await;
        let (merged, spilled) = sorted(Some(20_000)).await;
        assert_eq!((in_memory.len(), nothing), (10_000, 0));
        assert!(spilled > 0);
        assert!(in_memory.is_sorted());
        assert_eq!(merged, in_memory);
    }

    #[tokio::test]
    async fn wide_rows_are_merged_in_small_batches() {
        let scratch = tempfile::tempdir().expect("a folder");
        let runtime = session::runtime(scratch.path(), None).expect("a runtime");
        let state = session::state(SessionConfig::new(), runtime);
        let context = TaskContext::from(&state);
        let budget = 50 << 20;
        let mut runs = Runs::new(batch(0).0.schema(), budget, &context, 0);
        for _ in 0..10 {
            let (batch, keys) = batch(runs.next_index());
            runs.keys().extend(keys);
            // 10 KB a row.
            runs.push(batch, 10_000_000).expect("room on disk");
        }
        let (mut chunks, spilled) = runs.into_chunks().expect("runs");
        let mut rows = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.expect("a chunk").rows.num_rows();
            assert!(chunk <= 210, "{chunk} rows at once");
            rows += chunk;
        }
        assert!(spilled > 0);
        assert_eq!(rows, 10_000);
    }
}
