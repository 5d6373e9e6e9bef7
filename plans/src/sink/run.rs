//! One run of one split: classify, order, map, write, and the receipt last.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use tracing::debug;

use super::heartbeat::{Advance, HeartbeatWriter};
use super::open_parts::OpenParts;
use super::part::{PartFacts, PartNames, PartWriter, part_error};
use super::program::PhysicalProgram;
use super::quarantine::Quarantine;
use super::rows::{RowSteps, RowTerms};
use super::sort::{Chunk, Runs, text_span};
use super::{fence, heartbeat};
use crate::attempt::AttemptSpec;
use crate::lake::{AttemptFiles, event_folder, path_below};
use crate::receipt::{Ledger, Part, PartKind, PeriodRows, Receipt, add_counts};
use crate::scan::error::io_error;
use crate::scan::reader::{BATCH_ROWS, load_split};
use crate::scan::split::Split;
use crate::storage;
use crate::storage::{Located, parts};

/// Batches below this many rows are joined first: tiny files make tiny batches.
const SMALL_BATCH: usize = BATCH_ROWS / 8;

/// What every partition of a sink needs.
#[derive(Clone)]
pub(super) struct SinkContext {
    pub program: Arc<PhysicalProgram>,
    pub spec: Arc<AttemptSpec>,
    pub context: Arc<TaskContext>,
    pub partition: usize,
    /// The path of the split list in the work area's store.
    pub split: String,
}

/// Runs the split to its end; the receipt has been written when this returns.
pub(super) async fn run(
    sink_context: SinkContext,
    input: SendableRecordBatchStream,
) -> Result<Receipt> {
    let work = storage::open(&sink_context.spec.work)
        .map_err(|error| DataFusionError::External(error.into()))?;
    let list = Path::parse(&sink_context.split)
        .map_err(|error| DataFusionError::External(error.into()))?;
    let split = load_split(work.store.as_ref(), &list).await?;
    let mut run = SplitRun::new(&sink_context, &split)?;
    let advance = run.advance.clone();
    let heartbeat = AttemptFiles(&sink_context.spec.attempt).heartbeat(&run.names.run);
    let writer = HeartbeatWriter {
        work: &work,
        path: path_below(&work.path, &heartbeat),
        split: &split.id,
        advance: &advance,
    };
    let written = tokio::select! {
        written = run.whole(input, &sink_context, &split) => written,
        over = fence::over(&work, &sink_context.spec.attempt) => Err(over),
        never = writer.write_every(heartbeat::FIRST, heartbeat::EVERY) => match never {},
    };
    let receipt = match written {
        Ok(receipt) => receipt,
        Err(error) => {
            run.sink.abort().await;
            return Err(error);
        }
    };
    crate::crash_point::reach("before-receipt");
    let path = put_receipt(&work, &receipt, &run.names.run).await?;
    // Another process may have removed the attempt, and looked before these parts existed.
    if fence::is_over(&work, &receipt.attempt).await {
        run.sink.abort().await;
        if let Err(error) = work.store.delete(&path).await {
            debug!(%error, "a receipt is left to `lakebolt sweep`");
        }
        return Err(fence::gone(&receipt.attempt));
    }
    let (attempt, rows) = (&receipt.attempt, receipt.ledger.read);
    debug!(attempt, split = receipt.split, rows, "split done");
    Ok(receipt)
}

struct SplitRun {
    spec: Arc<AttemptSpec>,
    steps: RowSteps,
    quarantine: Quarantine,
    sink: OpenParts,
    names: PartNames,
    parts: Vec<Part>,
    raw_bytes: u64,
    scratch_bytes: u64,
    advance: Arc<Advance>,
}

