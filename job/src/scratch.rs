//! Where sorting spills on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use plans::lake::SCRATCH;
use tempfile::TempDir;

use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::uris;

/// A folder for spilled runs; one of our own goes with this value.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    _own: Option<TempDir>,
}

impl Scratch {
    /// Below a local work area: on the target's filesystem, which has room. For a work area
    /// elsewhere a fresh folder below the system's for temporary files (`TMPDIR`), for this
    /// user alone: raw log lines pass through it.
    pub(crate) fn make(work: &str) -> Result<Self, Failure> {
        if uris::is_s3(work) {
            return Self::private();
        }
        let folder = uris::local("--work", work, Path::new("/"))?.join(SCRATCH);
        fs::create_dir_all(&folder).map_err(|error| {
            let message = format!("{} cannot be made: {error}", folder.display());
            Failure::new(
                ExitCode::Refused,
                message,
                "check the permissions of --output and --work",
            )
        })?;
        Ok(Self { folder, _own: None })
    }

    fn private() -> Result<Self, Failure> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("lakebolt-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let own = builder.tempdir().map_err(|error| {
            let message = format!("no folder for temporary files can be made: {error}");
            Failure::new(
                ExitCode::Refused,
                message,
                "set TMPDIR to a folder with room that can be written",
            )
        })?;
        Ok(Self {
            folder: own.path().to_path_buf(),
            _own: Some(own),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_work_area_holds_its_scratch() {
        let work = tempfile::tempdir().expect("a folder for the test");
        let scratch = Scratch::make(&work.path().display().to_string()).expect("writable");
        assert_eq!(scratch.folder(), work.path().join("scratch"));
        drop(scratch);
        assert!(work.path().join("scratch").exists());
    }

    #[cfg(unix)]
    #[test]
    fn for_a_work_area_elsewhere_it_is_private_and_goes_with_the_load() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = Scratch::make("s3://lake/lakebolt-work/").expect("there is room");
        let folder = scratch.folder().to_path_buf();
        let mode = fs::metadata(&folder).expect("it was made").permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
        drop(scratch);
        assert!(!folder.exists());
    }
}
