//! Six mappings as a user writes them, over public samples beside the project: no event is
//! invalid, no record is lost for an optional object, and no value is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use plans::compiled::{Compiled, compile};
use plans::dialects;
use plans::inspect::golden;
use plans::inspect::preview::{Fate, preview};
use serde_json::Value as Json;

const VERSIONS: [&str; 2] = ["1.1.0", "1.3.0"];
/// Lines that all files of a trial have together, at most.
const MOST_LINES: usize = 150;
/// Shorter values may be equal by chance.
const SHORTEST: usize = 8;

struct Trial {
    name: &'static str,
    /// Folder of the samples, and the files to read. Others have another content.
    samples: &'static str,
    files: &'static [&'static str],
    /// Class, and the number of its events, at least.
    events: &'static [(u32, usize)],
    /// Attributes and values that an event has: what a reader would look for first.
    says: &'static [(&'static str, &'static str)],
    /// Keys of `unmapped` that repeat an attribute, because the source says it twice; sorted.
    repeated: &'static [&'static str],
    /// The rejected lines: file, reason and number of lines.
    rejected: &'static [(&'static str, &'static str, usize)],
    /// How the warnings of lint start.
    warnings: &'static [&'static str],
}

const TRIALS: [Trial; 6] = [
    Trial {
        name: "alb",
        samples: "alb",
        files: &[
            "aws-log-parser-mixed.log",
            "opensearch-catalog.log",
            "otel-ipv6.log",
            "plaso.log",
        ],
        events: &[(4002, 86)],
        says: &[
            ("activity_name", "Get"),
            ("status", "Failure"),
            ("src_endpoint.ip", "fe80::202:b3ff:fe1e:8329"),
            ("time_dt", "2018-07-02T22:23:00.186Z"),
            ("load_balancer.name", "my-loadbalancer"),
            ("load_balancer.metrics.1.value", "-1"),
            ("http_request.url.query_string", "a=b&c=d&zip=98101"),
        ],
        repeated: &[],
        rejected: &[],
        warnings: &[],
    },
    Trial {
        name: "cloudtrail",
        samples: "cloudtrail",
        files: &[
            "ec2-proxy-s3-exfiltration.json.gz",
            "lookup-events.jsonl",
            "opensearch-catalog-samples.json.gz",
            "panther-mixed-events.json.gz",
        ],
        events: &[(3001, 3), (3002, 3), (6003, 176)],
        says: &[
            ("activity_name", "Attach Policy"),
            ("activity_name", "Logon"),
            ("activity_name", "Read"),
            ("activity_name", "StopInstances"),
            ("status", "Failure"),
            ("actor.user.type", "System"),
            ("src_endpoint.svc_name", "config.amazonaws.com"),
            ("time_dt", "2024-06-02T19:41:40Z"),
        ],
        // CloudTrail says the account of an issuer and the endpoint of a VPC twice.
        repeated: &[
            "additionalEventData.vpcEndpointId",
            "userIdentity.sessionContext.sessionIssuer.accountId",
            "vpcEndpointAccountId",
        ],
        // Records without a time, and accounts with fewer than twelve digits.
        rejected: &[
            ("ec2-proxy-s3-exfiltration", "time_missing", 103),
            ("panther-mixed-events", "invalid_account", 5),
            ("panther-mixed-events", "time_missing", 1),
        ],
        warnings: &[],
    },
    Trial {
        name: "guardduty",
        samples: "guardduty",
        files: &["panther-guardduty.jsonl"],
        events: &[(2004, 8)],
        says: &[
            ("severity", "Critical"),
            ("severity", "Low"),
            ("status", "New"),
            ("time_dt", "2025-02-25T20:40:06.721Z"),
            ("finding_info.first_seen_time_dt", "2020-02-14T17:59:17Z"),
            ("resources.0.type", "AWS::IAM::Role"),
            ("resources.0.uid", "arn:aws:iam::123456789012:role/IAMRole"),
        ],
        // The way back from an entry of an object to its member is not followed.
        repeated: &["service.action.awsApiCallAction.affectedResources.AWS::IAM::Role"],
        rejected: &[],
        warnings: &[],
    },
    Trial {
        name: "security_hub",
        samples: "security_hub",
        files: &["panther-asff.jsonl", "security-lake-inputs.jsonl"],
        events: &[(2003, 2), (2004, 6)],
        says: &[
            ("severity", "High"),
            ("severity", "Informational"),
            ("status", "In Progress"),
            ("activity_name", "Close"),
            ("compliance.status", "Pass"),
            ("compliance.control", "EC2.19"),
            ("finding_info.analytic.type", "Rule"),
            ("time_dt", "2022-08-04T18:09:19.100Z"),
            ("resources.1.type", "AwsIamAccessKey"),
        ],
        // ASFF copies what a provider says, and its resources name their owners and issuers.
        repeated: &[
            "FindingProviderFields.Types[]",
            "ProductFields.RecommendationUrl",
            "ProductFields.Resources:0/Id",
            "ProductFields.aws/securityhub/FindingId",
            "ProductFields.aws/securityhub/ProductName",
            "Resources[].Details.AwsEc2SecurityGroup.OwnerId",
            "Resources[].Details.AwsIamAccessKey.AccessKeyId",
            "Resources[].Details.AwsIamAccessKey.AccountId",
            "Resources[].Details.AwsIamAccessKey.SessionContext.SessionIssuer.AccountId",
            "Resources[].Details.AwsIamAccessKey.SessionContext.SessionIssuer.Arn",
            "Resources[].Details.AwsIamAccessKey.SessionContext.SessionIssuer.PrincipalId",
        ],
        rejected: &[],
        warnings: &[],
    },
    Trial {
        name: "sysmon",
        samples: "sysmon",
        files: &["nxlog-style.jsonl", "winlogbeat-style.jsonl"],
        events: &[
            (1001, 10),
            (1005, 9),
            (1007, 20),
            (4001, 11),
            (4003, 3),
            (201_001, 14),
            (201_002, 14),
        ],
        says: &[
            ("activity_name", "Launch"),
            ("activity_name", "Terminate"),
            ("severity", "Informational"),
            ("actor.process.name", "cmd.exe"),
            ("process.name", "bitsadmin.exe"),
            ("process.user.domain", "WORKSTATION5"),
            ("process.integrity", "High"),
            ("process.file.hashes.1.algorithm", "MD5"),
            ("module.file.hashes.0.algorithm", "SHA-1"),
            ("reg_value.type", "REG_DWORD"),
            ("file.type", "Named Pipe"),
            ("connection_info.direction", "Outbound"),
            ("rcode", "NoError"),
            ("time_dt", "2020-10-23T06:36:40.265Z"),
        ],
        // The domain of the account that logs, and the name that a file was built with.
        repeated: &["Domain", "OriginalFileName"],
        rejected: &[],
        warnings: &[],
    },
    Trial {
        name: "zeek_json",
        samples: "zeek",
        files: &["conn.log", "dns.log", "http.log"],
        events: &[(4001, 60), (4002, 60), (4003, 32)],
        says: &[
            ("activity_name", "Refuse"),
            ("activity_name", "Options"),
            ("activity_name", "PROPFIND"),
            ("connection_info.protocol_name", "udp"),
            ("rcode", "NXDOMAIN"),
            ("answers.0.rdata", "10.0.0.4"),
            ("time_dt", "2020-04-30T00:06:38.899Z"),
            ("response_time_dt", "2020-04-30T00:06:38.901Z"),
        ],
        // Request and response may have the same content type.
        repeated: &["orig_mime_types[]"],
        rejected: &[],
        warnings: &[],
    },
];

