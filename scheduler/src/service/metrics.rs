//! What the scheduler counts, beside Ballista's own in Prometheus' default registry.

use std::sync::LazyLock;

use prometheus::{
    Encoder, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, TextEncoder, register_int_counter,
    register_int_counter_vec, register_int_gauge, register_int_gauge_vec,
};

use super::registry::Registry;
use crate::cluster::Scheduler;
use crate::load::notification::Notification;
use crate::load::outcome::PeriodState;

/// The type of what [`text`] gives.
pub const TEXT: &str = "text/plain; version=0.0.4";

struct Metrics {
    unfinished: IntGaugeVec,
    ended: IntCounterVec,
    periods: IntCounterVec,
    retries: IntCounter,
    rows: IntCounterVec,
    bytes: IntCounter,
    executors: IntGauge,
    task_slots: IntGauge,
}

static METRICS: LazyLock<Metrics> =
    LazyLock::new(|| Metrics::register().expect("names are well formed and registered once"));

impl Metrics {
    fn register() -> prometheus::Result<Self> {
        Ok(Self {
            unfinished: register_int_gauge_vec!(
                "lakebolt_loads",
                "Loads that have not ended, by state",
                &["state"]
            )?,
            ended: register_int_counter_vec!(
                "lakebolt_loads_ended_total",
                "Loads that ended, by state",
                &["state"]
            )?,
            periods: register_int_counter_vec!(
                "lakebolt_periods_total",
                "Periods that ended, by state",
                &["state"]
            )?,
            retries: register_int_counter!(
                "lakebolt_period_retries_total",
                "Attempts of periods that failed and were tried again"
            )?,
            rows: register_int_counter_vec!(
                "lakebolt_rows_total",
                "Rows of periods that were published, by what became of them",
                &["what"]
            )?,
            bytes: register_int_counter!(
                "lakebolt_written_bytes_total",
                "Bytes of the objects that were published"
            )?,
            executors: register_int_gauge!("lakebolt_executors", "Executors that live")?,
            task_slots: register_int_gauge!(
                "lakebolt_task_slots",
                "Tasks that executors run at once"
            )?,
        })
    }
}

/// Counts what happened to a load.
pub fn count(notification: &Notification) {
    match notification {
        Notification::Retrying { .. } => METRICS.retries.inc(),
        Notification::PeriodEnded(outcome) => {
            let state = match outcome.state {
                PeriodState::Done => "done",
                PeriodState::Skipped => "skipped",
                PeriodState::Failed => "failed",
            };
            METRICS.periods.with_label_values(&[state]).inc();
            if outcome.state == PeriodState::Done {
                let rows = outcome.rows;
                for (what, rows) in [("written", rows.written), ("quarantined", rows.quarantined)] {
                    METRICS.rows.with_label_values(&[what]).inc_by(rows);
                }
                METRICS.bytes.inc_by(outcome.output.bytes);
            }
        }
        _ => {}
    }
}

/// Counts a load that ended.
pub fn count_end(state: &str) {
    METRICS.ended.with_label_values(&[state]).inc();
}

/// Everything that is counted, as Prometheus reads it.
pub async fn text(registry: &Registry, scheduler: &Scheduler) -> prometheus::Result<Vec<u8>> {
    METRICS.unfinished.reset();
    for (state, loads) in registry.states() {
        let gauge = METRICS.unfinished.with_label_values(&[&state]);
        gauge.set(signed(loads));
    }
    let executors = scheduler.executors().await;
    METRICS.executors.set(signed(executors.len()));
    METRICS.task_slots.set(signed(executors.iter().sum()));
    let mut text = Vec::new();
    TextEncoder::new().encode(&prometheus::gather(), &mut text)?;
    Ok(text)
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
