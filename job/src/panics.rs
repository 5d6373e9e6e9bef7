//! A panic is a bug of ours: it says so shortly, and how to report it.

use std::io::Write;
use std::{io, panic};

/// Replaces the default message of a panic.
pub(crate) fn install() {
    panic::set_hook(Box::new(|about| {
        let place = about
            .location()
            .map_or_else(String::new, |at| format!(" at {at}"));
        let payload = about.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        // stderr may be closed too, and a second panic would abort.
        let _ = writeln!(
            io::stderr(),
            "error: a bug in lakebolt {}{place}: {}\n help: please report it with the command line and the log",
            env!("CARGO_PKG_VERSION"),
            text.unwrap_or("it has no message"),
        );
    }));
}
