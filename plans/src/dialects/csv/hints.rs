//! Reads the settings of the load from a metadata CSV: input, output and days.

use chrono::NaiveDate;

use super::metadata::Metadata;
use crate::diagnostics::Diagnostics;
use crate::spec::{EnrichmentHint, LoadHints};

/// Reads all columns that describe the load.
pub(super) fn hints(
    metadata: &Metadata,
    found: &mut Diagnostics,
    warnings: &mut Diagnostics,
) -> LoadHints {
    let days = metadata.number("historical_days_to_process", found);
    let mut hints = LoadHints {
        input: uri(metadata, "source_log_s3"),
        output: uri(metadata, "target_s3"),
        load_type: metadata.word("load_type", &["historical", "daily"], found),
        batch_load_type: metadata.word("batch_load_type", &["daily", "monthly", "yearly"], found),
        daily_days: metadata.number("daily_load_number_of_days", found),
        days,
        from: date(metadata, "historical_load_start_date", found),
        to: date(metadata, "historical_load_end_date", found),
        is_partitioned: metadata.boolean("is_source_partitioned", found),
        hive_style: metadata.boolean("hive_style_partition", found),
        hour_level: metadata.boolean("hour_level_partition", found),
        enrichment: enrichment(metadata, found, warnings),
    };
    report_order(metadata, &hints, found);
    if days.is_some() && (hints.from.take().is_some() | hints.to.take().is_some()) {
        let at = metadata.key("historical_days_to_process");
        warnings.push(
            &at,
            "the number of days overrides the dates",
            "remove one of them",
        );
    }
    hints
}

fn report_order(metadata: &Metadata, hints: &LoadHints, found: &mut Diagnostics) {
    if let (Some(from), Some(to)) = (&hints.from, &hints.to)
        && from > to
    {
        let at = metadata.key("historical_load_start_date");
        found.push(
            &at,
            format!("starts after its end, {to}"),
            "swap the two dates",
        );
    }
}

fn uri(metadata: &Metadata, column: &str) -> Option<String> {
    let bucket = metadata.text(&format!("{column}_bucket"))?;
    let bucket = bucket
        .trim_start_matches("s3://")
        .trim_end_matches('/')
        .to_owned();
    let prefix = metadata
        .text(&format!("{column}_prefix"))
        .unwrap_or_default();
    Some(format!("s3://{bucket}/{}", prefix.trim_start_matches('/')))
}

fn date(metadata: &Metadata, name: &str, found: &mut Diagnostics) -> Option<String> {
    let text = metadata.text(name)?;
    let is_date = text.len() == 10 && NaiveDate::parse_from_str(&text, "%Y-%m-%d").is_ok();
    if !is_date {
        found.push(
            &metadata.key(name),
            format!("`{text}` is not a date"),
            "write yyyy-MM-dd",
        );
    }
    is_date.then_some(text)
}

fn enrichment(
    metadata: &Metadata,
    found: &mut Diagnostics,
    warnings: &mut Diagnostics,
) -> Option<EnrichmentHint> {
    if !metadata.boolean("is_enrichment_required", found)? {
        return None;
    }
    let column = metadata.require("enrichment_column", "srcaddr", found);
    let key = metadata.require("enrichment_col_db", "ip", found);
    let database = metadata.require("enrichment_db", "assets", found);
    let table = metadata.require("enrichment_table", "hosts", found);
    let secret = metadata.require("enrichment_identifier", "prod/assets", found);
    let at = metadata.key("is_enrichment_required");
    let remedy = "events are written without the enrichment column";
    warnings.push(&at, "enrichment is read but not applied", remedy);
    Some(EnrichmentHint {
        column: column?,
        key: key?,
        database: database?,
        table: table?,
        secret: secret?,
    })
}
