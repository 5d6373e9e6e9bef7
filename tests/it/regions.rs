//! The regions of rows, paths and flags become names of folders in the lake; other text is
//! rejected.

use std::fs;

use tests::{Workspace, rows};

const FOLDER: &str = "AWSLogs/123456789012/vpcflowlogs/eu-west-1/2024/02/10";

/// A workspace with one file that has a flow for each of `regions`.
fn workspace(regions: &[&str]) -> anyhow::Result<Workspace> {
    let workspace = Workspace::new()?;
    let folder = workspace.input().join(FOLDER);
    fs::create_dir_all(&folder)?;
    let mut text = "version account-id interface-id srcaddr dstaddr srcport dstport protocol \
                    packets bytes start end action log-status region\n"
        .to_owned();
    for (at, region) in (1_707_566_400..).zip(regions) {
        text += &format!(
            "3 123456789012 eni-1 10.0.0.1 10.0.0.2 1024 443 6 1 40 {at} {at} ACCEPT OK {region}\n"
        );
    }
    fs::write(folder.join("flows.log"), text)?;
    Ok(workspace)
}

#[test]
fn a_row_with_an_invalid_region_is_quarantined() -> anyhow::Result<()> {
    let bad = ["?", "a#b", "../../tmp/x", "a//b", "%2F"];
    let workspace = workspace(&[&["eu-central-1", "-"], bad.as_slice()].concat())?;
    let run = workspace.run("vpc_flow")?.args(["--max-quarantine", "100"]);
    let answer = run.run()?.expect_code(0);
    assert_eq!(
        (answer.rows("written"), answer.rows("quarantined")),
        (2, 5),
        "{}",
        answer.stdout
    );
    assert!(
        answer.stdout.contains("invalid_region"),
        "{}",
        answer.stdout
    );
    let objects = rows::objects(&workspace.lake());
    let in_region = |region: &str| {
        let part = format!("/region={region}/accountId=123456789012/");
        let is_there = |path: &&std::path::PathBuf| path.to_string_lossy().contains(&part);
        objects.iter().filter(is_there).count()
    };
    // The row without a region is in the folder of its path's region.
    assert_eq!((in_region("eu-central-1"), in_region("eu-west-1")), (1, 1));
    assert_eq!(objects.len(), 2);
    workspace
        .lakebolt()?
        .args(["verify", "lake"])
        .run()?
        .expect_code(0);
    Ok(())
}

#[test]
fn an_invalid_region_flag_is_rejected() -> anyhow::Result<()> {
    let workspace = workspace(&["-"])?;
    for region in ["../x", "a/b", "?", ""] {
        let run = workspace.run("vpc_flow")?.args(["--region", region]);
        let answer = run.run()?.expect_code(2);
        assert!(answer.stderr.contains("eu-central-1"), "{}", answer.stderr);
    }
    let run = workspace.run("vpc_flow")?.env("LAKEBOLT_REGION", "a/b");
    assert!(run.run()?.expect_code(2).stderr.contains("region"));
    assert!(!workspace.lake().exists(), "nothing is written");
    Ok(())
}
