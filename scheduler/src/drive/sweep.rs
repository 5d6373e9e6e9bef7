//! Removes files that loads left behind in a work area:
//! - attempts that no running load owns, with their unpublished parts,
//! - manifests that nothing refers to,
//! - probes of loads that died while they started.
//!
//! The sweep lists first and reads the status afterwards, so anything started in between is
//! younger than the listing. It removes an attempt only after a conditional write has taken it
//! from its owner. It never removes anything that a committed manifest names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use plans::lake::{
    ATTEMPTS, MANIFESTS, PROBES, STAGING, attempt_digest, attempt_name, attempt_of_file,
    attempt_of_manifest, attempt_of_staged, digest8, is_probe, load_of, part_day,
};
use plans::storage::parts::{Pending, Staged};
use serde::Serialize;
use tracing::info;

use crate::load::days::{Day, Moment, Month};
use crate::load::failure::Failure;
use crate::publish::cleanup::Cleanup;
use crate::publish::lease::Clock;
use crate::publish::manifest::Manifest;
use crate::publish::owner;
use crate::publish::stored;
use crate::publish::work::Work;
use crate::status::state::Transition;
use crate::status::{LeaseState, PeriodRecord, State, StatusError, StatusStore};

const MAX_PASSES: u32 = 10;

/// The settings of a sweep.
#[derive(Clone, Debug)]
pub struct Sweep {
    pub status: Arc<dyn StatusStore>,
    pub cleanup: Cleanup,
    pub clock: Clock,
    /// Files younger than this stay. So do leases that ended more recently.
    pub min_age: Duration,
    /// Only reports; removes nothing.
    pub dry_run: bool,
}

/// The result of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Names in the work area of removed attempts, manifests and probes. In a dry run, of
    /// those that would be removed.
    pub removed: BTreeSet<String>,
    pub bytes: u64,
    /// URIs of aborted uploads. In a dry run, of those that would be aborted.
    pub aborted: BTreeSet<String>,
    /// Attempts and uploads that do not belong to a load of this status store. They are left
    /// alone.
    pub unknown: BTreeSet<String>,
    pub passes: u32,
}

/// An attempt, manifest or probe in the work area.
#[derive(Debug)]
struct Remnant {
    bytes: u64,
    newest: DateTime<Utc>,
}

/// The names that must be kept.
#[derive(Debug, Default)]
struct Live {
    attempts: BTreeSet<String>,
    /// Digests of attempts whose uploads still have to be completed.
    digests: BTreeSet<String>,
    manifests: BTreeSet<String>,
}

impl Sweep {
    /// Repeats passes until one finds nothing, because workers of fenced attempts may still be
    /// writing.
    pub async fn run(&self) -> Result<Swept, Failure> {
        let mut swept = Swept::default();
        while swept.passes < MAX_PASSES {
            swept.passes += 1;
            let found = self.pass(&mut swept).await?;
            if found == 0 || self.dry_run {
                break;
            }
        }
        Ok(swept)
    }

    async fn pass(&self, swept: &mut Swept) -> Result<usize, Failure> {
        let attempts = self.attempts().await?;
        let manifests = self.manifests().await?;
        let pending = self.cleanup.pending().await?;
        let live = self.live().await?;
        let mut found = self.abort(pending, &live, swept).await?;
        for (name, remnant) in attempts {
            if live.attempts.contains(&name) || !self.is_old(remnant.newest) {
                continue;
            }
            if !self.is_known(&name).await? {
                swept.unknown.insert(name);
                continue;
            }
            found += 1;
            self.remove(swept, &name, remnant.bytes);
            if !self.dry_run {
                self.work().remove_attempt(&name).await?;
            }
        }
        for (name, remnant) in manifests {
            if live.keeps(&name) || !self.is_old(remnant.newest) || !self.is_ours(&name).await? {
                continue;
            }
            found += 1;
            self.remove(swept, &name, remnant.bytes);
            if !self.dry_run {
                self.work().remove(&name).await?;
            }
        }
        found += self.probes(swept).await?;
        Ok(found)
    }

    /// Removes old probes and returns how many it found.
    async fn probes(&self, swept: &mut Swept) -> Result<usize, Failure> {
        let mut found = 0;
        for (name, meta) in self.work().list(PROBES).await? {
            if !is_probe(&name) || !self.is_old(meta.last_modified) {
                continue;
            }
            found += 1;
            self.remove(swept, &name, meta.size);
            if !self.dry_run {
                self.work().remove(&name).await?;
            }
        }
        Ok(found)
    }

