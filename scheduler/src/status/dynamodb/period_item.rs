//! Converts a period's record to an item of the run-status table and back. The attributes are
//! plain, so people can read them in the console and the ETL framework's tools by name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use plans::receipt::Ledger;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attributes::{Attributes, BadAttribute, Item, bad, number, text};
use super::tables::{RunStatus, renamed};
use crate::load::days::{Day, Moment, Month};
use crate::status::{DayCoverage, PeriodRecord, SCHEMA_VERSION, State};

impl RunStatus {
    pub(super) fn key(&self, dataset: &str, period: Month) -> Item {
        HashMap::from([
            (self.partition.clone(), text(dataset)),
            (self.sort.clone(), text(period)),
        ])
    }

    /// Converts `record` to an item. An attribute with the name of a key is renamed.
    pub(super) fn item(&self, record: &PeriodRecord) -> Item {
        let mut item = attributes(record);
        for (key, value) in self.key(&record.dataset, record.period) {
            let other = renamed(&key);
            if let Some(own) = item.insert(key, value) {
                item.insert(other, own);
            }
        }
        item
    }

    pub(super) fn record(&self, item: &Item) -> Result<PeriodRecord, BadAttribute> {
        let mut of = Attributes::of(item);
        let (dataset, period) = (of.text(&self.partition)?, of.parsed(&self.sort)?);
        for key in [&self.partition, &self.sort] {
            if let Some(own) = item.get(&renamed(key)) {
                of.name(key, own);
            }
        }
        Ok(PeriodRecord {
            dataset,
            period,
            schema_version: version(&of)?,
            source_log_type: of.text("source_log_type")?,
            load_completed: of.text("load_completed")? == "true",
            state: of.word("state")?,
            asked_days: asked_days(&of)?,
            covered_days: covered_days(&of)?,
            load_id: of.text("load_id")?,
            attempt: of.count("attempt")?,
            lease_owner: of.optional_text("lease_owner")?,
            lease_until: of.optional("lease_until")?,
            revision: of.count("revision")?,
            manifest: of.optional_text("manifest")?,
            manifest_digest: of.optional_text("manifest_digest")?,
            work: of.optional_text("work")?,
            nonce: of.optional_text("nonce")?,
            ledger: ledger(&of)?,
            objects: of.count("objects")?,
            bytes: of.count("bytes")?,
            started_at: of.optional("started_at")?,
            ended_at: of.optional("ended_at")?,
            error: of.optional_text("error")?,
        })
    }
}

/// The attributes without the keys. Empty fields are left out.
fn attributes(record: &PeriodRecord) -> Item {
    let asked = record.asked_days.iter().map(text).collect();
    let covered = record.covered_days.iter();
    let covered = covered.map(|(day, coverage)| (day.to_string(), day_item(coverage)));
    // Outside tools read the digests of the day that was loaded last.
    let last = record.covered_days.values().max_by_key(|day| day.loaded_at);
    let moment = |moment: Option<Moment>| moment.map(text);
    let always = [
        ("source_log_type", text(&record.source_log_type)),
        ("load_completed", text(record.load_completed)),
        ("state", text(state_word(record.state))),
        ("asked_days", AttributeValue::L(asked)),
        ("covered_days", AttributeValue::M(covered.collect())),
        ("load_id", text(&record.load_id)),
        ("attempt", number(record.attempt)),
        ("revision", number(record.revision)),
        ("rows_read", number(record.ledger.read)),
        ("rows_written", number(record.ledger.written)),
        ("rows_quarantined", number(record.ledger.quarantined)),
        ("rows_filtered", number(record.ledger.filtered)),
        ("rows_duplicated", number(record.ledger.duplicated)),
        ("rows_other_period", number(record.ledger.other_period)),
        ("objects", number(record.objects)),
        ("bytes", number(record.bytes)),
        ("schema_version", number(record.schema_version.into())),
    ];
    let sometimes = [
        ("config_digest", last.map(|day| text(&day.config_digest))),
        ("input_digest", last.map(|day| text(&day.input_digest))),
        ("lease_owner", record.lease_owner.as_ref().map(text)),
        ("lease_until", moment(record.lease_until)),
        ("manifest", record.manifest.as_ref().map(text)),
        ("manifest_digest", record.manifest_digest.as_ref().map(text)),
        ("work", record.work.as_ref().map(text)),
        ("nonce", record.nonce.as_ref().map(text)),
        ("started_at", moment(record.started_at)),
        ("ended_at", moment(record.ended_at)),
        ("error", record.error.as_ref().map(text)),
    ];
    let sometimes = sometimes
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let all = always.into_iter().chain(sometimes);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn state_word(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Running => "running",
        State::Publishing => "publishing",
        State::Done => "done",
        State::Failed => "failed",
        State::Repairing => "repairing",
    }
}

