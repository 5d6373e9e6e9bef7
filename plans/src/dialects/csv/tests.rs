use crate::diagnostics::Diagnostics;
use crate::dialects::{Loaded, load_embedded};
use crate::spec::{ColumnKind, Constant, Object, TimeUnit, Value};

const ACCESS_METADATA: &str = "\
source_log_type,source_format,delimiter,header,load_type,days_to_process,source_log_s3_bucket,\
source_log_s3_prefix,source_log_timestamp_format,source_log_ts_and_delimiter_as_whitespaces,\
default_values,target_s3_bucket,target_s3_prefix,ocsf_class_id,ocsf_class_name
access,txt,\"\"\" \"\"\",false,historical,35,in,logs/,[dd/MMM/yyyy:HH:mm:ssZZZZ],TRUE,true,out,ocsf,3005,Web Resources Activity
";

const ACCESS_MAPPING: &str = "\
src_log_type,src_column_name,tgt_column,default_values
access,owner,,
access,time,time:timestamp,
access,bytes,traffic:object.bytes:bigint,
access,,metadata:object.product:object.name:string,Amazon S3
access,,activity_id:int,6
";

fn load(metadata: &str, mapping: &str) -> Result<Loaded, Diagnostics> {
    let files = [
        ("access-metadata.csv", metadata),
        ("access-mapping.csv", mapping),
    ];
    load_embedded(&files, "1.1.0")
}

fn messages(metadata: &str, mapping: &str) -> Vec<String> {
    let found = load(metadata, mapping).expect_err("a bad configuration");
    found.0.iter().map(ToString::to_string).collect()
}

fn inside<'a>(object: &'a Object, name: &str) -> &'a Object {
    match &object[name].value {
        Value::Object(inside) => inside,
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn metadata_and_mapping_become_a_source() {
    let loaded = load(ACCESS_METADATA, ACCESS_MAPPING).expect("good");
    let source = loaded.source;
    assert_eq!(
        (source.name.as_str(), source.format.name.as_str()),
        ("access", "csv")
    );
    let options: Vec<_> = source
        .format
        .options
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        options,
        [
            ("brackets", "true"),
            ("delimiter", " "),
            ("header", "false"),
            ("null", "-")
        ]
    );
    let names: Vec<_> = source
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["owner", "time", "bytes"]);
    assert_eq!(
        source.columns[1].kind,
        ColumnKind::Strftime("[%d/%b/%Y:%H:%M:%S%z]".to_owned())
    );
    assert_eq!(source.columns[2].kind, ColumnKind::Int64);
    let event = &source.events[0];
    assert_eq!(event.class, "web_resources_activity");
    assert!(matches!(&event.attributes["time"].value, Value::Sql(sql) if sql.text == "\"time\""));
    assert_eq!(
        event.attributes["activity_id"].value,
        Value::Constant(Constant::Integer(6))
    );
    let product = inside(inside(&event.attributes, "metadata"), "product");
    assert_eq!(
        product["name"].value,
        Value::Constant(Constant::Text("Amazon S3".to_owned()))
    );
    let load = source.load.expect("hints");
    assert_eq!(load.input.as_deref(), Some("s3://in/logs/"));
    assert_eq!(
        (load.load_type.as_deref(), load.days),
        (Some("historical"), Some(35))
    );
    let warnings: Vec<_> = loaded
        .warnings
        .iter()
        .map(|warning| warning.at.key.as_str())
        .collect();
    assert_eq!(warnings, ["ocsf_class_id"], "the id is of an older OCSF");
}

#[test]
fn default_rows_are_used_only_if_the_metadata_enables_them() {
    let loaded = load(
        &ACCESS_METADATA.replace("TRUE,true", "TRUE,false"),
        ACCESS_MAPPING,
    )
    .expect("good");
    assert!(!loaded.source.events[0].attributes.contains_key("metadata"));
    assert!(
        loaded
            .warnings
            .iter()
            .any(|warning| warning.message == "default rows are not active")
    );
}

#[test]
fn dots_address_members_of_json_columns() {
    let metadata =
        "source_type,source_format,source_log_timestamp_format,ocsf_class_id\nfw,json,epoch,4001\n";
    let mapping = "src_log_type,src_column_name,tgt_column,default_values\n\
                   fw,event.src.ip,src_endpoint:object.ip:string,\n\
                   fw,event.at,time:timestamp,\nfw,start,start_time:timestamp,\n";
    let source = load(metadata, mapping).expect("good").source;
    let kinds: Vec<_> = source
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.kind.clone()))
        .collect();
    let epoch = ColumnKind::Epoch(TimeUnit::Second);
    assert_eq!(kinds, [("event", ColumnKind::Json), ("start", epoch)]);
    let attributes = &source.events[0].attributes;
    let sql = |object: &Object, name: &str| match &object[name].value {
        Value::Sql(sql) => sql.text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        sql(inside(attributes, "src_endpoint"), "ip"),
        "\"event\".\"src\".\"ip\""
    );
    let time = "to_timestamp_seconds(cast(\"event\".\"at\" as bigint))";
    assert_eq!(sql(attributes, "time"), time);
}

#[test]
fn a_column_may_repeat_with_the_same_value() {
    let twice = |second: &str| {
        let metadata = ACCESS_METADATA.replace(
            "ocsf_class_name\n",
            "ocsf_class_name,batch_load_type,batch_load_type\n",
        );
        metadata.replace("Activity\n", &format!("Activity,monthly,{second}\n"))
    };
    let hints = load(&twice("monthly"), ACCESS_MAPPING)
        .expect("good")
        .source
        .load;
    assert_eq!(
        hints.and_then(|hints| hints.batch_load_type).as_deref(),
        Some("monthly")
    );
    let found = messages(&twice("daily"), ACCESS_MAPPING);
    assert!(
        found[0].contains("is `daily` here, but `monthly` in another column"),
        "{found:?}"
    );
}

#[test]
fn every_error_of_both_files_is_reported() {
    let metadata = ACCESS_METADATA
        .replace("historical,35", "hourly,many")
        .replace("header", "headr");
    let mapping = ACCESS_MAPPING
        .replace("time:timestamp", "time:timestmp")
        .replace("int,6", "int,six");
    assert_eq!(
        messages(&metadata, &mapping),
        [
            "access-mapping.csv:3:13: tgt_column: unknown type `timestmp` (did you mean `timestamp`?)",
            "access-mapping.csv:6:25: default_values: `six` is not a 32-bit integer \
             (fix the value or the target's type)",
            "access-metadata.csv:1:41: headr: unknown column (did you mean `header`?)",
            "access-metadata.csv:2:26: load_type: unknown value `hourly` (known: historical, daily)",
            "access-metadata.csv:2:33: historical_days_to_process: `many` is not a number of days (write 1 or more)",
        ]
    );
}
