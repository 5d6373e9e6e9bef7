//! The exit codes of `lakebolt`: numbers, meanings and remedies. The help of the command line
//! and the table of docs/operating.md are made from this one.
//!
//! Other files choose among the codes: for a load `Kind::exit_code` in `failure.rs`, `after` in
//! `outcome.rs` and `refused` in `job/src/commands/loads.rs`. `docker/orchestrate.sh` repeats a
//! load after some of them.

use std::process;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    Done,
    Bug,
    Usage,
    PeriodsFailed,
    Unavailable,
    Refused,
    VerifyFailed,
    Cancelled,
    Interrupted,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub exit: ExitCode,
    /// The number that the operating system sees.
    pub code: u8,
    /// The `error.code` of an outcome that ended before it had one.
    pub name: &'static str,
    pub meaning: &'static str,
    /// Whether a batch runner should repeat the command: it may succeed later without a change.
    pub retry_may_help: bool,
    /// The next step of the user, in Markdown.
    pub remedy: &'static str,
}

const fn row(
    exit: ExitCode,
    (code, name): (u8, &'static str),
    meaning: &'static str,
    retry_may_help: bool,
    remedy: &'static str,
) -> Row {
    Row {
        exit,
        code,
        name,
        meaning,
        retry_may_help,
        remedy,
    }
}

/// Every exit code, in ascending order.
pub static EXIT_CODES: &[Row] = &[
    row(
        ExitCode::Done,
        (0, "done"),
        "done, or nothing to do",
        false,
        "",
    ),
    row(
        ExitCode::Bug,
        (1, "bug"),
        "a bug of lakebolt",
        false,
        "report it with the command line and the log",
    ),
    row(
        ExitCode::Usage,
        (2, "usage"),
        "the command line or the configuration is wrong",
        false,
        "fix it: the message names file, line, key and remedy",
    ),
    row(
        ExitCode::PeriodsFailed,
        (3, "periods_failed"),
        "some periods failed, too many rows were quarantined, or a day misses rows",
        true,
        "`lakebolt status` and `lakebolt quarantine SOURCE` show why; then `lakebolt retry LOAD`, \
         each with `--output OUTPUT`",
    ),
    row(
        ExitCode::Unavailable,
        (4, "unavailable"),
        "a dependency cannot be reached, or no input object was found",
        true,
        "check the URIs; `--allow-empty` accepts an empty input",
    ),
    row(
        ExitCode::Refused,
        (5, "refused"),
        "another load holds the period, or the target is another dataset's, cannot be written or \
         was altered, or the scheduler does not accept the client",
        true,
        "wait, or let the load wait with `--wait 10m`; `lakebolt adopt` takes a target over",
    ),
    row(
        ExitCode::VerifyFailed,
        (6, "verify_failed"),
        "`verify` or `map` found events that break a rule, or `test` found other rows than expected",
        false,
        "the output names the rule and the place",
    ),
    row(
        ExitCode::Cancelled,
        (7, "cancelled"),
        "another client cancelled the load",
        false,
        "run it again if it should be loaded after all",
    ),
    row(
        ExitCode::Interrupted,
        (130, "interrupted"),
        "stopped by SIGINT or SIGTERM",
        true,
        "run it again",
    ),
];

impl ExitCode {
    /// The number that the operating system sees.
    pub fn number(self) -> u8 {
        self.row().code
    }

    /// The `error.code` of an outcome that ended before it had one.
    pub fn word(self) -> &'static str {
        self.row().name
    }

    /// The exit code with this number; an unknown number is a bug.
    pub fn from_number(number: i64) -> Self {
        let mut rows = EXIT_CODES.iter();
        let row = rows.find(|row| i64::from(row.code) == number);
        row.map_or(Self::Bug, |row| row.exit)
    }

    fn row(self) -> &'static Row {
        let mut rows = EXIT_CODES.iter();
        let row = rows.find(|row| row.exit == self);
        row.expect("a test finds every exit code in the table")
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        code.number().into()
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode::{self, *};
    use super::*;

    #[test]
    fn every_code_has_the_number_of_the_contract() {
        let contract = [
            (Done, 0),
            (Bug, 1),
            (Usage, 2),
            (PeriodsFailed, 3),
            (Unavailable, 4),
            (Refused, 5),
            (VerifyFailed, 6),
            (Cancelled, 7),
            (Interrupted, 130),
        ];
        assert_eq!(EXIT_CODES.len(), contract.len());
        for (code, number) in contract {
            assert_eq!(code.number(), number);
            assert_eq!(ExitCode::from_number(i64::from(number)), code);
        }
    }

    #[test]
    fn a_number_outside_the_contract_is_a_bug() {
        assert_eq!(ExitCode::from_number(99), Bug);
        assert_eq!(ExitCode::from_number(-1), Bug);
    }

    #[test]
    fn codes_ascend_and_names_differ() {
        assert!(EXIT_CODES.is_sorted_by(|a, b| a.code < b.code));
        for row in EXIT_CODES {
            let same = EXIT_CODES.iter().filter(|other| other.name == row.name);
            assert_eq!(same.count(), 1, "{}", row.name);
        }
    }
}
