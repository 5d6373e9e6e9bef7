//! Takes over a target whose status was lost or restored, or that belongs to another dataset:
//! rebuilds the status from the manifests in the work area.
//!
//! A manifest says what its load published, not whether it was committed. The parts show that:
//! nothing of an attempt is visible before its commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plans::lake::{digest8, is_manifest, manifest_folder};
use plans::storage::parts::PartStore;
use serde::Serialize;

use crate::load::days::{Day, Moment, Month};
use crate::load::failure::{Failure, Kind};
use crate::load::terms::LoadRequest;
use crate::publish::commit::settle;
use crate::publish::lease::Clock;
use crate::publish::manifest::Manifest;
use crate::publish::owner;
use crate::publish::stored::Stored;
use crate::publish::target::{Target, TargetOwner, every_part};
use crate::publish::work::Work;
use crate::status::{DayCoverage, Expected, LeaseState, PeriodRecord, State, StatusStore};

/// Strays that a message names.
const SHOWN: usize = 10;

/// What adopting a target needs.
#[derive(Clone, Debug)]
pub struct Adoption<'a> {
    /// The dataset that becomes the owner. Its inputs do not matter.
    pub request: &'a LoadRequest,
    pub status: Arc<dyn StatusStore>,
    pub work: Work,
    pub part_store: Arc<dyn PartStore>,
    pub clock: Clock,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Adopted {
    /// The owner that every folder names now.
    pub owner: TargetOwner,
    pub previous_owner: Option<TargetOwner>,
    pub folders: BTreeSet<String>,
    /// The inputs that the published rows were read from.
    pub inputs: BTreeSet<String>,
    pub periods: Vec<AdoptedPeriod>,
}

/// A period that has published objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdoptedPeriod {
    pub period: Month,
    pub state: State,
    /// False if the status store had the same manifest already.
    pub written: bool,
    pub manifest: String,
    pub days: usize,
    pub objects: u64,
    pub rows: u64,
    /// Objects of the manifest that do not exist. The next load writes their days again.
    pub missing: BTreeSet<String>,
    /// Days with objects whose manifest is gone. The next load writes them again.
    pub unknown_days: BTreeSet<Day>,
}

/// The manifests of one month, by name.
type Manifests = BTreeMap<String, Manifest>;

/// The manifest in force of a month, and what became of it.
struct Head<'a> {
    name: &'a str,
    manifest: &'a Manifest,
    state: State,
    missing: BTreeSet<String>,
}

