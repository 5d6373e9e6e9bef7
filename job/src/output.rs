//! Results on stdout. A reader that went away (`| head`) ends the printing, and
//! is nobody's error.

use std::io;
use std::io::{ErrorKind, Write};

use crate::failure::Failure;

/// Writes `text` to stdout.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    forgive(io::stdout().lock().write_all(text.as_bytes()))
        .and_then(|()| forgive(io::stdout().flush()))
}

/// Writes one JSON object and a line end to stdout.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value);
    let text =
        text.map_err(|error| Failure::bug(format!("the result cannot be written: {error}")))?;
    print(&(text + "\n"))
}

/// Writes a line to stdout; false when nobody reads any more.
pub(crate) fn line(out: &mut dyn Write, text: &str) -> Result<bool, Failure> {
    match writeln!(out, "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        other => forgive(other).map(|()| true),
    }
}

fn forgive(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::unavailable(
            format!("stdout cannot be written: {error}"),
            "check the file or the program that it goes to",
        )),
        _ => Ok(()),
    }
}

/// Bytes of a log must not steer a terminal.
pub(crate) fn printable(character: char) -> char {
    if character.is_control() {
        '\u{fffd}'
    } else {
        character
    }
}
