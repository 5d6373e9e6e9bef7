//! Helpers for the format tests. They decode bytes and return rows as JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::json::ArrayWriter;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Broken, DecoderRequest, LINE, OBJECT, OFFSET, RAW, Reading, schema_of};
use crate::formats::find;
use crate::spec::{Column, ColumnKind};

/// A format with the parameters of a decoder.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) format: &'static str,
    pub(crate) columns: Vec<Column>,
    pub(crate) wanted: Vec<usize>,
    /// The columns whose texts are kept.
    pub(crate) written: Vec<usize>,
    pub(crate) null: Vec<String>,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) batch_rows: usize,
}

impl Case {
    pub(crate) fn new(format: &'static str) -> Self {
        let columns = find(format).unwrap().columns();
        Self {
            format,
            wanted: (0..columns.len()).collect(),
            columns,
            written: Vec::new(),
            null: Vec::new(),
            options: BTreeMap::new(),
            batch_rows: 3,
        }
    }

    pub(crate) fn column(mut self, name: &str, kind: ColumnKind) -> Self {
        self.wanted.push(self.columns.len());
        self.columns.push(Column::new(name, kind));
        self
    }

    /// Gives the last column its names in the file.
    pub(crate) fn names(mut self, names: &[&str]) -> Self {
        let names = names.iter().map(|name| (*name).to_owned());
        self.columns.last_mut().unwrap().names = names.collect();
        self
    }

    pub(crate) fn source_name(self, name: &str) -> Self {
        self.names(&[name])
    }

    /// Keeps the texts of the last column.
    pub(crate) fn written(mut self) -> Self {
        self.written.push(self.columns.len() - 1);
        self
    }

    pub(crate) fn null(mut self, texts: &[&str]) -> Self {
        self.null = texts.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    pub(crate) fn option(mut self, key: &str, value: &str) -> Self {
        self.options.insert(key.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn request(&self) -> DecoderRequest {
        let wanted = self.wanted.iter().map(|index| &self.columns[*index]);
        DecoderRequest {
            schema: schema_of(wanted),
            columns: self.columns.clone().into(),
            wanted: self.wanted.clone().into(),
            written: self
                .wanted
                .iter()
                .map(|index| self.written.contains(index))
                .collect(),
            null: self.null.clone().into(),
            options: Arc::new(self.options.clone()),
            batch_rows: self.batch_rows,
            object: 5,
        }
    }

    pub(crate) fn batches(
        &self,
        blocks: impl IntoIterator<Item = Bytes>,
        broken: Option<Broken>,
    ) -> Vec<RecordBatch> {
        let Reading::Blocks(decoder) = find(self.format).unwrap().reading() else {
            panic!("{} is not decoded from blocks", self.format);
        };
        let mut decoder = decoder(self.request());
        let mut batches = Vec::new();
        for block in blocks {
            decoder.push(block);
            while let Some(batch) = decoder.next_batch() {
                assert_eq!(batch.num_rows(), self.batch_rows);
                batches.push(batch);
            }
        }
        decoder.finish(broken);
        batches.extend(std::iter::from_fn(|| decoder.next_batch()));
        batches
    }

    /// Decodes input that is cut into blocks of the given sizes. Returns rows with all columns.
    pub(crate) fn all(
        &self,
        input: &[u8],
        sizes: &[usize],
        broken: Option<Broken>,
    ) -> Vec<Map<String, Value>> {
        let batches = self.batches(cut(input, sizes), broken);
        rows(&batches)
    }

    /// Returns the rows without the columns that name their origin.
    pub(crate) fn rows(&self, input: &str) -> Vec<Value> {
        let mut rows = self.all(input.as_bytes(), &[], None);
        for row in &mut rows {
            for column in [OBJECT, LINE, OFFSET, RAW] {
                row.remove(column);
            }
        }
        rows.into_iter().map(Value::Object).collect()
    }

    /// Returns the reject reasons of all rows. A good row has an empty one.
    pub(crate) fn reasons(&self, input: &[u8]) -> Vec<String> {
        let reason = |row: &Map<String, Value>| {
            row.get(super::REJECT)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        self.all(input, &[], None).iter().map(reason).collect()
    }
}

fn cut(input: &[u8], sizes: &[usize]) -> Vec<Bytes> {
    let mut rest = Bytes::copy_from_slice(input);
    let mut blocks = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            return blocks;
        }
        blocks.push(rest.split_to(rest.len().min((*size).max(1))));
    }
    vec![rest]
}

pub(crate) fn rows(batches: &[RecordBatch]) -> Vec<Map<String, Value>> {
    let mut writer = ArrayWriter::new(Vec::new());
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    let text = writer.into_inner();
    if text.is_empty() {
        return Vec::new();
    }
    serde_json::from_slice(&text).unwrap()
}

/// Returns the shared sample files of a source. Prints a message if there are none.
pub(crate) fn shared_samples(source: &str) -> Vec<(String, Vec<u8>)> {
    samples(&format!("../../shared/samples/{source}"))
}

/// Returns the sample files in a source's folder.
pub(crate) fn own_samples(source: &str) -> Vec<(String, Vec<u8>)> {
    samples(&format!("sources/{source}/samples"))
}

fn samples(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no samples in {}", folder.display());
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read(path).unwrap())
    };
    paths.map(read).collect()
}

/// Prints how fast blocks of the line are decoded.
pub(crate) fn print_speed(case: &Case, line: &str) {
    let Reading::Blocks(decoder) = find(case.format).unwrap().reading() else {
        panic!("{} is not decoded from blocks", case.format);
    };
    let line = format!("{line}\n");
    let block = Bytes::from(line.repeat((1 << 20) / line.len()));
    let mut case = case.clone();
    case.batch_rows = 8192;
    let mut decoder = decoder(case.request());
    let (start, blocks) = (std::time::Instant::now(), 200);
    let mut rows = 0;
    for _ in 0..blocks {
        decoder.push(block.clone());
        while let Some(batch) = decoder.next_batch() {
            rows += batch.num_rows();
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let speed = (blocks * block.len()) as f64 / 1e6 / seconds;
    let million = rows as f64 / 1e6 / seconds;
    println!(
        "{}: {speed:.0} MB/s, {million:.2} million rows/s",
        case.format
    );
}
