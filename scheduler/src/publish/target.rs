//! The owner of a target: one dataset of one status store writes to a folder (ADR 0017).
//!
//! The owner is named by a file in each folder that parts go to. It is created conditionally,
//! so of two loads that start at once one is refused. Whatever spelling, name, shape or status
//! store a later load has, it finds the file.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use plans::lake::{
    ACCOUNT_FOLDER, REGION_FOLDER, attempt_digest, day_of_folder, is_hidden, owner_file,
};
use plans::storage::parts::{PartError, PartStore};
use plans::storage::{Cause, canonical};
use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use super::work::{Work, WorkError};
use crate::load::dataset;
use crate::load::days::{Day, Month};
use crate::load::failure::{Failure, Kind};
use crate::load::places;
use crate::load::places::Misplaced;
use crate::load::terms::LoadRequest;
use crate::status::{PeriodRecord, StatusError, StatusStore};

/// The version of the owner file that this program writes.
const SCHEMA_VERSION: u32 = 1;
const AT_ONCE: usize = 32;

/// Who writes to a target folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetOwner {
    pub schema_version: u32,
    /// The dataset's name in the status store.
    pub dataset: String,
    /// The id of the status store.
    pub state: String,
    pub source: String,
    /// The value of `--as`.
    pub name: String,
    /// `ocsf` or `raw`.
    pub shape: String,
    /// `--output`, as the owner's loads spell it.
    pub output: String,
}

impl TargetOwner {
    /// Whether both are the same dataset of the same status store.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.dataset, &self.state) == (&other.dataset, &other.state)
    }
}

/// Why a target cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("{}", owned(folder, owner, wanted))]
    Owned {
        folder: String,
        owner: Box<TargetOwner>,
        wanted: Box<TargetOwner>,
    },
    #[error("{folder} holds {count} parts that no manifest of {dataset} names, such as {first}")]
    Unnamed {
        folder: String,
        count: usize,
        dataset: String,
        first: String,
    },
    #[error("{uri}: is not the owner file of a target: {what}")]
    Unreadable { uri: String, what: String },
    #[error(transparent)]
    Part(#[from] PartError),
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error(transparent)]
    Status(#[from] StatusError),
}

fn owned(folder: &str, owner: &TargetOwner, wanted: &TargetOwner) -> String {
    if owner.dataset == wanted.dataset {
        let (owner, wanted) = (&owner.state, &wanted.state);
        return format!("{folder} belongs to the status store {owner}, and this one is {wanted}");
    }
    let TargetOwner {
        dataset,
        source,
        name,
        shape,
        output,
        ..
    } = owner;
    format!(
        "{folder} belongs to dataset {dataset}: source {source}, --as {name}, --shape {shape}, \
         --output {output}"
    )
}

/// The folders that a load writes events to, and what is needed to check them.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub request: &'a LoadRequest,
    pub status: &'a dyn StatusStore,
    pub work: &'a Work,
    pub part_store: &'a dyn PartStore,
}

/// What the partitions of some days hold.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    /// URIs of parts that have the names of this program, by day.
    pub(crate) parts: Vec<(Day, String)>,
    /// URIs of other objects that readers list.
    pub(crate) foreign: Vec<String>,
}

