//! `status` and `doctor`, on one machine and for a cluster.

use std::fs;

use tests::Workspace;
use tests::days::day;
use tests::inputs::Flows;

#[test]
fn status_finds_the_loads_of_a_source_among_newer_ones() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    Flows::default().write_days(&workspace.input(), day("2024-02-10"), day("2024-02-10"), 5)?;
    workspace.run("vpc_flow")?.run()?.expect_code(0);
    fs::create_dir_all(workspace.folder().join("empty"))?;
    for _ in 0..11 {
        let other = workspace
            .lakebolt()?
            .args(["run", "s3_access", "--input", "empty"]);
        let other = other.args(["--output", "lake", "--allow-empty"]);
        other.args(["--daily=1"]).run()?.expect_code(0);
    }
    let listed = |source: &str| -> anyhow::Result<usize> {
        let status = workspace
            .lakebolt()?
            .args(["status", source, "--output", "lake"]);
        let status = status.args(["--format", "json"]).run()?.expect_code(0);
        let loads = status.json()["loads"].as_array().cloned();
        Ok(loads.unwrap_or_default().len())
    };
    assert_eq!(listed("vpc_flow")?, 1);
    assert_eq!(listed("s3_access")?, 10);
    Ok(())
}

#[test]
fn doctor_reports_an_unreachable_cluster() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    for more in [vec![], vec!["--output", "lake"]] {
        let doctor = workspace
            .lakebolt()?
            .args(["doctor", "--cluster", "127.0.0.1:1"]);
        let answer = doctor.args(more).args(["--format", "json"]).run()?;
        let report = answer.expect_code(4).json();
        let checks = report["checks"].as_array().cloned().unwrap_or_default();
        let of = |name: &str| checks.iter().find(|check| check["check"] == name);
        let cluster = of("cluster").expect("it is checked");
        assert_eq!(cluster["state"], "fail");
        assert_eq!(cluster["target"], "127.0.0.1:1");
        let message = cluster["message"].as_str().unwrap_or_default();
        assert!(message.contains("cannot reach"), "{cluster}");
        assert!(
            of("engine").is_none() && of("scratch").is_none(),
            "{report}"
        );
    }
    Ok(())
}
