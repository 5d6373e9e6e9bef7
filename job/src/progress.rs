//! Progress on stderr: on a terminal a bar for each running period, else a line for each
//! change of state and one every ten seconds in between.

use std::collections::HashMap;
use std::io;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use scheduler::load::notification::{Notification, Observer, Progress};
use scheduler::load::outcome::{PeriodOutcome, PeriodState};

use crate::settings::ProgressKind;
use crate::table::{bytes, count, plural, seconds};

/// Time between two lines of a running period.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
const TEMPLATE: &str = "{prefix:>10} {bar:24} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {msg} eta {eta}";

/// Prints the progress of a load.
#[derive(Debug)]
pub(crate) struct Reporter {
    mode: Mode,
    bars: MultiProgress,
    running: Mutex<HashMap<String, Running>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Bars,
    Lines,
    Silent,
}

#[derive(Debug)]
struct Running {
    bar: ProgressBar,
    since: Instant,
    /// When its last line was printed.
    last_line: Instant,
}

impl Reporter {
    /// A reporter of the requested kind; `bars` is shared with the logs.
    pub(crate) fn new(kind: ProgressKind, quiet: bool, bars: MultiProgress) -> Self {
        let mode = match kind {
            _ if quiet => Mode::Silent,
            ProgressKind::None => Mode::Silent,
            ProgressKind::Plain => Mode::Lines,
            ProgressKind::Auto if io::stderr().is_terminal() => Mode::Bars,
            ProgressKind::Auto => Mode::Lines,
        };
        Self {
            mode,
            bars,
            running: Mutex::default(),
        }
    }

    /// Prints a line that belongs to no period.
    pub(crate) fn note(&self, line: &str) {
        if self.mode != Mode::Silent {
            self.print(line);
        }
    }

