//! The message of a panic: it is a bug in lakebolt, and how to report it.

use std::io::Write;
use std::{io, panic};

/// Replaces the default message of a panic.
pub(crate) fn install() {
    panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(String::new, |at| format!(" at {at}"));
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        // stderr may be closed; a second panic would abort the process.
        let _ = writeln!(
            io::stderr(),
            "error: a bug in lakebolt {}{place}: {}\n help: please report it with the command line and the log",
            env!("CARGO_PKG_VERSION"),
            text.unwrap_or("it has no message"),
        );
    }));
}
