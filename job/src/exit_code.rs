//! The codes by which a batch runner distinguishes outcomes. Their table is the scheduler's,
//! and nothing else decides the exit code of the process.

pub(crate) use scheduler::load::exit::ExitCode;
