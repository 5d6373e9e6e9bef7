//! Manifests as they are stored: a file of the work area, whose digest the period's record
//! keeps. A file that was changed since is refused.

use sha2::{Digest, Sha256};

use super::manifest::Manifest;
use super::work::{Work, WorkError};
use crate::load::failure::{Failure, Kind};
use crate::status::PeriodRecord;

/// Why the manifest of a period cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error("{uri} is not the manifest that was committed: its content was changed")]
    Altered { uri: String },
}

impl ManifestError {
    /// Returns true if the manifest does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Work(error) if error.is_not_found())
    }

    /// Returns true if the same call may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Work(error) => error.retryable(),
            Self::Altered { .. } => false,
        }
    }
}

/// A manifest in the work area, as a record names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    name: String,
    digest: String,
    work: String,
}

impl Stored {
    /// Makes `record` name this manifest.
    pub fn name_in(&self, record: &mut PeriodRecord) {
        record.manifest = Some(self.name.clone());
        record.manifest_digest = Some(self.digest.clone());
        record.work = Some(self.work.clone());
    }
}

impl Stored {
    /// The manifest `name`, which holds `bytes`.
    pub fn of(work: &Work, name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            digest: digest(bytes),
            work: work.uri().to_owned(),
        }
    }
}

/// Stores a manifest. It survives a power loss once this returns.
pub async fn write(work: &Work, manifest: &Manifest) -> Result<Stored, WorkError> {
    let name = manifest.name();
    let written = work.put_durable(&name, manifest).await?;
    Ok(Stored::of(work, &name, &written))
}

/// Reads the manifest that a record names, if it names one.
pub async fn read(
    work: &Work,
    record: &PeriodRecord,
) -> Result<Option<(String, Manifest)>, ManifestError> {
    let Some(name) = &record.manifest else {
        return Ok(None);
    };
    let bytes = work.get_bytes(name).await?;
    // Records of older programs have no digest.
    if record
        .manifest_digest
        .as_ref()
        .is_some_and(|known| *known != digest(&bytes))
    {
        return Err(ManifestError::Altered {
            uri: work.uri_of(name),
        });
    }
    Ok(Some((name.clone(), work.parse(name, &bytes)?)))
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<ManifestError> for Failure {
    fn from(error: ManifestError) -> Self {
        match error {
            ManifestError::Work(error) => error.into(),
            ManifestError::Altered { .. } => Self::of(
                Kind::Refused,
                "manifest_altered",
                &error,
                "nothing was published or deleted: see who may write the work area, and restore \
                 the file",
            ),
        }
    }
}
