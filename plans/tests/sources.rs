//! Maps the samples of every shipped source. The folder `expected/` has one file with the
//! events of each class, and one with the quarantined rows. Every line must be accounted for.
//!
//! `cargo xtask bless` rewrites the expected files for review.

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion_proto::physical_plan::{AsExecutionPlan, DefaultPhysicalExtensionCodec};
use datafusion_proto::protobuf::PhysicalPlanNode;
use plans::attempt::{AttemptSpec, PeriodSpec};
use plans::codec::Codec;
use plans::inspect::preview::{Fate, preview};
use plans::mapping::{Program, compile};
use plans::pipeline::attempt_plan;
use plans::scan::split::{InputObject, SplitRef};
use plans::sources::Shipped;
use plans::spec::Source;
use plans::{ocsf, session, sources};
use serde_json::{Value, json};

const ACCOUNT: &str = "111122223333";
const VERSIONS: [&str; 2] = ["1.1.0", "1.3.0"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sources")
}

fn program(source: &Source, version: &str, raw: bool) -> Program {
    let schema = ocsf::schema(version).expect("a pinned version");
    let program = compile(source, schema, raw).program;
    program.unwrap_or_else(|errors| panic!("{}: {errors}", source.name))
}

fn source(shipped: &Shipped, version: &str) -> Source {
    let loaded = shipped.load(version);
    loaded.unwrap_or_else(|errors| panic!("{errors}")).source
}

fn object(path: &Path) -> InputObject {
    InputObject {
        store: "file:///".to_owned(),
        path: path.to_string_lossy().trim_start_matches('/').to_owned(),
        size: fs::metadata(path).expect("a sample").len(),
        etag: None,
        region: Some("us-east-1".to_owned()),
        ..InputObject::default()
    }
}

async fn fates(source: &Source, program: &Program, sample: &Path) -> Vec<Fate> {
    let mut fates = Vec::new();
    let account = Some(ACCOUNT.to_owned());
    let objects = vec![object(sample)];
    let read = preview(program, &source.format, objects, account, |fate| {
        fates.push(fate);
        true
    });
    let ledger = read
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", sample.display()));
    let rows = fates.len() as u64 + ledger.filtered;
    assert_eq!(
        ledger.read + ledger.duplicated,
        rows,
        "{}: one fate a line",
        sample.display()
    );
    fates
}

fn samples(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Adds rows to the expected files.
fn expect(name: &str, fates: Vec<Fate>, files: &mut BTreeMap<String, Vec<Value>>) {
    for fate in fates {
        let (file, value) = match fate {
            Fate::Event {
                line,
                class_uid,
                json,
            } => {
                let event: Value = serde_json::from_str(&json).expect("an event is JSON");
                let value = json!({ "sample": name, "line": line, "event": event });
                (format!("{class_uid}.json"), value)
            }
            Fate::Rejected {
                line,
                reason,
                detail,
                ..
            } => {
                let value =
                    json!({ "sample": name, "line": line, "reason": reason, "detail": detail });
                ("quarantine.json".to_owned(), value)
            }
        };
        files.entry(file).or_default().push(value);
    }
}

#[tokio::test]
async fn every_sample_is_mapped_as_expected() {
    let bless = harness::config::is_blessing();
    for shipped in sources::list() {
        let source = source(shipped, "1.1.0");
        let program = program(&source, "1.1.0", false);
        let root = folder().join(shipped.name);
        let mut files = BTreeMap::new();
        for sample in samples(&root.join("samples")) {
            let name = sample
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            expect(&name, fates(&source, &program, &sample).await, &mut files);
        }
        assert!(!files.is_empty(), "{} has no samples", shipped.name);
        for (file, values) in files {
            compare(&root.join("expected").join(file), &values, bless);
        }
    }
}

fn compare(path: &Path, values: &[Value], bless: bool) {
    let rows: Vec<String> = values.iter().map(|value| format!("{value:#}")).collect();
    let text = format!("[\n{}\n]\n", rows.join(",\n"));
    if bless {
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        fs::write(path, &text).expect("an expected file");
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(
        expected == text,
        "{} differs from the mapped samples",
        path.display()
    );
}

#[tokio::test]
async fn every_public_sample_line_has_exactly_one_fate() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples");
    let Ok(shared) = shared.canonicalize() else {
        eprintln!("SKIPPED: there are no public samples beside the project");
        return;
    };
    for shipped in sources::list() {
        for version in VERSIONS {
            let source = source(shipped, version);
            let program = program(&source, version, false);
            for sample in samples(&shared.join(shipped.name)) {
                fates(&source, &program, &sample).await;
            }
        }
    }
}

fn plan(source: &Source, raw: bool) -> Arc<dyn ExecutionPlan> {
    let program = program(source, "1.1.0", raw);
    let classes = program.routes.iter();
    let classes = classes.map(|route| (route.class.name.clone(), "file:///lake/ext/x".to_owned()));
    let split = |id: &str| SplitRef {
        id: id.to_owned(),
        path: format!("work/{id}.json"),
        size: 10,
    };
    let task = AttemptSpec {
        attempt: "a1".to_owned(),
        periods: vec![PeriodSpec {
            attempt: "a1".to_owned(),
            digest8: "00112233".to_owned(),
            period: "2024-01".to_owned(),
            days: vec![19_737],
        }],
        source: source.name.clone(),
        work: "file:///work".to_owned(),
        splits: vec![split("0000"), split("0001")],
        targets: classes.collect(),
        access: plans::storage::Access::default(),
        quarantine: "file:///quarantine".to_owned(),
        load_id: "l1".to_owned(),
        margin: 1,
        undated_day: 19_737,
        region: None,
        account: None,
        memory_bytes: 1 << 20,
    };
    attempt_plan(&program, &source.format, task).expect("a plan")
}

fn render(plan: &Arc<dyn ExecutionPlan>) -> String {
    displayable(plan.as_ref()).indent(true).to_string()
}

#[test]
fn every_sources_plan_is_a_scan_below_the_sink() {
    for shipped in sources::list() {
        let plan = plan(&source(shipped, "1.1.0"), false);
        insta::assert_snapshot!(shipped.name, render(&plan));
    }
}

#[test]
fn every_sources_plan_is_serialised_without_loss() {
    let codec = Codec::new(Arc::new(DefaultPhysicalExtensionCodec {}));
    let context = session::planning().task_ctx();
    for shipped in sources::list() {
        for raw in [false, true] {
            let plan = plan(&source(shipped, "1.1.0"), raw);
            let wire = PhysicalPlanNode::try_from_physical_plan(plan.clone(), &codec);
            let mut bytes = Vec::new();
            wire.expect("encodes")
                .try_encode(&mut bytes)
                .expect("encodes");
            let node = PhysicalPlanNode::try_decode(&bytes).expect("decodes");
            let decoded = node
                .try_into_physical_plan(&context, &codec)
                .expect("decodes");
            assert_eq!(render(&decoded), render(&plan), "{}", shipped.name);
            let again = PhysicalPlanNode::try_from_physical_plan(decoded, &codec);
            assert_eq!(again.expect("encodes again"), node, "{}", shipped.name);
        }
    }
}
