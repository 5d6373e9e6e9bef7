//! Errors of an account, a bucket or a table are reported in one line, before anything is
//! written.

use serde_json::{Value, json};
use tests::days::day;
use tests::proxy::{Fault, ScriptedFault};
use tests::{CloudWorkspace, FaultProxy, Invocation, Output, dynamo};

fn workspace(test: &str) -> anyhow::Result<Option<CloudWorkspace>> {
    CloudWorkspace::with_flows(test, day("2024-02-10"), day("2024-02-12"), 40)
}

fn load(workspace: &CloudWorkspace) -> anyhow::Result<Invocation> {
    workspace.load(day("2024-02-10"), day("2024-02-12"))
}

/// Fails unless the command exited with 2 or 4, printed one line and wrote no objects.
#[track_caller]
fn expect_refused(
    workspace: &CloudWorkspace,
    answer: &Output,
    names: &[&str],
) -> anyhow::Result<()> {
    assert_clear(answer, names);
    assert!(
        matches!(answer.code(), Some(2 | 4)),
        "{:?}\n{}",
        answer.code(),
        answer.stderr
    );
    let keys = workspace.bucket.keys("")?;
    let written: Vec<&String> = keys.iter().filter(|key| !key.starts_with("in/")).collect();
    assert!(written.is_empty(), "{written:#?}");
    assert!(workspace.bucket.uploads()?.is_empty(), "an upload is left");
    Ok(())
}

/// Fails unless the outcome has a one-line error with these words and a remedy, and the log
/// has one error line.
#[track_caller]
fn assert_clear(answer: &Output, names: &[&str]) {
    let (error, remedy) = error_of(&answer.json());
    assert!(!error.is_empty() && !remedy.is_empty(), "{}", answer.stdout);
    for text in [&error, &remedy] {
        assert!(!text.contains('\n') && text.len() < 400, "{text}");
        for markup in [
            "<?xml",
            "<Error",
            "<Code>",
            "ServiceError",
            "DispatchFailure",
        ] {
            assert!(!text.contains(markup), "{markup} in: {text}");
        }
    }
    let message = format!("{error}; {remedy}").to_lowercase();
    for name in names {
        assert!(message.contains(name), "no `{name}` in: {message}");
    }
    let logged = answer.stderr.lines();
    let is_error = |line: &&str| line.starts_with("error: ") || line.contains(" ERROR ");
    assert_eq!(logged.filter(is_error).count(), 1, "{}", answer.stderr);
    let mut lines = answer.stderr.lines();
    let continued = lines.find(|line| line.starts_with("  "));
    assert_eq!(continued, None, "{}", answer.stderr);
}

/// The message and the remedy of the failure of a load or of its only period.
fn error_of(outcome: &Value) -> (String, String) {
    let error = match &outcome["error"] {
        Value::Null => &outcome["periods"][0]["error"],
        error => error,
    };
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (text("message"), text("remedy"))
}

#[test]
fn no_credentials_are_one_line() -> anyhow::Result<()> {
    let Some(workspace) = workspace("no_credentials_are_one_line")? else {
        return Ok(());
    };
    let run = workspace.command(workspace.without_credentials()?, "run", "vpc_flow");
    expect_refused(&workspace, &run.run()?, &["credentials"])
}

#[test]
fn no_bucket_is_one_line() -> anyhow::Result<()> {
    let Some(workspace) = workspace("no_bucket_is_one_line")? else {
        return Ok(());
    };
    for option in ["--input", "--output"] {
        let (mut input, mut output) = (workspace.bucket.uri("in/"), workspace.bucket.uri("lake"));
        let missing = format!("s3://no-such-bucket{option}/x");
        match option {
            "--input" => input = missing,
            _ => output = missing,
        }
        let run = workspace
            .lakebolt()?
            .args(["run", "vpc_flow", "--format", "json"])
            .args(["--input", &input, "--output", &output])
            .args(["--state", &workspace.state()]);
        expect_refused(&workspace, &run.run()?, &["no-such-bucket"])?;
    }
    Ok(())
}

#[test]
fn an_empty_prefix_is_one_line() -> anyhow::Result<()> {
    let Some(workspace) = workspace("an_empty_prefix_is_one_line")? else {
        return Ok(());
    };
    let run = workspace
        .lakebolt()?
        .args(["run", "vpc_flow", "--format", "json"])
        .args(["--input", &workspace.bucket.uri("elsewhere/")])
        .args([
            "--output",
            &workspace.bucket.uri("lake"),
            "--state",
            &workspace.state(),
        ]);
    expect_refused(&workspace, &run.run()?, &["elsewhere"])
}

