//! Writes raw rows as objects that the source's format can read, and remembers where each of
//! them came from. Memory is bounded by one such object.

use plans::lake::AttemptFiles;
use plans::mapping::Program;
use plans::scan::split::{InputObject, Split};
use plans::sink::quarantine::QuarantinedRow;
use plans::spec::Format;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::origin;
use super::origin::{OriginError, PathKey, Reader};
use crate::load::days::Day;
use crate::publish::work::{Work, WorkError};

/// Rows and bytes of one object.
const MAX_ROWS: usize = 32_768;
const MAX_BYTES: usize = 8 << 20;
/// Bytes of the objects of one split.
const SPLIT_BYTES: u64 = 64 << 20;

/// The origins of the rows of one object.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Origins {
    /// URIs of the original objects.
    objects: Vec<String>,
    rows: Vec<OriginOfRow>,
}

#[derive(Debug, Serialize, Deserialize)]
struct OriginOfRow {
    /// Where the row begins in the replayed object.
    start: u64,
    /// Index of the original object.
    object: usize,
    line: u64,
    offset: u64,
}

/// Where the replayed objects of an attempt are written, and how they are read.
pub(super) struct Packer<'a> {
    pub work: &'a Work,
    /// The URI of the work area's store.
    pub store: String,
    pub attempt: &'a str,
    pub format: &'a Format,
    pub program: &'a Program,
    pub inputs: &'a [String],
    pub packed: Packed,
    open: Option<Open>,
    /// How to read the rows of the last original object, unless it is gone.
    reader: Option<(String, Option<Reader>)>,
}

/// What was packed so far.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pub splits: Vec<Split>,
    /// Rows that are read again.
    pub taken: u64,
    /// The day that owns rows of objects without a day.
    pub undated: Option<Day>,
    objects: usize,
    /// The day of the last split.
    day: Option<Day>,
}

/// Rows of the same day, header line and path facts.
struct Open {
    day: Day,
    reader: Reader,
    rows: Vec<QuarantinedRow>,
    bytes: usize,
}

impl<'a> Packer<'a> {
    pub(super) fn new(
        work: &'a Work,
        store: String,
        attempt: &'a str,
        (format, program): (&'a Format, &'a Program),
        inputs: &'a [String],
    ) -> Self {
        Self {
            work,
            store,
            attempt,
            format,
            program,
            inputs,
            packed: Packed::default(),
            open: None,
            reader: None,
        }
    }

    /// Adds a row of `day`. Returns rows that cannot be read again.
    pub(super) async fn push(
        &mut self,
        day: Day,
        row: QuarantinedRow,
    ) -> Result<Vec<QuarantinedRow>, WorkError> {
        if !row.is_whole() {
            return Ok(vec![row]);
        }
        let Some(reader) = self.reader_of(&row.object).await else {
            return Ok(vec![row]);
        };
        let bytes = row.raw.as_ref().map_or(0, Vec::len);
        let fits = |open: &Open| {
            let is_same = open.day == day && open.reader == reader;
            is_same && open.rows.len() < MAX_ROWS && open.bytes + bytes <= MAX_BYTES
        };
        let kept = match self.open.as_ref().is_some_and(fits) {
            true => Vec::new(),
            false => self.flush().await?,
        };
        let open = self.open.get_or_insert_with(|| Open {
            day,
            reader,
            rows: Vec::new(),
            bytes: 0,
        });
        open.bytes += bytes;
        open.rows.push(row);
        Ok(kept)
    }

    /// Writes the rows that are held. Returns those that cannot be read again.
    pub(super) async fn flush(&mut self) -> Result<Vec<QuarantinedRow>, WorkError> {
        let Some(Open {
            day, reader, rows, ..
        }) = self.open.take()
        else {
            return Ok(Vec::new());
        };
        let (whole, kept) = reader.whole(rows, self.format, self.program);
        if !whole.is_empty() {
            self.write(day, &reader, &whole).await?;
        }
        Ok(kept)
    }

    async fn write(
        &mut self,
        day: Day,
        reader: &Reader,
        rows: &[QuarantinedRow],
    ) -> Result<(), WorkError> {
        let number = self.packed.objects;
        let files = AttemptFiles(self.attempt);
        let name = files.replayed(number);
        let (text, starts) = reader.text(rows);
        let size = text.len() as u64;
        let origins = Origins::of(rows, &starts);
        self.work.put_bytes(&name, text.into()).await?;
        self.work.put(&files.origins(number), &origins).await?;
        let PathKey {
            day: own,
            region,
            account,
        } = reader.path.clone();
        let object = InputObject {
            store: self.store.clone(),
            path: self.work.path(&name).to_string(),
            size,
            region,
            account,
            day: own.map(|day| day.0),
            // The day that quarantined the rows keeps those without a readable time.
            fallback_day: own.is_none().then_some(day.0),
            about: reader.about.clone(),
            ..InputObject::default()
        };
        if own.is_none() {
            self.packed.undated.get_or_insert(day);
        }
        self.packed.taken += rows.len() as u64;
        self.packed.add(day, object);
        Ok(())
    }