impl Target<'_> {
    /// The folders that parts go to.
    pub fn folders(&self) -> BTreeSet<String> {
        dataset::targets(self.request).into_values().collect()
    }

    /// The owner that the request's loads write to the folders.
    pub async fn own(&self) -> Result<TargetOwner, TargetError> {
        Ok(TargetOwner {
            schema_version: SCHEMA_VERSION,
            dataset: dataset::id(self.request),
            state: self.status.id().await?,
            source: self.request.source.name.clone(),
            name: self.request.terms.name.clone(),
            shape: dataset::shape(self.request).to_owned(),
            output: self.request.terms.output.clone(),
        })
    }

    /// The owner that `folder` names.
    pub async fn owner(&self, folder: &str) -> Result<Option<TargetOwner>, TargetError> {
        let uri = owner_file(folder);
        let Some(bytes) = self.part_store.read(&uri).await? else {
            return Ok(None);
        };
        let owner = serde_json::from_slice(&bytes);
        owner.map(Some).map_err(|error| TargetError::Unreadable {
            uri,
            what: error.to_string(),
        })
    }

    /// Refuses a target of another owner. Writes nothing.
    pub async fn check_owner(&self) -> Result<(), TargetError> {
        let mut wanted = None;
        for folder in self.folders() {
            let Some(owner) = self.owner(&folder).await? else {
                continue;
            };
            let wanted = match &wanted {
                Some(wanted) => wanted,
                None => wanted.insert(self.own().await?),
            };
            refuse_other(folder, owner, wanted)?;
        }
        Ok(())
    }

    /// Makes the folders the dataset's own, or refuses them. `days` are to be loaded: the
    /// partitions of those that were never loaded must not hold parts. Returns warnings.
    pub async fn occupy(&self, days: &BTreeSet<Day>) -> Result<Vec<String>, TargetError> {
        let wanted = self.own().await?;
        let records = self.status.periods(&wanted.dataset).await?;
        let is_known = records.iter().any(|record| record.manifest.is_some());
        let covered = |day: &&Day| {
            let mut records = records.iter();
            records.any(|record| record.covered_days.contains_key(day))
        };
        let new: BTreeSet<Day> = days.iter().filter(|day| !covered(day)).copied().collect();
        let mut warnings = Vec::new();
        for folder in self.folders() {
            let owner = self.owner(&folder).await?;
            let is_owned = owner.is_some();
            if let Some(owner) = owner {
                refuse_other(folder.clone(), owner, &wanted)?;
            }
            // In a folder that nothing is known about, the parts of every day are a surprise.
            let days = (is_owned || is_known).then_some(&new);
            warnings.extend(self.check_partitions(&folder, days, &wanted).await?);
            if !is_owned {
                self.create(&folder, &wanted).await?;
            }
        }
        Ok(warnings)
    }

    async fn create(&self, folder: &str, wanted: &TargetOwner) -> Result<(), TargetError> {
        let uri = owner_file(folder);
        if self.part_store.create_new(&uri, json(wanted)).await? {
            return Ok(());
        }
        // Another load was faster, or the answer to our own write was lost.
        match self.owner(folder).await? {
            Some(owner) => refuse_other(folder.to_owned(), owner, wanted),
            None => Ok(()),
        }
    }

    /// Names `owner` in every folder instead of the owner before.
    pub async fn take(&self, owner: &TargetOwner) -> Result<(), TargetError> {
        for folder in self.folders() {
            let uri = owner_file(&folder);
            self.part_store.replace(&uri, json(owner)).await?;
        }
        Ok(())
    }

    async fn check_partitions(
        &self,
        folder: &str,
        days: Option<&BTreeSet<Day>>,
        wanted: &TargetOwner,
    ) -> Result<Vec<String>, TargetError> {
        if days.is_some_and(BTreeSet::is_empty) {
            return Ok(Vec::new());
        }
        let found = match self.partitions(folder, days).await {
            Err(PartError::Store { failure, .. }) if failure.cause == Cause::Denied => {
                return Ok(vec![format!(
                    "{folder}: cannot be listed, so parts of other loads there are not noticed ({})",
                    failure.message
                )]);
            }
            found => found?,
        };
        self.refuse_unnamed(folder, &found.parts, wanted).await?;
        let foreign = found.foreign.first().map(|first| {
            let count = found.foreign.len();
            format!("{folder} holds objects that lakebolt did not write: {count}, such as {first}")
        });
        Ok(foreign.into_iter().collect())
    }

    /// The records are read after the listing: a part that was listed is named by a manifest
    /// that was committed before.
    async fn refuse_unnamed(
        &self,
        folder: &str,
        parts: &[(Day, String)],
        wanted: &TargetOwner,
    ) -> Result<(), TargetError> {
        if parts.is_empty() {
            return Ok(());
        }
        let months: BTreeSet<Month> = parts.iter().map(|(day, _)| day.month()).collect();
        let records = self.status.periods(&wanted.dataset).await?;
        let mut named = BTreeSet::new();
        for record in records.iter().filter(|one| months.contains(&one.period)) {
            named.extend(self.named(record).await?);
        }
        let mut unnamed = parts.iter().filter(|(_, uri)| !named.contains(uri));
        let Some((_, first)) = unnamed.next() else {
            return Ok(());
        };
        Err(TargetError::Unnamed {
            folder: folder.to_owned(),
            count: 1 + unnamed.count(),
            dataset: wanted.dataset.clone(),
            first: first.clone(),
        })
    }

    /// The parts that a period's manifest and the one before it name. A load that publishes
    /// at this moment may not have deleted what it replaces.
    async fn named(&self, record: &PeriodRecord) -> Result<BTreeSet<String>, TargetError> {
        let mut named = BTreeSet::new();
        let mut next = record.manifest.clone();
        for _ in 0..2 {
            let Some(name) = next.take() else {
                break;
            };
            let manifest: Manifest = match self.work.get(&name).await {
                Ok(manifest) => manifest,
                Err(error) if error.is_not_found() && !named.is_empty() => break,
                Err(error) => return Err(error.into()),
            };
            named.extend(every_part(&manifest));
            next = manifest.previous;
        }
        Ok(named)
    }

    /// Lists the partitions of `days`, or of every day.
    pub(crate) async fn partitions(
        &self,
        folder: &str,
        days: Option<&BTreeSet<Day>>,
    ) -> Result<Partitions, PartError> {
        let regions = self.below(vec![folder.to_owned()], REGION_FOLDER).await?;
        let accounts = self.below(regions, ACCOUNT_FOLDER).await?;
        let mut of_days = BTreeMap::new();
        for day in self.below(accounts, "").await? {
            let found = day_of_folder(&day).map(Day);
            if let Some(found) = found.filter(|found| days.is_none_or(|days| days.contains(found)))
            {
                of_days.insert(day, found);
            }
        }
        let levels = of_days.into_iter().map(|(folder, day)| async move {
            let level = self.part_store.list(&folder).await?;
            Ok::<_, PartError>((folder, day, level.objects))
        });
        let levels: Vec<_> = levels.collect();
        let mut found = Partitions::default();
        let mut levels = stream::iter(levels).buffer_unordered(AT_ONCE);
        while let Some((folder, day, objects)) = levels.try_next().await? {
            for name in objects.iter().filter(|name| !is_hidden(name)) {
                let uri = format!("{folder}/{name}");
                match attempt_digest(&uri) {
                    Some(_) => found.parts.push((day, uri)),
                    None => found.foreign.push(uri),
                }
            }
        }
        found.parts.sort();
        found.foreign.sort();
        Ok(found)
    }

    /// The folders directly below `folders` whose names start with `prefix`.
    async fn below(&self, folders: Vec<String>, prefix: &str) -> Result<Vec<String>, PartError> {
        let listed = folders.into_iter().map(|folder| async move {
            let level = self.part_store.list(&folder).await?;
            let names = level.folders.into_iter();
            let names = names.filter(|name| name.starts_with(prefix));
            let below: Vec<String> = names.map(|name| format!("{folder}/{name}")).collect();
            Ok::<_, PartError>(below)
        });
        let listed: Vec<_> = listed.collect();
        let listed = stream::iter(listed).buffer_unordered(AT_ONCE);
        let listed: Vec<Vec<String>> = listed.try_collect().await?;
        Ok(listed.into_iter().flatten().collect())
    }
}

