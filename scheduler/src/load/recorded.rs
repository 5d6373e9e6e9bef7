//! A load's request as its record stores it: where the load came from, and its terms. Also reads
//! what earlier versions wrote.

use std::collections::BTreeMap;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::terms::{LoadRequest, Terms};

/// A load's request, as its record stores it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "Stored")]
pub struct RecordedRequest {
    /// The process that runs the load.
    pub origin: Origin,
    /// Digest of the source's configuration, as it was when the load was asked for.
    pub config_digest: String,
    /// An error where another version of lakebolt wrote terms that this one cannot read. The
    /// load's record still shows its state.
    pub terms: Result<Terms, UnreadableTerms>,
}

/// The process that runs a load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Origin {
    /// The process that asked for it.
    Process,
    /// The scheduler of a cluster. A scheduler that starts continues the load from this alone.
    Cluster {
        source: SentSource,
        /// The earlier load whose failed periods are loaded again.
        retry_of: Option<String>,
    },
}

/// A source as a client sent it, and as a load's record stores it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentSource {
    /// The source's name.
    pub name: String,
    /// Texts by their names; none for a source that ships.
    pub files: BTreeMap<String, String>,
    /// The OCSF version of the events.
    pub ocsf_version: String,
    /// Digest of the configuration that the client compiled.
    pub config_digest: String,
}

/// Terms that this version cannot read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{why}")]
pub struct UnreadableTerms {
    why: String,
    /// The terms as they are stored.
    json: Value,
}

impl RecordedRequest {
    /// The request of a load from `origin`.
    pub fn new(request: &LoadRequest, origin: Origin) -> Self {
        Self {
            origin,
            config_digest: request.source.program.digest.clone(),
            terms: Ok(request.terms.clone()),
        }
    }

    /// Whether a scheduler runs the load.
    pub fn is_of_cluster(&self) -> bool {
        matches!(self.origin, Origin::Cluster { .. })
    }
}

impl Serialize for RecordedRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("RecordedRequest", 3)?;
        fields.serialize_field("origin", &self.origin)?;
        fields.serialize_field("config_digest", &self.config_digest)?;
        match &self.terms {
            Ok(terms) => fields.serialize_field("terms", terms)?,
            Err(unreadable) => fields.serialize_field("terms", &unreadable.json)?,
        }
        fields.end()
    }
}

/// Every form in which a request is stored.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Current {
        origin: Origin,
        config_digest: String,
        terms: Value,
    },
    Flat(Flat),
}

/// The form of lakebolt 0.1: the terms are beside the other fields.
#[derive(Deserialize)]
struct Flat {
    #[serde(default)]
    config_digest: String,
    /// Only loads of a cluster have it.
    submitted: Option<Submitted>,
    /// Also a field of the record.
    #[serde(rename = "source")]
    _source: Option<String>,
    /// No longer part of the terms.
    #[serde(rename = "cores")]
    _cores: Option<u64>,
    #[serde(flatten)]
    terms: Map<String, Value>,
}

#[derive(Deserialize)]
struct Submitted {
    source: SentSource,
    retry_of: Option<String>,
}

impl From<Stored> for RecordedRequest {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Current {
                origin,
                config_digest,
                terms,
            } => Self {
                origin,
                config_digest,
                terms: read(terms),
            },
            Stored::Flat(flat) => Self {
                origin: flat.submitted.map_or(Origin::Process, Origin::from),
                config_digest: flat.config_digest,
                terms: read(Value::Object(flat.terms)),
            },
        }
    }
}

impl From<Submitted> for Origin {
    fn from(submitted: Submitted) -> Self {
        Self::Cluster {
            source: submitted.source,
            retry_of: submitted.retry_of,
        }
    }
}

fn read(json: Value) -> Result<Terms, UnreadableTerms> {
    Terms::deserialize(&json).map_err(|error| UnreadableTerms {
        why: error.to_string(),
        json,
    })
}