    /// Aborts the uploads of abandoned attempts and returns how many it found.
    async fn abort(
        &self,
        pending: Vec<Pending>,
        live: &Live,
        swept: &mut Swept,
    ) -> Result<usize, Failure> {
        if pending.is_empty() {
            return Ok(0);
        }
        let mut alive: BTreeSet<String> = live.attempts.iter().map(|name| digest8(name)).collect();
        alive.extend(live.digests.iter().cloned());
        let known = self.known_digests(&pending).await?;
        let mut found = 0;
        for Pending { handle, since } in pending {
            let digest = attempt_digest(&handle.uri);
            if digest.is_some_and(|digest| alive.contains(digest)) || !self.is_old(since) {
                continue;
            }
            if !digest.is_some_and(|digest| known.contains(digest)) && !is_probe(&handle.uri) {
                swept.unknown.insert(handle.uri);
                continue;
            }
            found += 1;
            info!("sweeping the upload of {}", handle.uri);
            if !self.dry_run {
                self.cleanup.part_store.abort(&handle).await?;
            }
            swept.aborted.insert(handle.uri);
        }
        Ok(found)
    }

    /// The digests of pending parts whose load is in this status store.
    async fn known_digests(&self, pending: &[Pending]) -> Result<BTreeSet<String>, Failure> {
        let mut asked: BTreeMap<Month, BTreeSet<&str>> = BTreeMap::new();
        for part in pending.iter().filter(|part| self.is_old(part.since)) {
            let uri = &part.handle.uri;
            if let (Some(digest), Some(day)) = (attempt_digest(uri), part_day(uri)) {
                asked.entry(Day(day).month()).or_default().insert(digest);
            }
        }
        let mut known = BTreeSet::new();
        if asked.is_empty() {
            return Ok(known);
        }
        let loads = self.status.load_ids().await?;
        for dataset in self.status.datasets().await? {
            for record in self.status.periods(&dataset).await? {
                let Some(asked) = asked.get(&record.period) else {
                    continue;
                };
                for load in &loads {
                    let attempts = 1..=record.attempt;
                    let names = attempts.map(|n| attempt_name(load, record.period, n));
                    let digests = names.map(|name| digest8(&name));
                    known.extend(digests.filter(|digest| asked.contains(digest.as_str())));
                }
            }
        }
        Ok(known)
    }

    fn work(&self) -> &Work {
        &self.cleanup.work
    }

    #[expect(clippy::unused_self, reason = "says who removes")]
    fn remove(&self, swept: &mut Swept, name: &str, bytes: u64) {
        info!(bytes, "sweeping {name}");
        swept.removed.insert(name.to_owned());
        swept.bytes += bytes;
    }

    /// Finds attempts with work files or unpublished parts.
    async fn attempts(&self) -> Result<BTreeMap<String, Remnant>, Failure> {
        let mut found = BTreeMap::new();
        for folder in [ATTEMPTS, STAGING] {
            for (name, meta) in self.work().list(folder).await? {
                let attempt = attempt_of_file(&name).unwrap_or_default().to_owned();
                add(&mut found, attempt, meta.size, meta.last_modified);
            }
        }
        Ok(found)
    }

    async fn manifests(&self) -> Result<BTreeMap<String, Remnant>, Failure> {
        let mut found = BTreeMap::new();
        for (name, meta) in self.work().list(MANIFESTS).await? {
            add(&mut found, name, meta.size, meta.last_modified);
        }
        Ok(found)
    }

    /// Collects the names that the status store still needs. Fences abandoned attempts first.
    async fn live(&self) -> Result<Live, Failure> {
        let mut live = Live::default();
        for dataset in self.status.datasets().await? {
            for record in self.status.periods(&dataset).await? {
                let record = self.fenced(record).await?;
                self.keep(&record, &mut live).await?;
            }
        }
        Ok(live)
    }

