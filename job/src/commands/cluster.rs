//! Loads that a cluster runs: submitted, followed, and left alone by Ctrl-C.

use std::collections::BTreeMap;

use scheduler::load::days::Moment;
use scheduler::load::outcome::Outcome;
use scheduler::load::recorded::SentSource;
use scheduler::service::Tls;
use scheduler::service::client::Client;
use uuid::Uuid;

use super::loads;
use super::loads::Prepared;
use crate::cli::{ClusterArgs, ClusterFlags};
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::settings::{OutputFormat, Settings};
use crate::{interrupt, output, wire};

/// A scheduler, and how to speak of it.
pub(super) struct Cluster {
    pub(super) client: Client,
    pub(super) address: String,
}

impl Cluster {
    pub(super) fn of(settings: &Settings) -> Result<Self, Failure> {
        let Some(address) = settings.cluster.clone() else {
            let remedy = "add --cluster HOST:PORT, or `cluster` to lakebolt.toml";
            return Err(Failure::usage("no cluster is given", remedy));
        };
        let tls = Tls {
            tls_ca: settings.tls_ca.clone(),
            tls_cert: settings.tls_cert.clone(),
            tls_key: settings.tls_key.clone(),
        };
        Ok(Self {
            client: Client::new(&address, &tls)?,
            address,
        })
    }
}

/// The settings that flags give about a cluster.
pub(super) fn settings(args: &ClusterArgs, context: &Context) -> Settings {
    let flags = Settings {
        format: args.format,
        ..reaching(&args.cluster)
    };
    flags.over(context.defaults.clone())
}

/// Nothing but a cluster and how it is reached.
pub(super) fn reaching(flags: &ClusterFlags) -> Settings {
    Settings {
        cluster: flags.cluster.clone(),
        tls_ca: flags.tls_ca.clone(),
        tls_cert: flags.tls_cert.clone(),
        tls_key: flags.tls_key.clone(),
        ..Settings::default()
    }
}

/// Submits the load and follows it.
pub(super) fn run(prepared: &Prepared, context: &Context) -> Result<ExitCode, Failure> {
    let settings = &prepared.settings;
    let source = source(prepared, context)?;
    wire::block_on(async {
        let cluster = Cluster::of(settings)?;
        let id = new_id();
        let terms = &prepared.request.terms;
        cluster.client.submit(&id, terms, &source).await?;
        follow(&cluster, &id, settings, context).await
    })
}

/// Submits what an earlier load did not get done, and follows it.
pub(super) fn retry(
    earlier: &str,
    settings: &Settings,
    context: &Context,
) -> Result<ExitCode, Failure> {
    wire::block_on(async {
        let cluster = Cluster::of(settings)?;
        let id = new_id();
        let earlier = cluster.client.find(earlier).await?;
        cluster.client.retry(&id, &earlier).await?;
        follow(&cluster, &id, settings, context).await
    })
}

/// Tells the load's progress until it ends, and prints its outcome.
pub(super) async fn follow(
    cluster: &Cluster,
    id: &str,
    settings: &Settings,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let kind = settings.progress.unwrap_or_default();
    let reporter = Reporter::new(kind, context.verbosity.quiet, context.bars.clone());
    let place = format!("--cluster {}", cluster.address);
    reporter.note(&format!("load {id} runs on {}", cluster.address));
    let away = |address: &str| {
        reporter.note(&format!(
            "the scheduler at {address} is away; waiting for it"
        ));
    };
    let outcome = tokio::select! {
        outcome = cluster.client.follow(id, &reporter, &away) => outcome?,
        () = interrupt::heard() => return detached(id, &place, settings.output_format()),
    };
    loads::print(&outcome, &place, settings.output_format())
}

/// Says how to come back to a load that goes on without being watched.
fn detached(id: &str, place: &str, format: OutputFormat) -> Result<ExitCode, Failure> {
    let watch = format!("the load goes on: lakebolt watch {id} {place}");
    let cancel = format!("to stop it: lakebolt cancel {id} {place}");
    match format {
        OutputFormat::Human => output::print(&format!("{watch}\n{cancel}\n"))?,
        OutputFormat::Json => {
            let mut outcome = Outcome::started(id, "", "", Moment(wire::now()));
            outcome.exit_code = ExitCode::Interrupted.number();
            outcome.warnings = vec![watch, cancel];
            output::print_json(&outcome)?;
        }
    }
    Ok(ExitCode::Interrupted)
}

fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}

/// The source as it travels: by its name if it ships, else with its files.
fn source(prepared: &Prepared, context: &Context) -> Result<SentSource, Failure> {
    let source_index = loads::source_index(&prepared.settings, context)?;
    let files = source_index.own_files(&prepared.asked)?;
    let mut texts = BTreeMap::new();
    for file in files {
        let name = file.base_name().to_owned();
        if texts.insert(name.clone(), file.text).is_some() {
            let message = format!("the source has two files called {name}");
            return Err(Failure::usage(message, "rename one of them"));
        }
    }
    Ok(SentSource {
        name: prepared.request.source.name.clone(),
        files: texts,
        ocsf_version: source_index.ocsf,
        config_digest: prepared.request.source.program.digest.clone(),
    })
}
