//! The results of the checks, as text and as JSON.

use serde_json::{Value, json};

use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::table::plural;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Ok,
    /// A load can run nevertheless.
    Warning,
    Fail,
}

/// The result of one check.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) state: State,
    pub(super) message: String,
    /// What to do; empty if there is nothing to do.
    pub(super) remedy: String,
}

impl Verdict {
    pub(super) fn ok(message: impl Into<String>) -> Self {
        Self::of(State::Ok, message, "")
    }

    pub(super) fn warning(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::of(State::Warning, message, remedy)
    }

    pub(super) fn fail(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::of(State::Fail, message, remedy)
    }

    fn of(state: State, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state,
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        Self::fail(failure.message, failure.remedy)
    }
}

/// A check with its target and its result.
#[derive(Clone, Debug)]
pub(super) struct Check {
    name: &'static str,
    /// A URI, or the service that was asked; may be empty.
    target: String,
    verdict: Verdict,
}

impl Check {
    pub(super) fn new(name: &'static str, target: &str, mut verdict: Verdict) -> Self {
        // Many errors start with the target, which the check prints too.
        let plain = target.trim_end_matches('/');
        let plain = plain.strip_prefix("file://").unwrap_or(plain);
        if let Some((prefix, rest)) = verdict.message.split_once(": ")
            && !plain.is_empty()
            && prefix.trim_start_matches("file://").starts_with(plain)
        {
            verdict.message = rest.to_owned();
        }
        Self {
            name,
            target: target.to_owned(),
            verdict,
        }
    }

    /// `FAIL     input      s3://logs/a: there is no such bucket; help: check …`
    pub(super) fn line(&self) -> String {
        let state = match self.verdict.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Fail => "FAIL",
        };
        let separator = if self.target.is_empty() { "" } else { ": " };
        let (name, target, message) = (self.name, &self.target, &self.verdict.message);
        let mut line = format!("{state:<8} {name:<10} {target}{separator}{message}");
        if !self.verdict.remedy.is_empty() {
            line.push_str(&format!("; help: {}", self.verdict.remedy));
        }
        line
    }

    fn json(&self) -> Value {
        let state = match self.verdict.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Fail => "fail",
        };
        json!({
            "check": self.name.replace(' ', "_"),
            "target": self.target,
            "state": state,
            "message": self.verdict.message,
            "remedy": self.verdict.remedy,
        })
    }
}

/// All checks, in the order in which they ran.
#[derive(Clone, Debug, Default)]
pub(super) struct Report(Vec<Check>);

impl Report {
    pub(super) fn add(&mut self, check: Check) {
        self.0.push(check);
    }

    pub(super) fn code(&self) -> ExitCode {
        match self.count(State::Fail) {
            0 => ExitCode::Done,
            _ => ExitCode::Unavailable,
        }
    }

    pub(super) fn json(&self) -> Value {
        let checks: Vec<_> = self.0.iter().map(Check::json).collect();
        json!({
            "schema_version": 1,
            "exit_code": self.code().number(),
            "checks": checks,
        })
    }

    pub(super) fn summary(&self) -> String {
        let (failed, warnings) = (self.count(State::Fail), self.count(State::Warning));
        let checks = plural(self.0.len() as u64, "check");
        let warnings = plural(warnings as u64, "warning");
        format!("{checks}, {failed} failed, {warnings}\n")
    }

    fn count(&self, state: State) -> usize {
        let of_state = |check: &&Check| check.verdict.state == state;
        self.0.iter().filter(of_state).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: &[Verdict]) -> Report {
        let mut report = Report::default();
        for verdict in verdicts {
            report.add(Check::new("work area", "s3://lake/w/", verdict.clone()));
        }
        report
    }

    #[test]
    fn the_line_of_a_check_has_its_target_once() {
        let verdict = Verdict::fail("s3://lake/w/x.json: access is denied", "give s3:PutObject");
        let line = Check::new("work area", "s3://lake/w/", verdict).line();
        let expected =
            "FAIL     work area  s3://lake/w/: access is denied; help: give s3:PutObject";
        assert_eq!(line, expected);
        let line = Check::new("scratch", "", Verdict::ok("2.0 GB are free")).line();
        assert_eq!(line, "ok       scratch    2.0 GB are free");
    }

    #[test]
    fn only_a_failure_changes_the_exit_code() {
        let warned = report(&[Verdict::ok("fine"), Verdict::warning("odd", "look")]);
        assert_eq!(warned.code(), ExitCode::Done);
        assert_eq!(warned.summary(), "2 checks, 0 failed, 1 warning\n");
        let failed = report(&[Verdict::ok("fine"), Verdict::fail("gone", "fix it")]);
        assert_eq!(failed.code(), ExitCode::Unavailable);
    }

    #[test]
    fn the_json_of_a_check_has_all_its_parts() {
        let json = report(&[Verdict::fail("gone", "fix it")]).json();
        assert_eq!(
            (&json["schema_version"], &json["exit_code"]),
            (&json!(1), &json!(4))
        );
        let expected = json!({
            "check": "work_area", "target": "s3://lake/w/", "state": "fail",
            "message": "gone", "remedy": "fix it",
        });
        assert_eq!(json["checks"], json!([expected]));
    }
}
