//! Every name in a lake and beside it: folders, partitions, parts, and the files of the
//! work area. Strings in, strings and paths out: nothing here does I/O.
//!
//! The target is what readers list. Events are stored below `ext/`:
//!
//! ```text
//! {target}/ext/{source}/region={region}/accountId={account}/eventDay={yyyyMMdd}/
//!     {source}-{period}-{yyyyMMdd}-{digest8}-{run}-{n}.zstd.parquet
//! {target}/ext/{source}/_lakebolt.json      the dataset and status store that own the folder
//! ```
//!
//! The quarantine is `{target}.quarantine/`, or `s3://{bucket}/lakebolt-quarantine/`:
//!
//! ```text
//! eventDay={yyyyMMdd}/
//!     quarantine-{source}-{period}-{yyyyMMdd}-{digest8}-{run}-{n}.zstd.parquet
//!     {source}-{period}-{yyyyMMdd}-{digest8}-replay-0.zstd.parquet    rejected again by a replay
//!     {source}-{period}-{yyyyMMdd}-{digest8}-replay-1.zstd.parquet    kept by a replay
//! ```
//!
//! The work area is `{target}/.lakebolt/`, or `s3://{bucket}/lakebolt-work/`. No unpublished
//! name in it ends in `.parquet`, since a reader of the target might list it:
//!
//! ```text
//! state.db                                      the status store, if none is named
//! attempts/{attempt}/owner.json                 exists while the attempt is worked on
//! attempts/{attempt}/splits/{split}.json        what each task reads
//! attempts/{attempt}/receipts/{run}.json        what each task wrote
//! attempts/{attempt}/receipts/{run}.heartbeat   the progress of a task without a receipt
//! attempts/{attempt}/common/                    the same, read for several periods at once
//! attempts/{attempt}/replay/{n}.log             quarantined rows to be read again
//! attempts/{attempt}/replay/{n}.json            the original places of those rows
//! attempts/{attempt}/rejected/                  where a replay on S3 puts what it rejects
//! manifests/{dataset8}/{yyyy-MM}-{attempt}.json
//! staging/{attempt}/{part}.part                 unpublished parts of a local target
//! probes/{probe}                                exists while a load checks that it can write
//! scratch/                                      spilled rows of a local engine
//! ```
//!
//! An `{attempt}` is `{load}-{yyyy-MM}-{number}`, and `{digest8}` is its digest.

mod address;
mod part_name;
mod places;
mod rules;
mod work;

pub use address::{
    ACCOUNT_FOLDER, PartAddress, PartialAddress, REGION_FOLDER, SourceName, day_of_folder,
    event_folder, every_part, is_hidden, is_owner_file, owner_file, quarantine_folder,
    source_folder,
};
pub use part_name::{PartName, attempt_digest, part_day};
pub use places::{
    default_quarantine, default_state, default_work, is_beside, is_inside, is_local_work, is_s3,
};
pub use rules::{
    EXTERNAL, LONGEST_SOURCE, is_account, is_account_number, is_lowercase_region, is_region_name,
};
pub use work::{
    ATTEMPTS, AttemptFiles, MANIFESTS, PROBES, SCRATCH, STAGING, attempt_name, attempt_of_file,
    attempt_of_manifest, attempt_of_staged, common_name, is_heartbeat, is_manifest, is_probe,
    list_name, load_of, manifest_folder, manifest_name, path_below, probe_file, probe_name,
    replayed_number,
};

use sha2::{Digest, Sha256};

/// The first eight hex digits of a text's SHA-256.
pub fn digest8(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(4).map(|b| format!("{b:02x}")).collect()
}

/// A day (since 1970-01-01) as `yyyyMMdd`.
pub(crate) fn compact_day(day: i32) -> String {
    let date = chrono::NaiveDate::from_epoch_days(day).unwrap_or_default();
    date.format("%Y%m%d").to_string()
}

/// The day that `yyyyMMdd` names.
fn parse_compact_day(text: &str) -> Option<i32> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let date = chrono::NaiveDate::parse_from_str(text, "%Y%m%d").ok()?;
    Some(date.to_epoch_days())
}
