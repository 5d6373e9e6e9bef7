//! Every folder of `tests/rejected` is a broken configuration beside the messages
//! that `lakebolt lint` must print, all of them; every folder of `tests/accepted` is a good one.
//! `cargo xtask bless` rewrites the expected messages for review.

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use plans::diagnostics::Diagnostic;
use plans::lint::{Findings, lint};

const REJECTED: &str = "tests/rejected";

fn findings(case: &Path) -> Findings {
    lint(case, "1.1.0")
}

/// Formats the messages with paths relative to the folder of the case.
fn rendered(found: &[Diagnostic], case: &Path) -> String {
    let prefix = format!("{}/", case.display());
    let lines = found.iter().map(|one| one.to_string().replace(&prefix, ""));
    lines.map(|line| line + "\n").collect()
}

fn cases(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder of cases");
    let mut cases: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}

#[test]
fn every_rejected_configuration_has_the_expected_messages() {
    let is_blessing = harness::config::is_blessing();
    let mut wrong = Vec::new();
    for case in cases(REJECTED) {
        let found = rendered(&findings(&case).errors, &case);
        let expected = case.join("expected.txt");
        if is_blessing {
            fs::write(&expected, &found).expect("expected.txt is writable");
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if found != wanted || found.is_empty() {
            wrong.push(format!(
                "{}\nexpected:\n{wanted}found:\n{found}",
                case.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `expected.txt` holds all that lint prints. Here we count that no value is reported twice.
#[test]
fn every_mistake_is_reported_once() {
    for case in cases(REJECTED) {
        let mut seen: BTreeMap<_, String> = BTreeMap::new();
        for error in findings(&case).errors {
            let at = &error.at;
            let place = (at.file.clone(), at.line, at.column, at.key.clone());
            let subject = subject(&error.message);
            let text = error.to_string();
            if let Some(before) = seen.insert((place, subject), text.clone()) {
                panic!("one mistake is reported twice:\n{before}\n{text}");
            }
        }
    }
}

/// What a message is about, where several mistakes have one place: a missing attribute
/// is reported where its parent is, and an event where its class is named.
fn subject(message: &str) -> Option<String> {
    let about_others = [
        "is missing",
        "missing key",
        "missing value",
        "needs one of",
        "has no output name",
    ];
    about_others
        .iter()
        .any(|phrase| message.contains(phrase))
        .then(|| message.to_owned())
}

#[test]
fn every_message_names_a_line_and_a_remedy() {
    for case in cases(REJECTED) {
        for error in findings(&case).errors {
            assert!(error.at.line > 0 && error.at.column > 0, "{error}");
            assert!(!error.remedy.is_empty(), "{error}");
        }
    }
}

#[test]
fn accepted_configurations_have_no_errors() {
    for case in cases("tests/accepted") {
        let found = findings(&case);
        assert_eq!(rendered(&found.errors, &case), "", "{}", case.display());
    }
}
