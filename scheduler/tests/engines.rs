//! Runs the same plan on Ballista and on plain DataFusion. Rows and receipts must be equal.
#![expect(
    clippy::unwrap_used,
    reason = "helpers may panic like the tests themselves"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use datafusion::logical_expr::{Expr, cast, ident};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::physical_plan::ExecutionPlan;
use plans::attempt::{AttemptSpec, PeriodSpec};
use plans::mapping::{Class, Layout, Leaf, Object, Placed, Program, Route};
use plans::pipeline::attempt_plan;
use plans::receipt::{Ledger, PartKind, Receipt};
use plans::scan::split::{InputObject, Split, SplitRef};
use plans::spec;
use plans::spec::{Column, ColumnKind};
use plans::storage::parts::Staged;
use scheduler::submit::Submit;
use scheduler::submit::ballista::Embedded;
use scheduler::submit::local::Local;

const DAY: i32 = 19_737; // 2024-01-15
const DAY_START: i64 = DAY as i64 * 86_400;

/// A program that copies two columns into a nested object.
fn program() -> Program {
    let columns = vec![
        Column::new("t", ColumnKind::Epoch(spec::TimeUnit::Second)),
        Column::new("who", ColumnKind::Text),
    ];
    let millis = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let time: Expr = cast(ident("t"), millis);
    let who = Field::new("name", DataType::Utf8View, true);
    let schema = Schema::new(vec![
        Field::new("time", DataType::Int64, true),
        Field::new("user", DataType::Struct(vec![who].into()), true),
    ]);
    let route = Route {
        name: "sign_in".to_owned(),
        class: Class {
            uid: 3002,
            name: "authentication".to_owned(),
            output: "test".to_owned(),
            target: None,
            role: None,
        },
        when: None,
        also: false,
        event: Object::new(vec![
            Layout::Leaf(Leaf::new(cast(time.clone(), DataType::Int64))),
            Layout::Struct(Object::new(vec![Layout::Leaf(Leaf::new(ident("who")))])),
        ]),
        time: Placed::new(time),
        account: None,
        region: None,
        schema: Arc::new(schema),
        keys: Vec::new(),
    };
    Program {
        source: "test".to_owned(),
        wanted: (0..columns.len()).collect(),
        columns,
        written: Vec::new(),
        filters: Vec::new(),
        routes: vec![route],
        digest: "0".to_owned(),
    }
}

