//! How the raw rows of an object are read again: with its header line, and with what its path
//! says.

use std::ops::Range;

use bytes::Bytes;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::UInt64Type;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use plans::decode::decompress::Decompressor;
use plans::decode::{self, OFFSET, Reading};
use plans::mapping::Program;
use plans::scan::spec::ScanSpec;
use plans::scan::split::About;
use plans::sink::quarantine::QuarantinedRow;
use plans::spec::{Column, Format};
use plans::storage::Located;
use plans::{formats, storage};

use crate::input::paths;
use crate::load::days::Day;

/// Large enough to hold an object's first line.
const HEAD_BYTES: u64 = 64 << 10;
const BATCH_ROWS: usize = 8192;

pub(super) type OriginError = Box<dyn std::error::Error + Send + Sync>;

/// What the path of an object says about its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PathKey {
    pub day: Option<Day>,
    pub region: Option<String>,
    pub account: Option<String>,
}

/// How the rows of an object are read again. Rows of objects with the same reader are read
/// together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reader {
    /// The object's first line, if it names the fields.
    pub header: Option<Vec<u8>>,
    pub path: PathKey,
    /// The object itself, if columns show it. Its rows are then read apart from others.
    pub about: Option<About>,
}

impl PathKey {
    pub(super) fn of(object: &str, inputs: &[String]) -> Self {
        let Some(facts) = path_facts(object, inputs) else {
            return Self::default();
        };
        Self {
            day: facts.day,
            region: facts.region,
            account: facts.account,
        }
    }
}

impl Reader {
    /// Returns the header line and the rows as one text, and where each row begins.
    pub(super) fn text<'r>(
        &self,
        rows: impl IntoIterator<Item = &'r QuarantinedRow>,
    ) -> (Vec<u8>, Vec<u64>) {
        let mut text = Vec::new();
        if let Some(header) = &self.header {
            text.extend(header);
            text.push(b'\n');
        }
        let mut starts = Vec::new();
        for row in rows {
            starts.push(text.len() as u64);
            text.extend(row.raw.as_deref().unwrap_or_default());
            text.push(b'\n');
        }
        (text, starts)
    }

    /// Splits rows into those that are read as exactly one row each, whatever follows them, and
    /// the others. A quote that is not closed, for example, would take in the rows after it.
    pub(super) fn whole(
        &self,
        rows: Vec<QuarantinedRow>,
        format: &Format,
        program: &Program,
    ) -> (Vec<QuarantinedRow>, Vec<QuarantinedRow>) {
        let are_whole = |rows: &[&QuarantinedRow]| {
            let (text, starts) = self.text(rows.iter().copied());
            let ends = starts.iter().skip(1).copied().chain([text.len() as u64]);
            let wanted: Vec<Range<u64>> = starts.iter().zip(ends).map(|(a, b)| *a..b).collect();
            let found = offsets(text, format, program).unwrap_or_default();
            found.len() == wanted.len()
                && found.iter().zip(&wanted).all(|(at, row)| row.contains(at))
        };
        if are_whole(&rows.iter().collect::<Vec<_>>()) {
            return (rows, Vec::new());
        }
        let (whole, mut kept): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| are_whole(&[row, row]));
        if are_whole(&whole.iter().collect::<Vec<_>>()) {
            return (whole, kept);
        }
        kept.extend(whole);
        (Vec::new(), kept)
    }
}

/// Returns where the rows begin that the format finds in `text`.
fn offsets(text: Vec<u8>, format: &Format, program: &Program) -> Result<Vec<u64>, OriginError> {
    let mut found = Vec::new();
    let mut decoder = decoder(format, program, BATCH_ROWS)?;
    decoder.push(text.into());
    decoder.finish(None);
    while let Some(batch) = decoder.next_batch() {
        let offsets = batch.column_by_name(OFFSET);
        let offsets = offsets.and_then(|column| column.as_primitive_opt::<UInt64Type>());
        let offsets = offsets.ok_or("the format reports no offsets")?;
        found.extend(offsets.values());
    }
    Ok(found)
}

fn decoder(
    format: &Format,
    program: &Program,
    batch_rows: usize,
) -> Result<Box<dyn decode::Decoder>, OriginError> {
    let Reading::Blocks(new_decoder) = formats::find(&format.name)?.reading() else {
        return Err("the format keeps no raw rows".into());
    };
    let scan = ScanSpec::new(format, program);
    Ok(new_decoder(scan.request(batch_rows)))
}