impl SplitRun {
    fn new(sink_context: &SinkContext, split: &Split) -> Result<Self> {
        let spec = sink_context.spec.clone();
        let target = spec.targets.values().next().unwrap_or(&spec.quarantine);
        let sink = parts::open(target, &spec.work, &spec.access);
        let sink = OpenParts::new(sink.map_err(part_error)?);
        let run = format!("{}{:08x}", split.id, nonce());
        Ok(Self {
            steps: RowSteps::new(sink_context.program.clone(), RowTerms::of(&spec), split),
            quarantine: Quarantine::new(&spec, split),
            sink,
            names: PartNames {
                spec: spec.clone(),
                run,
                next: 0,
            },
            parts: Vec::new(),
            raw_bytes: 0,
            scratch_bytes: 0,
            advance: Arc::default(),
            spec,
        })
    }

    async fn whole(
        &mut self,
        input: SendableRecordBatchStream,
        sink_context: &SinkContext,
        split: &Split,
    ) -> Result<Receipt> {
        let runs = self.ingest(input, sink_context).await?;
        self.write(runs).await?;
        self.receipt(sink_context, split).await
    }

    /// Reads the split to its end and keeps the task's own rows.
    async fn ingest(
        &mut self,
        input: SendableRecordBatchStream,
        sink_context: &SinkContext,
    ) -> Result<Runs> {
        let schema = input.schema();
        let mut runs = Runs::new(
            schema.clone(),
            self.spec.memory_bytes,
            &sink_context.context,
            sink_context.partition,
        );
        let mut small: Vec<RecordBatch> = Vec::new();
        // Of the small batches, which may be of many objects.
        let mut text = 0;
        let mut input = input.fuse();
        while let Some(batch) = input.try_next().await? {
            if batch.num_rows() == 0 {
                continue;
            }
            let span = text_span(&batch);
            self.raw_bytes += span;
            if batch.num_rows() >= SMALL_BATCH && small.is_empty() {
                self.take(batch, span, &mut runs).await?;
                continue;
            }
            text += span;
            small.push(batch);
            if small.iter().map(RecordBatch::num_rows).sum::<usize>() >= BATCH_ROWS / 2 {
                let joined = concat_batches(&schema, &std::mem::take(&mut small))?;
                self.take(joined, std::mem::take(&mut text), &mut runs)
                    .await?;
            }
        }
        if !small.is_empty() {
            let joined = concat_batches(&schema, &small)?;
            self.take(joined, text, &mut runs).await?;
        }
        Ok(runs)
    }

    /// Takes a batch that keeps so many bytes of text.
    async fn take(&mut self, batch: RecordBatch, text: u64, runs: &mut Runs) -> Result<()> {
        let (index, before) = (runs.next_index(), runs.keys().len());
        self.advance.read(batch.num_rows());
        let found = self.steps.classify(batch, index, runs.keys())?;
        self.quarantine
            .add(&found.batch, &found.rejections, &self.sink, &mut self.names)
            .await?;
        if runs.keys().len() > before {
            runs.push(found.batch, text)?;
        }
        Ok(())
    }

