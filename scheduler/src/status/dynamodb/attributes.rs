//! Items as maps of attributes, read by name.

use std::collections::HashMap;
use std::fmt::Display;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

/// An item in DynamoDB's representation.
pub(super) type Item = HashMap<String, AttributeValue>;

/// An attribute that this program did not write or cannot read.
#[derive(Debug, thiserror::Error)]
#[error("attribute `{attribute}`: {what}")]
pub(super) struct BadAttribute {
    pub(super) attribute: String,
    pub(super) what: String,
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "takes strings and displayable values alike"
)]
pub(super) fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

/// DynamoDB numbers have 38 digits, enough for every `u64`.
pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The attributes of an item, under the names that this program gives them.
#[derive(Debug)]
pub(super) struct Attributes<'a>(HashMap<&'a str, &'a AttributeValue>);

impl<'a> Attributes<'a> {
    pub(super) fn of(item: &'a Item) -> Self {
        let by_name = item.iter().map(|(name, value)| (name.as_str(), value));
        Self(by_name.collect())
    }

    /// Makes `value` readable under `name`.
    pub(super) fn name(&mut self, name: &'a str, value: &'a AttributeValue) {
        self.0.insert(name, value);
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a AttributeValue> {
        self.0.get(name).copied()
    }

    pub(super) fn some(&self, name: &str) -> Result<&'a AttributeValue, BadAttribute> {
        self.get(name).ok_or_else(|| bad(name, "is missing"))
    }

    pub(super) fn text(&self, name: &str) -> Result<String, BadAttribute> {
        match self.some(name)? {
            AttributeValue::S(text) => Ok(text.clone()),
            _ => Err(bad(name, "is not a string")),
        }
    }

    pub(super) fn optional_text(&self, name: &str) -> Result<Option<String>, BadAttribute> {
        let present = self.get(name).map(|_| self.text(name));
        present.transpose()
    }

    pub(super) fn count(&self, name: &str) -> Result<u64, BadAttribute> {
        let digits = match self.some(name)? {
            AttributeValue::N(digits) => digits,
            _ => return Err(bad(name, "is not a number")),
        };
        digits.parse().map_err(|error| bad(name, error))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, BadAttribute> {
        match self.some(name)? {
            AttributeValue::Bool(flag) => Ok(*flag),
            _ => Err(bad(name, "is not true or false")),
        }
    }

    /// Parses a day, month or moment.
    pub(super) fn parsed<T>(&self, name: &str) -> Result<T, BadAttribute>
    where
        T: TryFrom<String, Error: Display>,
    {
        let value = T::try_from(self.text(name)?);
        value.map_err(|error| bad(name, error))
    }

    pub(super) fn optional<T>(&self, name: &str) -> Result<Option<T>, BadAttribute>
    where
        T: TryFrom<String, Error: Display>,
    {
        let present = self.get(name).map(|_| self.parsed(name));
        present.transpose()
    }

    /// Parses a unit variant.
    pub(super) fn word<T: DeserializeOwned>(&self, name: &str) -> Result<T, BadAttribute> {
        let word = serde_json::Value::String(self.text(name)?);
        serde_json::from_value(word).map_err(|error| bad(name, error))
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "takes errors and text alike, as map_err needs"
)]
pub(super) fn bad(attribute: &str, what: impl ToString) -> BadAttribute {
    BadAttribute {
        attribute: attribute.to_owned(),
        what: what.to_string(),
    }
}
