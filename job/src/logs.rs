//! Logs on stderr, above the progress bars.

use std::io;
use std::io::Write;

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verbosity {
    pub(crate) verbose: u8,
    pub(crate) quiet: bool,
}

impl Verbosity {
    /// The default filter, in tracing's syntax. It is quiet because progress and the result
    /// are printed anyway.
    fn filter(self) -> &'static str {
        match (self.quiet, self.verbose) {
            (true, _) => "error",
            (false, 0) => "error,lakebolt=warn,scheduler=warn,plans=warn,executor=warn",
            (false, 1) => "warn,lakebolt=info,scheduler=info,plans=info,executor=info",
            (false, 2) => "info,lakebolt=debug,scheduler=debug,plans=debug,executor=debug",
            (false, _) => "debug",
        }
    }
}

/// Starts logging. `filter` overrides the flags.
pub(crate) fn start(verbosity: Verbosity, filter: Option<&str>, bars: &MultiProgress) {
    let chosen = filter.and_then(|filter| EnvFilter::try_new(filter).ok());
    let filter = chosen.unwrap_or_else(|| EnvFilter::new(verbosity.filter()));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(AboveBars(bars.clone()))
        .with_ansi(false)
        .with_target(verbosity.verbose > 1);
    // This fails only if a subscriber exists already, as in tests.
    let _ = lines.try_init();
}

/// A writer that hides the bars while it writes.
#[derive(Clone, Debug)]
struct AboveBars(MultiProgress);

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for AboveBars {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
