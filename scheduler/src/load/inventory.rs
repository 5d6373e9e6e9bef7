//! The input of a load: its objects by day, as one listing found them.

use std::collections::BTreeMap;

use plans::shard::InputObject;
use plans::stores::StoreError;

use super::days::Day;
use super::layout::Skip;
use super::range::Window;
use super::remaining::{DayInput, InputDigest};

/// The objects of the input, by the day that their paths tell.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    counts: Counts,
}

/// What a listing saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects that were kept, and their bytes.
    pub objects: u64,
    pub bytes: u64,
    /// Objects of days outside the window that were listed all the same.
    pub outside: u64,
    /// Folders of days outside the window that were not listed.
    pub pruned_folders: u64,
    pub skipped: BTreeMap<Skip, u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    #[error("input {uri}: cannot be opened")]
    Store {
        uri: String,
        #[source]
        source: StoreError,
    },
    #[error("input {uri}: there is no such folder or object")]
    NotFound { uri: String },
    #[error("input {uri}: cannot be listed")]
    Listing {
        uri: String,
        #[source]
        source: object_store::Error,
    },
}

impl InventoryError {
    /// Whether the same call may succeed later without a change to the input.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Listing { .. } => true,
            Self::Store { .. } | Self::NotFound { .. } => false,
        }
    }
}

/// Lists the inputs, keeping the objects of the days in `window` and those without a day.
pub async fn list(_inputs: &[String], _window: Window) -> Result<Inventory, InventoryError> {
    Ok(Inventory::default())
}

impl Inventory {
    /// The days that have objects, in order; the margin's among them.
    pub fn days(&self) -> impl Iterator<Item = Day> + '_ {
        std::iter::empty()
    }

    /// The objects of a day, in the order of the times in their names.
    pub fn objects(&self, _day: Day) -> impl Iterator<Item = InputObject> + '_ {
        std::iter::empty()
    }

    /// The objects whose paths tell no day.
    pub fn undated(&self) -> impl Iterator<Item = InputObject> + '_ {
        std::iter::empty()
    }

    /// What a task of `days` reads: their objects, their margin's, and the undated ones; each once.
    pub fn to_read<'a>(
        &self,
        _days: impl IntoIterator<Item = &'a Day>,
        _margin: u32,
    ) -> Vec<InputObject> {
        Vec::new()
    }

    /// The digest of a day's input: its objects, its margin's and the undated ones.
    pub fn digest(&self, _day: Day, _margin: u32) -> InputDigest {
        InputDigest {
            objects: 0,
            hash: String::new(),
        }
    }

    /// The listing of each of `days`, for `remaining::decide`.
    pub fn inputs<'a>(
        &self,
        days: impl IntoIterator<Item = &'a Day>,
        margin: u32,
    ) -> BTreeMap<Day, DayInput> {
        let input = |day: &Day| DayInput {
            digest: self.digest(*day, margin),
            objects: self.objects(*day).count() as u64,
        };
        days.into_iter().map(|day| (*day, input(day))).collect()
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether no object was kept.
    pub fn is_empty(&self) -> bool {
        self.counts.objects == 0
    }
}
