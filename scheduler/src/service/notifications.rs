//! What happens to a load, as the protocol has it and as observers have it. Pure.

use std::time::Duration;

use super::proto;
use super::proto::watch_response::Event;
use crate::load::notification::{Notification, Progress};
use crate::load::outcome::Volume;
use crate::status::LoadRecord;

/// The event that tells of `notification`.
pub fn event(notification: &Notification) -> Event {
    match notification {
        Notification::Listed { input, periods } => Event::Listed(proto::Listed {
            input: Some(volume(*input)),
            periods: *periods as u64,
        }),
        Notification::PeriodStarted {
            period,
            attempt,
            days,
            splits,
            input,
        } => Event::PeriodStarted(proto::PeriodStarted {
            period: period.clone(),
            attempt: *attempt,
            days: *days as u64,
            splits: *splits as u64,
            input: Some(volume(*input)),
        }),
        Notification::Progress(progress) => Event::Progress(proto::Progress {
            period: progress.period.clone(),
            splits_done: progress.splits_done as u64,
            splits: progress.splits as u64,
            bytes_done: progress.bytes_done,
            bytes: progress.bytes,
            rows: progress.rows,
        }),
        Notification::Retrying { period, why, pause } => Event::Retrying(proto::Retrying {
            period: period.clone(),
            why: why.clone(),
            pause_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        }),
        Notification::PeriodEnded(outcome) => Event::PeriodEnded(proto::PeriodEnded {
            period_json: serde_json::to_string(outcome).unwrap_or_default(),
        }),
        Notification::Warning(text) => Event::Warning(text.clone()),
    }
}

/// What an event tells, if it is of the load's work and this program knows it.
pub fn notification(event: Event) -> Option<Notification> {
    Some(match event {
        Event::Listed(listed) => Notification::Listed {
            input: read_volume(listed.input),
            periods: size(listed.periods),
        },
        Event::PeriodStarted(started) => Notification::PeriodStarted {
            period: started.period,
            attempt: started.attempt,
            days: size(started.days),
            splits: size(started.splits),
            input: read_volume(started.input),
        },
        Event::Progress(progress) => Notification::Progress(Progress {
            period: progress.period,
            splits_done: size(progress.splits_done),
            splits: size(progress.splits),
            bytes_done: progress.bytes_done,
            bytes: progress.bytes,
            rows: progress.rows,
        }),
        Event::Retrying(retrying) => Notification::Retrying {
            period: retrying.period,
            why: retrying.why,
            pause: Duration::from_millis(retrying.pause_ms),
        },
        Event::PeriodEnded(ended) => {
            Notification::PeriodEnded(serde_json::from_str(&ended.period_json).ok()?)
        }
        Event::Warning(text) => Notification::Warning(text),
        Event::Standing(_) | Event::Ended(_) => return None,
    })
}

/// A load's record as it travels.
pub fn info(record: &LoadRecord) -> proto::LoadInfo {
    let outcome = record.outcome.as_ref();
    proto::LoadInfo {
        load_id: record.load_id.clone(),
        dataset: record.dataset.clone(),
        source: record.source.clone(),
        state: record.state.as_str().to_owned(),
        started_at_ms: record.started_at.0.timestamp_millis(),
        ended_at_ms: record.ended_at.map(|ended| ended.0.timestamp_millis()),
        outcome_json: outcome.map(serde_json::Value::to_string),
    }
}

fn volume(volume: Volume) -> proto::Volume {
    proto::Volume {
        objects: volume.objects,
        bytes: volume.bytes,
    }
}

fn read_volume(volume: Option<proto::Volume>) -> Volume {
    let volume = volume.unwrap_or_default();
    Volume {
        objects: volume.objects,
        bytes: volume.bytes,
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::outcome::{PeriodOutcome, PeriodState};

    #[test]
    fn what_happens_arrives_as_it_was_told() {
        let input = Volume {
            objects: 3,
            bytes: 400,
        };
        let ended = PeriodOutcome::new("2024-01", Vec::new(), PeriodState::Done, "new");
        for told in [
            Notification::Listed { input, periods: 2 },
            Notification::PeriodStarted {
                period: "2024-01".to_owned(),
                attempt: 2,
                days: 31,
                splits: 7,
                input,
            },
            Notification::Progress(Progress {
                period: "2024-01".to_owned(),
                splits_done: 1,
                splits: 7,
                bytes_done: 10,
                bytes: 400,
                rows: 99,
            }),
            Notification::Retrying {
                period: "2024-01".to_owned(),
                why: "lost".to_owned(),
                pause: Duration::from_millis(1500),
            },
            Notification::PeriodEnded(Box::new(ended)),
            Notification::Warning("stale".to_owned()),
        ] {
            assert_eq!(notification(event(&told)), Some(told));
        }
    }
}
