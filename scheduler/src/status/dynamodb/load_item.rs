//! Converts a load's record to an item and back. Requests and outcomes are JSON text,
//! compressed when they are long: an item holds 400 KB, enough for the compressed outcome of
//! hundreds of periods.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attributes::{Attributes, BadAttribute, Item, bad, text};
use super::tables::{KIND, LOAD, LOAD_ID, STARTED_AT, STORE, STORE_ID};
use crate::status::LoadRecord;

/// JSON up to this size is stored uncompressed, so people can read it in the console.
const LONGEST_TEXT: usize = 16 << 10;
const LEVEL: i32 = 9;
/// At most this much is decompressed, in case the item was forged.
const LONGEST_JSON: usize = 256 << 20;

pub(super) fn key(load_id: &str) -> Item {
    HashMap::from([
        (KIND.to_owned(), text(LOAD)),
        (LOAD_ID.to_owned(), text(load_id)),
    ])
}

/// The key of the item that holds the id of the store. Without `started_at` it is not in the
/// index of loads.
pub(super) fn store_key() -> Item {
    HashMap::from([
        (KIND.to_owned(), text(STORE)),
        (LOAD_ID.to_owned(), text(STORE)),
    ])
}

pub(super) fn store_item(id: &str) -> Item {
    let mut item = store_key();
    item.insert(STORE_ID.to_owned(), text(id));
    item
}

pub(super) fn store_id(item: &Item) -> Result<String, BadAttribute> {
    Attributes::of(item).text(STORE_ID)
}

pub(super) fn item(load: &LoadRecord) -> Result<Item, BadAttribute> {
    let mut item = key(&load.load_id);
    let mut set = |name: &str, value| item.insert(name.to_owned(), value);
    set("dataset", text(&load.dataset));
    set("source", text(&load.source));
    set("state", text(load.state.as_str()));
    set("request", packed("request", &load.request)?);
    set(STARTED_AT, text(load.started_at));
    if let Some(outcome) = &load.outcome {
        set("outcome", packed("outcome", outcome)?);
    }
    if let Some(ended_at) = load.ended_at {
        set("ended_at", text(ended_at));
    }
    Ok(item)
}

pub(super) fn record(item: &Item) -> Result<LoadRecord, BadAttribute> {
    let of = Attributes::of(item);
    let outcome = of.get("outcome").map(|value| unpacked("outcome", value));
    Ok(LoadRecord {
        load_id: of.text(LOAD_ID)?,
        dataset: of.text("dataset")?,
        source: of.text("source")?,
        state: of.word("state")?,
        request: unpacked("request", of.some("request")?)?,
        outcome: outcome.transpose()?,
        started_at: of.parsed(STARTED_AT)?,
        ended_at: of.optional("ended_at")?,
    })
}

/// Encodes JSON as a string, or as Zstandard if it is long.
fn packed(name: &str, json: &impl Serialize) -> Result<AttributeValue, BadAttribute> {
    let json = serde_json::to_string(json).map_err(|error| bad(name, error))?;
    if json.len() <= LONGEST_TEXT {
        return Ok(AttributeValue::S(json));
    }
    let bytes = zstd::encode_all(json.as_bytes(), LEVEL).map_err(|error| bad(name, error))?;
    Ok(AttributeValue::B(Blob::new(bytes)))
}

fn unpacked<T: DeserializeOwned>(name: &str, value: &AttributeValue) -> Result<T, BadAttribute> {
    let json = match value {
        AttributeValue::S(json) => serde_json::from_str(json),
        AttributeValue::B(bytes) => {
            let decoder = zstd::Decoder::new(bytes.as_ref()).map_err(|error| bad(name, error))?;
            serde_json::from_reader(std::io::Read::take(decoder, LONGEST_JSON as u64))
        }
        _ => return Err(bad(name, "is neither a string nor binary")),
    };
    json.map_err(|error| bad(name, error))
}
