//! `lakebolt doctor`: checks every dependency of a run with these settings. It leaves no files
//! behind.

mod cloud;
mod created_folders;
mod machine;
mod report;
mod scheduler;
mod scope;
mod stores;

use std::io;
use std::io::Write;
use std::time::Duration;

use self::created_folders::CreatedFolders;
use self::report::{Check, Report, Verdict};
use self::scope::Scope;

use crate::cli::DoctorArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::request::Places;
use crate::settings::OutputFormat;
use crate::{output, wire};

pub(super) fn run(args: DoctorArgs, context: &Context) -> Result<ExitCode, Failure> {
    let timeout = args.timeout;
    let scope = Scope::of(args, context)?;
    let format = scope.settings.output_format();
    let doctor = Doctor {
        timeout,
        prints: format == OutputFormat::Human,
        report: Report::default(),
    };
    let report = wire::block_on(async { Ok(doctor.examine(&scope).await) })?;
    match format {
        OutputFormat::Human => output::print(&report.summary())?,
        OutputFormat::Json => output::print_json(&report.json())?,
    }
    Ok(report.code())
}

struct Doctor {
    /// The limit of each check.
    timeout: Duration,
    /// Whether to print each check as soon as it ends, so that a slow one is visible.
    prints: bool,
    report: Report,
}

impl Doctor {
    /// Runs the checks in the order in which a load needs the dependencies.
    async fn examine(mut self, scope: &Scope) -> Report {
        let created = CreatedFolders::before(&scope.local_folders());
        let cluster = scope.settings.cluster.as_deref();
        if let Some(address) = cluster {
            // Shorter than the check's own timeout, whose message is less precise.
            let timeout = self.timeout.mul_f64(0.8);
            let answers = scheduler::answers(&scope.settings, timeout);
            self.check("cluster", address, answers).await;
        }
        if scope.needs_aws() {
            let region = cloud::region();
            self.check("region", "AWS", region).await;
            self.check("identity", "AWS", cloud::identity()).await;
        }
        for bucket in scope.buckets() {
            let endpoint = cloud::endpoint(&bucket);
            self.check("bucket", &bucket, endpoint).await;
        }
        if scope.inputs.is_empty() && scope.places.is_some() {
            let none = async { Verdict::warning("none is given", "add --input URI") };
            self.check("input", "", none).await;
        }
        for input in &scope.inputs {
            let found = stores::input(input, scope.allow_empty());
            self.check("input", input, found).await;
        }
        if let Some(places) = &scope.places {
            self.examine_places(scope, places).await;
        }
        drop(created);
        self.report
    }

    async fn examine_places(&mut self, scope: &Scope, places: &Places) {
        let work = &places.work;
        self.check("work area", work, stores::work(work)).await;
        for folder in &scope.folders {
            let name = places.name_of(folder);
            let writable = stores::target(folder, work, &scope.access);
            self.check(name, folder, writable).await;
        }
        // On a cluster the scheduler has its own state, scratch and engine.
        let Some(state) = scope.own_state() else {
            return;
        };
        self.check("state", state, stores::state(state)).await;
        let (settings, cores) = (&scope.settings, scope.cores());
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
        // On the heap, because the futures of store clients are large.
        let verdict = tokio::time::timeout(self.timeout, Box::pin(probe)).await;
        let verdict = verdict.unwrap_or_else(|_| {
            Verdict::fail(
                format!("no answer within {} s", self.timeout.as_secs_f64()),
                "check the network and the endpoint, or give a longer --timeout",
            )
        });
        let check = Check::new(name, target, verdict);
        if self.prints {
            // If stdout is closed, the exit code still reports the result.
            let _ = writeln!(io::stdout().lock(), "{}", check.line());
        }
        self.report.add(check);
    }
}
