//! Removes what loads left behind in a work area: attempts that no live task owns,
//! their unpublished parts, manifests that nothing refers to, and probes of loads that
//! died while they began.
//!
//! It lists first and reads the status afterwards, so that what begins in between is
//! younger than its listing. Nothing of an attempt is touched before a conditional
//! write has taken it from its owner, and nothing that a committed manifest names.

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
use crate::publish::work::Work;
use crate::status::state::Transition;
use crate::status::{LeaseState, PeriodRecord, State, StatusError, StatusStore};

const MOST_PASSES: u32 = 10;

/// What sweeps, and how careful it is.
#[derive(Clone, Debug)]
pub struct Sweep {
    pub status: Arc<dyn StatusStore>,
    pub cleanup: Cleanup,
    pub clock: Clock,
    /// Nothing younger is touched, nor a lease that ended more recently.
    pub min_age: Duration,
    /// Only tells what it would do.
    pub dry_run: bool,
}

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Attempts, manifests and probes that were removed, or would be, by their names in the
    /// work area.
    pub removed: BTreeSet<String>,
    pub bytes: u64,
    /// Uploads that were aborted, or would be: the URIs that they were for.
    pub aborted: BTreeSet<String>,
    /// Attempts of loads that this status store does not know, and uploads that are none of
    /// a load's: left alone.
    pub unknown: BTreeSet<String>,
    pub passes: u32,
}

/// Something in the work area that may be removed as a whole.
#[derive(Debug)]
struct Remnant {
    bytes: u64,
    newest: DateTime<Utc>,
}

/// What must stay.
#[derive(Debug, Default)]
struct Live {
    attempts: BTreeSet<String>,
    /// Digests of attempts whose uploads are still to be completed.
    digests: BTreeSet<String>,
    manifests: BTreeSet<String>,
}

impl Sweep {
    /// Sweeps until a pass finds nothing: zombies may still have been writing.
    pub async fn run(&self) -> Result<Swept, Failure> {
        let mut swept = Swept::default();
        while swept.passes < MOST_PASSES {
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

    /// Removes what was written only to see whether it can be, and says how much there was.
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

    /// Aborts the uploads of attempts that nobody works on, and says how many there were.
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

    /// The digests of pending parts that belong to an attempt of a load known here.
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

    /// Attempts with work files or unpublished parts.
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

    /// What the status says is alive, after fencing what has been abandoned.
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
        let manifest: Manifest = match self.work().get(name).await {
            Ok(manifest) => manifest,
            Err(error) if error.is_not_found() => {
                live.attempts.extend(of_another_work_area(record, name));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let unsettled = matches!(record.state, State::Publishing | State::Repairing);
        if unsettled || !manifest.repair.is_empty() {
            live.manifests.extend(manifest.previous.clone());
            live.attempts.extend(staged_by(&manifest));
            live.digests.extend(uploaded_by(&manifest));
            live.attempts.insert(manifest.attempt);
        }
        Ok(())
    }

    /// Takes an abandoned attempt from its owner; one that is still owned stays as it is.
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

    /// Whether the status store knows the load whose attempt this is.
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
    /// A running attempt may have written its manifest and not committed it yet.
    fn keeps(&self, manifest: &str) -> bool {
        let of_live =
            attempt_of_manifest(manifest).is_some_and(|attempt| self.attempts.contains(attempt));
        of_live || self.manifests.contains(manifest)
    }
}

/// The attempts whose parts a manifest may name that is not in the swept work area: its
/// dataset has another one, or a wrong one is swept.
fn of_another_work_area(record: &PeriodRecord, manifest: &str) -> Vec<String> {
    let attempts = 1..=record.attempt;
    let names = attempts.map(|n| attempt_name(&record.load_id, record.period, n));
    let writer = attempt_of_manifest(manifest).map(str::to_owned);
    names.chain(writer).collect()
}

/// The digests of the attempts whose parts a manifest names.
fn uploaded_by(manifest: &Manifest) -> BTreeSet<String> {
    let parts = manifest.added.iter().chain(&manifest.losers);
    let digests = parts.filter_map(|part| attempt_digest(&part.uri));
    digests.map(str::to_owned).collect()
}

/// The attempts whose files a manifest names.
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

    /// Files are as old as the test, so the clock has to be far ahead of it.
    fn far() -> DateTime<Utc> {
        "2999-01-01T00:00:00Z".parse().unwrap()
    }

    fn world() -> World {
        let world = World::new();
        world.log("2024-02-01", "one.log", &["a"]);
        world
    }

    #[tokio::test]
    async fn what_a_live_attempt_owns_stays_and_what_was_abandoned_goes() {
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
    async fn the_manifest_in_force_stays_and_older_ones_go() {
        let world = world();
        let mut request = world.request("2024-02-01", "2024-02-01");
        world.run(&request, &[]).await;
        request.terms.full_load = true;
        world.run(&request, &[]).await;
        assert_eq!(world.files("lake/.lakebolt/manifests").len(), 2);
        let swept = sweep(&world, far, Duration::ZERO).run().await.unwrap();
        assert_eq!(swept.removed.len(), 1);
        assert_eq!(world.files("lake/.lakebolt/manifests").len(), 1);
        request.terms.full_load = false;
        assert_eq!(world.run(&request, &[]).await.exit_code, 0);
    }

    #[tokio::test]
    async fn a_probe_whose_load_died_goes_once_it_is_old() {
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
    async fn what_another_state_may_own_is_left_alone() {
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
    async fn a_dataset_with_another_work_area_keeps_no_sweep_from_its_end() {
        let world = world();
        let mut request = world.request("2024-02-01", "2024-02-01");
        world.run(&request, &[]).await;
        request.terms.name = "other".to_owned();
        request.terms.work = world.uri("elsewhere");
        world.run(&request, &[]).await;
        assert_eq!(world.files("elsewhere").len(), 1);
        request.terms.work = world.uri("lake/.lakebolt");
        let abandoned = world.path("lake/.lakebolt/probes/lakebolt-probe-1");
        std::fs::create_dir_all(abandoned.parent().unwrap()).unwrap();
        std::fs::write(&abandoned, "null").unwrap();
        let swept = sweep(&world, far, Duration::ZERO).run().await.unwrap();
        assert_eq!(swept.removed.len(), 1, "{swept:?}");
        assert_eq!(world.files("elsewhere").len(), 1);
    }

    #[tokio::test]
    async fn parts_that_a_broken_manifest_names_stay() {
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
