//! Makes a load request from settings and a source: fills in defaults, makes URIs absolute and
//! adds the compiled mapping.

use std::num::NonZero;
use std::path::Path;
use std::thread;
use std::time::Duration;

use plans::lake;
use plans::spec::LoadHints;
use plans::storage::{Access, Role};
use scheduler::load::places;
use scheduler::load::places::Misplaced;
use scheduler::load::terms::{LoadRequest, Shape, Terms};
use scheduler::publish::target;
use scheduler::status::dynamodb::DEFAULT_PREFIX;

use crate::failure::Failure;
use crate::settings::Settings;
use crate::sources::Compiled;
use crate::{uris, values};

const LATENESS: Duration = Duration::from_secs(48 * 60 * 60);
const MARGIN: u32 = 1;
const MAX_QUARANTINE: f64 = 5.0;
const MAX_ATTEMPTS: u32 = 3;
const PARALLEL: u32 = 2;
const MEMORY: u64 = 128 << 20;

/// The URIs of a dataset: its target, work area, quarantine and status store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) output: String,
    pub(crate) work: String,
    pub(crate) quarantine: String,
    /// `sqlite:PATH`
    pub(crate) state: String,
}

impl Places {
    /// The places that `settings` name, and the defaults of the others.
    pub(crate) fn of(settings: &Settings, folder: &Path) -> Result<Self, Failure> {
        let stores = Stores::of(settings, folder)?;
        let state = match state_uri(settings, folder) {
            // On a cluster the scheduler has its own status store.
            Err(_) if settings.cluster.is_some() => String::new(),
            state => state?,
        };
        Ok(Self {
            state,
            output: stores.output,
            work: stores.work,
            quarantine: stores.quarantine,
        })
    }

    /// `quarantine` or `target`, for a folder that parts are written to.
    pub(crate) fn name_of(&self, folder: &str) -> &'static str {
        match folder.starts_with(self.quarantine.trim_end_matches('/')) {
            true => "quarantine",
            false => "target",
        }
    }

    /// The role that writes each place, by the settings alone.
    pub(crate) fn access(&self, settings: &Settings) -> Result<Access, Failure> {
        let mut access = Access::default();
        access.grant(&self.output, role(settings)?);
        access.grant(&self.quarantine, None);
        access.grant(&self.work, None);
        Ok(access)
    }
}

/// The URIs of a dataset's objects: `Places` without the status store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stores {
    pub(crate) output: String,
    pub(crate) work: String,
    pub(crate) quarantine: String,
}

impl Stores {
    /// The stores that `settings` name, and the defaults of the others.
    pub(crate) fn of(settings: &Settings, folder: &Path) -> Result<Self, Failure> {
        let output = settings.output.as_deref().ok_or_else(no_output)?;
        let output = uris::absolute("--output", output, folder)?;
        let place = |flag: &str, given: Option<&str>, default: String| match given {
            Some(given) => uris::absolute_folder(flag, given, folder),
            None => Ok(default),
        };
        let work = place(
            "--work",
            settings.work.as_deref(),
            lake::default_work(&output),
        )?;
        let quarantine = place(
            "--quarantine",
            settings.quarantine.as_deref(),
            lake::default_quarantine(&output),
        )?;
        places::check(&output, &work, &quarantine)
            .map_err(|wrong| misplaced(&wrong, &work, &quarantine))?;
        Ok(Self {
            output,
            work,
            quarantine,
        })
    }
}

fn misplaced(misplaced: &Misplaced, work: &str, quarantine: &str) -> Failure {
    let area = misplaced.area;
    let place = match area {
        "work" => work,
        _ => quarantine,
    };
    let message = format!("--{area} {place} {}", misplaced.what);
    let remedy = format!("{}, or omit --{area}", misplaced.remedy);
    Failure::usage(message, remedy)
}

/// A target on S3 has no default status store.
fn no_state(output: &str) -> Failure {
    let remedy = "add --state dynamodb:PREFIX, or --state sqlite:PATH if only one machine loads";
    Failure::usage(format!("--output {output} needs --state"), remedy)
}

