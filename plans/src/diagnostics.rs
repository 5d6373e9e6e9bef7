//! Mistakes in a configuration: the message, its position and how to fix it.

use std::fmt;
use std::sync::Arc;

/// Position of a piece of configuration. Lines and columns count from 1;
/// 0 means that the position is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The file's name as messages show it.
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
    /// The dotted key, such as `map.src_endpoint.ip`.
    pub key: String,
}

impl Origin {
    /// The place in one line, without the file's folder: `api.toml:9:10 map.count`.
    pub fn place(&self) -> String {
        let file = self.file.rsplit('/').next().unwrap_or_default();
        let place = match self.line {
            0 => file.to_owned(),
            line => format!("{file}:{line}:{}", self.column),
        };
        match self.key.as_str() {
            "" => place,
            key => format!("{place} {key}"),
        }
    }
}

/// One mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Position of the mistake.
    pub at: Origin,
    /// A lowercase fragment without a full stop.
    pub message: String,
    /// How to fix it; may be empty.
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
        match line {
            0 => write!(f, "{file}: ")?,
            _ => write!(f, "{file}:{line}:{column}: ")?,
        }
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

/// All mistakes in a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one mistake.
    pub fn push(&mut self, at: &Origin, message: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Diagnostic {
            at: at.clone(),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// Whether there is no mistake.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the mistakes that another check found.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Sorts by file, line and column.
    pub fn sort(&mut self) {
        self.0.sort_by(|a, b| {
            let position = |d: &Diagnostic| (d.at.file.clone(), d.at.line, d.at.column);
            position(a).cmp(&position(b))
        });
    }

    /// Returns `value` if there is no mistake.
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

/// Returns the candidate with the most similar spelling, if one is close enough for a slip of
/// the keyboard.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = match name.chars().count() {
        0..=1 => 0,
        2..=6 => 1,
        7..=12 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns a remedy: the nearest candidate, or all candidates if there are few.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(name, candidates.iter().copied()) {
        Some(found) => format!("did you mean `{found}`?"),
        None if candidates.len() <= 40 => format!("known: {}", candidates.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_similar_name_is_suggested() {
        let known = ["src_endpoint", "dst_endpoint", "time"];
        assert_eq!(nearest("scr_endpoint", known), Some("src_endpoint"));
        assert_eq!(nearest("tmie", known), Some("time"));
        assert_eq!(nearest("severity", known), None);
        assert_eq!(nearest("Reject", ["Reset", "Refuse"]), None);
        assert_eq!(
            did_you_mean("x", known),
            "known: src_endpoint, dst_endpoint, time"
        );
    }
}
