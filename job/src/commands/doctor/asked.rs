//! What is examined: with a source just what its load would need, without one what the
//! settings name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plans::storage::Access;
use scheduler::load::dataset;

use crate::cli::{DoctorArgs, LoadArgs};
use crate::commands::loads;
use crate::context::Context;
use crate::failure::Failure;
use crate::request::Places;
use crate::settings::Settings;
use crate::{request, uris};

pub(super) struct Asked {
    pub(super) settings: Settings,
    /// None where nothing but a cluster is named.
    pub(super) places: Option<Places>,
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
            inputs: prepared.request.terms.inputs,
            settings: prepared.settings,
            places: Some(prepared.places),
        })
    }

    fn by_settings(settings: Settings, context: &Context) -> Result<Self, Failure> {
        let is_cluster_alone = settings.cluster.is_some() && settings.output.is_none();
        let places = match is_cluster_alone {
            true => None,
            false => Some(Places::of(&settings, context.folder())?),
        };
        let inputs = match &settings.input {
            Some(_) => request::inputs(&settings, context.folder())?,
            None => Vec::new(),
        };
        let mut folders = BTreeSet::new();
        let mut access = Access::default();
        if let Some(places) = &places {
            folders.extend([places.output.clone(), places.quarantine.clone()]);
            access = places.access(&settings)?;
        }
        Ok(Self {
            folders,
            settings,
            places,
            inputs,
            access,
        })
    }

    /// Every URI that is reached, without the state.
    fn uris(&self) -> impl Iterator<Item = &String> {
        let own = self.places.iter();
        let own = own.flat_map(|places| [&places.work, &places.quarantine]);
        self.inputs.iter().chain(&self.folders).chain(own)
    }

    pub(super) fn needs_aws(&self) -> bool {
        let has_tables = self
            .own_state()
            .is_some_and(|state| state.starts_with("dynamodb:"));
        has_tables || self.uris().any(|uri| uris::is_s3(uri))
    }

    /// The state that this process keeps; a cluster's scheduler has its own.
    pub(super) fn own_state(&self) -> Option<&str> {
        match &self.settings.cluster {
            Some(_) => None,
            None => self.places.as_ref().map(|places| places.state.as_str()),
        }
    }

    /// `s3://BUCKET` of each bucket.
    pub(super) fn buckets(&self) -> BTreeSet<String> {
        self.uris().filter_map(|uri| uris::bucket(uri)).collect()
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
        let work = self.places.as_ref().and_then(|places| local(&places.work));
        folders.extend(work.map(|work| work.join(plans::lake::SCRATCH)));
        if let Some(state) = self
            .own_state()
            .and_then(|state| state.strip_prefix("sqlite:"))
        {
            folders.extend(Path::new(state).parent().map(Path::to_path_buf));
        }
        folders
    }
}
