//! Carries an error message through an engine that forwards errors as text. The engine
//! wraps the error several times and prints its `Debug` form.

use std::error::Error;
use std::fmt;

/// Marks the start of the message. Messages themselves contain no marks.
const OPEN: char = '⟦';
const CLOSE: char = '⟧';

/// An error in one line. `words` extracts it from the text that the engine makes of it.
pub struct Reported(String);

impl Reported {
    /// Takes the message of `error` and of its causes.
    pub fn of(error: &dyn Error) -> Self {
        Self(with_causes(error).replace([OPEN, CLOSE], ""))
    }
}

impl fmt::Debug for Reported {
    /// Writes plain text between marks. Nothing would undo the usual quoting.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OPEN}{}{CLOSE}", self.0)
    }
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Reported {}

/// Returns an error's message and those of its causes, in one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Many errors repeat their cause in their own message.
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// Extracts a reported error from an engine's message. Returns the message if there is none.
pub fn words(message: &str) -> &str {
    let inside = message
        .split_once(OPEN)
        .and_then(|(_, rest)| rest.split_once(CLOSE));
    inside.map_or(message, |(words, _)| words)
}

#[cfg(test)]
mod tests {
    use std::io;

    use datafusion::common::DataFusionError;

    use super::*;

    #[test]
    fn the_message_is_extracted_from_any_wrapping() {
        let cause = io::Error::other("the disk is \"full\"");
        let error = DataFusionError::IoError(io::Error::other(Reported::of(&cause)));
        let message = format!("Job failed: {:?}", std::sync::Arc::new(error));
        assert!(message.contains("IoError"), "{message}");
        assert_eq!(words(&message), "the disk is \"full\"");
        assert_eq!(Reported::of(&cause).to_string(), "the disk is \"full\"");
        assert_eq!(words("no marks here"), "no marks here");
    }
}
