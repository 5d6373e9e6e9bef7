use std::fs;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Int32Type};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use super::*;

/// 2024-01-22T00:00:00Z
const START: i64 = 1_705_881_600_000;
const FOLDER: &str = "ext/vpc_flow/region=eu-central-1/accountId=123456789012/eventDay=20240122";

/// A small valid target, which tests modify.
struct Lake {
    folder: TempDir,
    events: Vec<(String, ArrayRef)>,
    path: String,
    compression: Compression,
    page_bytes: usize,
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn ints(values: &[i32]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

fn longs(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn object(members: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let field =
        |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let fields: Fields = members.iter().map(field).collect();
    let arrays = members.into_iter().map(|(_, array)| array).collect();
    Arc::new(StructArray::new(fields, arrays, None))
}

fn list(rows: usize, values: &[&str]) -> ArrayRef {
    let items: Vec<&str> = values
        .iter()
        .copied()
        .cycle()
        .take(rows * values.len())
        .collect();
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let offsets = OffsetBuffer::from_lengths(vec![values.len(); rows]);
    Arc::new(ListArray::new(field, offsets, texts(&items), None))
}

fn metadata(profiles: &[&str]) -> ArrayRef {
    let product = object(vec![
        ("name", texts(&["Amazon VPC"; 3])),
        ("vendor_name", texts(&["AWS"; 3])),
    ]);
    object(vec![
        ("product", product),
        ("profiles", list(3, profiles)),
        ("version", texts(&["1.1.0"; 3])),
    ])
}

fn source(ports: &[i32]) -> ArrayRef {
    let addresses = texts(&["10.0.0.1", "::1", "10.0.0.2"]);
    object(vec![("ip", addresses), ("port", ints(ports))])
}

fn cloud() -> ArrayRef {
    object(vec![("provider", texts(&["AWS"; 3]))])
}

impl Lake {
    fn new() -> Self {
        let events: Vec<(&str, ArrayRef)> = vec![
            ("activity_id", ints(&[6, 6, 5])),
            ("category_uid", ints(&[4; 3])),
            ("class_uid", ints(&[4001; 3])),
            ("cloud", cloud()),
            (
                "dst_endpoint",
                object(vec![("ip", texts(&["10.0.0.1", "::1", "10.0.0.2"]))]),
            ),
            ("metadata", metadata(&["cloud"])),
            ("severity_id", ints(&[1; 3])),
            ("src_endpoint", source(&[1, 2, 3])),
            ("time", longs(&[START, START + 1, START + 1])),
            ("type_uid", longs(&[400106, 400106, 400105])),
        ];
        let owned = |(name, array): (&str, ArrayRef)| (name.to_owned(), array);
        Self {
            folder: tempfile::tempdir().expect("a folder for the test"),
            events: events.into_iter().map(owned).collect(),
            path: format!("{FOLDER}/a.zstd.parquet"),
            compression: Compression::ZSTD(ZstdLevel::default()),
            page_bytes: 1 << 19,
        }
    }

    fn with(mut self, name: &str, array: ArrayRef) -> Self {
        self.events.retain(|(known, _)| known != name);
        self.events.push((name.to_owned(), array));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.events.retain(|(known, _)| known != name);
        self
    }

    fn at(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    fn write(&self) -> PathBuf {
        let path = self.folder.path().join(&self.path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("writable");
        let batch = RecordBatch::try_from_iter(self.events.clone()).expect("same lengths");
        let properties = WriterProperties::builder()
            .set_compression(self.compression)
            .set_data_page_size_limit(self.page_bytes)
            .set_dictionary_enabled(false)
            .build();
        let file = File::create(&path).expect("writable");
        let mut writer =
            ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("writable");
        writer.write(&batch).expect("writable");
        writer.close().expect("writable");
        path
    }

    fn report(&self) -> Report {
        self.write();
        verified(self.folder.path())
    }
}

fn verified(root: &Path) -> Report {
    let uri = format!("file://{}", root.display());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let report = verify(&uri, 5, |_, _| {});
    let report = runtime.expect("threads can be started").block_on(report);
    report.expect("listable")
}

/// The names of the rules that are broken.
fn broken(report: &Report) -> Vec<&'static str> {
    let broken = report.rules.iter().filter(|(_, tally)| tally.broken > 0);
    broken.map(|(rule, _)| rule.name()).collect()
}

fn first_message(report: &Report) -> String {
    let mut findings = report.rules.iter().flat_map(|(_, tally)| &tally.findings);
    findings
        .next()
        .map(|found| found.message.clone())
        .unwrap_or_default()
}

#[track_caller]
fn check(lake: &Lake, rules: &[&str], message: &str) {
    let report = lake.report();
    assert_eq!(broken(&report), rules, "{:?}", report.rules);
    assert!(
        first_message(&report).contains(message),
        "{}",
        first_message(&report)
    );
    assert_eq!(report.passed(), rules.is_empty());
}

#[test]
fn a_good_object_passes_every_rule() {
    let lake = Lake::new();
    check(&lake, &[], "");
    let report = lake.report();
    assert_eq!((report.objects, report.rows), (1, 3));
    let unchecked = report.rules.iter().filter(|(_, tally)| tally.checked == 0);
    assert_eq!(unchecked.count(), 0);
}

#[test]
fn events_out_of_order_are_found_with_their_row() {
    let lake = Lake::new().with("time", longs(&[START + 5, START, START + 6]));
    check(&lake, &["time_order"], "after");
    let report = lake.report();
    let tally = report
        .rules
        .iter()
        .find(|(rule, _)| *rule == Rule::TimeOrder);
    assert_eq!(tally.map(|(_, tally)| tally.findings[0].row), Some(Some(1)));
}

#[test]
fn an_event_of_another_day_is_found() {
    let lake = Lake::new().with("time", longs(&[START - 1, START, START]));
    check(&lake, &["event_day"], "time is");
}

#[test]
fn seconds_are_not_milliseconds() {
    let seconds = START / 1000;
    let lake = Lake::new().with("time", longs(&[seconds; 3]));
    check(
        &lake,
        &["time_type", "event_day"],
        "not a time in milliseconds",
    );
}

#[test]
fn time_of_another_type_is_found() {
    let lake = Lake::new().with("time", texts(&["2024"; 3]));
    check(&lake, &["time_type", "attributes"], "BYTE_ARRAY");
}

#[test]
fn a_wrong_type_uid_is_found() {
    let lake = Lake::new().with("type_uid", longs(&[400106; 3]));
    check(&lake, &["type_uid"], "400106 is not 400105");
}

#[test]
fn a_foreign_category_is_found() {
    let lake = Lake::new().with("category_uid", ints(&[4, 4, 3]));
    check(&lake, &["category_uid"], "not 4");
}

#[test]
fn two_classes_in_one_object_are_found() {
    let lake = Lake::new()
        .with("class_uid", ints(&[4001, 4001, 4002]))
        .with("type_uid", longs(&[400106, 400106, 400205]));
    assert!(broken(&lake.report()).contains(&"one_class"));
}

#[test]
fn an_unknown_class_is_found() {
    let lake = Lake::new()
        .with("class_uid", ints(&[9999; 3]))
        .with("type_uid", longs(&[999906, 999906, 999905]));
    check(&lake, &["one_class"], "9999");
}

#[test]
fn a_missing_required_attribute_is_found_at_any_depth() {
    check(
        &Lake::new().without("severity_id"),
        &["required"],
        "severity_id is missing",
    );
    let lake = Lake::new().with("cloud", object(vec![("region", texts(&["eu"; 3]))]));
    check(&lake, &["required"], "cloud.provider is missing");
}

#[test]
fn an_unknown_enum_value_is_found() {
    let lake = Lake::new()
        .with("activity_id", ints(&[6, 6, 77]))
        .with("type_uid", longs(&[400106, 400106, 400177]));
    assert!(broken(&lake.report()).contains(&"enums"));
    assert!(first_message(&lake.report()).contains("77"));
}

#[test]
fn an_undeclared_profile_is_found() {
    let lake = Lake::new().with("metadata", metadata(&["datetime"]));
    check(
        &lake,
        &["profiles"],
        "cloud has a value, but cloud is not declared",
    );
    let lake = Lake::new().with("metadata", metadata(&["cloud", "nonsense"]));
    check(&lake, &["profiles"], "`nonsense` is not a profile");
}

#[test]
fn an_object_without_identifier_is_found() {
    let lake = Lake::new().with("src_endpoint", object(vec![("port", ints(&[1, 2, 3]))]));
    check(&lake, &["required"], "src_endpoint: none of ip, uid");
}

#[test]
fn an_unknown_column_is_found() {
    let lake = Lake::new().with("srcaddr", texts(&["10.0.0.1"; 3]));
    check(&lake, &["attributes"], "srcaddr is not an attribute");
}

#[test]
fn a_dash_is_not_an_address_and_a_port_has_sixteen_bits() {
    let lake = Lake::new().with(
        "dst_endpoint",
        object(vec![("ip", texts(&["10.0.0.1", "-", "::1"]))]),
    );
    check(&lake, &["values"], "dst_endpoint.ip is not an address");
    let lake = Lake::new().with("src_endpoint", source(&[1, 65_536, 3]));
    check(&lake, &["values"], "65536");
}

#[test]
fn another_compression_is_found() {
    let mut lake = Lake::new();
    lake.compression = Compression::SNAPPY;
    check(&lake, &["compression"], "SNAPPY");
}

#[test]
fn a_page_above_one_megabyte_is_found() {
    let mut lake = Lake::new();
    lake.page_bytes = 8 << 20;
    let long = "x".repeat(600_000);
    let message = texts(&[&long, &long, &long]);
    check(
        &lake.with("message", message),
        &["page_size"],
        "a page of message",
    );
}

#[test]
fn a_path_in_another_case_is_found() {
    let path = FOLDER.replace("accountId", "accountid");
    check(
        &Lake::new().at(&format!("{path}/a.parquet")),
        &["path"],
        "accountid",
    );
}

#[test]
fn invalid_parquet_is_found() {
    let lake = Lake::new();
    let path = lake.write();
    fs::write(path.with_file_name("b.parquet"), "PAR1 not quite").expect("writable");
    let report = verified(lake.folder.path());
    assert_eq!(broken(&report), ["readable"]);
    assert_eq!(report.objects, 2);
}

#[test]
fn a_schema_that_differs_between_objects_is_found() {
    let lake = Lake::new();
    lake.write();
    let other = Lake {
        folder: lake.folder,
        ..Lake::new()
            .with("message", texts(&["m"; 3]))
            .at(&format!("{FOLDER}/b.parquet"))
    };
    check(&other, &["same_schema"], "a.zstd.parquet");
}

#[test]
fn an_empty_object_is_found() {
    let mut lake = Lake::new();
    for (_, array) in &mut lake.events {
        *array = array.slice(0, 0);
    }
    assert!(broken(&lake.report()).contains(&"not_empty"));
}

#[test]
fn required_members_of_lists_are_checked() {
    let observable = object(vec![("name", texts(&["src_endpoint.ip"; 3]))]);
    let field = Arc::new(Field::new_list_field(observable.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([1, 1, 1]);
    let observables = Arc::new(ListArray::new(field, offsets, observable, None));
    let lake = Lake::new().with("observables", observables);
    check(&lake, &["required"], "observables.type_id is missing");
}

#[test]
fn a_list_of_enum_members_names_the_row_of_the_event() {
    let flags = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1)]),
        None,
        Some(vec![Some(1), Some(55)]),
    ]);
    let lake = Lake::new().with("observables", Arc::new(flags));
    // The items are not objects. Only their type is reported, and nothing panics.
    check(&lake, &["attributes"], "observables is");
}
