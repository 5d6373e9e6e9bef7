//! The metadata CSV. Its one row configures how a source is read, loaded and written.

use std::collections::BTreeMap;

use super::table;
use super::table::{Cell, Table};
use crate::diagnostics::{Diagnostics, Origin, did_you_mean};
use crate::dialects::File;

/// Every column, with other spellings from the documentation of the framework.
const COLUMNS: &[(&str, &[&str])] = &[
    ("source_log_type", &["source_type", "src_log_type"]),
    ("load_type", &[]),
    ("batch_load_type", &[]),
    ("daily_load_number_of_days", &[]),
    ("default_values", &[]),
    ("delimiter", &[]),
    ("source_format", &[]),
    ("header", &[]),
    ("historical_days_to_process", &["days_to_process"]),
    ("historical_load_start_date", &["load_start_date"]),
    ("historical_load_end_date", &["load_end_date"]),
    ("is_source_partitioned", &[]),
    ("source_log_s3_bucket", &[]),
    ("source_log_s3_prefix", &[]),
    ("source_log_timestamp_format", &[]),
    ("source_log_ts_and_delimiter_as_whitespaces", &[]),
    ("target_s3_bucket", &[]),
    ("target_s3_prefix", &[]),
    ("mapping_file_s3_bucket", &[]),
    ("mapping_file_s3_prefix", &[]),
    ("hive_style_partition", &[]),
    ("hour_level_partition", &[]),
    ("is_multiline", &[]),
    ("is_enrichment_required", &[]),
    ("enrichment_column", &[]),
    ("enrichment_col_db", &[]),
    ("enrichment_db", &[]),
    ("enrichment_table", &[]),
    ("enrichment_identifier", &[]),
    ("ocsf_class_id", &[]),
    ("ocsf_class_name", &[]),
];

/// The values of the row by column.
#[derive(Debug)]
pub(super) struct Metadata {
    cells: BTreeMap<&'static str, Cell>,
    /// Position of the row.
    pub(super) at: Origin,
}

/// Returns the column of a header in any of its spellings.
fn canonical(header: &str) -> Option<&'static str> {
    let header = header.trim().to_ascii_lowercase();
    let is_it =
        |(name, spellings): &&(&str, &[&str])| *name == header || spellings.contains(&&*header);
    COLUMNS.iter().find(is_it).map(|(name, _)| *name)
}

/// Whether the first line of a file looks like the header of a metadata CSV.
pub(super) fn is_metadata(text: &str) -> bool {
    let header = text
        .trim_start_matches('\u{feff}')
        .lines()
        .next()
        .unwrap_or_default();
    let names = header.split(',').map(|name| name.trim().trim_matches('"'));
    let known: Vec<_> = names.filter_map(canonical).collect();
    known.contains(&"source_format") || (known.len() > 2 && !header.contains("tgt_column"))
}

/// Reads a metadata CSV.
pub(super) fn metadata(
    file: &File,
    found: &mut Diagnostics,
    warnings: &mut Diagnostics,
) -> Option<Metadata> {
    let before = found.0.len();
    let mut table = table::table(file, found, warnings);
    if found.0.len() > before {
        return None;
    }
    let names = header(&table, found);
    if table.rows.len() > 1 {
        let at = &table.rows[1][0].at;
        found.push(
            at,
            "only one source is allowed",
            "write one metadata CSV for each source",
        );
    }
    if table.rows.is_empty() {
        let at = table.header.first().map(|cell| cell.at.clone())?;
        found.push(
            &at,
            "there is no row below the header",
            "add the source's row",
        );
        return None;
    }
    let row = table.rows.remove(0);
    let at = row.first().map(|cell| cell.at.clone())?;
    if row.len() > table.header.len() {
        let extra = &row[table.header.len()];
        found.push(
            &extra.at,
            "a value without a column",
            "quote values that contain a comma",
        );
    }
    Some(Metadata {
        cells: cells(&names, row, found),
        at,
    })
}

/// Returns the column of each header cell.
fn header(table: &Table, found: &mut Diagnostics) -> Vec<Option<&'static str>> {
    let mut names = Vec::new();
    for cell in &table.header {
        let name = canonical(&cell.text);
        if name.is_none() {
            let known = COLUMNS.iter().map(|(name, _)| *name);
            let at = table::header_origin(cell);
            found.push(
                &at,
                "unknown column",
                did_you_mean(&cell.text.to_ascii_lowercase(), known),
            );
        }
        names.push(name);
    }
    names
}

/// Returns the values by column. A column may repeat with the same value, because the
/// framework documents `batch_load_type` twice.
fn cells(
    names: &[Option<&'static str>],
    row: Vec<Cell>,
    found: &mut Diagnostics,
) -> BTreeMap<&'static str, Cell> {
    let mut cells: BTreeMap<&'static str, Cell> = BTreeMap::new();
    for (name, mut cell) in names.iter().zip(row) {
        let Some(name) = *name else { continue };
        name.clone_into(&mut cell.at.key);
        if cell.text.is_empty() {
            continue;
        }
        match cells.get(name) {
            Some(first) if first.text != cell.text => {
                let message = format!(
                    "is `{}` here, but `{}` in another column",
                    cell.text, first.text
                );
                found.push(&cell.at, message, "keep one of the two columns");
            }
            _ => drop(cells.insert(name, cell)),
        }
    }
    cells
}

impl Metadata {
    /// Returns the value of a column. An empty value counts as absent.
    pub(super) fn cell(&self, name: &str) -> Option<&Cell> {
        self.cells.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.cell(name)
            .map(|cell| cell.text.trim().to_owned())
            .filter(|text| !text.is_empty())
    }

    /// Returns the value of a column. It is an error if it is absent.
    pub(super) fn require(
        &self,
        name: &str,
        example: &str,
        found: &mut Diagnostics,
    ) -> Option<String> {
        let text = self.text(name);
        if text.is_none() {
            found.push(
                &self.key(name),
                "missing value",
                format!("such as `{example}`"),
            );
        }
        text
    }

    /// Returns the position of a column, or of the row if the column is absent.
    pub(super) fn key(&self, name: &str) -> Origin {
        let at = self.cell(name).map_or(&self.at, |cell| &cell.at);
        Origin {
            key: name.to_owned(),
            ..at.clone()
        }
    }

    pub(super) fn boolean(&self, name: &str, found: &mut Diagnostics) -> Option<bool> {
        let text = self.text(name)?;
        let value = text.to_ascii_lowercase().parse().ok();
        if value.is_none() {
            found.push(
                &self.key(name),
                format!("`{text}` is neither true nor false"),
                "write true or false",
            );
        }
        value
    }

    pub(super) fn number(&self, name: &str, found: &mut Diagnostics) -> Option<u32> {
        let text = self.text(name)?;
        let value = text.parse().ok().filter(|number| *number > 0);
        if value.is_none() {
            found.push(
                &self.key(name),
                format!("`{text}` is not a number of days"),
                "write 1 or more",
            );
        }
        value
    }

    /// Returns one of the known words, in any case.
    pub(super) fn word(
        &self,
        name: &str,
        known: &[&str],
        found: &mut Diagnostics,
    ) -> Option<String> {
        let text = self.text(name)?.to_ascii_lowercase();
        if known.contains(&&*text) {
            return Some(text);
        }
        let remedy = did_you_mean(&text, known.iter().copied());
        found.push(&self.key(name), format!("unknown value `{text}`"), remedy);
        None
    }
}