fn root(trial: &Trial) -> PathBuf {
    let trials = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trials");
    trials.join(trial.name)
}

fn compiled(trial: &Trial, version: &str) -> Compiled {
    let loaded = dialects::load(&root(trial), version);
    let loaded = loaded.unwrap_or_else(|errors| panic!("{}: {errors}", trial.name));
    compile(loaded, version, false).unwrap_or_else(|error| panic!("{}: {error}", trial.name))
}

/// The public samples, or `None` with a note.
fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples");
    let found = folder.canonicalize().ok();
    if found.is_none() {
        eprintln!("SKIPPED: there are no public samples beside the project");
    }
    found
}

/// The files to read. CloudTrail delivers its events in a list, and its API gives each as a
/// text; no format opens these yet, so that `folder` takes one event a line.
fn samples(trial: &Trial, shared: &Path, folder: &Path) -> Vec<PathBuf> {
    let files = trial
        .files
        .iter()
        .map(|file| shared.join(trial.samples).join(file));
    if trial.name != "cloudtrail" {
        return files.collect();
    }
    let flat = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy();
        let lines = folder.join(name.trim_end_matches(".json"));
        fs::write(&lines, opened(&path).join("\n")).expect("writes");
        lines
    };
    files.map(flat).collect()
}

/// The events of a file in an envelope.
fn opened(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).expect("a sample");
    let mut text = String::new();
    if path.extension().is_some_and(|end| end == "gz") {
        MultiGzDecoder::new(bytes.as_slice())
            .read_to_string(&mut text)
            .expect("text");
    } else {
        text = String::from_utf8(bytes).expect("text");
    }
    let mut events = Vec::new();
    for outer in serde_json::Deserializer::from_str(&text).into_iter::<Json>() {
        let outer = outer.expect("JSON");
        match (&outer["Records"], &outer["CloudTrailEvent"]) {
            (Json::Array(records), _) => events.extend(records.iter().map(Json::to_string)),
            (_, Json::String(event)) => events.push(event.replace('\n', " ")),
            _ => events.push(outer.to_string()),
        }
    }
    events
}