    async fn keep(&self, record: &PeriodRecord, live: &mut Live) -> Result<(), Failure> {
        if record.state == State::Running {
            let name = attempt_name(&record.load_id, record.period, record.attempt);
            live.attempts.insert(name);
        }
        let Some(name) = &record.manifest else {
            return Ok(());
        };
        live.manifests.insert(name.clone());
        let manifest = match stored::read(self.work(), record).await {
            Ok(Some((_, manifest))) => manifest,
            Ok(None) => return Ok(()),
            Err(error) if error.is_not_found() => {
                live.attempts.extend(of_another_work_area(record, name));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        live.manifests.extend(manifest.lists.values().cloned());
        let unsettled = matches!(record.state, State::Publishing | State::Repairing);
        if unsettled || !manifest.repair.is_empty() {
            if let Some(previous) = &manifest.previous {
                live.manifests.insert(previous.clone());
                // Missing if it was replaced long ago.
                if let Ok(previous) = self.work().get::<Manifest>(previous).await {
                    live.manifests.extend(previous.lists.into_values());
                }
            }
            live.attempts.extend(staged_by(&manifest));
            live.digests.extend(uploaded_by(&manifest));
            live.attempts.insert(manifest.attempt);
        }
        Ok(())
    }

    /// Fences an abandoned attempt. A record with a live owner is returned unchanged.
    async fn fenced(&self, record: PeriodRecord) -> Result<PeriodRecord, Failure> {
        if record.state != State::Running || !self.is_abandoned(&record) || self.dry_run {
            return Ok(record);
        }
        let mut taken = record.revised();
        taken.state = taken
            .state
            .after(Transition::Broke { retryable: true })
            .map_err(|error| Failure::from(crate::publish::lease::LeaseError::from(error)))?;
        taken.attempt += 1;
        taken.lease_owner = None;
        taken.lease_until = None;
        match self.status.put(&taken, &record.expected()).await {
            Ok(()) => Ok(taken),
            Err(StatusError::Conflict { current }) => Ok(current.map_or(record, |now| *now)),
            Err(error) => Err(error.into()),
        }
    }

    fn is_abandoned(&self, record: &PeriodRecord) -> bool {
        let before = (self.clock)().checked_sub_signed(self.age());
        match record.lease(Moment(before.unwrap_or(DateTime::<Utc>::MIN_UTC))) {
            LeaseState::Held { owner, .. } => owner::is_gone(&owner),
            LeaseState::Free | LeaseState::Expired { .. } => true,
        }
    }

    /// Returns whether the attempt's load is in the status store.
    async fn is_known(&self, attempt: &str) -> Result<bool, Failure> {
        Ok(self.status.load(load_of(attempt)).await?.is_some())
    }

    async fn is_ours(&self, manifest: &str) -> Result<bool, Failure> {
        match attempt_of_manifest(manifest) {
            Some(attempt) => self.is_known(attempt).await,
            None => Ok(false),
        }
    }

    fn is_old(&self, newest: DateTime<Utc>) -> bool {
        (self.clock)() - newest >= self.age()
    }

    fn age(&self) -> TimeDelta {
        TimeDelta::from_std(self.min_age).unwrap_or(TimeDelta::MAX)
    }
}

impl Live {
    /// A running attempt may have written its manifest but not committed it yet.
    fn keeps(&self, manifest: &str) -> bool {
        let of_live =
            attempt_of_manifest(manifest).is_some_and(|attempt| self.attempts.contains(attempt));
        of_live || self.manifests.contains(manifest)
    }
}

/// The attempts whose parts may be named by a manifest outside the swept work area. The
/// dataset may use another work area, or the wrong one is being swept.
fn of_another_work_area(record: &PeriodRecord, manifest: &str) -> Vec<String> {
    let attempts = 1..=record.attempt;
    let names = attempts.map(|n| attempt_name(&record.load_id, record.period, n));
    let writer = attempt_of_manifest(manifest).map(str::to_owned);
    names.chain(writer).collect()
}

/// The digests of the attempts whose uploads a manifest names.
fn uploaded_by(manifest: &Manifest) -> BTreeSet<String> {
    let parts = manifest.added.iter().chain(&manifest.losers);
    let digests = parts.filter_map(|part| attempt_digest(&part.uri));
    digests.map(str::to_owned).collect()
}

/// The attempts whose staged files a manifest names.
fn staged_by(manifest: &Manifest) -> BTreeSet<String> {
    let parts = manifest.added.iter().chain(&manifest.losers);
    let paths = parts.filter_map(|part| match &part.staged {
        Staged::File { path } => Some(path),
        Staged::Upload { .. } => None,
    });
    let attempts = paths.filter_map(|path| attempt_of_staged(path));
    attempts.map(str::to_owned).collect()
}

fn add(found: &mut BTreeMap<String, Remnant>, name: String, bytes: u64, modified: DateTime<Utc>) {
    let remnant = found.entry(name).or_insert(Remnant {
        bytes: 0,
        newest: modified,
    });
    remnant.bytes += bytes;
    remnant.newest = remnant.newest.max(modified);
}

#[cfg(test)]
mod tests {
    use plans::storage::{Access, parts};

    use super::*;
    use crate::drive::tests::fakes::{Engine, Fault, World, later, noon};

    fn sweep(world: &World, clock: Clock, min_age: Duration) -> Sweep {
        Sweep {
            status: world.status.clone(),
            cleanup: Cleanup {
                work: Work::open(&world.uri("lake/.lakebolt")).unwrap(),
                part_store: parts::open("file:///", "/", &Access::default())
                    .unwrap()
                    .part_store,
                folders: BTreeSet::new(),
            },
            clock,
            min_age,
            dry_run: false,
        }
    }

    /// Files are as old as the test, so the clock must be far in the future.
    fn far() -> DateTime<Utc> {
        "2999-01-01T00:00:00Z".parse().unwrap()
    }

    fn world() -> World {
        let world = World::new();
        world.log("2024-02-01", "one.log", &["a"]);
        world
    }

    #[tokio::test]
    async fn live_attempts_are_kept_and_abandoned_ones_removed() {
        let world = world();
        let engine = Engine::with(&[Fault::WaitsLate]);
        let driver = world.driver(&engine, noon);
        let request = world.request("2024-02-01", "2024-02-01");
        let running = tokio::spawn(async move { driver.run(&request).await });
        engine.reached.notified().await;
        let swept = sweep(&world, noon, Duration::ZERO).run().await.unwrap();
        assert!(swept.removed.is_empty());
        running.abort();
        let _ = running.await;
        let swept = sweep(&world, far, Duration::from_secs(60))
            .run()
            .await
            .unwrap();
        assert_eq!((swept.removed.len(), swept.passes), (1, 2));
        assert!(world.files("lake/.lakebolt").is_empty());
        let outcome = world.driver(&Engine::with(&[]), later);
        let outcome = outcome
            .run(&world.request("2024-02-01", "2024-02-01"))
            .await;
        assert_eq!(outcome.exit_code, 0);
        assert_eq!(world.rows(), ["a"]);
    }

    #[tokio::test]
    async fn the_current_manifest_is_kept_and_older_ones_removed() {
        let world = world();
        let mut request = world.request("2024-02-01", "2024-02-01");
        world.run(&request, &[]).await;
        request.terms.full_load = true;
        world.run(&request, &[]).await;
        let each = 2; // A manifest and its list of objects.
        assert_eq!(world.files("lake/.lakebolt/manifests").len(), 2 * each);
        let swept = sweep(&world, far, Duration::ZERO).run().await.unwrap();
        assert_eq!(swept.removed.len(), each);
        assert_eq!(world.files("lake/.lakebolt/manifests").len(), each);
        request.terms.full_load = false;
        assert_eq!(world.run(&request, &[]).await.exit_code, 0);
    }

    #[tokio::test]
    async fn an_old_probe_of_a_dead_load_is_removed() {
        let world = world();
        let probe = world.path("lake/.lakebolt/probes/lakebolt-probe-1");
        std::fs::create_dir_all(probe.parent().unwrap()).unwrap();
        std::fs::write(&probe, "null").unwrap();
        let young = sweep(&world, noon, Duration::from_secs(60)).run().await;
        assert!(young.unwrap().removed.is_empty());
        let old = sweep(&world, far, Duration::from_secs(60)).run().await;
        let removed = old.unwrap().removed;
        assert!(removed.contains("probes/lakebolt-probe-1"), "{removed:?}");
        assert!(!probe.exists());
    }

    #[tokio::test]
    async fn attempts_unknown_to_the_status_store_are_left_alone() {
        let world = world();
        world
            .run(&world.request("2024-02-01", "2024-02-01"), &[])
            .await;
        let foreign = world.path("lake/.lakebolt/staging/abc-2024-02-1/part");
        std::fs::create_dir_all(foreign.parent().unwrap()).unwrap();
        std::fs::write(&foreign, "x").unwrap();
        let swept = sweep(&world, far, Duration::ZERO).run().await.unwrap();
        assert!(swept.unknown.contains("abc-2024-02-1"));
        assert!(foreign.exists());
    }

    #[tokio::test]
    async fn a_dataset_with_another_work_area_does_not_stop_the_sweep() {
        let world = world();
        let mut request = world.request("2024-02-01", "2024-02-01");
        world.run(&request, &[]).await;
        request.terms.output = world.uri("other-lake");
        request.terms.work = world.uri("other");
        world.run(&request, &[]).await;
        assert_eq!(world.files("other").len(), 2, "a manifest and its list");
        request.terms.work = world.uri("lake/.lakebolt");
        let abandoned = world.path("lake/.lakebolt/probes/lakebolt-probe-1");
        std::fs::create_dir_all(abandoned.parent().unwrap()).unwrap();
        std::fs::write(&abandoned, "null").unwrap();
        let swept = sweep(&world, far, Duration::ZERO).run().await.unwrap();
        assert_eq!(swept.removed.len(), 1, "{swept:?}");
        assert_eq!(world.files("other").len(), 2);
    }

    #[tokio::test]
    async fn parts_named_by_a_broken_manifest_are_kept() {
        let world = world();
        let mut request = world.request("2024-02-01", "2024-02-01");
        request.terms.max_attempts = 1;
        world.run(&request, &[Fault::LosesPart]).await;
        let manifests = world.files("lake/.lakebolt/manifests").len();
        sweep(&world, far, Duration::ZERO).run().await.unwrap();
        assert_eq!(world.files("lake/.lakebolt/manifests").len(), manifests);
        assert_eq!(world.run(&request, &[]).await.exit_code, 0);
        assert_eq!(world.rows(), ["a"]);
    }
}
