//! The ETL framework's run input: a flat JSON object of texts. Keys that name
//! tables of that framework are read by its own tools, and accepted here.

use std::path::Path;

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::settings::Settings;
use crate::values;

/// What a request file asks for.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct RequestFile {
    pub(crate) source: Option<String>,
    pub(crate) settings: Settings,
}

/// Keys of the framework that say nothing about what is loaded.
const ACCEPTED: &[&str] = &[
    "asl_job_name",
    "asl_status_table",
    "ddb_lookup_table",
    "ddb_mapping_table",
    "ddb_metadata_table",
    "ddb_reference_table",
];

const SOURCE: &[&str] = &["source_log_type", "source_type"];
const DAYS: &[&str] = &["days_to_process", "historical_days_to_process"];
const FROM: &[&str] = &["historical_load_start_date", "load_start_date"];
const TO: &[&str] = &["historical_load_end_date", "load_end_date"];
const DAILY: &str = "daily_load_number_of_days";
const ENGINES: &[&str] = &["ballista", "emr-serverless", "glue"];

/// Reads the file at `path`.
pub(crate) fn read(path: &Path) -> Result<RequestFile, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("{} cannot be read: {error}", path.display());
        Failure::usage(message, "--request takes a JSON file")
    })?;
    let request = serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let message = format!("{}:{line}:{column}: {error}", path.display());
        Failure::usage(message, "--request takes one flat JSON object")
    });
    let reader = Reader {
        file: path.display().to_string(),
        text: &text,
        keys: request?,
    };
    reader.read()
}

struct Reader<'a> {
    file: String,
    text: &'a str,
    keys: Map<String, Value>,
}

impl Reader<'_> {
    fn read(&self) -> Result<RequestFile, Failure> {
        self.refuse_unknown()?;
        self.check_engine()?;
        let mut settings = Settings {
            full_load: self.full_load()?,
            ..Settings::default()
        };
        match self.text_of(&["load_type"])?.as_deref() {
            Some("daily") => {
                settings.daily = Some(self.parsed(&[DAILY], values::some_days)?.unwrap_or(1))
            }
            None | Some("historical") => self.historical(&mut settings)?,
            Some(other) => {
                let message = format!("`{other}` is not a load type");
                return Err(self.wrong("load_type", &message, "write `historical` or `daily`"));
            }
        }
        Ok(RequestFile {
            source: self.text_of(SOURCE)?,
            settings,
        })
    }

    /// Days win over dates, as in the framework.
    fn historical(&self, settings: &mut Settings) -> Result<(), Failure> {
        settings.days = self.parsed(DAYS, values::some_days)?;
        if settings.days.is_none() {
            settings.from = self.parsed(FROM, values::day)?;
            settings.to = self.parsed(TO, values::day)?;
        }
        Ok(())
    }

    fn full_load(&self) -> Result<Option<bool>, Failure> {
        let truth = |text: &str| match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("write `true` or `false`".to_owned()),
        };
        self.parsed(&["full_load"], truth)
    }

    fn check_engine(&self) -> Result<(), Failure> {
        match self.text_of(&["execution_engine"])? {
            Some(engine) if !ENGINES.contains(&engine.as_str()) => {
                let message = format!("`{engine}` is not an engine");
                let remedy = format!("known are {}", ENGINES.join(", "));
                Err(self.wrong("execution_engine", &message, &remedy))
            }
            _ => Ok(()),
        }
    }

    fn refuse_unknown(&self) -> Result<(), Failure> {
        let own = [SOURCE, DAYS, FROM, TO].concat();
        let rest = ["load_type", "full_load", "execution_engine", DAILY];
        let known = [own.as_slice(), ACCEPTED, &rest].concat();
        let is_known = |key: &&String| known.contains(&key.as_str());
        match self.keys.keys().find(|key| !is_known(key)) {
            None => Ok(()),
            Some(key) => {
                let message = format!("`{key}` is not a key of a run input");
                Err(self.wrong(key, &message, &format!("known are {}", known.join(", "))))
            }
        }
    }

    fn parsed<T>(
        &self,
        names: &[&str],
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let Some(text) = self.text_of(names)? else {
            return Ok(None);
        };
        let message = format!("`{text}` is not a value of `{}`", self.spelling(names));
        let value = parse(&text).map_err(|help| self.wrong(self.spelling(names), &message, &help));
        value.map(Some)
    }

    /// The spelling that the file uses.
    fn spelling<'a>(&self, names: &[&'a str]) -> &'a str {
        let mut used = names.iter().filter(|name| self.keys.contains_key(**name));
        used.next().or(names.first()).copied().unwrap_or_default()
    }

    /// The value under any of the spellings; empty text and null say nothing.
    fn text_of(&self, names: &[&str]) -> Result<Option<String>, Failure> {
        let name = self.spelling(names);
        match self.keys.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Bool(claim)) => Ok(Some(claim.to_string())),
            Some(_) => Err(self.wrong(name, "is a list or an object", "write text")),
        }
    }

    fn wrong(&self, key: &str, message: &str, remedy: &str) -> Failure {
        let quoted = format!("\"{key}\"");
        let offset = self.text.find(&quoted).unwrap_or(0);
        let line = self.text[..offset].matches('\n').count() + 1;
        Failure::usage(format!("{}:{line}: {key}: {message}", self.file), remedy)
    }
}

