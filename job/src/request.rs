//! From settings and a source to the load that is asked for: defaults, absolute
//! URIs, the compiled mapping.

use std::num::NonZero;
use std::path::Path;
use std::thread;
use std::time::Duration;

use plans::spec::LoadHints;
use scheduler::load::request::{LoadRequest, Shape};

use crate::failure::Failure;
use crate::settings::Settings;
use crate::sources::Compiled;
use crate::uris;
use crate::values;

const LATENESS: Duration = Duration::from_secs(48 * 60 * 60);
const MARGIN: u32 = 1;
const MAX_QUARANTINE: f64 = 5.0;
const MAX_ATTEMPTS: u32 = 3;
const PARALLEL: u32 = 2;
const MEMORY: u64 = 128 << 20;

/// Where a dataset's state and its parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) output: String,
    pub(crate) work: String,
    pub(crate) quarantine: String,
    /// `sqlite:PATH`
    pub(crate) state: String,
}

impl Places {
    /// The places that `settings` name; the others follow from the output.
    pub(crate) fn of(settings: &Settings, folder: &Path) -> Result<Self, Failure> {
        let output = settings.output.as_deref().ok_or_else(no_output)?;
        let output = uris::absolute("--output", output, folder)?;
        let base = output.trim_end_matches('/');
        let place = |flag: &str, given: Option<&str>, default: String| match given {
            Some(given) => uris::absolute_folder(flag, given, folder),
            None => Ok(default),
        };
        let work = place(
            "--work",
            settings.work.as_deref(),
            format!("{base}/.lakebolt/"),
        )?;
        let quarantine = format!("{base}.quarantine/");
        let quarantine = place("--quarantine", settings.quarantine.as_deref(), quarantine)?;
        refuse_inside(&quarantine, base)?;
        let state = state_uri(settings, folder)?;
        Ok(Self {
            output,
            work,
            quarantine,
            state,
        })
    }
}

/// Readers of the target would take rejected rows for events.
fn refuse_inside(quarantine: &str, output: &str) -> Result<(), Failure> {
    if quarantine.starts_with(&format!("{output}/")) {
        let message = format!("--quarantine {quarantine} is inside the target");
        return Err(Failure::usage(message, "choose a folder beside the target"));
    }
    Ok(())
}

/// The status store's URI, absolute.
pub(crate) fn state_uri(settings: &Settings, folder: &Path) -> Result<String, Failure> {
    let Some(state) = &settings.state else {
        let output = settings.output.as_deref().ok_or_else(no_output)?;
        let output = uris::local("--output", output, folder)?;
        return Ok(format!(
            "sqlite:{}",
            output.join(".lakebolt/state.db").display()
        ));
    };
    match state.split_once(':') {
        Some(("sqlite", path)) => {
            let path = uris::local("--state", path.trim_start_matches("//"), folder)?;
            Ok(format!("sqlite:{}", path.display()))
        }
        _ => Err(Failure::usage(
            format!("--state {state}: is not a status store known here"),
            "write sqlite:PATH",
        )),
    }
}

fn no_output() -> Failure {
    let remedy = "add --output DIR, or `output = \"DIR\"` to lakebolt.toml";
    Failure::usage("no target is given", remedy)
}

/// What a foreign dialect's source says about its own load, as the lowest layer.
pub(crate) fn hinted(hints: Option<&LoadHints>) -> Result<Settings, Failure> {
    let Some(hints) = hints else {
        return Ok(Settings::default());
    };
    let mut settings = Settings {
        input: hints.input.clone().map(|input| vec![input]),
        output: hints.output.clone(),
        ..Settings::default()
    };
    if hints.load_type.as_deref() == Some("daily") {
        settings.daily = Some(hints.daily_days.unwrap_or(1));
    } else if hints.days.is_some() {
        settings.days = hints.days;
    } else {
        settings.from = hinted_day(hints.from.as_deref())?;
        settings.to = hinted_day(hints.to.as_deref())?;
    }
    Ok(settings)
}

fn hinted_day(text: Option<&str>) -> Result<Option<scheduler::load::days::Day>, Failure> {
    let day = text.map(values::day).transpose();
    day.map_err(|help| {
        let text = text.unwrap_or_default();
        Failure::usage(
            format!("`{text}` in the source's metadata is not a day"),
            help,
        )
    })
}