/// The status store's URI, absolute.
pub(crate) fn state_uri(settings: &Settings, folder: &Path) -> Result<String, Failure> {
    let Some(state) = &settings.state else {
        let output = settings.output.as_deref().ok_or_else(no_output)?;
        if uris::is_s3(output) {
            return Err(no_state(output));
        }
        let output = uris::local("--output", output, folder)?;
        return Ok(format!("sqlite:{}", lake::default_state(&output).display()));
    };
    match state.split_once(':') {
        Some(("sqlite", path)) => {
            let path = uris::local("--state", path.trim_start_matches("//"), folder)?;
            Ok(format!("sqlite:{}", path.display()))
        }
        Some(("dynamodb", "")) => Ok(format!("dynamodb:{DEFAULT_PREFIX}")),
        Some(("dynamodb", prefix)) => Ok(format!("dynamodb:{prefix}")),
        _ => Err(Failure::usage(
            format!("--state {state}: is not a supported status store"),
            "write sqlite:PATH or dynamodb:TABLE_PREFIX",
        )),
    }
}

fn no_output() -> Failure {
    let remedy = "add --output DIR, or `output = \"DIR\"` to lakebolt.toml";
    Failure::usage("no target is given", remedy)
}

/// The settings in the source of a foreign dialect. They are the lowest layer.
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

/// The request for a load, and its places.
pub(crate) fn resolve(
    compiled: Compiled,
    settings: &Settings,
    folder: &Path,
) -> Result<(LoadRequest, Places), Failure> {
    let places = Places::of(settings, folder)?;
    let request = LoadRequest {
        source: compiled.into(),
        terms: terms(settings, &places, inputs(settings, folder)?)?,
    };
    target::check_places(&request)?;
    Ok((request, places))
}

/// A request for work on published data, which reads no input.
pub(crate) fn without_inputs(
    compiled: Compiled,
    settings: &Settings,
    places: &Places,
) -> Result<LoadRequest, Failure> {
    Ok(LoadRequest {
        source: compiled.into(),
        terms: terms(settings, places, Vec::new())?,
    })
}

/// The terms of a load: each setting or its default.
fn terms(settings: &Settings, places: &Places, inputs: Vec<String>) -> Result<Terms, Failure> {
    let name = settings.name.as_deref().unwrap_or("default");
    Ok(Terms {
        inputs,
        output: places.output.clone(),
        role: role(settings)?,
        name: name.to_owned(),
        shape: settings.shape(),
        range: settings.range()?,
        full_load: settings.full_load.unwrap_or(false),
        on_stale: settings.on_stale(),
        on_vanished: settings.on_vanished(),
        accept_broken: settings.accept_broken.unwrap_or(false),
        margin: settings.margin.unwrap_or(MARGIN),
        lateness: settings.lateness.unwrap_or(LATENESS),
        region: settings.region.clone(),
        account: settings.account.clone(),
        quarantine: places.quarantine.clone(),
        work: places.work.clone(),
        max_quarantine: settings.max_quarantine.unwrap_or(MAX_QUARANTINE),
        max_attempts: settings.max_attempts.unwrap_or(MAX_ATTEMPTS),
        parallel: parallel(settings),
        wait: settings.wait.unwrap_or_default(),
        allow_empty: settings.allow_empty.unwrap_or(false),
        memory_bytes: settings.memory.unwrap_or(MEMORY),
    })
}

