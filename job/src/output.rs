//! Results on stdout. If the reader closes the pipe (`| head`), printing stops without an
//! error.

use std::io;
use std::io::{ErrorKind, Write};

use crate::failure::Failure;

/// Writes `text` to stdout.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    ignore_closed_pipe(io::stdout().lock().write_all(text.as_bytes()))
        .and_then(|()| ignore_closed_pipe(io::stdout().flush()))
}

/// Writes one JSON object and a newline to stdout.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value);
    let text =
        text.map_err(|error| Failure::bug(format!("the result cannot be written: {error}")))?;
    print(&(text + "\n"))
}

/// Writes a line to `out`; returns false if the reader has closed the pipe.
pub(crate) fn line(out: &mut dyn Write, text: &str) -> Result<bool, Failure> {
    match writeln!(out, "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        other => ignore_closed_pipe(other).map(|()| true),
    }
}

fn ignore_closed_pipe(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::unavailable(
            format!("cannot write to stdout: {error}"),
            "check the file or the program that stdout is redirected to",
        )),
        _ => Ok(()),
    }
}

/// Replaces control characters, so that bytes of a log cannot control the terminal.
pub(crate) fn printable(character: char) -> char {
    if character.is_control() {
        '\u{fffd}'
    } else {
        character
    }
}
