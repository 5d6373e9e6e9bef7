//! An error's words on their way through an engine that hands errors on as text, in
//! their `Debug` form and wrapped several times.

use std::error::Error;
use std::fmt;

/// Stand around the words, and nowhere else.
const OPEN: char = '⟦';
const CLOSE: char = '⟧';

/// An error in one line, which `words` finds again in whatever is made of it.
pub struct Reported(String);

impl Reported {
    /// What `error` says, with what it says about its causes.
    pub fn of(error: &dyn Error) -> Self {
        Self(with_causes(error).replace([OPEN, CLOSE], ""))
    }
}

impl fmt::Debug for Reported {
    /// As plain text between marks: quoting would be undone by nobody.
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

/// An error's message with those of its causes, in one line.
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

/// The words of a reported error in an engine's message, or the message itself.
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
    fn the_words_are_found_whatever_is_wrapped_around_them() {
        let cause = io::Error::other("the disk is \"full\"");
        let error = DataFusionError::IoError(io::Error::other(Reported::of(&cause)));
        let message = format!("Job failed: {:?}", std::sync::Arc::new(error));
        assert!(message.contains("IoError"), "{message}");
        assert_eq!(words(&message), "the disk is \"full\"");
        assert_eq!(Reported::of(&cause).to_string(), "the disk is \"full\"");
        assert_eq!(words("no marks here"), "no marks here");
    }
}
