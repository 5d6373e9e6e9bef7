//! The codes that a batch runner tells outcomes apart by. Nothing else decides
//! what the process exits with.

use std::process;

/// What the process exits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Done, or nothing to do.
    Done,
    /// A bug of this program.
    Bug,
    /// The command line or the configuration is wrong.
    Usage,
    /// Some periods failed; `retry` may help.
    PeriodsFailed,
    /// A dependency cannot be reached, or there is no input.
    Unavailable,
    /// The lease is another's, or the target cannot be written.
    Refused,
    /// `verify` found objects that break a rule.
    VerifyFailed,
    /// Cancelled by somebody else.
    Cancelled,
    /// Stopped by SIGINT or SIGTERM.
    Interrupted,
}

impl ExitCode {
    /// The number that the operating system sees.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Bug => 1,
            Self::Usage => 2,
            Self::PeriodsFailed => 3,
            Self::Unavailable => 4,
            Self::Refused => 5,
            Self::VerifyFailed => 6,
            Self::Cancelled => 7,
            Self::Interrupted => 130,
        }
    }

    /// The code with this number; an unknown one is a bug.
    pub(crate) fn from_number(number: i64) -> Self {
        match number {
            0 => Self::Done,
            2 => Self::Usage,
            3 => Self::PeriodsFailed,
            4 => Self::Unavailable,
            5 => Self::Refused,
            6 => Self::VerifyFailed,
            7 => Self::Cancelled,
            130 => Self::Interrupted,
            _ => Self::Bug,
        }
    }

    /// The `error.code` of an outcome that was refused before it had one.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Bug => "bug",
            Self::Usage => "usage",
            Self::PeriodsFailed => "periods_failed",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::VerifyFailed => "verify_failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        code.number().into()
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode;
    use crate::exit_code::ExitCode::*;

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
}
