//! Names of outputs, as Security Lake registers custom sources: one per class.

use std::collections::BTreeMap;

use super::format::below;
use super::found::Found;
use crate::diagnostics::{Origin, did_you_mean};
use crate::ocsf;
use crate::spec::Source;

/// The role that Security Lake makes for a source carries its name.
const LONGEST: usize = 20;

/// What a long source's name leaves to the class.
const LONGEST_SOURCE: usize = 11;

/// Returns the name of the output of a class. Without a name in the configuration, a source
/// of one class has its own name, and other names consist of the source and the class. A name
/// that is too long is cut. It does not depend on the source's other classes.
pub fn name(source: &Source, class: &str) -> String {
    let written = source.outputs.get(class).and_then(|o| o.name.clone());
    if let Some(written) = written {
        return written;
    }
    let is_single = source.classes().len() <= 1;
    if is_single && source.name.chars().count() <= LONGEST {
        return source.name.clone();
    }
    let own = dashed(&source.name);
    let full = format!("{own}-{}", dashed(class));
    if full.chars().count() <= LONGEST {
        return full;
    }
    let own: String = own.chars().take(LONGEST_SOURCE).collect();
    let own = own.trim_end_matches('-');
    format!("{own}-{}", short_class(class, LONGEST - 1 - own.len()))
}

fn dashed(name: &str) -> String {
    let dash = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    name.chars().map(dash).collect()
}

/// The class in at most `most` characters. Classes of OCSF that become equal are numbered.
fn short_class(class: &str, most: usize) -> String {
    let short = shortened(class, most);
    let mut classes: Vec<&str> = ocsf::versions()
        .filter_map(|version| ocsf::schema(version).ok())
        .flat_map(|schema| schema.classes().map(|class| class.name.as_str()))
        .collect();
    classes.sort_unstable();
    classes.dedup();
    let equal = classes
        .into_iter()
        .filter(|other| shortened(other, most) == short);
    match equal.take_while(|other| *other != class).count() {
        0 => short,
        before => {
            let digit = (before + 1).to_string();
            let kept = shortened(class, most - digit.len());
            format!("{kept}{digit}")
        }
    }
}

/// Cuts the longest word of a class, the last of several, until all words fit.
fn shortened(class: &str, most: usize) -> String {
    let mut words: Vec<String> = dashed(class).split('-').map(str::to_owned).collect();
    while words.iter().map(|word| word.len() + 1).sum::<usize>() > most + 1 {
        let longest = words.iter_mut().max_by_key(|word| word.len());
        match longest.filter(|word| word.len() > 1) {
            Some(word) => drop(word.pop()),
            None => drop(words.pop()),
        }
    }
    words.join("-")
}

/// Checks the names of a source's outputs that are in the configuration.
pub(super) fn check(source: &Source, found: &mut Found) {
    let classes = source.classes();
    for (class, output) in &source.outputs {
        if !classes.contains(class.as_str()) {
            let message = format!("no event becomes class `{class}`");
            found.error(
                &output.at,
                message,
                did_you_mean(class, classes.iter().copied()),
            );
        }
        if let Some(name) = &output.name {
            written(name, &below(&output.at, "name"), found);
        }
    }
    repeated(source, found);
}

fn written(name: &str, at: &Origin, found: &mut Found) {
    let length = name.chars().count();
    if length > LONGEST {
        let message = format!("`{name}` has {length} characters");
        found.error(at, message, "Security Lake allows 20 at most");
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() || !name.chars().all(is_allowed) {
        let message = format!("`{name}` is not a source name for Security Lake");
        found.error(at, message, "use letters, digits and dashes");
    }
}

/// Reports a written name that another class has, written or derived.
fn repeated(source: &Source, found: &mut Found) {
    let classes = source.classes();
    let derived = classes
        .iter()
        .filter(|class| source.outputs.get(**class).is_none_or(|o| o.name.is_none()));
    let mut seen: BTreeMap<String, &str> =
        derived.map(|class| (name(source, class), *class)).collect();
    for (class, output) in &source.outputs {
        let Some(name) = &output.name else { continue };
        if let Some(other) = seen.insert(name.clone(), class) {
            let message = format!("`{name}` is also the name of `{other}`");
            found.error(
                &below(&output.at, "name"),
                message,
                "one object holds one class; choose another name",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn classes_keep_distinct_names_however_short() {
        let schema = ocsf::schema("1.3.0").expect("pinned");
        for most in [8, 9, 10, 12] {
            let classes = schema.classes().map(|class| class.name.as_str());
            let names: Vec<String> = classes.map(|class| short_class(class, most)).collect();
            let distinct: BTreeSet<&String> = names.iter().collect();
            assert_eq!(distinct.len(), names.len(), "{most}: {names:?}");
            assert!(names.iter().all(|name| name.len() <= most), "{names:?}");
        }
    }

    #[test]
    fn the_longest_words_are_cut() {
        assert_eq!(shortened("api_activity", 9), "api-activ");
        assert_eq!(shortened("account_change", 9), "acco-chan");
        assert_eq!(shortened("authentication", 30), "authentication");
    }
}
