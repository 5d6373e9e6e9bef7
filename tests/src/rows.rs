//! The rows of a lake, and the rows that the raw logs require.

use std::fs;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use arrow::array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow::util::display::array_value_to_string;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::days::{Day, SECONDS};
use crate::inputs::read_gzip;

/// The columns of an event that identify a flow, in the order of the texts of `raw_flow`.
const FLOW_COLUMNS: [&str; 10] = [
    "time",
    "end_time",
    "src_endpoint.ip",
    "dst_endpoint.ip",
    "src_endpoint.port",
    "dst_endpoint.port",
    "traffic.packets",
    "traffic.bytes",
    "activity_id",
    "status_code",
];

/// Every file below `folder`, sorted. A missing folder has no files.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => found.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}

/// Every object that a reader of the lake may list: each file that ends in `.parquet`.
pub fn objects(lake: &Path) -> Vec<PathBuf> {
    let mut objects = files(lake);
    objects.retain(|path| path.extension().is_some_and(|end| end == "parquet"));
    objects
}

/// The flows of a lake, each as one text, sorted.
pub fn lake_flows(lake: &Path) -> anyhow::Result<Vec<String>> {
    let mut rows = Vec::new();
    for path in objects(lake) {
        let place = place(&path)?;
        for columns in read(&path, &FLOW_COLUMNS)? {
            rows.push(format!("{} {place}", columns.join(" ")));
        }
    }
    rows.sort_unstable();
    Ok(rows)
}

/// The named columns of each row of an object, as text; NULL is `-`.
pub fn read(path: &Path, columns: &[&str]) -> anyhow::Result<Vec<Vec<String>>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch?;
        let arrays: Vec<Column> = columns
            .iter()
            .map(|name| Column::find(&batch, name))
            .collect::<anyhow::Result<_>>()?;
        for row in 0..batch.num_rows() {
            let texts = arrays.iter().map(|array| array.text(row));
            rows.push(texts.collect::<anyhow::Result<_>>()?);
        }
    }
    Ok(rows)
}

/// The number of rows of an object, by its footer.
pub fn count(path: &Path) -> anyhow::Result<u64> {
    let file = File::open(path)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let rows = reader.metadata().file_metadata().num_rows();
    Ok(u64::try_from(rows)?)
}

/// The number of rows of all objects of a lake.
pub fn count_all(lake: &Path) -> anyhow::Result<u64> {
    objects(lake).iter().map(|path| count(path)).sum()
}

/// The flows of these days in the raw files, each as one text, sorted.
pub fn raw_flows(input: &Path, first: Day, last: Day) -> anyhow::Result<Vec<String>> {
    let mut rows = Vec::new();
    for path in files(input) {
        let region = region_of(&path)?;
        for line in read_gzip(&path)?.lines().skip(1) {
            let (day, row) = raw_flow(line, &region)?;
            if (first..=last).contains(&day) {
                rows.push(row);
            }
        }
    }
    rows.sort_unstable();
    Ok(rows)
}

fn raw_flow(line: &str, region: &str) -> anyhow::Result<(Day, String)> {
    let tokens: Vec<&str> = line.split(' ').collect();
    let &[
        _,
        account,
        _,
        from,
        to,
        from_port,
        to_port,
        _,
        packets,
        bytes,
        start,
        end,
        action,
        status,
    ] = tokens.as_slice()
    else {
        bail!("`{line}` is not a flow of version 2");
    };
    let start: i64 = start.parse()?;
    let day = Day(start.div_euclid(SECONDS));
    let activity = match action {
        "ACCEPT" => "6",
        "REJECT" => "5",
        _ => "0",
    };
    let row = format!(
        "{start}000 {end}000 {from} {to} {from_port} {to_port} {packets} {bytes} {activity} {status} \
         region={region}/accountId={account}/eventDay={}",
        day.compact()
    );
    Ok((day, row))
}

fn region_of(path: &Path) -> anyhow::Result<String> {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    let at = parts.iter().position(|part| part == "vpcflowlogs");
    let region = at.and_then(|at| parts.get(at + 1));
    region
        .map(|region| region.to_string())
        .with_context(|| format!("{}: no region in it", path.display()))
}

/// `region=…/accountId=…/eventDay=…` of an object.
fn place(path: &Path) -> anyhow::Result<String> {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    let at = parts.iter().position(|part| part.starts_with("region="));
    let at = at.with_context(|| format!("{}: no region= in its path", path.display()))?;
    Ok(parts[at..parts.len() - 1].join("/"))
}

/// Panics with the first differences if two sorted lists differ.
pub fn assert_same(found: &[String], expected: &[String]) {
    if found == expected {
        return;
    }
    let missing: Vec<_> = difference(expected, found);
    let extra: Vec<_> = difference(found, expected);
    panic!(
        "{} rows instead of {}; {} missing, such as {:#?}; {} too many, such as {:#?}",
        found.len(),
        expected.len(),
        missing.len(),
        &missing[..missing.len().min(3)],
        extra.len(),
        &extra[..extra.len().min(3)]
    );
}

/// The items that the sorted `left` has more often than the sorted `right`.
fn difference<'a>(left: &'a [String], right: &[String]) -> Vec<&'a str> {
    let mut right = right.iter().peekable();
    let mut more = Vec::new();
    for row in left {
        while right.next_if(|other| *other < row).is_some() {}
        if right.next_if(|other| *other == row).is_none() {
            more.push(row.as_str());
        }
    }
    more
}

/// A leaf column with its parent structs.
struct Column {
    path: Vec<ArrayRef>,
}

impl Column {
    fn find(batch: &RecordBatch, name: &str) -> anyhow::Result<Self> {
        let mut names = name.split('.');
        let first = names.next().unwrap_or_default();
        let missing = || format!("no column `{name}`");
        let mut array = batch.column_by_name(first).with_context(missing)?.clone();
        let mut path = vec![array.clone()];
        for part in names {
            let structure = array.as_any().downcast_ref::<StructArray>();
            let child = structure.and_then(|structure| structure.column_by_name(part));
            array = child.with_context(missing)?.clone();
            path.push(array.clone());
        }
        Ok(Self { path })
    }

    fn text(&self, row: usize) -> anyhow::Result<String> {
        if self.path.iter().any(|array| array.is_null(row)) {
            return Ok("-".to_owned());
        }
        let leaf = self.path.last().context("a column has an array")?;
        Ok(array_value_to_string(leaf, row)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_counts_repeats() {
        let list = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(difference(&list("a a b"), &list("a b c")), ["a"]);
        assert_eq!(difference(&list("a b c"), &list("a a b")), ["c"]);
    }
}
