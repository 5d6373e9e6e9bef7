//! Where parts are stored: the folders of sources and days, and a part's address in them.

use std::fmt;

use super::{compact_day, parse_compact_day};

const EXT: &str = "ext";
const REGION: &str = "region";
const ACCOUNT: &str = "accountId";
const DAY: &str = "eventDay";
/// The beginning of a region's folder.
pub const REGION_FOLDER: &str = "region=";
/// The beginning of an account's folder.
pub const ACCOUNT_FOLDER: &str = "accountId=";
const OWNER: &str = "_lakebolt.json";

/// Where an event part is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartAddress {
    /// `{target}/ext/{source}`
    pub source_folder: String,
    pub region: String,
    pub account: String,
    /// Days since 1970-01-01.
    pub day: i32,
    /// The name of the object in its folder.
    pub name: String,
}

/// The pieces of an address that a path has. A piece that is absent or malformed is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialAddress {
    /// The folders before the partitions.
    pub source_folder: String,
    /// The last three folders, as they are written.
    pub partitions: String,
    pub region: Option<String>,
    pub account: Option<String>,
    /// Days since 1970-01-01.
    pub day: Option<i32>,
    pub name: String,
}

impl PartAddress {
    /// The address that `uri`, a URI or a path with `/`, spells.
    pub fn parse(uri: &str) -> Option<Self> {
        let found = PartialAddress::read(uri);
        Some(Self {
            source_folder: found.source_folder,
            region: found.region?,
            account: found.account?,
            day: found.day?,
            name: found.name,
        })
    }
}

impl fmt::Display for PartAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = event_folder(&self.source_folder, &self.region, &self.account, self.day);
        write!(f, "{folder}/{}", self.name)
    }
}

impl PartialAddress {
    /// Reads `path`, a URI or a path with `/`.
    pub fn read(path: &str) -> Self {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folders: Vec<&str> = folders.split('/').collect();
        let (above, partitions) = folders.split_at(folders.len().saturating_sub(3));
        let value = |index: usize, key: &str| {
            let (found, value) = partitions.get(index)?.split_once('=')?;
            (found == key && !value.is_empty()).then(|| value.to_owned())
        };
        Self {
            source_folder: above.join("/"),
            region: value(0, REGION),
            account: value(1, ACCOUNT),
            day: value(2, DAY).and_then(|day| parse_compact_day(&day)),
            partitions: partitions.join("/"),
            name: name.to_owned(),
        }
    }

    /// Whether all three partitions are well formed.
    pub fn is_complete(&self) -> bool {
        self.region.is_some() && self.account.is_some() && self.day.is_some()
    }

    /// The source whose folder this is.
    pub fn source(&self) -> SourceName<'_> {
        let (above, name) = self.source_folder.rsplit_once('/').unwrap_or_default();
        match above.rsplit('/').next() {
            Some(EXT) if name.is_empty() => SourceName::Empty,
            Some(EXT) => SourceName::Named(name),
            _ => SourceName::NoExt,
        }
    }
}

/// The source that a folder names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceName<'a> {
    Named(&'a str),
    /// Nothing follows `ext/`.
    Empty,
    /// No `ext/` precedes the folder.
    NoExt,
}

/// The folder of a source's events: `{target}/ext/{source}`, unless the target is that already.
pub fn source_folder(target: &str, source: &str) -> String {
    let target = target.trim_end_matches('/');
    if target.ends_with(&format!("/{EXT}/{source}")) {
        return target.to_owned();
    }
    format!("{target}/{EXT}/{source}")
}

/// The folder of one day's events of a region and account.
pub fn event_folder(source_folder: &str, region: &str, account: &str, day: i32) -> String {
    let day = compact_day(day);
    format!("{source_folder}/{REGION}={region}/{ACCOUNT}={account}/{DAY}={day}")
}

/// The folder of one day's quarantined rows.
pub fn quarantine_folder(quarantine: &str, day: i32) -> String {
    let quarantine = quarantine.trim_end_matches('/');
    format!("{quarantine}/{DAY}={}", compact_day(day))
}

/// The day of a day's folder, in days since 1970-01-01, from its URI or name.
pub fn day_of_folder(folder: &str) -> Option<i32> {
    let name = folder.rsplit('/').next()?;
    let (key, day) = name.split_once('=')?;
    parse_compact_day(day).filter(|_| key == DAY)
}

/// The file that names the owner of a source's folder.
pub fn owner_file(source_folder: &str) -> String {
    format!("{}/{OWNER}", source_folder.trim_end_matches('/'))
}

/// Whether an object of this name is the owner file of a source's folder.
pub fn is_owner_file(name: &str) -> bool {
    name == OWNER
}

/// Whether readers of a lake skip an object or folder of this name.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with(['_', '.'])
}

/// A pattern of all event parts of a target, as DuckDB and shells write it.
pub fn every_part(target: &str) -> String {
    format!("{target}/{EXT}/*/*/*/*/*.parquet")
}

