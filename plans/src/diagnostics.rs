//! What is wrong with a configuration, where it stands, and what mends it.

use std::fmt;
use std::sync::Arc;

/// Where a piece of configuration was written. Lines and columns count from 1;
/// 0 means the position is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
    /// The dotted key, such as `map.src_endpoint.ip`.
    pub key: String,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub at: Origin,
    /// What is wrong: a lowercase fragment without a full stop.
    pub message: String,
    /// What mends it.
    pub remedy: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin {
            file,
            line,
            column,
            key,
        } = &self.at;
        write!(f, "{file}:{line}:{column}: ")?;
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        write!(f, "{}", self.message)?;
        if !self.remedy.is_empty() {
            write!(f, " ({})", self.remedy)?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration, in the order it stands there.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    pub fn push(&mut self, at: &Origin, message: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Diagnostic {
            at: at.clone(),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// `value` when nothing is wrong, else all that is.
    pub fn into_result<T>(self, value: T) -> Result<T, Diagnostics> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}