/// Reads the day, region and account from the object's path below its input.
fn path_facts(object: &str, inputs: &[String]) -> Option<paths::PathFacts> {
    let object = located(object).ok()?;
    let inputs = inputs.iter().filter_map(|input| located(input).ok());
    let mut bases = inputs.filter_map(|input| {
        let below = object.path.prefix_match(&input.path)?;
        let below: Vec<_> = below.map(|part| part.as_ref().to_owned()).collect();
        Some((input.path.to_string(), below.join("/")))
    });
    let (base, rest) = bases.next()?;
    Some(paths::facts(&base, &rest))
}

/// Returns the object's first line if it names the fields. Fails if the object is gone:
/// without the header its rows might be read in the wrong field order.
pub(super) async fn header(
    object: &str,
    format: &Format,
    program: &Program,
) -> Result<Option<Vec<u8>>, OriginError> {
    let mut decoder = decoder(format, program, 16)?;
    let Some(line) = first_line(object).await? else {
        return Ok(None);
    };
    decoder.push(line.clone().into());
    decoder.push(Bytes::from_static(b"\n"));
    decoder.finish(None);
    let is_row = decoder
        .next_batch()
        .is_some_and(|batch| batch.num_rows() > 0);
    Ok((!is_row).then_some(line))
}

/// Returns what the program's columns about the object show. `None`: it has no such columns.
pub(super) async fn about(object: &str, program: &Program) -> Result<Option<About>, OriginError> {
    if program.parsed().all(Column::is_of_record) {
        return Ok(None);
    }
    let Located { store, path, .. } = located(object)?;
    let found = store.head(&path).await?;
    Ok(Some(About {
        key: path.to_string(),
        modified: found.last_modified.timestamp_millis(),
    }))
}

async fn first_line(object: &str) -> Result<Option<Vec<u8>>, OriginError> {
    let Located { store, path, .. } = located(object)?;
    let head = head(store.as_ref(), &path).await?;
    let mut decompressor = Decompressor::new();
    decompressor.push(head);
    let mut text = Vec::new();
    while let Some(block) = decompressor.next_block() {
        text.extend_from_slice(&block);
        if let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            text.truncate(end);
            let ends_so = text.last() == Some(&b'\r');
            text.truncate(text.len() - usize::from(ends_so));
            return Ok(Some(text));
        }
    }
    Ok(None)
}

async fn head(store: &dyn ObjectStore, path: &Path) -> Result<Bytes, OriginError> {
    let options = GetOptions {
        range: Some(GetRange::Bounded(0..HEAD_BYTES)),
        ..GetOptions::default()
    };
    Ok(store.get_opts(path, options).await?.bytes().await?)
}

fn located(uri: &str) -> Result<Located, storage::StoreError> {
    // The origin of a row may lack the empty authority of a file URI.
    match uri.strip_prefix("file:/") {
        Some(path) if !path.starts_with('/') => storage::open(&format!("file:///{path}")),
        _ => storage::open(uri),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::drive::tests::fakes::program;

    fn csv(multiline: bool) -> Format {
        let option = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Format {
            name: "csv".to_owned(),
            options: BTreeMap::from([option("multiline", &multiline.to_string())]),
            ..Format::default()
        }
    }

    fn rows(raws: &[&str]) -> Vec<QuarantinedRow> {
        let row = |raw: &&str| QuarantinedRow {
            raw: Some(raw.as_bytes().to_vec()),
            ..QuarantinedRow::default()
        };
        raws.iter().map(row).collect()
    }

    fn check(raws: &[&str], whole: &[&str], kept: &[&str]) {
        let reader = Reader {
            header: None,
            path: PathKey::default(),
            about: None,
        };
        let found = reader.whole(rows(raws), &csv(true), &program("one"));
        assert_eq!(found, (rows(whole), rows(kept)), "{raws:?}");
    }

    #[test]
    fn a_row_that_takes_in_the_next_one_is_kept_apart() {
        check(
            &["a,b", "c,\"d\ne\"", "f"],
            &["a,b", "c,\"d\ne\"", "f"],
            &[],
        );
        let apart = ["a,\"b", "c\"", "e,f"];
        check(&apart, &[], &apart);
        // A quote that does not end takes in nothing.
        check(&["a,b", "c,\"d", "e,f"], &["a,b", "c,\"d", "e,f"], &[]);
        check(&["", "a"], &["a"], &[""]);
    }
}
