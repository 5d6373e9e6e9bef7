//! What is examined: with a source just what its load would need, without one what the
//! settings name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plans::stores::Access;
use scheduler::load::dataset;

use super::super::loads;
use crate::cli::{DoctorArgs, LoadArgs};
use crate::context::Context;
use crate::failure::Failure;
use crate::request::{self, Places};
use crate::settings::Settings;
use crate::uris;

pub(super) struct Asked {
    pub(super) settings: Settings,
    pub(super) places: Places,
    pub(super) inputs: Vec<String>,
    /// Where parts are written: targets and the quarantine.
    pub(super) folders: BTreeSet<String>,
    pub(super) access: Access,
}

impl Asked {
    pub(super) fn of(args: DoctorArgs, context: &Context) -> Result<Self, Failure> {
        match args.source {
            Some(source) => Self::by_load(source, args.settings, context),
            None => Self::by_settings(args.settings.over(context.defaults.clone()), context),
        }
    }

    fn by_load(source: String, settings: Settings, context: &Context) -> Result<Self, Failure> {
        let args = LoadArgs {
            source: Some(source),
            request: None,
            settings,
        };
        let prepared = loads::prepare(args, context)?;
        Ok(Self {
            folders: dataset::folders(&prepared.request),
            access: dataset::access(&prepared.request),
            inputs: prepared.request.inputs,
            settings: prepared.settings,
            places: prepared.places,
        })
    }

    fn by_settings(settings: Settings, context: &Context) -> Result<Self, Failure> {
        let places = Places::of(&settings, context.folder())?;
        let inputs = match &settings.input {
            Some(_) => request::inputs(&settings, context.folder())?,
            None => Vec::new(),
        };
        let access = places.access(&settings)?;
        Ok(Self {
            folders: BTreeSet::from([places.output.clone(), places.quarantine.clone()]),
            settings,
            places,
            inputs,
            access,
        })
    }

    /// Every URI that is reached, without the state.
    fn uris(&self) -> impl Iterator<Item = &String> {
        let own = [&self.places.work, &self.places.quarantine];
        self.inputs.iter().chain(&self.folders).chain(own)
    }

    pub(super) fn needs_aws(&self) -> bool {
        self.places.state.starts_with("dynamodb:") || self.uris().any(|uri| uris::is_s3(uri))
    }

    /// `s3://BUCKET` of each bucket.
    pub(super) fn buckets(&self) -> BTreeSet<String> {
        self.uris().filter_map(|uri| uris::bucket(uri)).collect()
    }

    pub(super) fn name_of(&self, folder: &str) -> &'static str {
        let quarantine = self.places.quarantine.trim_end_matches('/');
        match folder.starts_with(quarantine) {
            true => "quarantine",
            false => "target",
        }
    }

    pub(super) fn allow_empty(&self) -> bool {
        self.settings.allow_empty.unwrap_or(false)
    }

    pub(super) fn cores(&self) -> usize {
        request::cores(&self.settings)
    }

    /// Folders of this machine that probing may make.
    pub(super) fn local_folders(&self) -> Vec<PathBuf> {
        let local = |uri: &str| uris::local("", uri, Path::new("/")).ok();
        let mut folders: Vec<_> = self.folders.iter().filter_map(|uri| local(uri)).collect();
        if let Some(work) = local(&self.places.work) {
            folders.push(work.join("scratch"));
        }
        if let Some(state) = self.places.state.strip_prefix("sqlite:") {
            folders.extend(Path::new(state).parent().map(Path::to_path_buf));
        }
        folders
    }
}