/// The load that is asked for.
pub(crate) fn resolve(
    compiled: Compiled,
    settings: &Settings,
    folder: &Path,
) -> Result<(LoadRequest, Places), Failure> {
    let places = Places::of(settings, folder)?;
    let inputs = inputs(settings, folder)?;
    let request = LoadRequest {
        source: compiled.source.name.clone(),
        format: compiled.source.format,
        program: compiled.program,
        inputs,
        output: places.output.clone(),
        name: settings
            .name
            .clone()
            .unwrap_or_else(|| "default".to_owned()),
        shape: settings.shape(),
        range: settings.range()?,
        full_load: settings.full_load.unwrap_or(false),
        on_stale: settings.on_stale(),
        margin: settings.margin.unwrap_or(MARGIN),
        lateness: settings.lateness.unwrap_or(LATENESS),
        region: settings.region.clone(),
        account: settings.account.clone(),
        quarantine: places.quarantine.clone(),
        work: places.work.clone(),
        max_quarantine: settings.max_quarantine.unwrap_or(MAX_QUARANTINE),
        max_attempts: settings.max_attempts.unwrap_or(MAX_ATTEMPTS),
        parallel: settings.parallel.unwrap_or(PARALLEL) as usize,
        wait: settings.wait.unwrap_or_default(),
        allow_empty: settings.allow_empty.unwrap_or(false),
        cores: cores(settings),
        memory_bytes: settings.memory.unwrap_or(MEMORY),
    };
    Ok((request, places))
}

fn inputs(settings: &Settings, folder: &Path) -> Result<Vec<String>, Failure> {
    let inputs = settings.input.as_deref().unwrap_or_default();
    if inputs.is_empty() {
        let remedy = "add --input DIR, or `input = \"DIR\"` to lakebolt.toml";
        return Err(Failure::usage("no input is given", remedy));
    }
    inputs
        .iter()
        .map(|input| uris::absolute("--input", input, folder))
        .collect()
}

/// Tasks that run at once.
pub(crate) fn cores(settings: &Settings) -> usize {
    let own = || thread::available_parallelism().map_or(1, NonZero::get);
    settings.cores.map_or_else(own, |cores| cores as usize)
}

/// Whether the parsed columns are written as they are.
pub(crate) fn is_raw(settings: &Settings) -> bool {
    settings.shape() == Shape::Raw
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(settings: &Settings) -> Result<Places, Failure> {
        Places::of(settings, Path::new("/users/me"))
    }

    fn with_output(output: &str) -> Settings {
        Settings {
            output: Some(output.to_owned()),
            ..Settings::default()
        }
    }

    #[test]
    fn everything_follows_from_the_output() {
        let places = places(&with_output("./lake/")).expect("a target is given");
        assert_eq!(places.output, "file:///users/me/lake");
        assert_eq!(places.work, "file:///users/me/lake/.lakebolt/");
        assert_eq!(places.quarantine, "file:///users/me/lake.quarantine/");
        assert_eq!(places.state, "sqlite:/users/me/lake/.lakebolt/state.db");
    }

    #[test]
    fn a_quarantine_inside_the_target_is_refused() {
        let settings = Settings {
            quarantine: Some("lake/rejects".to_owned()),
            ..with_output("lake")
        };
        assert!(places(&settings).is_err_and(|failure| failure.message.contains("inside")));
    }

    #[test]
    fn a_state_store_is_named_by_its_scheme() {
        let state = |state: &str| Settings {
            state: Some(state.to_owned()),
            ..with_output("lake")
        };
        let uri = |text: &str| state_uri(&state(text), Path::new("/users/me")).ok();
        assert_eq!(uri("sqlite:s.db").as_deref(), Some("sqlite:/users/me/s.db"));
        assert_eq!(
            uri("sqlite:///tmp/s.db").as_deref(),
            Some("sqlite:/tmp/s.db")
        );
        assert_eq!(uri("dynamodb:x"), None);
        assert_eq!(uri("s.db"), None);
    }

    #[test]
    fn no_target_is_refused_with_two_ways_to_give_one() {
        let failure = places(&Settings::default()).expect_err("none is given");
        assert!(failure.remedy.contains("--output") && failure.remedy.contains("lakebolt.toml"));
    }

    #[test]
    fn days_of_a_metadata_file_win_over_its_dates() {
        let hints = LoadHints {
            days: Some(35),
            from: Some("2023-05-22".to_owned()),
            ..LoadHints::default()
        };
        let settings = hinted(Some(&hints)).expect("both are days");
        assert_eq!((settings.days, settings.from), (Some(35), None));
    }
}