/// Whether readers of a target that is a whole bucket list this key: they read at `ext/` and
/// `region=…/`, so the other prefixes of the bucket are beside the target.
pub(super) fn is_listed(key: &str) -> bool {
    let first = key.split('/').next().unwrap_or_default();
    first == EXT || first.split_once('=').is_some_and(|(key, _)| key == REGION)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_spelled_as_security_lake_wants_it() {
        let address = PartAddress {
            source_folder: "s3://lake/ext/vpc_flow".to_owned(),
            region: "eu-central-1".to_owned(),
            account: "123456789012".to_owned(),
            day: 19744,
            name: "a.zstd.parquet".to_owned(),
        };
        let uri = "s3://lake/ext/vpc_flow/region=eu-central-1/accountId=123456789012/\
                   eventDay=20240122/a.zstd.parquet";
        assert_eq!(address.to_string(), uri);
        assert_eq!(PartAddress::parse(uri), Some(address));
    }

    #[test]
    fn another_case_or_a_broken_day_is_no_address() {
        for uri in [
            "ext/s/region=r/accountid=123456789012/eventDay=20240122/a.parquet",
            "ext/s/region=r/accountId=123456789012/eventDay=2024-01-22/a.parquet",
            "ext/s/region=r/accountId=123456789012/eventDay=20240230/a.parquet",
            "ext/s/region=/accountId=123456789012/eventDay=20240122/a.parquet",
            "ext/s/accountId=123456789012/region=r/eventDay=20240122/a.parquet",
            "a.parquet",
            "",
        ] {
            assert_eq!(PartAddress::parse(uri), None, "{uri}");
        }
    }

    #[test]
    fn a_source_is_named_once_in_its_folder() {
        for (target, expected) in [
            ("file:///lake/", "file:///lake/ext/vpc"),
            ("file:///lake/ext/vpc/", "file:///lake/ext/vpc"),
            ("file:///lake/next/vpc", "file:///lake/next/vpc/ext/vpc"),
        ] {
            assert_eq!(source_folder(target, "vpc"), expected);
        }
    }

    #[test]
    fn a_folder_names_its_source_below_ext() {
        for (folder, expected) in [
            ("lake/ext/vpc", SourceName::Named("vpc")),
            ("ext/vpc", SourceName::Named("vpc")),
            ("lake/ext/", SourceName::Empty),
            ("lake/next/vpc", SourceName::NoExt),
            ("vpc", SourceName::NoExt),
        ] {
            let address = PartialAddress {
                source_folder: folder.to_owned(),
                ..PartialAddress::default()
            };
            assert_eq!(address.source(), expected, "{folder}");
        }
    }

    #[test]
    fn the_owner_file_is_above_the_partitions_and_readers_skip_it() {
        let file = owner_file("s3://lake/ext/vpc/");
        assert_eq!(file, "s3://lake/ext/vpc/_lakebolt.json");
        assert!(is_hidden("_lakebolt.json") && is_hidden(".x") && !is_hidden("a_b.parquet"));
    }

    #[test]
    fn the_folders_of_partitions_are_spelled_as_an_address() {
        let folder = event_folder("lake", "r", "a", 19744);
        let parts: Vec<_> = folder.split('/').skip(1).collect();
        assert!(parts[0].starts_with(REGION_FOLDER) && parts[1].starts_with(ACCOUNT_FOLDER));
        assert_eq!(day_of_folder(&folder), Some(19744));
        for folder in ["eventDay=2024", "eventday=20240122", "20240122", ""] {
            assert_eq!(day_of_folder(folder), None, "{folder}");
        }
    }

    #[test]
    fn readers_of_a_bucket_list_sources_and_regions() {
        for key in ["ext", "ext/a", "region=r/a", "region="] {
            assert!(is_listed(key), "{key}");
        }
        for key in ["", "exta/b", "region/a", "lakebolt-work/", "a/ext/b"] {
            assert!(!is_listed(key), "{key}");
        }
    }

    fn address() -> impl Strategy<Value = PartAddress> {
        let source_folder = "(s3://|file:///)[a-z0-9.-]{3,9}(/[a-z =]{1,5}){0,2}/ext/[a-z_]{1,20}";
        let account = "[0-9]{12}|external(_[a-zA-Z0-9_-]{1,9})?";
        let region = "[a-zA-Z0-9][a-zA-Z0-9_-]{0,20}";
        let name = "[a-z0-9=-]{1,30}[.]zstd[.]parquet";
        (source_folder, region, account, -20_000..60_000i32, name).prop_map(
            |(source_folder, region, account, day, name)| PartAddress {
                source_folder,
                region,
                account,
                day,
                name,
            },
        )
    }

    proptest! {
        #[test]
        fn an_address_is_read_back_from_its_uri(address in address()) {
            prop_assert_eq!(PartAddress::parse(&address.to_string()), Some(address));
        }

        #[test]
        fn what_is_read_as_an_address_is_spelled_the_same(
            uri in "([a-z:/=]{0,12}/)?region=[a-z=]{0,3}/accountId=[a-z0-9]{0,3}/eventDay=[0-2]{7,9}/[a-z.]{0,9}"
        ) {
            if let Some(address) = PartAddress::parse(&uri) {
                let spelled = address.to_string();
                prop_assert_eq!(spelled.trim_start_matches('/'), uri.trim_start_matches('/'));
            }
        }
    }
}