/// The absolute URIs of the inputs. It is an error if there are none.
pub(crate) fn inputs(settings: &Settings, folder: &Path) -> Result<Vec<String>, Failure> {
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

/// The role that writes the target. It is checked here because the two settings may come from
/// different layers.
fn role(settings: &Settings) -> Result<Option<Role>, Failure> {
    match (&settings.role_arn, &settings.external_id) {
        (None, Some(_)) => Err(Failure::usage(
            "--external-id has no effect without a role",
            "add --role-arn ARN",
        )),
        (None, None) => Ok(None),
        (Some(arn), external_id) => Ok(Some(Role {
            arn: arn.clone(),
            external_id: external_id.clone(),
        })),
    }
}

/// The number of tasks that run at once.
pub(crate) fn cores(settings: &Settings) -> usize {
    let own = || thread::available_parallelism().map_or(1, NonZero::get);
    settings.cores.map_or_else(own, |cores| cores as usize)
}

/// The number of periods that run at once. 0 lets a cluster use all of its executors.
fn parallel(settings: &Settings) -> usize {
    match (settings.parallel, &settings.cluster) {
        (Some(parallel), _) => parallel as usize,
        (None, Some(_)) => 0,
        (None, None) => PARALLEL as usize,
    }
}

/// Whether the load writes the parsed columns instead of events.
pub(crate) fn is_raw(settings: &Settings) -> bool {
    settings.shape() == Shape::Raw
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit_code::ExitCode;

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
    fn the_defaults_of_all_places_depend_on_the_output() {
        let places = places(&with_output("./lake/")).expect("a target is given");
        assert_eq!(places.output, "file:///users/me/lake");
        assert_eq!(places.work, "file:///users/me/lake/.lakebolt/");
        assert_eq!(places.quarantine, "file:///users/me/lake.quarantine/");
        assert_eq!(places.state, "sqlite:/users/me/lake/.lakebolt/state.db");
    }

    #[test]
    fn a_quarantine_inside_the_target_is_rejected() {
        let settings = Settings {
            quarantine: Some("lake/rejects".to_owned()),
            ..with_output("lake")
        };
        assert!(places(&settings).is_err_and(|failure| failure.message.contains("inside")));
    }

    fn on_s3(output: &str) -> Settings {
        Settings {
            state: Some("sqlite:s.db".to_owned()),
            ..with_output(output)
        }
    }

    #[test]
    fn on_s3_work_and_quarantine_are_beside_the_target() {
        for output in ["s3://lake/a/b/", "s3a://lake"] {
            let places = places(&on_s3(output)).expect("a target is given");
            assert_eq!(
                places.output,
                output.trim_end_matches('/').replace("s3a", "s3")
            );
            assert_eq!(places.work, "s3://lake/lakebolt-work/");
            assert_eq!(places.quarantine, "s3://lake/lakebolt-quarantine/");
            assert_eq!(places.state, "sqlite:/users/me/s.db");
        }
    }

    #[test]
    fn a_target_on_s3_needs_a_state_store() {
        let failure = places(&with_output("s3://lake/a")).expect_err("none is given");
        assert!(failure.message.contains("needs --state"), "{failure}");
        assert!(
            failure.remedy.contains("--state dynamodb:PREFIX"),
            "{failure}"
        );
        assert!(failure.remedy.contains("sqlite:PATH"), "{failure}");
        assert!(Stores::of(&with_output("s3://lake/a"), Path::new("/")).is_ok());
    }

    fn refused(output: &str, work: Option<&str>, quarantine: Option<&str>) -> String {
        let settings = Settings {
            work: work.map(str::to_owned),
            quarantine: quarantine.map(str::to_owned),
            ..on_s3(output)
        };
        let failure = places(&settings).expect_err("it is refused");
        assert_eq!(failure.code, ExitCode::Usage);
        failure.message
    }

    #[test]
    fn work_and_quarantine_must_be_on_the_same_kind_of_store_as_the_target() {
        assert!(
            refused("lake", Some("s3://lake/w"), None).contains("on S3, and the target is not")
        );
        assert!(refused("lake", None, Some("s3://lake/q")).contains("--quarantine s3://lake/q/"));
        assert!(refused("s3://lake/a", None, Some("q")).contains("not on S3"));
        assert!(refused("s3://lake/a", Some("./w"), None).contains("--work file:///users/me/w/"));
    }

    #[test]
    fn on_s3_work_and_quarantine_must_be_outside_the_target() {
        assert!(refused("s3://lake/a", Some("s3://lake/a/w"), None).contains("inside"));
        assert!(refused("s3://lake/a", None, Some("s3://lake/a")).contains("inside"));
        assert!(refused("s3://lake", None, Some("s3://lake/ext/q")).contains("inside"));
    }

    #[test]
    fn a_status_store_is_selected_by_its_scheme() {
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
        assert_eq!(uri("dynamodb:x").as_deref(), Some("dynamodb:x"));
        let framework = "dynamodb:asl-etl-framework";
        assert_eq!(uri("dynamodb:").as_deref(), Some(framework));
        assert_eq!(uri("redis:x"), None);
        assert_eq!(uri("s.db"), None);
    }

    #[test]
    fn a_missing_target_is_reported_with_two_ways_to_set_it() {
        let failure = places(&Settings::default()).expect_err("none is given");
        assert!(failure.remedy.contains("--output") && failure.remedy.contains("lakebolt.toml"));
    }

    #[test]
    fn an_external_id_needs_a_role_of_any_layer() {
        let mut settings = with_output("s3://lake");
        settings.external_id = Some("x".to_owned());
        assert!(role(&settings).is_err());
        settings.role_arn = Some("arn:aws:iam::123456789012:role/r".to_owned());
        assert!(matches!(role(&settings), Ok(Some(role)) if role.external_id.is_some()));
    }

    #[test]
    fn days_of_a_metadata_file_override_its_dates() {
        let hints = LoadHints {
            days: Some(35),
            from: Some("2023-05-22".to_owned()),
            ..LoadHints::default()
        };
        let settings = hinted(Some(&hints)).expect("both are days");
        assert_eq!((settings.days, settings.from), (Some(35), None));
    }
}