    async fn reader_of(&mut self, object: &str) -> Option<Reader> {
        if let Some((known, reader)) = &self.reader
            && known == object
        {
            return reader.clone();
        }
        let reader = self.open_reader(object).await;
        let reader = reader.inspect_err(|error| {
            warn!("cannot read the rows of an object again: {error}");
        });
        let reader = reader.ok();
        self.reader = Some((object.to_owned(), reader.clone()));
        reader
    }

    async fn open_reader(&self, object: &str) -> Result<Reader, OriginError> {
        Ok(Reader {
            header: origin::header(object, self.format, self.program).await?,
            path: PathKey::of(object, self.inputs),
            about: origin::about(object, self.program).await?,
        })
    }
}

impl Packed {
    /// Adds an object to the last split, or to a new one.
    fn add(&mut self, day: Day, object: InputObject) {
        self.objects += 1;
        let has_room = |split: &Split| {
            let bytes: u64 = split.objects.iter().map(|object| object.size).sum();
            bytes + object.size <= SPLIT_BYTES
        };
        let is_same_day = self.day == Some(day);
        match self.splits.last_mut() {
            Some(split) if is_same_day && has_room(split) => split.objects.push(object),
            _ => self.splits.push(Split {
                id: format!("{:04}", self.splits.len()),
                objects: vec![object],
            }),
        }
        self.day = Some(day);
    }
}

impl Origins {
    fn of(rows: &[QuarantinedRow], starts: &[u64]) -> Self {
        let mut origins = Self::default();
        for (row, start) in rows.iter().zip(starts) {
            if origins.objects.last() != Some(&row.object) {
                origins.objects.push(row.object.clone());
            }
            origins.rows.push(OriginOfRow {
                start: *start,
                object: origins.objects.len() - 1,
                line: row.line,
                offset: row.offset,
            });
        }
        origins
    }

    /// Gives a row of the replayed object its original place.
    pub(super) fn restore(&self, row: &mut QuarantinedRow) {
        let after = self
            .rows
            .partition_point(|origin| origin.start <= row.offset);
        let Some(origin) = after.checked_sub(1).and_then(|at| self.rows.get(at)) else {
            return;
        };
        (row.line, row.offset) = (origin.line, origin.offset);
        if let Some(object) = self.objects.get(origin.object) {
            row.object.clone_from(object);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(object: &str, line: u64, raw: &str) -> QuarantinedRow {
        QuarantinedRow {
            object: object.to_owned(),
            line,
            offset: line * 100,
            raw: Some(raw.as_bytes().to_vec()),
            ..QuarantinedRow::default()
        }
    }

    #[test]
    fn a_row_gets_its_original_place_back() {
        let rows = [
            row("a", 7, "one"),
            row("b", 3, "two\nlines"),
            row("b", 9, "x"),
        ];
        let reader = Reader {
            header: Some(b"names".to_vec()),
            path: PathKey::default(),
            about: None,
        };
        let (text, starts) = reader.text(&rows);
        assert_eq!(text, b"names\none\ntwo\nlines\nx\n");
        assert_eq!(starts, [6, 10, 20]);
        let origins = Origins::of(&rows, &starts);
        // A reader may skip separators at the beginning of a row.
        for (offset, expected) in [(6, 0), (10, 1), (11, 1), (20, 2), (21, 2)] {
            let mut found = row("replay", 0, "");
            found.offset = offset;
            origins.restore(&mut found);
            let expected = &rows[expected];
            assert_eq!(
                (&found.object, found.line),
                (&expected.object, expected.line)
            );
            assert_eq!(found.offset, expected.offset);
        }
    }

    #[test]
    fn splits_have_a_bounded_size_and_one_day() {
        let mut packed = Packed::default();
        let object = |size| InputObject {
            store: "file:///".to_owned(),
            path: "a".to_owned(),
            size,
            ..InputObject::default()
        };
        for (day, size) in [(1, 40 << 20), (1, 20 << 20), (1, 20 << 20), (2, 1)] {
            packed.add(Day(day), object(size));
        }
        let sizes: Vec<usize> = packed
            .splits
            .iter()
            .map(|split| split.objects.len())
            .collect();
        assert_eq!(sizes, [2, 1, 1]);
    }
}
