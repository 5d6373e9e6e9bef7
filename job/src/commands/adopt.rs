//! `lakebolt adopt`: takes over a target whose status was lost, or that another dataset owns.

use std::fmt::Write;

use plans::storage::parts;
use scheduler::drive::adopt::{Adopted, AdoptedPeriod, Adoption};
use scheduler::load::dataset;
use scheduler::load::failure::Failure as LoadFailure;
use scheduler::publish::work::Work;

use super::loads;
use crate::cli::AdoptArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, with_causes};
use crate::request::Places;
use crate::settings::OutputFormat;
use crate::table::{Table, count, plural};
use crate::{output, request, wire};

pub(super) fn run(args: AdoptArgs, context: &Context) -> Result<ExitCode, Failure> {
    let settings = args.settings.over(context.defaults.clone());
    loads::refuse_cluster(&settings, "adopt")?;
    let compiled = loads::compile(&args.source, &settings, context)?;
    let settings = settings.over(request::hinted(compiled.source.load.as_ref())?);
    let places = Places::of(&settings, context.folder())?;
    let request = request::without_inputs(compiled, &settings, &places)?;
    let adopted = wire::block_on(async {
        let refused = |error: &dyn std::error::Error| {
            Failure::usage(with_causes(error), "check --output and --work")
        };
        let work = Work::open(&places.work).map_err(|error| refused(&error))?;
        let storage = parts::open(&places.output, &places.work, &dataset::access(&request));
        let adoption = Adoption {
            request: &request,
            status: wire::open_status(&places.state, false)?,
            work,
            part_store: storage.map_err(|error| refused(&error))?.part_store,
            clock: wire::now,
        };
        adoption
            .run()
            .await
            .map_err(|failure: LoadFailure| failure.into())
    })?;
    match settings.output_format() {
        OutputFormat::Human => output::print(&human(&adopted, &places.state))?,
        OutputFormat::Json => output::print_json(&json(&adopted)?)?,
    }
    Ok(ExitCode::Done)
}

fn json(adopted: &Adopted) -> Result<serde_json::Value, Failure> {
    let mut value = serde_json::to_value(adopted)
        .map_err(|error| Failure::bug(format!("cannot serialise the result: {error}")))?;
    value["schema_version"] = 1.into();
    value["exit_code"] = ExitCode::Done.number().into();
    Ok(value)
}

fn human(adopted: &Adopted, state: &str) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    for folder in &adopted.folders {
        let _ = writeln!(
            text,
            "{folder} belongs to dataset {} in {state}",
            adopted.owner.dataset
        );
    }
    if let Some(before) = &adopted.previous_owner
        && !before.is_same(&adopted.owner)
    {
        let (dataset, state) = (&before.dataset, &before.state);
        let _ = writeln!(text, "before: dataset {dataset} of status store {state}");
    }
    if adopted.periods.is_empty() {
        text.push_str("no published period was found\n");
        return text;
    }
    text.push('\n');
    let mut table = Table::new(&[
        "period",
        "state",
        ">days",
        ">objects",
        ">rows",
        "what was done",
    ]);
    for period in &adopted.periods {
        table.row(cells(period));
    }
    text.push_str(&table.render());
    let inputs: Vec<&str> = adopted.inputs.iter().map(String::as_str).collect();
    let _ = writeln!(text, "\nthe rows were read from {}", inputs.join(", "));
    text
}

fn cells(period: &AdoptedPeriod) -> [String; 6] {
    let mut done = match period.written {
        true => "status written".to_owned(),
        false => "status kept".to_owned(),
    };
    if !period.missing.is_empty() {
        let missing = plural(period.missing.len() as u64, "object");
        let _ = write!(
            done,
            "; {missing} missing, the next load writes their days again"
        );
    }
    if !period.unknown_days.is_empty() {
        let days = plural(period.unknown_days.len() as u64, "day");
        let _ = write!(
            done,
            "; {days} without a manifest, the next load writes them again"
        );
    }
    [
        period.period.to_string(),
        format!("{:?}", period.state).to_lowercase(),
        count(period.days as u64),
        count(period.objects),
        count(period.rows),
        done,
    ]
}
