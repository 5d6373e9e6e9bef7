//! Makes a broken case smaller, as long as it is broken in the same way.

use std::sync::Mutex;

use crate::json::Json;
use crate::schema::Schemas;
use crate::{Case, Counts, Faults, compiled, faults};

/// The smallest case that is broken alike, as a user would write it.
pub(crate) fn smallest(case: Case, is_loaded: bool, schemas: Option<&Schemas>) -> String {
    let mut shrink = Shrink {
        kind: String::new(),
        case,
        is_loaded,
        schemas,
    };
    shrink.kind = kind(&shrink.faults()).unwrap_or_default();
    shrink.lines();
    for file in [1, 0] {
        shrink.file(file);
    }
    shrink.members();
    let faults = shrink.faults();
    shrink.case.shown(&faults)
}

struct Shrink<'a> {
    kind: String,
    case: Case,
    is_loaded: bool,
    schemas: Option<&'a Schemas>,
}

/// How a case is broken: the first words of its first fault.
pub(crate) fn kind(faults: &Faults) -> Option<String> {
    let (_, first) = faults.0.first()?;
    let words = first
        .split(' ')
        .filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    let count = if first.starts_with("lost") { 1 } else { 6 };
    Some(words.take(count).collect::<Vec<_>>().join(" "))
}

impl Shrink<'_> {
    fn faults(&self) -> Faults {
        let counts = Mutex::new(Counts::default());
        faults(&self.case, self.is_loaded, self.schemas, &counts)
    }

    fn is_broken(&self) -> bool {
        kind(&self.faults()).is_some_and(|kind| kind == self.kind)
    }

    fn lines(&mut self) {
        let mut at = self.case.lines.len();
        while at > 0 && self.case.lines.len() > 1 {
            at -= 1;
            let line = self.case.lines.remove(at);
            if !self.is_broken() {
                self.case.lines.insert(at, line);
            }
        }
    }

    /// Removes lines of a file.
    fn file(&mut self, file: usize) {
        let mut at = self.case.files[file].lines().count();
        while at > 0 {
            at -= 1;
            let before = self.case.files.clone();
            let mut lines: Vec<&str> = before[file].lines().collect();
            if ["[", "t = ", "time = "]
                .iter()
                .any(|kept| lines[at].starts_with(kept))
            {
                continue;
            }
            lines.remove(at);
            self.case.files[file] = lines.join("\n") + "\n";
            match compiled(&self.case.files) {
                Ok(compiled) => {
                    let old = std::mem::replace(&mut self.case.compiled, compiled);
                    if !self.is_broken() {
                        self.case.compiled = old;
                        self.case.files = before;
                    }
                }
                Err(_) => self.case.files = before,
            }
        }
    }

    /// Removes members of records.
    fn members(&mut self) {
        for line in 0..self.case.lines.len() {
            let mut at = usize::MAX;
            while let Json::Object(members) = &mut self.case.lines[line] {
                at = at.min(members.len());
                if at == 0 {
                    break;
                }
                at -= 1;
                let member = members.remove(at);
                if self.is_broken() {
                    continue;
                }
                if let Json::Object(members) = &mut self.case.lines[line] {
                    members.insert(at, member);
                }
            }
        }
    }
}