/// What the lines of a file become.
async fn fates(compiled: &Compiled, file: &Path) -> Vec<Fate> {
    let mut fates = Vec::new();
    let object = golden::object(file).expect("a sample");
    let account = Some(golden::ACCOUNT.to_owned());
    let format = &compiled.source.format;
    let read = preview(&compiled.program, format, vec![object], account, |fate| {
        fates.push(fate);
        true
    });
    let ledger = read
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let one_each = golden::adds_up(&ledger, fates.len() as u64);
    assert!(one_each, "{}: one fate a line", file.display());
    fates
}

/// Every text and number below `value`, as text, but for those in `unmapped`.
fn values(value: &Json, found: &mut BTreeSet<String>) {
    match value {
        Json::Object(members) => {
            for (key, member) in members {
                if key != "unmapped" {
                    values(member, found);
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| values(item, found)),
        Json::String(text) => {
            found.insert(text.clone());
        }
        Json::Number(number) => {
            found.insert(number.to_string());
        }
        Json::Bool(_) | Json::Null => {}
    }
}

/// The keys of `unmapped` whose value an attribute has as it is.
fn repeated(event: &Json) -> Vec<String> {
    let mut mapped = BTreeSet::new();
    values(event, &mut mapped);
    let unmapped = event["unmapped"].as_object();
    let unmapped = unmapped.into_iter().flatten();
    unmapped
        .filter(|(_, value)| {
            let text = value.as_str().unwrap_or_default();
            text.len() >= SHORTEST && mapped.contains(text)
        })
        .map(|(key, _)| key.clone())
        .collect()
}

fn text_at<'a>(event: &'a Json, attribute: &str) -> Option<&'a str> {
    let pointer = format!("/{}", attribute.replace('.', "/"));
    event.pointer(&pointer)?.as_str()
}

/// What was found in the samples of a trial.
#[derive(Default)]
struct Found {
    events: BTreeMap<u32, usize>,
    rejected: BTreeMap<(String, String), usize>,
    repeated: BTreeSet<String>,
    said: BTreeSet<(&'static str, &'static str)>,
}

impl Found {
    fn take(&mut self, trial: &Trial, file: &str, fate: Fate) {
        match fate {
            Fate::Event {
                line,
                class_uid,
                json,
                invalid,
                ..
            } => {
                assert!(
                    invalid.is_empty(),
                    "{} {file}:{line}: {invalid:?}",
                    trial.name
                );
                *self.events.entry(class_uid).or_default() += 1;
                let event: Json = serde_json::from_str(&json).expect("JSON");
                self.repeated.extend(repeated(&event));
                let says = trial.says.iter();
                let holds =
                    says.filter(|(attribute, text)| text_at(&event, attribute) == Some(text));
                self.said.extend(holds);
            }
            Fate::Rejected { reason, .. } => {
                let rejected = self.rejected.entry((file.to_owned(), reason));
                *rejected.or_default() += 1;
            }
        }
    }

    fn check(self, trial: &Trial) {
        let name = trial.name;
        let rejected = self.rejected.iter();
        let rejected: Vec<_> = rejected
            .map(|((file, reason), lines)| (file.as_str(), reason.as_str(), *lines))
            .collect();
        assert_eq!(rejected, trial.rejected, "{name}");
        for (class, least) in trial.events {
            let count = self.events.get(class).copied().unwrap_or_default();
            assert!(count >= *least, "{name}: {count} events of {class}");
        }
        let repeated: Vec<&str> = self.repeated.iter().map(String::as_str).collect();
        assert_eq!(
            repeated, trial.repeated,
            "{name}: values that are there twice"
        );
        for said in trial.says {
            assert!(self.said.contains(said), "{name}: no event has {said:?}");
        }
    }
}

#[test]
fn every_trial_compiles_and_is_short() {
    for trial in &TRIALS {
        let entries = fs::read_dir(root(trial)).expect("a folder");
        let files = entries.map(|entry| entry.expect("an entry").path());
        let lines = files.map(|file| fs::read_to_string(file).expect("text").lines().count());
        let lines: usize = lines.sum();
        assert!(lines < MOST_LINES, "{}: {lines} lines", trial.name);
        for version in VERSIONS {
            for warning in compiled(trial, version).warnings {
                let warning = warning.to_string();
                let mut known = trial.warnings.iter();
                assert!(
                    known.any(|known| warning.starts_with(known)),
                    "{}: {warning}",
                    trial.name
                );
            }
        }
    }
}

#[tokio::test]
async fn every_trial_keeps_the_promises_over_public_samples() {
    let Some(shared) = shared() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    for (trial, version) in TRIALS.iter().flat_map(|trial| VERSIONS.map(|v| (trial, v))) {
        let compiled = compiled(trial, version);
        let mut found = Found::default();
        for path in samples(trial, &shared, folder.path()) {
            let file = path.file_name().expect("a name").to_string_lossy();
            for fate in fates(&compiled, &path).await {
                found.take(trial, &file, fate);
            }
        }
        found.check(trial);
    }
}
