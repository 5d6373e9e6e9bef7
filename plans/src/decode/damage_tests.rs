//! One local damage in a file of good records must harm only the records that it touches, and
//! must never make a record with bytes of another one.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::testing::{Case, rows};
use super::{LINE, OFFSET, RAW, REJECT};

/// A local damage touches at most two records.
const TOUCHED: usize = 2;
/// The longest damage.
const LONGEST: u64 = 20;
/// Bytes that mean something to most formats.
const SPECIAL: &[u8] = b"\n\r\"',;|\t \\{}[]:=-#\x00\xff";

/// A file of good records. Each has texts with its own `mark`, and its line end.
pub(crate) struct GoodFile {
    pub(crate) case: Case,
    /// The bytes before the records. They are not damaged.
    pub(crate) head: Vec<u8>,
    pub(crate) records: Vec<Vec<u8>>,
}

/// Returns a text that only the record with this number has.
pub(crate) fn mark(record: usize) -> String {
    let hash = Random(record as u64).next();
    format!("x{:08x}x", hash >> 32)
}

/// Damages the file in some ways, which the numbers name.
pub(crate) fn check_damage(file: &GoodFile, ways: Range<u64>) {
    let good = Good::new(file);
    for way in ways {
        let mut random = Random(way);
        let mut text = file.head.clone();
        text.extend(damaged(&file.records.concat(), &mut random));
        let size = 1 + random.below(1 << 16) as usize;
        let blocks = text.chunks(size).map(Bytes::copy_from_slice);
        good.check(way, &file.case.batches(blocks, None));
    }
}

struct Good {
    /// The rows by their bytes.
    rows: HashMap<Vec<u8>, Map<String, Value>>,
    marks: HashSet<String>,
}

impl Good {
    fn new(file: &GoodFile) -> Self {
        let text = [file.head.clone(), file.records.concat()].concat();
        let batches = file.case.batches([Bytes::from(text)], None);
        let mut good = HashMap::new();
        for batch in &batches {
            let raws = batch.column_by_name(RAW).unwrap().as_binary_view().clone();
            let raws = raws.iter().map(|raw| raw.unwrap().to_vec());
            good.extend(raws.zip(rows(std::slice::from_ref(batch)).into_iter().map(placeless)));
        }
        let is_good = |row: &Map<String, Value>| !row.contains_key(REJECT);
        assert!(good.values().all(is_good), "a good record is rejected");
        assert_eq!(good.len(), file.records.len());
        Self {
            rows: good,
            marks: (0..file.records.len()).map(mark).collect(),
        }
    }

    fn check(&self, way: u64, batches: &[RecordBatch]) {
        let mut unharmed = HashSet::new();
        for batch in batches {
            let raws = batch.column_by_name(RAW).unwrap().as_binary_view();
            let reasons = batch.column_by_name(REJECT).unwrap();
            for row in (0..batch.num_rows()).filter(|row| reasons.is_null(*row)) {
                let raw = raws.value(row);
                let known = self.rows.get_key_value(raw);
                if let Some((raw, _)) = known {
                    unharmed.insert(raw.as_slice());
                }
                if known.is_some() && !way.is_multiple_of(10) {
                    continue;
                }
                let found = placeless(rows(&[batch.slice(row, 1)]).remove(0));
                match known {
                    Some((_, expected)) => assert_eq!(&found, expected, "way {way}"),
                    None => self.check_harmed(way, &Value::Object(found).to_string()),
                }
            }
        }
        let least = self.rows.len() - TOUCHED;
        let found = unharmed.len();
        assert!(
            found >= least,
            "way {way}: only {found} records are unharmed"
        );
    }

    fn check_harmed(&self, way: u64, row: &str) {
        let marks = row.split(|c: char| !c.is_ascii_alphanumeric());
        let marks: HashSet<_> = marks.filter(|mark| self.marks.contains(*mark)).collect();
        assert!(marks.len() < 2, "way {way}: a row of two records: {row}");
    }
}

fn placeless(mut row: Map<String, Value>) -> Map<String, Value> {
    for column in [LINE, OFFSET, RAW] {
        row.remove(column);
    }
    row
}

/// Flips, cuts or inserts up to `LONGEST` bytes.
fn damaged(text: &[u8], random: &mut Random) -> Vec<u8> {
    let kind = random.below(3);
    let length = 1 + random.below(LONGEST) as usize;
    let at = random.below(text.len() as u64) as usize;
    let end = match kind {
        0 => at,
        _ => text.len().min(at + length),
    };
    let middle: Vec<u8> = match kind {
        0 => (0..length).map(|_| random.byte()).collect(),
        1 => Vec::new(),
        _ => text[at..end].iter().map(|_| random.byte()).collect(),
    };
    [&text[..at], &middle, &text[end..]].concat()
}

/// A small generator (splitmix64), so that a failure can be repeated by its number.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn byte(&mut self) -> u8 {
        match self.below(3) {
            0 => SPECIAL[self.below(SPECIAL.len() as u64) as usize],
            1 => b"0123456789abcxyz"[self.below(16) as usize],
            _ => self.below(256) as u8,
        }
    }
}
