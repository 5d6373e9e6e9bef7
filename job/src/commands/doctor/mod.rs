//! `lakebolt doctor`: reaches everything that a run with these settings would need, and says
//! what is missing. It leaves nothing behind.

mod asked;
mod cloud;
mod machine;
mod report;
mod scheduler;
mod stores;
mod traces;

use std::io;
use std::io::Write;
use std::time::Duration;

use self::asked::Asked;
use self::report::{Check, Report, Verdict};
use self::traces::Traces;

use crate::cli::DoctorArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::request::Places;
use crate::settings::OutputFormat;
use crate::{output, wire};

pub(super) fn run(args: DoctorArgs, context: &Context) -> Result<ExitCode, Failure> {
    let timeout = args.timeout;
    let asked = Asked::of(args, context)?;
    let format = asked.settings.output_format();
    let doctor = Doctor {
        timeout,
        says: format == OutputFormat::Human,
        report: Report::default(),
    };
    let report = wire::block_on(async { Ok(doctor.examine(&asked).await) })?;
    match format {
        OutputFormat::Human => output::print(&report.summary())?,
        OutputFormat::Json => output::print_json(&report.json())?,
    }
    Ok(report.code())
}

struct Doctor {
    /// For each check.
    timeout: Duration,
    /// Whether each check is printed when it has ended: a slow one shows where it is slow.
    says: bool,
    report: Report,
}

impl Doctor {
    /// In the order in which a load needs things.
    async fn examine(mut self, asked: &Asked) -> Report {
        let traces = Traces::before(&asked.local_folders());
        let cluster = asked.settings.cluster.as_deref();
        if let Some(address) = cluster {
            // Before the doctor's own patience ends, which knows less to say.
            let patience = self.timeout.mul_f64(0.8);
            let answers = scheduler::answers(&asked.settings, patience);
            self.check("cluster", address, answers).await;
        }
        if asked.needs_aws() {
            let region = cloud::region();
            self.check("region", "AWS", region).await;
            self.check("identity", "AWS", cloud::identity()).await;
        }
        for bucket in asked.buckets() {
            let endpoint = cloud::endpoint(&bucket);
            self.check("bucket", &bucket, endpoint).await;
        }
        if asked.inputs.is_empty() && asked.places.is_some() {
            let none = async { Verdict::warning("none is given", "add --input URI") };
            self.check("input", "", none).await;
        }
        for input in &asked.inputs {
            let found = stores::input(input, asked.allow_empty());
            self.check("input", input, found).await;
        }
        if let Some(places) = &asked.places {
            self.examine_places(asked, places).await;
        }
        drop(traces);
        self.report
    }

    async fn examine_places(&mut self, asked: &Asked, places: &Places) {
        let work = &places.work;
        self.check("work area", work, stores::work(work)).await;
        for folder in &asked.folders {
            let name = places.name_of(folder);
            let reached = stores::target(folder, work, &asked.access);
            self.check(name, folder, reached).await;
        }
        // The scheduler has its own state, scratch and engine.
        let Some(state) = asked.own_state() else {
            return;
        };
        self.check("state", state, stores::state(state)).await;
        let (settings, cores) = (&asked.settings, asked.cores());
        self.check("scratch", "", machine::scratch(work)).await;
        let engine = machine::engine(settings.engine, cores, work);
        self.check("engine", "", engine).await;
    }

    async fn check(
        &mut self,
        name: &'static str,
        target: &str,
        probe: impl Future<Output = Verdict>,
    ) {
        // On the heap: what a store's client waits for is large.
        let verdict = tokio::time::timeout(self.timeout, Box::pin(probe)).await;
        let verdict = verdict.unwrap_or_else(|_| {
            Verdict::fail(
                format!("no answer within {} s", self.timeout.as_secs_f64()),
                "check the network and the endpoint, or give --timeout more",
            )
        });
        let check = Check::new(name, target, verdict);
        if self.says {
            // Whoever stopped reading still gets the exit code.
            let _ = writeln!(io::stdout().lock(), "{}", check.line());
        }
        self.report.add(check);
    }
}
