//! Sample lines of every shape: the shipped ones, and public ones beside the checkout. Each
//! line is counted exactly once.

use std::fs;
use std::path::{Path, PathBuf};

use tests::{Workspace, python, rows};

/// The sample folders of a source that exist.
fn folders(source: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let own = root.map(|root| root.join("plans/sources").join(source).join("samples"));
    let found = own
        .into_iter()
        .chain(python::beside(&format!("samples/{source}")));
    found.filter(|folder| folder.exists()).collect()
}

/// The sample logs of a source.
fn logs(source: &str) -> impl Iterator<Item = PathBuf> {
    let files = folders(source)
        .into_iter()
        .flat_map(|folder| rows::files(&folder));
    files.filter(|file| {
        file.extension()
            .is_some_and(|end| end == "log" || end == "txt")
    })
}

/// Loads a single file and checks that each of its lines is counted once.
fn check(source: &str, file: &Path, lines: usize) -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    fs::create_dir_all(workspace.input())?;
    let name = file.file_name().unwrap_or_default();
    fs::copy(file, workspace.input().join(name))?;
    // Paths of samples name no day, so a load of any day reads every line.
    let run = workspace
        .run(source)?
        .args(["--from", "2023-01-31", "--to", "2023-01-31"]);
    let run = run.args(["--max-quarantine", "100", "--region", "eu-west-1"]);
    let answer = run
        .args(["--account", "111122223333"])
        .run()?
        .expect_code(0);
    let out = ["written", "quarantined", "filtered", "other_period"].map(|what| answer.rows(what));
    assert_eq!(
        answer.rows("read"),
        lines as u64,
        "{}: {}",
        file.display(),
        answer.stdout
    );
    assert_eq!(
        lines as u64 + answer.rows("duplicated"),
        out.iter().sum::<u64>()
    );
    assert_eq!(answer.rows("written"), rows::count_all(&workspace.lake())?);
    Ok(())
}

#[test]
fn every_line_of_the_flow_samples_is_counted() -> anyhow::Result<()> {
    for file in logs("vpc_flow") {
        let text = fs::read_to_string(&file)?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        // A header has column names and no numeric token. A public file ends with its own
        // format string, which is not a header.
        let flows = lines.filter(|line| {
            line.starts_with("format:") || line.split(' ').any(|token| token.parse::<u64>().is_ok())
        });
        check("vpc_flow", &file, flows.count())?;
    }
    Ok(())
}

#[test]
fn every_line_of_the_s3_access_samples_is_counted() -> anyhow::Result<()> {
    for file in logs("s3_access") {
        let text = fs::read_to_string(&file)?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        check("s3_access", &file, lines.count())?;
    }
    Ok(())
}
