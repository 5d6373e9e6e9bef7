//! SIGINT and SIGTERM: the first asks the load to stop cleanly, the second ends
//! the process at once. What is left is taken up by the next run.

use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// Hears signals for as long as it lives.
#[derive(Debug)]
pub(crate) struct Interrupt {
    heard: Arc<AtomicBool>,
    pub(crate) cancel: watch::Receiver<bool>,
}

/// Ends with the first signal, for commands that have nothing to stop.
pub(crate) async fn heard() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate => {}
    }
}

impl Interrupt {
    /// Starts listening; needs a running runtime.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let unheard = |error: io::Error| Failure::bug(format!("signals cannot be heard: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
        let (sender, cancel) = watch::channel(false);
        let heard = Arc::new(AtomicBool::new(false));
        let hears = heard.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if hears.swap(true, Ordering::Relaxed) {
                    std::process::exit(ExitCode::Interrupted.number().into());
                }
                let _ = writeln!(io::stderr(), "stopping; interrupt again to stop at once");
                // Fails only when the load has ended by itself.
                let _ = sender.send(true);
            }
        });
        Ok(Self { heard, cancel })
    }

    /// The code to exit with: a load that was interrupted here says so.
    pub(crate) fn code(&self, code: ExitCode) -> ExitCode {
        let stopped = matches!(code, ExitCode::Cancelled | ExitCode::PeriodsFailed);
        if stopped && self.heard.load(Ordering::Relaxed) {
            ExitCode::Interrupted
        } else {
            code
        }
    }
}
