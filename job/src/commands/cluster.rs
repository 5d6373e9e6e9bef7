//! Submits loads to a cluster and follows them. Ctrl-C stops following, not the load.

use std::collections::BTreeMap;

use scheduler::load::days::Moment;
use scheduler::load::outcome::Outcome;
use scheduler::load::recorded::SentSource;
use scheduler::service::client::Client;
use scheduler::service::{Tls, Transport};
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

/// A client of a scheduler, and the scheduler's address.
pub(super) struct Cluster {
    pub(super) client: Client,
    pub(super) address: String,
}

impl Cluster {
    pub(super) fn of(settings: &Settings) -> Result<Self, Failure> {
        let Some(address) = settings.cluster.clone() else {
            let remedy = "add --cluster HOST:PORT, or `cluster` to lakebolt.toml";
            return Err(Failure::usage("no cluster is configured", remedy));
        };
        let transport = Transport {
            tls: Tls {
                tls_ca: settings.tls_ca.clone(),
                tls_cert: settings.tls_cert.clone(),
                tls_key: settings.tls_key.clone(),
            },
            token_file: settings.token_file.clone(),
            plain_tcp: settings.plain_tcp.unwrap_or_default(),
        };
        Ok(Self {
            client: Client::new(&address, &transport)?,
            address,
        })
    }
}

/// The settings of a command for a cluster.
pub(super) fn settings(args: &ClusterArgs, context: &Context) -> Settings {
    let flags = Settings {
        format: args.format,
        ..connection(&args.cluster)
    };
    flags.over(context.defaults.clone())
}

/// The settings that name a cluster and its certificates.
pub(super) fn connection(flags: &ClusterFlags) -> Settings {
    Settings {
        cluster: flags.cluster.clone(),
        tls_ca: flags.tls_ca.clone(),
        tls_cert: flags.tls_cert.clone(),
        tls_key: flags.tls_key.clone(),
        token_file: flags.token_file.clone(),
        plain_tcp: flags.plain_tcp,
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

/// Submits the failed periods of an earlier load, and follows them.
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

/// Prints the load's progress until it ends, then its outcome.
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
    let unavailable = |address: &str| {
        reporter.note(&format!(
            "the scheduler at {address} is unavailable; waiting for it"
        ));
    };
    let outcome = tokio::select! {
        outcome = cluster.client.follow(id, &reporter, &unavailable) => outcome?,
        () = interrupt::wait() => return detached(id, &place, settings.output_format()),
    };
    loads::print(&outcome, &place, settings.output_format())
}

/// Prints the commands to follow or cancel a load that continues in the background.
fn detached(id: &str, place: &str, format: OutputFormat) -> Result<ExitCode, Failure> {
    let watch = format!("the load continues; to follow it: lakebolt watch {id} {place}");
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

/// The source as it is sent: a shipped one by name, the user's own with its files.
fn source(prepared: &Prepared, context: &Context) -> Result<SentSource, Failure> {
    let source_index = loads::source_index(&prepared.settings, context)?;
    let files = source_index.own_files(&prepared.asked)?;
    let mut texts = BTreeMap::new();
    for file in files {
        let name = file.base_name().to_owned();
        if texts.insert(name.clone(), file.text).is_some() {
            let message = format!("the source has two files named {name}");
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
