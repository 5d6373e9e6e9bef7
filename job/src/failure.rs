//! The error of a command: its exit code, what went wrong, and what to do about it.

use std::fmt;

use plans::diagnostics::Diagnostics;
use scheduler::load::failure::Failure as LoadFailure;
pub(crate) use scheduler::load::failure::with_causes;

use crate::exit_code::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: ExitCode,
    /// The `error.code` of a JSON result, where it says more than the exit code.
    pub(crate) name: Option<String>,
    /// Starts in lower case and has no full stop.
    pub(crate) message: String,
    /// What to do next; empty if the message says it.
    pub(crate) remedy: String,
}

impl Failure {
    pub(crate) fn new(
        code: ExitCode,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            code,
            name: None,
            message: message.into(),
            remedy: remedy.into(),
        }
    }

    /// The command line or the configuration is wrong.
    pub(crate) fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message, remedy)
    }

    /// A dependency is missing or unreachable.
    pub(crate) fn unavailable(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(ExitCode::Unavailable, message, remedy)
    }

    /// A bug of this program.
    pub(crate) fn bug(message: impl Into<String>) -> Self {
        let remedy = "please report this with the command line and the log";
        Self::new(ExitCode::Bug, message, remedy)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "\n help: {}", self.remedy)?;
        }
        Ok(())
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        let count = diagnostics.0.len();
        let noun = if count == 1 { "error" } else { "errors" };
        let message = format!("the configuration has {count} {noun}\n{diagnostics}");
        Self::usage(message, "fix the lines above; nothing was loaded")
    }
}

impl From<LoadFailure> for Failure {
    fn from(failure: LoadFailure) -> Self {
        let code = failure.kind.exit_code();
        Self {
            name: Some(failure.code),
            ..Self::new(code, failure.message, failure.remedy)
        }
    }
}