impl Adoption<'_> {
    /// Writes the records of all periods, and then the owner of the target.
    pub async fn run(&self) -> Result<Adopted, Failure> {
        let target = self.target();
        let owner = target.own().await?;
        let previous_owner = self.previous_owner(&owner).await?;
        let dataset = previous_owner.as_ref().unwrap_or(&owner).dataset.clone();
        let months = self.manifests(&dataset).await?;
        let existing = self.existing_parts().await?;
        let mut heads = Vec::new();
        for manifests in months.values() {
            if let Some(head) = self.head(manifests, &existing).await? {
                heads.push((head, manifests));
            }
        }
        self.refuse_strays(&heads, &existing)?;
        let mut periods = Vec::new();
        let mut inputs = BTreeSet::new();
        for (head, manifests) in heads {
            inputs.extend(head.manifest.inputs.iter().cloned());
            periods.push(self.restored(&owner, head, manifests).await?);
        }
        target.take(&owner).await?;
        Ok(Adopted {
            owner,
            previous_owner,
            folders: target.folders(),
            inputs,
            periods,
        })
    }

    fn target(&self) -> Target<'_> {
        Target {
            request: self.request,
            status: self.status.as_ref(),
            work: &self.work,
            part_store: self.part_store.as_ref(),
        }
    }

    /// The owner that the folders name, if the target can be taken from it.
    async fn previous_owner(&self, wanted: &TargetOwner) -> Result<Option<TargetOwner>, Failure> {
        let target = self.target();
        let mut owners = Vec::new();
        for folder in target.folders() {
            owners.extend(target.owner(&folder).await?);
        }
        owners.dedup();
        let Some(owner) = owners.pop() else {
            return Ok(None);
        };
        if !owners.is_empty() {
            let message = "the folders of the target belong to several datasets";
            let remedy = "give every class of the source its own target";
            return Err(Failure::new(
                Kind::Refused,
                "several_owners",
                message,
                remedy,
            ));
        }
        if (&owner.source, &owner.shape) != (&wanted.source, &wanted.shape) {
            let message = format!(
                "the target holds rows of source {}, shape {}",
                owner.source, owner.shape
            );
            let remedy = "adopt it with that source and --shape, or use another --output";
            return Err(Failure::new(Kind::Refused, "other_rows", message, remedy));
        }
        if owner.state == wanted.state {
            for record in self.status.periods(&owner.dataset).await? {
                self.refuse_running(&record)?;
            }
        }
        Ok(Some(owner))
    }

    fn refuse_running(&self, record: &PeriodRecord) -> Result<(), Failure> {
        match record.lease(Moment((self.clock)())) {
            LeaseState::Held { owner, .. } if !owner::is_gone(&owner) => {
                let message = format!(
                    "{} of {} is being worked on by {owner}",
                    record.period, record.dataset
                );
                let remedy = "wait until the load has ended";
                Err(Failure::new(Kind::Refused, "lease_held", message, remedy))
            }
            _ => Ok(()),
        }
    }

    /// Reads every manifest of the dataset.
    async fn manifests(&self, dataset: &str) -> Result<BTreeMap<Month, Manifests>, Failure> {
        let mut months: BTreeMap<Month, Manifests> = BTreeMap::new();
        let files = self.work.list(&manifest_folder(dataset)).await?;
        for (name, _) in files.into_iter().filter(|(name, _)| is_manifest(name)) {
            let manifest: Manifest = self.work.get(&name).await?;
            self.refuse_other_places(&manifest)?;
            months
                .entry(manifest.period)
                .or_default()
                .insert(name, manifest);
        }
        Ok(months)
    }

    /// The objects of a manifest have to be below the places of the request, as it spells them:
    /// nothing else is ever deleted.
    fn refuse_other_places(&self, manifest: &Manifest) -> Result<(), Failure> {
        let quarantine = self.request.terms.quarantine.trim_end_matches('/');
        let mut folders = self.target().folders();
        folders.insert(quarantine.to_owned());
        let is_below = |uri: &str| {
            let mut folders = folders.iter();
            folders.any(|folder| {
                uri.strip_prefix(folder.as_str())
                    .is_some_and(|rest| rest.starts_with('/'))
            })
        };
        let Some(object) = manifest.live().find(|object| !is_below(&object.uri)) else {
            return Ok(());
        };
        let message = format!(
            "{} is neither in the target nor in the quarantine of this command",
            object.uri
        );
        let remedy = "give --output and --quarantine as the loads that wrote it did";
        Err(Failure::new(Kind::Refused, "other_places", message, remedy))
    }

    /// The parts in the target, of every day.
    async fn existing_parts(&self) -> Result<BTreeSet<String>, Failure> {
        let target = self.target();
        let mut parts = BTreeSet::new();
        for folder in target.folders() {
            let found = target.partitions(&folder, None).await?;
            parts.extend(found.parts.into_iter().map(|(_, uri)| uri));
        }
        Ok(parts)
    }

    /// Finds the newest manifest of a month that was committed.
    async fn head<'a>(
        &self,
        manifests: &'a Manifests,
        existing: &BTreeSet<String>,
    ) -> Result<Option<Head<'a>>, Failure> {
        let mut newest: Vec<(&String, &Manifest)> = manifests.iter().collect();
        newest.sort_by_key(|(_, manifest)| std::cmp::Reverse(manifest.created_at));
        for (name, manifest) in newest {
            let visible = self.visible(manifest, existing).await?;
            let Some(state) = state(manifest, &visible) else {
                continue;
            };
            let added: BTreeSet<&str> = manifest
                .added
                .iter()
                .map(|part| part.uri.as_str())
                .collect();
            let live = manifest.live().map(|object| &object.uri);
            let missing = live.filter(|uri| !visible.contains(*uri));
            let missing =
                missing.filter(|uri| state == State::Done || !added.contains(uri.as_str()));
            return Ok(Some(Head {
                name,
                missing: missing.cloned().collect(),
                manifest,
                state,
            }));
        }
        Ok(None)
    }

    /// The objects that the manifest names and readers see.
    async fn visible(
        &self,
        manifest: &Manifest,
        existing: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, Failure> {
        let folders = self.target().folders();
        let mut visible = BTreeSet::new();
        for uri in every_part(manifest) {
            let is_listed = folders
                .iter()
                .any(|folder| uri.starts_with(folder.as_str()));
            let exists = match is_listed {
                true => existing.contains(&uri),
                false => self.part_store.size(&uri).await?.is_some(),
            };
            if exists {
                visible.insert(uri);
            }
        }
        Ok(visible)
    }

    fn refuse_strays(
        &self,
        heads: &[(Head<'_>, &Manifests)],
        existing: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        let mut named = BTreeSet::new();
        for (head, _) in heads {
            match head.state {
                State::Done => named.extend(head.manifest.live().map(|object| object.uri.clone())),
                _ => named.extend(every_part(head.manifest)),
            }
        }
        let strays: Vec<&str> = existing.difference(&named).map(String::as_str).collect();
        if strays.is_empty() {
            return Ok(());
        }
        let shown = strays[..strays.len().min(SHOWN)].join("\n  ");
        let dots = if strays.len() > SHOWN { "\n  …" } else { "" };
        let message = format!(
            "the target holds {} parts that no manifest in {} names:\n  {shown}{dots}",
            strays.len(),
            self.work.uri()
        );
        let remedy = "give the --work of the loads that wrote them; if their manifests are lost, \
             move these objects away and load their days again";
        Err(Failure::new(
            Kind::Refused,
            "target_has_parts",
            message,
            remedy,
        ))
    }

    /// Writes the period's record, unless the status store has it.
    async fn restored(
        &self,
        owner: &TargetOwner,
        head: Head<'_>,
        manifests: &Manifests,
    ) -> Result<AdoptedPeriod, Failure> {
        let month = head.manifest.period;
        let found = self.status.get(&owner.dataset, month).await?;
        let (mut record, unknown_days) = rebuilt(owner, &head, manifests);
        let bytes = self.work.get_bytes(head.name).await?;
        Stored::of(&self.work, head.name, &bytes).name_in(&mut record);
        let is_same = |found: &PeriodRecord| found.manifest.as_deref() == Some(head.name);
        let written = !found.as_ref().is_some_and(is_same);
        if written {
            let expected = match &found {
                Some(found) => {
                    self.refuse_running(found)?;
                    record.revision = found.revision + 1;
                    record.attempt = record.attempt.max(found.attempt);
                    record.asked_days.extend(&found.asked_days);
                    found.expected()
                }
                None => Expected::Absent,
            };
            self.status.put(&record, &expected).await?;
        }
        Ok(AdoptedPeriod {
            period: month,
            state: record.state,
            written,
            manifest: head.name.to_owned(),
            days: record.covered_days.len(),
            objects: record.objects,
            rows: record.ledger.written,
            missing: head.missing,
            unknown_days,
        })
    }
}

/// The state of a period with this manifest, or `None` if the manifest was not committed, as
/// far as the visible objects show. One without parts is taken as not committed while what it
/// replaces is there: then the manifest before it is in force.
fn state(manifest: &Manifest, visible: &BTreeSet<String>) -> Option<State> {
    if !manifest.repair.is_empty() {
        return Some(State::Repairing);
    }
    let added = manifest.added.iter();
    let added = added.filter(|part| visible.contains(&part.uri)).count();
    let is_replaced = manifest.removed.is_disjoint(visible);
    match (added, manifest.added.len()) {
        (0, 0) if is_replaced => Some(State::Done),
        (0, _) => None,
        (some, all) if some == all && is_replaced => Some(State::Done),
        // Objects that were deleted later look like parts that are not visible yet. If nothing
        // is left to replace, the next load writes them again.
        _ if is_replaced && !manifest.removed.is_empty() => Some(State::Done),
        _ => Some(State::Publishing),
    }
}

/// The record as the load that wrote the manifest left it. Also returns the days with objects
/// that no known manifest loaded.
fn rebuilt(
    owner: &TargetOwner,
    head: &Head<'_>,
    manifests: &Manifests,
) -> (PeriodRecord, BTreeSet<Day>) {
    let manifest = head.manifest;
    let mut record = PeriodRecord::new(&owner.dataset, manifest.period, &owner.source);
    let chain = chain(manifest, manifests);
    // What is being published is settled by the load that finishes it.
    let settled = match head.state {
        State::Publishing => chain.len() - 1,
        _ => chain.len(),
    };
    for manifest in &chain[..settled] {
        settle(&mut record, manifest);
        record
            .covered_days
            .retain(|day, _| !manifest.repair.contains(day));
    }
    let mut unknown = BTreeSet::new();
    for (day, objects) in &manifest.objects {
        let is_loading = manifest.coverage.contains_key(day);
        if !objects.is_empty() && !is_loading && !record.covered_days.contains_key(day) {
            unknown.insert(*day);
            record.covered_days.insert(*day, unknown_coverage(manifest));
            record.asked_days.insert(*day);
            record.load_completed = false;
        }
    }
    let attempt = manifest.attempt.split('-').nth(3);
    record.attempt = attempt.and_then(|number| number.parse().ok()).unwrap_or(1);
    record.load_id.clone_from(&manifest.load_id);
    record.state = head.state;
    record.nonce = Some(manifest.nonce.clone());
    record.started_at = Some(manifest.created_at);
    record.ended_at = Some(manifest.created_at);
    record.revision = 1;
    (record, unknown)
}

/// A manifest and those before it, the oldest first.
fn chain<'a>(head: &'a Manifest, manifests: &'a Manifests) -> Vec<&'a Manifest> {
    let mut chain = vec![head];
    let mut seen = BTreeSet::new();
    let mut previous = head.previous.as_ref();
    while let Some(name) = previous.filter(|name| seen.insert(*name)) {
        let Some(manifest) = manifests.get(name) else {
            break;
        };
        chain.push(manifest);
        previous = manifest.previous.as_ref();
    }
    chain.reverse();
    chain
}

/// No input has these digests, so the day is loaded again and its objects are replaced.
fn unknown_coverage(manifest: &Manifest) -> DayCoverage {
    DayCoverage::new(&digest8("unknown"), "", false, manifest.created_at)
}
