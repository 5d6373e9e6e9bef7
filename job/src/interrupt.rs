//! SIGINT and SIGTERM. The first signal asks the load to stop cleanly, the second ends the
//! process at once. The next run loads the rest.

use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// Listens for signals until the process ends.
#[derive(Debug)]
pub(crate) struct Interrupt {
    received: Arc<AtomicBool>,
    pub(crate) cancel: watch::Receiver<bool>,
}

/// Waits for the first signal, for commands that have nothing to stop.
pub(crate) async fn wait() {
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
        let failed = |error: io::Error| Failure::bug(format!("cannot handle signals: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let (sender, cancel) = watch::channel(false);
        let received = Arc::new(AtomicBool::new(false));
        let earlier = received.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if earlier.swap(true, Ordering::Relaxed) {
                    std::process::exit(ExitCode::Interrupted.number().into());
                }
                let _ = writeln!(io::stderr(), "stopping; interrupt again to stop at once");
                // This fails only if the load has ended meanwhile.
                let _ = sender.send(true);
            }
        });
        Ok(Self { received, cancel })
    }

    /// The code to exit with: that of an interrupt if one stopped the load.
    pub(crate) fn code(&self, code: ExitCode) -> ExitCode {
        let stopped = matches!(code, ExitCode::Cancelled | ExitCode::PeriodsFailed);
        if stopped && self.received.load(Ordering::Relaxed) {
            ExitCode::Interrupted
        } else {
            code
        }
    }
}