/// Every part that a manifest names, live or not.
pub(crate) fn every_part(manifest: &Manifest) -> BTreeSet<String> {
    let live = manifest.live().map(|object| &object.uri);
    let handles = manifest.added.iter().chain(&manifest.losers);
    let handles = handles.map(|part| &part.uri);
    let all = live.chain(handles).chain(&manifest.removed);
    all.cloned().collect()
}

fn refuse_other(
    folder: String,
    owner: TargetOwner,
    wanted: &TargetOwner,
) -> Result<(), TargetError> {
    match owner.is_same(wanted) {
        true => Ok(()),
        false => Err(TargetError::Owned {
            folder,
            owner: Box::new(owner),
            wanted: Box::new(wanted.clone()),
        }),
    }
}

fn json(owner: &TargetOwner) -> Bytes {
    let text = serde_json::to_vec_pretty(owner).unwrap_or_default();
    text.into()
}

/// Refuses a load that would read what it or another load writes, by the canonical paths of
/// its places.
pub fn check_places(request: &LoadRequest) -> Result<(), Failure> {
    let terms = &request.terms;
    let inputs: Vec<String> = terms.inputs.iter().map(|uri| canonical(uri)).collect();
    let mut targets: Vec<String> = vec![canonical(&terms.output)];
    let folders = dataset::targets(request).into_values();
    targets.extend(folders.map(|folder| canonical(&folder)));
    let (work, quarantine) = (canonical(&terms.work), canonical(&terms.quarantine));
    let checked = places::check_inputs(&inputs, &targets, &work, &quarantine);
    checked.map_err(|wrong| misplaced(&wrong, request))
}

fn misplaced(wrong: &Misplaced, request: &LoadRequest) -> Failure {
    let terms = &request.terms;
    let place = match wrong.area {
        "work" => terms.work.clone(),
        "quarantine" => terms.quarantine.clone(),
        "output" => terms.output.clone(),
        _ => terms.inputs.join(", "),
    };
    let message = format!("--{} {place} {}", wrong.area, wrong.what);
    Failure::new(Kind::Usage, "misplaced", message, wrong.remedy)
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        const OTHER: &str = "use the flags of the target's other loads, or another --output; \
             `lakebolt adopt` takes a target over";
        const LOST: &str = "use the --state of the target's other loads; if it is lost, \
             `lakebolt adopt` takes the target over and rebuilds its status";
        const UNNAMED: &str = "if the state of the loads that wrote them is lost, `lakebolt \
             adopt` takes the target over; else move them away, or use another --output";
        match error {
            TargetError::Part(error) => error.into(),
            TargetError::Work(error) => error.into(),
            TargetError::Status(error) => (&error).into(),
            TargetError::Owned {
                ref owner,
                ref wanted,
                ..
            } => {
                let remedy = match owner.dataset == wanted.dataset {
                    true => LOST,
                    false => OTHER,
                };
                Self::of(Kind::Refused, "target_owned", &error, remedy)
            }
            TargetError::Unnamed { .. } => {
                Self::of(Kind::Refused, "target_has_parts", &error, UNNAMED)
            }
            TargetError::Unreadable { .. } => Self::of(
                Kind::Refused,
                "target_owner_unreadable",
                &error,
                "restore the file, or let `lakebolt adopt` write it again",
            ),
        }
    }
}