    fn start(&self, period: &str, total: u64) {
        let bar = match self.mode {
            Mode::Bars => self.bars.add(ProgressBar::new(total)),
            Mode::Lines | Mode::Silent => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template(TEMPLATE);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(period.to_owned());
        let since = Instant::now();
        let running = Running {
            bar,
            since,
            last_line: since,
        };
        if let Some(earlier) = self.running().insert(period.to_owned(), running) {
            earlier.bar.finish_and_clear();
        }
    }

    /// A line about a running period, if its last one is old enough.
    fn step(&self, progress: &Progress) -> Option<String> {
        let mut running = self.running();
        let period = running.get_mut(&progress.period)?;
        if period.last_line.elapsed() < LINE_INTERVAL {
            return None;
        }
        period.last_line = Instant::now();
        Some(step(progress, period.since.elapsed()))
    }

    fn advance(&self, progress: &Progress) {
        let running = self.running();
        let Some(period) = running.get(&progress.period) else {
            return;
        };
        period.bar.set_length(progress.bytes);
        period.bar.set_position(progress.bytes_done);
        let rate = per_second(progress.rows, period.since.elapsed().as_secs_f64());
        let rows = count(progress.rows);
        period
            .bar
            .set_message(format!("{rows} rows {}/s", count(rate)));
    }

    fn end(&self, period: &str) {
        if let Some(running) = self.running().remove(period) {
            running.bar.finish_and_clear();
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, line: &str) {
        self.bars.suspend(|| {
            // If stderr is closed, the load continues without progress.
            let _ = writeln!(io::stderr(), "{line}");
        });
    }
}

impl Observer for Reporter {
    fn observe(&self, notification: &Notification) {
        if self.mode == Mode::Silent {
            return;
        }
        match notification {
            Notification::PeriodStarted { period, input, .. } => self.start(period, input.bytes),
            Notification::Progress(progress) if self.mode == Mode::Bars => self.advance(progress),
            Notification::Progress(progress) => {
                if let Some(line) = self.step(progress) {
                    self.print(&line);
                }
            }
            Notification::PeriodEnded(outcome) => self.end(&outcome.period),
            _ => {}
        }
        if let Some(line) = line(notification) {
            self.print(&line);
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is shown, and is never negative"
)]
fn per_second(rows: u64, elapsed: f64) -> u64 {
    (rows as f64 / elapsed.max(0.001)) as u64
}

/// The line of a running period: how much is read, how fast, and the time left.
fn step(progress: &Progress, elapsed: Duration) -> String {
    let Progress {
        period,
        splits_done,
        splits,
        bytes_done,
        bytes: total,
        rows,
    } = progress;
    let (done, total) = (*bytes_done, *total);
    let elapsed = elapsed.as_secs_f64();
    let mut line = format!(
        "{period}: {} of {} splits, {} of {}, {} at {}/s",
        count(*splits_done as u64),
        count(*splits as u64),
        bytes(done),
        bytes(total),
        plural(*rows, "row"),
        count(per_second(*rows, elapsed)),
    );
    #[expect(clippy::cast_precision_loss, reason = "a time is shown")]
    if done > 0 {
        let left = elapsed * total.saturating_sub(done) as f64 / done as f64;
        line += &format!(", {} left", seconds(left));
    }
    line
}

/// The line for a change of state.
fn line(notification: &Notification) -> Option<String> {
    match notification {
        Notification::Listed { input, periods } => Some(format!(
            "{} in {}, {} to examine",
            plural(input.objects, "input object"),
            bytes(input.bytes),
            plural(*periods as u64, "period"),
        )),
        Notification::PeriodStarted {
            period,
            attempt,
            days,
            input,
            ..
        } => Some(format!(
            "{period}: attempt {attempt}, {}, {}, {}",
            plural(*days as u64, "day"),
            plural(input.objects, "object"),
            bytes(input.bytes),
        )),
        Notification::Retrying { period, why, pause } => {
            let pause = seconds(pause.as_secs_f64());
            Some(format!("{period}: retrying in {pause}: {why}"))
        }
        Notification::PeriodEnded(outcome) => Some(ended(outcome)),
        Notification::Warning(text) => Some(format!("warning: {text}")),
        Notification::Progress(_) => None,
    }
}

fn ended(outcome: &PeriodOutcome) -> String {
    let period = &outcome.period;
    match outcome.state {
        PeriodState::Skipped => format!("{period}: skipped, {}", outcome.reason),
        PeriodState::Failed => {
            let error = outcome
                .error
                .as_ref()
                .map_or("", |error| error.message.as_str());
            format!("{period}: failed: {error}")
        }
        PeriodState::Done => format!(
            "{period}: done, {} written, {} quarantined, {} in {}",
            plural(outcome.rows.written, "row"),
            count(outcome.rows.quarantined),
            plural(outcome.output.objects, "object"),
            seconds(outcome.seconds),
        ),
    }
}

#[cfg(test)]
mod tests {
    use scheduler::load::outcome::Volume;

    use super::*;

    #[test]
    fn the_line_of_a_started_period_names_its_input() {
        let started = Notification::PeriodStarted {
            period: "2024-01".to_owned(),
            attempt: 2,
            days: 1,
            splits: 4,
            input: Volume {
                objects: 1200,
                bytes: 2_000_000,
            },
        };
        let expected = "2024-01: attempt 2, 1 day, 1,200 objects, 2.0 MB";
        assert_eq!(line(&started).as_deref(), Some(expected));
    }

    #[test]
    fn progress_within_a_period_is_no_change_of_state() {
        assert_eq!(line(&Notification::Progress(Progress::default())), None);
    }

    #[test]
    fn a_line_of_a_running_period_has_progress_rate_and_time_left() {
        let progress = Progress {
            period: "2024-01".to_owned(),
            splits_done: 3,
            splits: 1200,
            bytes_done: 2_000_000,
            bytes: 8_000_000,
            rows: 60_000,
        };
        let expected =
            "2024-01: 3 of 1,200 splits, 2.0 MB of 8.0 MB, 60,000 rows at 3,000/s, 1 min 0 s left";
        assert_eq!(step(&progress, Duration::from_secs(20)), expected);
        let just_started = Progress {
            bytes_done: 0,
            rows: 0,
            ..progress
        };
        let expected = "2024-01: 3 of 1,200 splits, 0 B of 8.0 MB, 0 rows at 0/s";
        assert_eq!(step(&just_started, Duration::from_secs(20)), expected);
    }

    #[test]
    fn the_line_of_a_skipped_period_has_its_reason() {
        let skipped = PeriodOutcome::new("2024-01", Vec::new(), PeriodState::Skipped, "covered");
        let text = line(&Notification::PeriodEnded(Box::new(skipped)));
        assert_eq!(text.as_deref(), Some("2024-01: skipped, covered"));
    }
}