/// What a load of a process records.
#[cfg(test)]
pub(crate) fn example() -> RecordedRequest {
    RecordedRequest {
        origin: Origin::Process,
        config_digest: "c0ffee".to_owned(),
        terms: Ok(super::terms::example()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::terms::{OnStale, Range, Shape};

    /// As version 0.1 wrote it for a load of its own process.
    const PROCESS: &str = include_str!("recorded/process.json");
    /// As version 0.1 wrote it for a load of a cluster.
    const CLUSTER: &str = include_str!("recorded/cluster.json");

    fn parse(json: &str) -> RecordedRequest {
        serde_json::from_str(json).expect("a request")
    }

    fn written(request: &RecordedRequest) -> String {
        serde_json::to_string(request).expect("it is JSON")
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let cluster = parse(CLUSTER);
        for request in [example(), cluster] {
            assert_eq!(parse(&written(&request)), request);
        }
    }

    #[test]
    fn a_request_that_a_process_of_version_0_1_recorded_is_read() {
        let request = parse(PROCESS);
        assert_eq!(request.origin, Origin::Process);
        assert_eq!(request.config_digest, "8d5c1f0a4be37f21");
        let terms = request.terms.expect("they are known");
        let expected = Terms {
            inputs: vec!["file:///data/AWSLogs".to_owned()],
            output: "file:///data/lake".to_owned(),
            role: None,
            name: "default".to_owned(),
            shape: Shape::Ocsf,
            range: Range::Between {
                from: "2024-01-22".parse().expect("a day"),
                to: "2024-02-21".parse().expect("a day"),
            },
            full_load: false,
            on_stale: OnStale::Report,
            margin: 1,
            lateness: Duration::from_secs(172_800),
            region: None,
            account: None,
            quarantine: "file:///data/lake.quarantine/".to_owned(),
            work: "file:///data/lake/.lakebolt/".to_owned(),
            max_quarantine: 5.0,
            max_attempts: 3,
            parallel: 2,
            wait: Duration::ZERO,
            allow_empty: false,
            memory_bytes: 134_217_728,
        };
        assert_eq!(terms, expected);
    }

    #[test]
    fn a_request_that_a_scheduler_of_version_0_1_recorded_is_read() {
        let request = parse(CLUSTER);
        let Origin::Cluster { source, retry_of } = request.origin else {
            panic!("it ran on a cluster");
        };
        assert_eq!(
            retry_of.as_deref(),
            Some("0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a")
        );
        assert_eq!(source.name, "my_source");
        assert_eq!(source.config_digest, request.config_digest);
        let files: Vec<&str> = source.files.keys().map(String::as_str).collect();
        assert_eq!(files, ["network_activity.toml", "source.toml"]);
        let terms = request.terms.expect("they are known");
        assert_eq!((terms.range, terms.shape), (Range::Daily(3), Shape::Raw));
        assert_eq!(terms.on_stale, OnStale::Reload);
        assert_eq!(terms.wait, Duration::from_millis(1500));
        let role = terms.role.expect("a role");
        assert_eq!(role.external_id.as_deref(), Some("lakebolt"));
    }

    #[test]
    fn terms_of_another_version_stay_as_they_are_and_say_why_they_are_unreadable() {
        let mut newer: Value = serde_json::from_str(&written(&parse(CLUSTER))).expect("JSON");
        newer["terms"]["example"] = true.into();
        let request = parse(&newer.to_string());
        assert!(request.is_of_cluster());
        let why = request.terms.as_ref().expect_err("unknown").to_string();
        assert!(why.contains("unknown field `example`"), "{why}");
        assert_eq!(serde_json::to_value(&request).expect("JSON"), newer);
        let older = parse(r#"{"source": "vpc_flow"}"#);
        assert_eq!(older.origin, Origin::Process);
        let why = older.terms.expect_err("it is incomplete").to_string();
        assert_eq!(why, "missing field `inputs`");
    }
}