/// Ten splits of three good rows, one invalid row and one row of the next day each.
fn splits(root: &Path, attempt: &str, seconds: &[i64]) -> Vec<SplitRef> {
    let mut refs = Vec::new();
    for number in 0..10 {
        let mut text = String::new();
        for (row, second) in seconds.iter().enumerate() {
            text += &format!(
                "{{\"t\":{},\"who\":\"u{number}-{row}\"}}\n",
                DAY_START + second
            );
        }
        text += "{\"t\":\n";
        text += &format!("{{\"t\":{},\"who\":\"tomorrow\"}}\n", DAY_START + 86_400);
        let input = root.join(format!("input-{number}.jsonl"));
        fs::write(&input, &text).unwrap();
        let object = InputObject {
            store: "file:///".to_owned(),
            path: input.to_string_lossy().trim_start_matches('/').to_owned(),
            size: text.len() as u64,
            region: Some("eu-west-1".to_owned()),
            account: Some("111122223333".to_owned()),
            day: Some(DAY),
            ..InputObject::default()
        };
        let id = format!("{number:04}");
        let list = serde_json::to_vec(&Split {
            id: id.clone(),
            objects: vec![object],
        })
        .unwrap();
        let path = root
            .join("work/attempts")
            .join(attempt)
            .join("splits")
            .join(format!("{id}.json"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &list).unwrap();
        // A split whose attempt has no owner file stops.
        fs::write(
            root.join("work/attempts").join(attempt).join("owner.json"),
            "{}",
        )
        .unwrap();
        let path = path.to_string_lossy().trim_start_matches('/').to_owned();
        refs.push(SplitRef {
            id,
            path,
            size: list.len() as u64,
        });
    }
    refs
}

fn plan(root: &Path, attempt: &str) -> Arc<dyn ExecutionPlan> {
    plan_of(root, attempt, &[70, 50, 60], 64 << 20)
}

fn plan_of(
    root: &Path,
    attempt: &str,
    seconds: &[i64],
    memory_bytes: u64,
) -> Arc<dyn ExecutionPlan> {
    let uri = |name: &str| format!("file://{}/{name}", root.display());
    let task = AttemptSpec {
        attempt: attempt.to_owned(),
        periods: vec![PeriodSpec {
            attempt: attempt.to_owned(),
            digest8: "0011aabb".to_owned(),
            period: "2024-01".to_owned(),
            days: vec![DAY],
        }],
        source: "test".to_owned(),
        work: uri("work"),
        splits: splits(root, attempt, seconds),
        targets: BTreeMap::from([("authentication".to_owned(), uri("lake/ext/test"))]),
        access: plans::storage::Access::default(),
        quarantine: uri("quarantine"),
        load_id: "load".to_owned(),
        margin: 1,
        undated_day: DAY,
        region: None,
        account: None,
        memory_bytes,
    };
    let format = spec::Format {
        name: "json_lines".to_owned(),
        ..spec::Format::default()
    };
    attempt_plan(&program(), &format, task).unwrap()
}

fn receipts(root: &Path, attempt: &str) -> Vec<Receipt> {
    let folder = root.join("work/attempts").join(attempt).join("receipts");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .map(|file| serde_json::from_slice(&fs::read(file).unwrap()).unwrap())
        .collect()
}

/// A part's kind, rows, first and last time, and day.
type Part = (PartKind, u64, i64, i64, i32);

/// The results of a run, without the names that differ between runs.
fn account(root: &Path, attempt: &str) -> (Ledger, Vec<Part>) {
    let mut ledger = Ledger::default();
    let mut parts = Vec::new();
    for receipt in receipts(root, attempt) {
        assert!(receipt.ledger.adds_up());
        ledger += receipt.ledger;
        parts.extend(
            receipt
                .parts
                .iter()
                .map(|part| (part.kind, part.rows, part.min_time, part.max_time, part.day)),
        );
    }
    parts.sort_by_key(|part| (part.0 == PartKind::Quarantine, part.2));
    (ledger, parts)
}

#[tokio::test(flavor = "multi_thread")]
async fn ballista_and_datafusion_write_the_same_receipts() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = Embedded::start(2, folder.path()).await.unwrap();
    let local = Local::start(2, folder.path()).unwrap();
    embedded
        .run("test", plan(folder.path(), "ballista"))
        .await
        .unwrap();
    local
        .run("test", plan(folder.path(), "datafusion"))
        .await
        .unwrap();
    embedded.close().await;

    let (ledger, parts) = account(folder.path(), "ballista");
    assert_eq!(
        (
            ledger.read,
            ledger.written,
            ledger.quarantined,
            ledger.other_period
        ),
        (50, 30, 10, 10)
    );
    assert_eq!(parts.len(), 20);
    assert_eq!(
        parts[0],
        (
            PartKind::Events,
            3,
            (DAY_START + 50) * 1000,
            (DAY_START + 70) * 1000,
            DAY
        )
    );
    assert_eq!((ledger, parts), account(folder.path(), "datafusion"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_is_cancelled_and_the_next_one_works() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = Embedded::start(2, folder.path()).await.unwrap();
    let dropped = embedded.run("dropped", plan(folder.path(), "dropped"));
    let timeout = tokio::time::timeout(std::time::Duration::from_millis(1), dropped).await;
    drop(timeout);
    embedded
        .run("kept", plan(folder.path(), "kept"))
        .await
        .unwrap();
    assert_eq!(account(folder.path(), "kept").0.written, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn spilled_runs_write_the_same_receipts() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::start(2, folder.path()).unwrap();
    // Several batches per split, in no order.
    let seconds: Vec<i64> = (0..30_000).map(|row| row * 7919 % 86_400).collect();
    for (attempt, memory) in [("held", 256 << 20), ("spilled", 1)] {
        let plan = plan_of(folder.path(), attempt, &seconds, memory);
        local.run(attempt, plan).await.unwrap();
    }
    for receipt in receipts(folder.path(), "spilled") {
        assert!(receipt.scratch_bytes > 0 && receipt.raw_bytes > 0);
        for part in &receipt.parts {
            let times = times(part);
            assert!(times.is_sorted() && times.len() as u64 == part.rows);
        }
    }
    assert_eq!(
        account(folder.path(), "spilled"),
        account(folder.path(), "held")
    );
}

/// The times in an unpublished part. Quarantine parts have none, so each of their rows counts
/// as 0.
fn times(part: &plans::receipt::Part) -> Vec<i64> {
    let Staged::File { path } = &part.handle.staged else {
        panic!("a local part");
    };
    let file = fs::File::open(path).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut times = Vec::new();
    for batch in batches.build().unwrap() {
        let batch = batch.unwrap();
        match batch.column_by_name("time") {
            Some(column) => times.extend(column.as_primitive::<Int64Type>().values()),
            None => times.extend(vec![0; batch.num_rows()]),
        }
    }
    times
}