fn day_item(coverage: &DayCoverage) -> AttributeValue {
    let mut item = HashMap::from([
        ("config_digest".to_owned(), text(&coverage.config_digest)),
        ("input_digest".to_owned(), text(&coverage.input_digest)),
        ("closed".to_owned(), AttributeValue::Bool(coverage.closed)),
        ("loaded_at".to_owned(), text(coverage.loaded_at)),
    ]);
    let sometimes = [
        ("load_id", Some(text(&coverage.load_id))),
        ("margin", coverage.margin.as_ref().and_then(json)),
        ("owed", coverage.owed.as_ref().and_then(json)),
        ("rewritten", coverage.rewritten.as_ref().and_then(json)),
        ("broken", coverage.broken.as_ref().and_then(json)),
    ];
    for (name, value) in sometimes {
        item.extend(value.map(|value| (name.to_owned(), value)));
    }
    AttributeValue::M(item)
}

/// An optional attribute of a day, as JSON text.
fn json<T: Serialize>(value: &T) -> Option<AttributeValue> {
    serde_json::to_string(value).ok().map(text)
}

fn from_json<T: DeserializeOwned>(
    of: &Attributes<'_>,
    name: &'static str,
) -> Result<Option<T>, BadAttribute> {
    if of.get(name).is_none() {
        return Ok(None);
    }
    let text = of.text(name)?;
    let value = serde_json::from_str(&text);
    value.map(Some).map_err(|error| bad(name, error))
}

/// Refuses other versions: they may use the same attributes with another meaning.
fn version(of: &Attributes<'_>) -> Result<u32, BadAttribute> {
    let version = of.count("schema_version")?;
    match u32::try_from(version) {
        Ok(known) if known <= SCHEMA_VERSION => Ok(known),
        _ => Err(bad(
            "schema_version",
            format!("is {version}, where this program knows {SCHEMA_VERSION}"),
        )),
    }
}

fn asked_days(of: &Attributes<'_>) -> Result<BTreeSet<Day>, BadAttribute> {
    let Some(days) = of.get("asked_days") else {
        return Ok(BTreeSet::new());
    };
    let days = days.as_l();
    let days = days.map_err(|_| bad("asked_days", "is not a list"))?.iter();
    let day = |day: &AttributeValue| match day {
        AttributeValue::S(day) => day.parse().map_err(|error| bad("asked_days", error)),
        _ => Err(bad("asked_days", "has an element that is not a string")),
    };
    days.map(day).collect()
}

fn covered_days(of: &Attributes<'_>) -> Result<BTreeMap<Day, DayCoverage>, BadAttribute> {
    let days = of.some("covered_days")?.as_m();
    let days = days
        .map_err(|_| bad("covered_days", "is not a map"))?
        .iter();
    let day = |(day, coverage): (&String, &AttributeValue)| {
        let day = day.parse().map_err(|error| bad("covered_days", error))?;
        let coverage = coverage.as_m();
        let coverage =
            coverage.map_err(|_| bad("covered_days", "has an element that is not a map"))?;
        Ok((day, day_coverage(&Attributes::of(coverage))?))
    };
    days.map(day).collect()
}

fn day_coverage(of: &Attributes<'_>) -> Result<DayCoverage, BadAttribute> {
    Ok(DayCoverage {
        config_digest: of.text("config_digest")?,
        input_digest: of.text("input_digest")?,
        closed: of.flag("closed")?,
        loaded_at: of.parsed("loaded_at")?,
        load_id: of.optional_text("load_id")?.unwrap_or_default(),
        margin: from_json(of, "margin")?,
        owed: from_json(of, "owed")?,
        rewritten: from_json(of, "rewritten")?,
        broken: from_json(of, "broken")?,
    })
}

fn ledger(of: &Attributes<'_>) -> Result<Ledger, BadAttribute> {
    Ok(Ledger {
        read: of.count("rows_read")?,
        written: of.count("rows_written")?,
        quarantined: of.count("rows_quarantined")?,
        filtered: of.count("rows_filtered")?,
        duplicated: of.count("rows_duplicated")?,
        // Version 0.1 before November 2026 wrote `rows_elsewhere`.
        other_period: of
            .count("rows_other_period")
            .or_else(|_| of.count("rows_elsewhere"))?,
    })
}
