//! Maps the samples of every shipped source. The folder `expected/` has one file with the
//! events of each class, and one with the quarantined rows. Every line must be accounted for.
//!
//! `cargo xtask bless` rewrites the expected files for review.

mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion_proto::physical_plan::{AsExecutionPlan, DefaultPhysicalExtensionCodec};
use datafusion_proto::protobuf::PhysicalPlanNode;
use plans::attempt::{AttemptSpec, PeriodSpec};
use plans::codec::Codec;
use plans::compiled::Compiled;
use plans::inspect::golden;
use plans::inspect::preview::{Fate, preview};
use plans::mapping::{Program, compile};
use plans::pipeline::attempt_plan;
use plans::scan::split::SplitRef;
use plans::sources::Shipped;
use plans::spec::Source;
use plans::{ocsf, session, sources};

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

fn compiled(source: &Source, version: &str) -> Compiled {
    Compiled {
        source: source.clone(),
        program: program(source, version, false),
        warnings: Vec::new(),
    }
}

async fn check_fates(source: &Source, program: &Program, sample: &Path) {
    let mut fates = 0;
    let account = Some(golden::ACCOUNT.to_owned());
    let object = golden::object(sample).expect("a sample");
    let read = preview(program, &source.format, vec![object], account, |fate| {
        fates += 1;
        if let Fate::Event { line, invalid, .. } = fate {
            assert!(
                invalid.is_empty(),
                "{}:{line}: {invalid:?}",
                sample.display()
            );
        }
        true
    });
    let ledger = read
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", sample.display()));
    assert!(
        golden::adds_up(&ledger, fates),
        "{}: one fate a line",
        sample.display()
    );
}

fn samples(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn every_sample_is_mapped_as_expected() {
    let bless = harness::config::is_blessing();
    for shipped in sources::list() {
        let source = source(shipped, "1.1.0");
        let root = folder().join(shipped.name);
        let outcome = golden::map(&compiled(&source, "1.1.0"), &root).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
        assert!(!outcome.files.is_empty(), "{} has no samples", shipped.name);
        assert!(outcome.miscounted.is_empty(), "{:?}", outcome.miscounted);
        assert!(outcome.invalid.is_empty(), "{:?}", outcome.invalid);
        if bless {
            golden::bless(&root, &outcome).unwrap_or_else(|error| panic!("{error}"));
        }
        let differences = golden::compare(&root, &outcome);
        let differences = differences.unwrap_or_else(|error| panic!("{error}"));
        assert!(differences.is_empty(), "{}: {differences:?}", shipped.name);
        for (file, rows) in &outcome.files {
            let text = fs::read_to_string(root.join("expected").join(file));
            let is_same = text.is_ok_and(|text| text == golden::text_of(rows));
            assert!(is_same, "{}/{file} has another layout", shipped.name);
        }
    }
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
                check_fates(&source, &program, &sample).await;
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
