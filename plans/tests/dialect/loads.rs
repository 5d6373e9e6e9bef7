//! What `map` and `run` make of lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use plans::attempt::{AttemptSpec, PeriodSpec};
use plans::compiled::Compiled;
use plans::inspect::golden::adds_up;
use plans::inspect::preview::{Fate, json_rows, preview};
use plans::pipeline::attempt_plan;
use plans::receipt::{PartKind, Receipt};
use plans::scan::split::{InputObject, Split, SplitRef};
use plans::session;
use plans::storage::Access;
use plans::storage::parts::Staged;

use crate::rows::DAY;

/// The lines of a file as `map` shows them.
pub(crate) async fn mapped(compiled: &Compiled, file: &Path) -> Vec<Fate> {
    let mut fates = Vec::new();
    let each = |fate| {
        fates.push(fate);
        true
    };
    let format = &compiled.source.format;
    let read = preview(&compiled.program, format, vec![object(file)], None, each);
    let ledger = read
        .await
        .unwrap_or_else(|error| panic!("preview: {error}"));
    assert!(adds_up(&ledger, fates.len() as u64), "{ledger:?}");
    fates
}

fn object(file: &Path) -> InputObject {
    InputObject {
        store: "file:///".to_owned(),
        path: below_root(file),
        size: fs::metadata(file).expect("a file").len(),
        ..InputObject::default()
    }
}

fn below_root(file: &Path) -> String {
    file.to_string_lossy().trim_start_matches('/').to_owned()
}

/// The events and the rejections of a load, sorted.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Loaded {
    pub(crate) events: Vec<String>,
    /// Line, reason and detail.
    pub(crate) rejected: Vec<(u64, String, String)>,
}

impl Loaded {
    /// The same from what `map` shows.
    pub(crate) fn of(fates: &[Fate]) -> Self {
        let mut loaded = Self::default();
        for fate in fates {
            match fate {
                Fate::Event { json, .. } => loaded.events.push(json.clone()),
                Fate::Rejected {
                    line,
                    reason,
                    detail,
                    ..
                } => loaded
                    .rejected
                    .push((*line, reason.clone(), detail.clone())),
            }
        }
        loaded.sorted()
    }

    fn sorted(mut self) -> Self {
        self.events.sort();
        self.rejected.sort();
        self
    }
}

/// What a load writes of a file.
pub(crate) async fn loaded(compiled: &Compiled, file: &Path, root: &Path) -> Loaded {
    let spec = attempt(compiled, file, root);
    let plan = attempt_plan(&compiled.program, &compiled.source.format, spec).expect("a plan");
    let runtime = session::runtime(root, None).expect("a runtime");
    let context = session::state(session::config(), runtime).task_ctx();
    let rows = plan.execute(0, context).expect("runs");
    let _: Vec<RecordBatch> = rows
        .try_collect()
        .await
        .unwrap_or_else(|error| panic!("run: {error}"));
    read(root)
}

fn attempt(compiled: &Compiled, file: &Path, root: &Path) -> AttemptSpec {
    let folder = root.join("work/attempts/a");
    let list = folder.join("splits/0.json");
    fs::create_dir_all(folder.join("splits")).expect("a folder");
    fs::write(folder.join("owner.json"), "{}").expect("writes");
    let split = Split {
        id: "0".to_owned(),
        objects: vec![object(file)],
    };
    let text = serde_json::to_vec(&split).expect("JSON");
    fs::write(&list, &text).expect("writes");
    let uri = |name: &str| format!("file://{}/{name}", root.display());
    let routes = compiled.program.routes.iter();
    let targets: BTreeMap<String, String> = routes
        .map(|route| (route.class.name.clone(), uri("lake/ext/demo")))
        .collect();
    AttemptSpec {
        attempt: "a".to_owned(),
        periods: vec![PeriodSpec {
            attempt: "a".to_owned(),
            digest8: "00112233".to_owned(),
            period: "2024-01".to_owned(),
            days: vec![DAY],
        }],
        source: compiled.source.name.clone(),
        work: uri("work"),
        splits: vec![SplitRef {
            id: "0".to_owned(),
            path: below_root(&list),
            size: text.len() as u64,
        }],
        targets,
        access: Access::default(),
        quarantine: uri("quarantine"),
        load_id: "load".to_owned(),
        margin: 1,
        undated_day: DAY,
        region: Some("eu-west-1".to_owned()),
        account: None,
        memory_bytes: 16 << 20,
    }
}

fn read(root: &Path) -> Loaded {
    let mut loaded = Loaded::default();
    let receipts = fs::read_dir(root.join("work/attempts/a/receipts")).expect("receipts");
    for receipt in receipts.flatten() {
        let text = fs::read(receipt.path()).expect("a receipt");
        let receipt: Receipt = serde_json::from_slice(&text).expect("a receipt");
        assert!(receipt.ledger.adds_up(), "{:?}", receipt.ledger);
        for part in &receipt.parts {
            let Staged::File { path } = &part.handle.staged else {
                panic!("a local part");
            };
            let file = fs::File::open(path).expect("a part");
            let batches = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
            for batch in batches.build().expect("Parquet") {
                let batch = batch.expect("rows");
                match part.kind {
                    PartKind::Events => loaded.events.extend(json_rows(&batch).expect("JSON")),
                    PartKind::Quarantine => reject(&batch, &mut loaded),
                }
            }
        }
    }
    loaded.sorted()
}

fn reject(batch: &RecordBatch, loaded: &mut Loaded) {
    for row in json_rows(batch).expect("JSON") {
        let row: serde_json::Value = serde_json::from_str(&row).expect("JSON");
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let line = row["line"].as_u64().unwrap_or_default();
        loaded.rejected.push((line, text("reason"), text("detail")));
    }
}
