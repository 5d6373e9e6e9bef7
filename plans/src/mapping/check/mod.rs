//! A source against OCSF: classes, profiles, attributes, their types and what is
//! required. SQL is judged by `compile`; nothing here runs or reads anything.

mod attributes;
mod constants;
mod outputs;
#[cfg(test)]
mod tests;

use crate::diagnostics::{Diagnostic, Diagnostics, Origin, did_you_mean};
use crate::ocsf::Schema;
use crate::spec::{Event, Format, Source};
use attributes::Walk;

/// The options of a format by its name, or what is known instead of an unknown one.
pub type FormatOptions<'a> = dyn Fn(&str) -> Result<&'static [&'static str], String> + 'a;

/// What a check found: errors forbid a run, warnings do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub errors: Diagnostics,
    pub warnings: Diagnostics,
}

/// Everything about a source that OCSF, Security Lake's names or the formats forbid.
///
/// What OCSF demands and the source does not give forbids a run of a source of ours. A
/// foreign one ran without it before, so there it is a warning.
pub fn check(source: &Source, schema: &Schema, formats: &FormatOptions<'_>) -> Verdict {
    let (mut errors, mut gaps) = (Diagnostics::default(), Diagnostics::default());
    format(&source.format, formats, &mut errors);
    for event in &source.events {
        self::event(event, schema, &mut errors, &mut gaps);
    }
    unreachable_events(&source.events, &mut errors);
    outputs::check(source, &mut errors);
    let mut warnings = Diagnostics::default();
    match source.load {
        Some(_) => warnings = gaps,
        None => errors.append(gaps),
    }
    errors.sort();
    warnings.sort();
    Verdict {
        errors: without_repeats(errors),
        warnings: without_repeats(warnings),
    }
}

/// What `base` says wrongly is found once for each event.
fn without_repeats(found: Diagnostics) -> Diagnostics {
    let mut kept: Vec<Diagnostic> = Vec::new();
    for diagnostic in found.0 {
        if !kept.contains(&diagnostic) {
            kept.push(diagnostic);
        }
    }
    Diagnostics(kept)
}

fn format(format: &Format, formats: &FormatOptions<'_>, found: &mut Diagnostics) {
    let options = match formats(&format.name) {
        Ok(options) => options,
        Err(known) => {
            let message = format!("unknown format `{}`", format.name);
            found.push(&format.at, message, known);
            return;
        }
    };
    for option in format.options.keys() {
        if !options.contains(&option.as_str()) {
            let at = below(&format.at, option);
            let message = format!("format `{}` has no such option", format.name);
            let remedy = match options {
                [] => "it has none; remove it".to_owned(),
                _ => did_you_mean(option, options.iter().copied()),
            };
            found.push(&at, message, remedy);
        }
    }
}

fn event(event: &Event, schema: &Schema, found: &mut Diagnostics, gaps: &mut Diagnostics) {
    let Some(class) = schema.class(&event.class) else {
        let message = format!("OCSF {} has no class `{}`", schema.version(), event.class);
        let remedy = match schema.nearest_class(&event.class) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "name a class as schema.ocsf.io does, such as `network_activity`".to_owned(),
        };
        found.push(&event.at, message, remedy);
        return;
    };
    for profile in &event.profiles {
        if class.profile(profile).is_none() {
            let message = format!("class `{}` has no profile `{profile}`", class.name);
            let known = class.profiles.iter().map(String::as_str);
            found.push(&event.profiles_at, message, did_you_mean(profile, known));
        }
    }
    let mut walk = Walk {
        schema,
        class,
        profiles: &event.profiles,
        found,
        gaps,
    };
    walk.event(event);
}

/// An event without a condition takes every row that reaches it.
fn unreachable_events(events: &[Event], found: &mut Diagnostics) {
    let Some(taker) = events
        .iter()
        .position(|event| event.when.is_none() && !event.also)
    else {
        return;
    };
    for event in events.iter().skip(taker + 1).filter(|event| !event.also) {
        let message = format!(
            "event `{}` is never reached, as `{}` takes every row",
            event.name, events[taker].name
        );
        found.push(
            &event.at,
            message,
            "give the earlier one a `when`, or change the order",
        );
    }
}

/// The place of a key below another.
fn below(at: &Origin, name: &str) -> Origin {
    let key = match at.key.as_str() {
        "" => name.to_owned(),
        parent => format!("{parent}.{name}"),
    };
    Origin { key, ..at.clone() }
}