#[test]
fn wrong_region_wrong_clock_and_no_permission_are_one_line_each() -> anyhow::Result<()> {
    const CASES: [(u16, &str, &str, &str); 5] = [
        (
            301,
            "PermanentRedirect",
            "The bucket must be addressed by its endpoint.",
            "region",
        ),
        (
            400,
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed; the region 'eu-central-1' is wrong; expecting 'us-east-1'",
            "region",
        ),
        (403, "AccessDenied", "Access Denied", "denied"),
        (
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            "clock",
        ),
        (
            403,
            "InvalidAccessKeyId",
            "The AWS Access Key Id does not exist.",
            "key",
        ),
    ];
    let Some(workspace) = workspace("wrong_region_wrong_clock_and_no_permission")? else {
        return Ok(());
    };
    for (status, code, message, named) in CASES {
        let proxy = FaultProxy::start(&workspace.s3)?;
        proxy.add_script(ScriptedFault::always(
            "",
            Fault::Refused(status, code, message),
        ));
        let run = load(&workspace)?.env("AWS_ENDPOINT_URL_S3", proxy.url());
        expect_refused(&workspace, &run.run()?, &[named, &workspace.bucket.name])?;
        let tries = proxy.requests("ListObjectsV2");
        assert!(tries < 8, "{code}: retried a permanent error {tries} times");
    }
    Ok(())
}

#[test]
fn no_permission_to_write_is_one_line_and_leaves_no_objects() -> anyhow::Result<()> {
    let test = "no_permission_to_write_is_one_line";
    let Some(workspace) = workspace(test)? else {
        return Ok(());
    };
    let denied = || Fault::Refused(403, "AccessDenied", "Access Denied");
    for operation in ["PutObject", "CreateMultipartUpload"] {
        let proxy = FaultProxy::start(&workspace.s3)?;
        proxy.add_script(ScriptedFault::always(operation, denied()));
        let run = load(&workspace)?.env("AWS_ENDPOINT_URL_S3", proxy.url());
        let answer = run.run()?;
        let answer = answer.expect_code(4);
        assert!(
            answer.stderr.to_lowercase().contains("denied"),
            "{}",
            answer.stderr
        );
        assert!(workspace.objects()?.is_empty(), "{operation}");
        workspace.assert_swept()?;
    }
    // With the permission the load succeeds.
    workspace
        .load_again(day("2024-02-10"), day("2024-02-12"))?
        .run()?
        .expect_code(0);
    workspace.assert_exact(day("2024-02-10"), day("2024-02-12"))
}

#[test]
fn no_table_is_one_line_that_names_config_init() -> anyhow::Result<()> {
    let test = "no_table_is_one_line";
    let Some(workspace) = CloudWorkspace::without_tables(test)? else {
        return Ok(());
    };
    workspace.bucket.put("in/AWSLogs/x", "x")?;
    expect_refused(&workspace, &load(&workspace)?.run()?, &["config init"])
}

#[test]
fn no_permission_on_the_table_and_no_table_service_are_one_line() -> anyhow::Result<()> {
    let Some(workspace) = workspace("no_permission_on_the_table")? else {
        return Ok(());
    };
    let proxy = FaultProxy::start(&workspace.dynamo)?;
    let message = "User is not authorized to perform: dynamodb:GetItem";
    let denied = Fault::Refused(400, "AccessDeniedException", message);
    proxy.add_script(ScriptedFault::always("", denied));
    let run = load(&workspace)?.env("AWS_ENDPOINT_URL_DYNAMODB", proxy.url());
    expect_refused(&workspace, &run.run()?, &["denies", "describetable"])?;

    let run = load(&workspace)?.env("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9");
    expect_refused(&workspace, &run.run()?, &["cannot be reached"])?;
    let run = load(&workspace)?.env("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9");
    expect_refused(&workspace, &run.run()?, &["cannot be reached"])
}

#[test]
fn a_table_of_another_shape_is_one_line() -> anyhow::Result<()> {
    let test = "a_table_of_another_shape_is_one_line";
    let (Some(model), Some(workspace)) = (
        CloudWorkspace::new(test)?,
        CloudWorkspace::without_tables(test)?,
    ) else {
        return Ok(());
    };
    // Tables with the names of `config init`, but with other keys.
    let model_prefix = model.state().replace("dynamodb:", "");
    let prefix = workspace.state().replace("dynamodb:", "");
    let tables = tables_of(&workspace.dynamo, &model_prefix)?;
    assert!(!tables.is_empty(), "config init created no table");
    for table in tables {
        let name = table.replacen(&model_prefix, &prefix, 1);
        let odd = json!({
            "TableName": name,
            "AttributeDefinitions": [{"AttributeName": "odd", "AttributeType": "N"}],
            "KeySchema": [{"AttributeName": "odd", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        });
        dynamo::call(&workspace.dynamo, "CreateTable", &odd)?;
    }
    workspace.bucket.put("in/AWSLogs/x", "x")?;
    expect_refused(&workspace, &load(&workspace)?.run()?, &["key", &prefix])
}

/// All tables whose names start with `PREFIX-`.
fn tables_of(endpoint: &str, prefix: &str) -> anyhow::Result<Vec<String>> {
    let mut tables = Vec::new();
    let mut query = json!({});
    loop {
        let page = dynamo::call(endpoint, "ListTables", &query)?;
        let names = page["TableNames"].as_array().cloned().unwrap_or_default();
        tables.extend(names.iter().filter_map(Value::as_str).map(str::to_owned));
        match &page["LastEvaluatedTableName"] {
            Value::Null => break,
            last => query = json!({"ExclusiveStartTableName": last}),
        }
    }
    tables.retain(|name| name.starts_with(&format!("{prefix}-")));
    Ok(tables)
}
