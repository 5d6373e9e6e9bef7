//! What must hold for every event: each value of the record is in it, and no credential.

use std::collections::HashSet;
use std::net::IpAddr;

use chrono::{DateTime, NaiveDateTime};
use serde_json::Value;

use crate::event::Exact;
use crate::json::{Json, quoted};
use crate::rows::{Kind, SECRET, Source};

/// The values in an event, each as everything that it may be compared as.
struct Found<'a> {
    event: &'a Value,
    /// All texts in lower case.
    texts: Vec<String>,
    known: HashSet<String>,
    integers: HashSet<i128>,
    numbers: Vec<f64>,
    addresses: HashSet<IpAddr>,
    times: HashSet<i64>,
}

/// What an event lacks of its record, or shows of its credentials.
pub(crate) fn broken(source: &Source, exact: &[Exact], line: &Json, event: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if event.to_uppercase().contains(SECRET) {
        faults.push("secret: a credential is in the event".to_owned());
    }
    let event: Value = match serde_json::from_str(event) {
        Ok(event) => event,
        Err(error) => return vec![format!("json: {error}: {event}")],
    };
    let mut found = Found::new(&event);
    found.add(&event);
    line.leaves(&mut Vec::new(), &mut |path, text| {
        let is_top = path.len() == 1;
        let is_null = is_top && source.is_null(text);
        if is_null || text.is_empty() || text.contains(SECRET) {
            return;
        }
        let kind = source.kind(path[0]).filter(|_| is_top);
        if !found.has(text, kind, exact) {
            faults.push(format!("lost: {} = {}", path.join("."), quoted(text)));
        }
    });
    faults
}

impl<'a> Found<'a> {
    fn new(event: &'a Value) -> Self {
        Self {
            event,
            texts: Vec::new(),
            known: HashSet::new(),
            integers: HashSet::new(),
            numbers: Vec::new(),
            addresses: HashSet::new(),
            times: HashSet::new(),
        }
    }

    fn add(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(members) => members.values().for_each(|value| self.add(value)),
            Value::String(text) => {
                self.add_text(text);
                // JSON as text, and values of one key.
                if let Ok(inside) = serde_json::from_str::<Value>(text)
                    && (inside.is_array() || inside.is_object())
                {
                    self.add(&inside);
                }
                if text.contains(',') {
                    text.split(',').for_each(|part| self.add_text(part));
                }
            }
            scalar => self.add_text(&scalar.to_string()),
        }
    }

    fn add_text(&mut self, text: &str) {
        let text = text.trim();
        self.integers.extend(text.parse::<i128>());
        self.numbers.extend(text.parse::<f64>());
        self.addresses.extend(address(text));
        self.times.extend(calendar(text));
        let lower = text.to_lowercase();
        self.known.insert(lower.clone());
        self.texts.push(lower);
    }

    fn has(&self, text: &str, kind: Option<Kind>, exact: &[Exact]) -> bool {
        let trimmed = text.trim();
        self.known.contains(&trimmed.to_lowercase())
            || self.contains(text)
            || self.has_number(trimmed, kind)
            || address(trimmed).is_some_and(|address| self.addresses.contains(&address))
            || self.has_time(trimmed, kind)
            || self.has_parts(trimmed, kind)
            || self.has_boolean(trimmed, kind)
            || exact.iter().any(|exact| self.is_member(trimmed, exact))
    }

    /// Whether the text is part of another one: a short one as a word.
    fn contains(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        let escaped = quoted(&lower);
        let escaped = &escaped[1..escaped.len() - 1];
        let is_long = text.chars().count() >= 4;
        self.texts.iter().any(|known| {
            let is_word = |(at, part): (usize, &str)| {
                let before = known[..at].chars().next_back();
                let after = known[at + part.len()..].chars().next();
                is_long
                    || ![before, after]
                        .into_iter()
                        .flatten()
                        .any(char::is_alphanumeric)
            };
            known.match_indices(&lower).any(is_word) || known.contains(escaped) && is_long
        })
    }

    fn has_number(&self, text: &str, kind: Option<Kind>) -> bool {
        // A larger number is a double, whatever its column says.
        let integer = text.parse::<i64>().map(i128::from);
        if let (Ok(integer), true) = (integer, kind != Some(Kind::Double)) {
            return self.integers.contains(&integer)
                || integer.abs() < 1 << 53 && self.numbers.contains(&(integer as f64));
        }
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.is_some_and(|number| self.numbers.contains(&number))
    }

    fn has_time(&self, text: &str, kind: Option<Kind>) -> bool {
        let number = text.parse::<f64>().ok();
        let seconds = || number.map(|seconds| (seconds * 1000.0).round() as i64);
        let millis = || number.map(|millis| millis as i64);
        let times = match kind {
            Some(Kind::EpochS) => [seconds(), None],
            Some(Kind::EpochMs) => [millis(), None],
            None if text.len() >= 10 => [calendar(text).or_else(seconds), millis()],
            // A number under an attribute that is a date.
            _ => [calendar(text), millis()],
        };
        let is_here = |time: i64| {
            self.times.contains(&time)
                || self.integers.contains(&time.into())
                || self.numbers.contains(&(time as f64))
        };
        times.into_iter().flatten().any(is_here)
    }

    /// Whether address and port are there.
    fn has_parts(&self, text: &str, kind: Option<Kind>) -> bool {
        let Some((ip, port)) = text.rsplit_once(':').filter(|_| kind == Some(Kind::IpPort)) else {
            return false;
        };
        let ip = ip.trim_start_matches('[').trim_end_matches(']');
        let has_ip = address(ip).is_some_and(|ip| self.addresses.contains(&ip));
        has_ip && (self.has_number(port, None) || self.has_time(port, Some(Kind::Int)))
    }

    /// Whether the value is there as a boolean. Numbers are boolean if they are 0 or 1.
    fn has_boolean(&self, text: &str, kind: Option<Kind>) -> bool {
        let lower = text.to_lowercase();
        let is = |wanted: &str, number: f64| {
            lower == wanted || lower.parse().is_ok_and(|value: f64| value == number)
        };
        let is_boolean = kind == Some(Kind::Boolean);
        let is_true = is("true", 1.0) || is_boolean && lower == "yes";
        let is_false = is("false", 0.0) || is_boolean && lower == "no";
        is_true && (self.known.contains("true") || self.known.contains("1"))
            || is_false && (self.known.contains("false") || self.known.contains("0"))
    }

    /// Whether the text is the member that the event has.
    fn is_member(&self, text: &str, exact: &Exact) -> bool {
        let is_same = |number: f64| exact.text.parse() == Ok(number);
        let is_number = text.parse().is_ok_and(is_same);
        if !is_number && !exact.text.eq_ignore_ascii_case(text) {
            return false;
        }
        let [id, caption] = &exact.member;
        if exact.path.is_empty() {
            return self.known.contains(id) || self.known.contains(&caption.to_lowercase());
        }
        let pointer = format!("/{}", exact.path.join("/"));
        let value = match self.event.pointer(&pointer) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => return false,
        };
        value == *id || value.eq_ignore_ascii_case(caption)
    }
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// The epoch milliseconds of a calendar time.
fn calendar(text: &str) -> Option<i64> {
    if !(19..40).contains(&text.len()) {
        return None;
    }
    let text = text.replacen(' ', "T", 1);
    if let Ok(time) = DateTime::parse_from_rfc3339(&text) {
        return Some(time.timestamp_millis());
    }
    let time = NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f");
    time.ok().map(|time| time.and_utc().timestamp_millis())
}
