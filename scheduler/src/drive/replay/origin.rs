//! Writes raw rows as an object that the source's format can read, and maps its lines back to
//! their origin.

use std::collections::BTreeMap;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use plans::decode::decompress::Decompressor;
use plans::decode::{self, DecoderRequest, Reading};
use plans::mapping::Program;
use plans::sink::quarantine::QuarantinedRow;
use plans::spec::Format;
use plans::storage::Located;
use plans::{formats, storage};

use crate::input::paths;
use crate::load::days::Day;

/// Large enough to hold an object's first line.
const HEAD_BYTES: u64 = 64 << 10;

pub(super) type OriginError = Box<dyn std::error::Error + Send + Sync>;

/// The raw rows of one object, to be mapped again.
#[derive(Clone, Debug)]
pub(super) struct Replayed {
    pub object: String,
    pub text: Vec<u8>,
    /// Line and offset in the original object, by line of `text`.
    pub lines: BTreeMap<u64, (u64, u64)>,
    pub day: Option<Day>,
    pub region: Option<String>,
    pub account: Option<String>,
}

impl Replayed {
    /// Collects the rows of one object. If the object has a header line, it comes first.
    pub(super) fn of(
        object: &str,
        header: Option<Vec<u8>>,
        rows: &[&QuarantinedRow],
        inputs: &[String],
    ) -> Self {
        let mut text = Vec::new();
        let mut line = 1;
        if let Some(header) = header {
            text.extend(header);
            text.push(b'\n');
            line += 1;
        }
        let mut lines = BTreeMap::new();
        for row in rows {
            lines.insert(line, (row.line, row.offset));
            text.extend(row.raw.as_deref().unwrap_or_default());
            text.push(b'\n');
            line += 1;
        }
        let facts = path_facts(object, inputs);
        Self {
            object: object.to_owned(),
            text,
            lines,
            day: facts.as_ref().and_then(|facts| facts.day),
            region: facts.as_ref().and_then(|facts| facts.region.clone()),
            account: facts.and_then(|facts| facts.account),
        }
    }

    /// Returns the original line and offset of a line of `text`.
    pub(super) fn origin(&self, line: u64) -> (u64, u64) {
        let origin = self.lines.range(..=line).next_back();
        origin.map_or((line, 0), |(_, origin)| *origin)
    }
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
    let kind = formats::find(&format.name)?;
    let Reading::Blocks(new_decoder) = kind.reading() else {
        return Err("the format keeps no raw rows".into());
    };
    let Some(line) = first_line(object).await? else {
        return Ok(None);
    };
    let mut decoder = new_decoder(DecoderRequest {
        columns: program.columns.clone().into(),
        wanted: program.wanted.clone().into(),
        schema: decode::schema_of(program.parsed()),
        options: std::sync::Arc::new(format.options.clone()),
        batch_rows: 16,
        object: 0,
    });
    decoder.push(line.clone().into());
    decoder.push(Bytes::from_static(b"\n"));
    decoder.finish(None);
    let is_row = decoder
        .next_batch()
        .is_some_and(|batch| batch.num_rows() > 0);
    Ok((!is_row).then_some(line))
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