    /// Maps and writes the kept rows, one part at a time.
    async fn write(&mut self, runs: Runs) -> Result<()> {
        let (mut chunks, spilled) = runs.into_chunks()?;
        self.scratch_bytes = spilled;
        let mut open: Option<(u32, PartWriter)> = None;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            self.advance.mapped(chunk.rows.num_rows());
            let Some(mapped) = self.map(&chunk).await? else {
                continue;
            };
            if open
                .as_ref()
                .is_some_and(|(group, writer)| *group != chunk.group || writer.is_full())
            {
                self.close(open.take()).await?;
            }
            let (_, writer) = match &mut open {
                Some(open) => open,
                None => open.insert((chunk.group, self.open(chunk.group).await?)),
            };
            writer
                .write(&mapped, chunk.min_time, chunk.max_time)
                .await?;
            crate::crash_point::reach("during-first-part");
        }
        self.close(open).await
    }

    /// The chunk as OCSF events, less those that miss a required attribute.
    async fn map(&mut self, chunk: &Chunk) -> Result<Option<RecordBatch>> {
        let group = self.steps.group(chunk.group);
        let (route, day) = (group.route, group.day);
        let mapped = self.steps.map(route, day, &chunk.rows)?;
        if mapped.rejections.is_empty() {
            return Ok(Some(mapped.events));
        }
        self.quarantine
            .add(&chunk.rows, &mapped.rejections, &self.sink, &mut self.names)
            .await?;
        Ok((mapped.events.num_rows() > 0).then_some(mapped.events))
    }

    async fn open(&mut self, group: u32) -> Result<PartWriter> {
        let group = self.steps.group(group);
        let route = &self.steps.routes()[group.route];
        let Some(target) = self.spec.targets.get(&route.class.name) else {
            return datafusion::common::plan_err!("no target for class {}", route.class.name);
        };
        let (region, account, day) = (
            group.region.to_string(),
            group.account.to_string(),
            group.day,
        );
        let facts = PartFacts {
            kind: PartKind::Events,
            folder: event_folder(target, &region, &account, day),
            class_uid: route.class.uid,
            region,
            account,
            day,
        };
        let schema = self.steps.schema(group.route);
        PartWriter::create(&self.sink, &mut self.names, facts, schema).await
    }

    async fn close(&mut self, open: Option<(u32, PartWriter)>) -> Result<()> {
        let Some((_, writer)) = open else {
            return Ok(());
        };
        self.parts.push(writer.finish().await?);
        Ok(())
    }

    /// The rows of one period, by its index.
    fn rows_of(&self, index: usize) -> PeriodRows {
        let counted = &self.steps.counts()[index];
        let days = &self.spec.periods[index].days;
        let parts = self.parts.iter().filter(|part| days.contains(&part.day));
        let events = parts.filter(|part| part.kind == PartKind::Events);
        let mut rows = PeriodRows {
            ledger: Ledger {
                written: events.map(|part| part.rows).sum(),
                ..counted.ledger
            },
            reasons: counted.filtered.clone(),
            left_out: BTreeMap::new(),
            quarantined_lines: days
                .iter()
                .filter_map(|day| self.quarantine.lines.get(day))
                .sum(),
        };
        let rejected = days
            .iter()
            .filter_map(|day| self.quarantine.reasons.get(day));
        for reasons in rejected {
            rows.ledger.quarantined += reasons.values().sum::<u64>();
            add_counts(&mut rows.reasons, reasons);
        }
        for left_out in days.iter().filter_map(|day| self.steps.left_out().get(day)) {
            add_counts(&mut rows.left_out, left_out);
        }
        rows
    }

    async fn receipt(&mut self, sink_context: &SinkContext, split: &Split) -> Result<Receipt> {
        let quarantined = self.quarantine.finish(&self.sink, &mut self.names).await?;
        self.parts.extend(quarantined);
        let mut total = PeriodRows::default();
        let mut periods = BTreeMap::new();
        for (index, period) in self.spec.periods.iter().enumerate() {
            let rows = self.rows_of(index);
            total += &rows;
            periods.insert(period.attempt.clone(), rows);
        }
        if periods.len() == 1 {
            periods.clear();
        }
        Ok(Receipt {
            schema_version: 1,
            attempt: self.spec.attempt.clone(),
            split: split.id.clone(),
            task_attempt: sink_context
                .context
                .task_id()
                .unwrap_or_else(|| "local".to_owned()),
            ledger: total.ledger,
            reasons: total.reasons,
            left_out: total.left_out,
            quarantined_lines: total.quarantined_lines,
            periods,
            parts: std::mem::take(&mut self.parts),
            input_objects: split.objects.len() as u64,
            input_bytes: split.objects.iter().map(|object| object.size).sum(),
            raw_bytes: self.raw_bytes,
            scratch_bytes: self.scratch_bytes,
            objects: self.steps.given().to_vec(),
        })
    }
}

async fn put_receipt(work: &Located, receipt: &Receipt, run: &str) -> Result<Path> {
    let path = path_below(&work.path, &AttemptFiles(&receipt.attempt).receipt(run));
    let bytes =
        serde_json::to_vec(receipt).map_err(|error| DataFusionError::External(error.into()))?;
    work.store
        .put(&path, PutPayload::from(bytes))
        .await
        .map_err(io_error)?;
    Ok(path)
}

/// 32 bits that no other run of the split has, by the standard library's seeding.
fn nonce() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}