#[cfg(test)]
mod tests {
    use scheduler::load::terms::Range;

    use super::*;

    fn parse(text: &str) -> Result<RequestFile, Failure> {
        let keys = serde_json::from_str(text).expect("the test's JSON is well formed");
        let file = "request.json".to_owned();
        Reader { file, text, keys }.read()
    }

    #[test]
    fn the_frameworks_own_input_is_accepted_unchanged() {
        let text = r#"{
            "source_log_type": "vpc-flow-log", "load_type": "historical", "full_load": "false",
            "execution_engine": "emr-serverless",
            "ddb_lookup_table": "asl-etl-framework-table-details",
            "ddb_mapping_table": "asl-etl-framework-ocsf-attribute-mapping",
            "ddb_metadata_table": "asl-etl-framework-source-ocsf-metadata",
            "ddb_reference_table": "asl-etl-framework-ocsf-reference",
            "asl_status_table": "asl-etl-framework-run-status",
            "asl_job_name": "asl-etl-framework-init-ocsf-conversion"
        }"#;
        let request = parse(text).expect("it is the documented input");
        assert_eq!(request.source.as_deref(), Some("vpc-flow-log"));
        assert_eq!(request.settings.full_load, Some(false));
    }

    #[test]
    fn days_win_over_dates() {
        let text = r#"{"days_to_process": "35", "load_start_date": "2023-05-22",
            "load_end_date": "2023-06-22"}"#;
        let range = parse(text).and_then(|request| request.settings.range());
        assert!(matches!(range, Ok(Range::LastDays(35))));
    }

    #[test]
    fn a_daily_load_without_a_number_is_yesterdays() {
        let range = parse(r#"{"load_type": "daily"}"#).and_then(|request| request.settings.range());
        assert!(matches!(range, Ok(Range::Daily(1))));
    }

    #[test]
    fn an_unknown_key_names_its_line() {
        let failure = parse("{\n\"load_type\": \"daily\",\n\"sorce\": \"x\"}").err();
        let message = failure.map(|failure| failure.message).unwrap_or_default();
        assert!(message.starts_with("request.json:3: sorce"), "{message}");
    }

    #[test]
    fn a_wrong_value_names_its_key_and_remedy() {
        let failure = parse(r#"{"load_start_date": "22.05.2023"}"#).expect_err("it is no day");
        assert!(failure.message.contains("load_start_date"), "{failure}");
        assert!(failure.remedy.contains("yyyy-MM-dd"), "{failure}");
    }
}
