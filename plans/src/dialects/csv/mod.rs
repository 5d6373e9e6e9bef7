//! The dialect of the ETL framework: a metadata CSV with 31 columns and a mapping CSV with
//! four. Existing files are read without changes.

mod hints;
mod mapping;
mod metadata;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod timestamp;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{File, Loaded, base_name, files_with, read_file, read_files};
use crate::diagnostics::{Diagnostics, Origin};
use crate::ocsf;
use crate::spec::{ColumnKind, Event, Format, Object, Redact, Source, Unmapped, UnmappedStyle};
use mapping::{Context, Mapping};
use metadata::Metadata;

/// Reads the metadata CSV at `path`, or the only one in that folder, and its mapping CSV.
pub(super) fn gather(path: &Path) -> Option<Result<Vec<File>, Diagnostics>> {
    let is_csv = path.extension().is_some_and(|extension| extension == "csv");
    let path = if is_csv {
        path.to_owned()
    } else {
        only_metadata(path)?
    };
    Some(gather_files(&path))
}

/// Returns the only CSV file of a folder with `metadata` in its name.
fn only_metadata(folder: &Path) -> Option<PathBuf> {
    let mut named = files_with(folder, "csv");
    named.retain(|path| {
        path.file_stem()
            .is_some_and(|stem| stem.to_string_lossy().contains("metadata"))
    });
    match named.len() {
        1 => named.pop(),
        _ => None,
    }
}

fn gather_files(path: &Path) -> Result<Vec<File>, Diagnostics> {
    let file = read_file(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let folders = [
        folder.to_owned(),
        folder.join("mapping"),
        folder.join("../mapping"),
    ];
    let names = mapping_names(&file);
    let paths = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let mapping: Vec<PathBuf> = paths.filter(|path| path.is_file()).take(1).collect();
    let mut files = vec![file];
    files.extend(read_files(&mapping)?);
    Ok(files)
}

/// Returns the possible names of the mapping CSV, in order of preference.
fn mapping_names(file: &File) -> Vec<String> {
    let (mut found, mut warnings) = (Diagnostics::default(), Diagnostics::default());
    let metadata = metadata::metadata(file, &mut found, &mut warnings);
    let text = |name| metadata.as_ref().and_then(|metadata| metadata.text(name));
    let configured = text("mapping_file_s3_prefix").map(|prefix| base_name(&prefix).to_owned());
    let source = text("source_log_type");
    let beside = base_name(&file.name).replace("metadata", "mapping");
    let by_source = source.map(|source| format!("{source}-mapping.csv"));
    let names = [
        configured.filter(|name| name.ends_with(".csv")),
        Some(beside),
        by_source,
    ];
    let own = base_name(&file.name);
    let mut names: Vec<String> = names
        .into_iter()
        .flatten()
        .filter(|name| name != own)
        .collect();
    names.dedup();
    names
}

pub(super) fn accepts(files: &[File]) -> bool {
    files.iter().any(|file| metadata::is_metadata(&file.text))
}

/// Reads a source. The OCSF version decides the meaning of class ids.
pub(super) fn read(files: &[File], version: &str) -> Result<Loaded, Diagnostics> {
    let (mut found, mut warnings) = (Diagnostics::default(), Diagnostics::default());
    let is_metadata = |file: &&File| metadata::is_metadata(&file.text);
    let file = files.iter().find(is_metadata).or(files.first());
    let source = file.and_then(|file| source(file, files, version, &mut found, &mut warnings));
    found.sort();
    warnings.sort();
    match source {
        Some(source) => found.into_result(Loaded {
            source,
            warnings: warnings.0,
        }),
        None => Err(found),
    }
}

fn source(
    file: &File,
    files: &[File],
    version: &str,
    found: &mut Diagnostics,
    warnings: &mut Diagnostics,
) -> Option<Source> {
    let metadata = metadata::metadata(file, found, warnings)?;
    let name = metadata.require("source_log_type", "vpc_flow", found);
    let format = format(&metadata, found);
    let class = class(&metadata, version, found, warnings);
    let time = time(&metadata, found);
    let hints = hints::hints(&metadata, found, warnings);
    let context = Context {
        source: name.as_deref().unwrap_or_default(),
        time,
        has_defaults: metadata.boolean("default_values", found).unwrap_or(false),
        is_json: format
            .as_ref()
            .is_some_and(|format| format.name == "json_lines"),
    };
    let names = mapping_names(file);
    let mapping = mapping_of(files, &names, &metadata, &context, found, warnings)?;
    let event = event(&metadata, &class?, mapping.attributes);
    Some(Source {
        name: name?,
        aliases: Vec::new(),
        format: format?,
        columns: mapping.columns,
        account: Vec::new(),
        region: Vec::new(),
        filters: Vec::new(),
        sets: BTreeMap::new(),
        lets: Vec::new(),
        base_at: Origin::default(),
        events: vec![event],
        unmapped: Unmapped {
            kept: true,
            style: UnmappedStyle::Map,
        },
        redact: Redact::default(),
        outputs: BTreeMap::new(),
        load: Some(hints),
    })
}

fn mapping_of(
    files: &[File],
    names: &[String],
    metadata: &Metadata,
    context: &Context<'_>,
    found: &mut Diagnostics,
    warnings: &mut Diagnostics,
) -> Option<Mapping> {
    let by_name = |name: &String| files.iter().find(|file| base_name(&file.name) == name);
    let Some(file) = names.iter().find_map(by_name) else {
        let at = metadata.key("mapping_file_s3_prefix");
        let message = format!("there is no mapping CSV called {}", names.join(" or "));
        found.push(
            &at,
            message,
            "put it beside the metadata CSV, or into ../mapping",
        );
        return None;
    };
    Some(mapping::mapping(file, context, found, warnings))
}

fn event(metadata: &Metadata, class: &str, attributes: Object) -> Event {
    Event {
        name: class.to_owned(),
        class: class.to_owned(),
        profiles: Vec::new(),
        base_profiles: Vec::new(),
        lets: Vec::new(),
        profiles_at: metadata.key("ocsf_class_name"),
        when: None,
        also: false,
        attributes,
        consumed: Vec::new(),
        at: metadata.key("ocsf_class_name"),
    }
}

/// Returns the format and its options, named as in `formats`.
fn format(metadata: &Metadata, found: &mut Diagnostics) -> Option<Format> {
    let known = ["json", "parquet", "csv", "txt"];
    metadata.require("source_format", "txt", found)?;
    let written = metadata.word("source_format", &known, found)?;
    let mut options = BTreeMap::new();
    let header = metadata.boolean("header", found);
    let is_multiline = metadata.boolean("is_multiline", found).unwrap_or(false);
    let is_spaced = metadata.boolean("source_log_ts_and_delimiter_as_whitespaces", found);
    let name = match &*written {
        "json" => "json_lines",
        "parquet" => "parquet",
        _ => {
            let delimiter = delimiter(metadata, &written, found)?;
            options.insert("delimiter".to_owned(), delimiter.to_string());
            // Logs separated by spaces cannot express a missing value in another way.
            if delimiter == ' ' {
                options.insert("null".to_owned(), "-".to_owned());
            }
            options.insert("header".to_owned(), header.unwrap_or(false).to_string());
            if is_spaced.unwrap_or(false) {
                options.insert("brackets".to_owned(), "true".to_owned());
            }
            "csv"
        }
    };
    if is_multiline && name != "parquet" {
        options.insert("multiline".to_owned(), "true".to_owned());
    }
    let at = metadata.key("source_format");
    Some(Format {
        name: name.to_owned(),
        options,
        null: Vec::new(),
        at,
    })
}

/// Returns the delimiter: one character, which is quoted if it is white space.
fn delimiter(metadata: &Metadata, format: &str, found: &mut Diagnostics) -> Option<char> {
    let Some(cell) = metadata.cell("delimiter") else {
        if format == "txt" {
            let at = metadata.key("delimiter");
            found.push(&at, "missing value", "write `|`, or `\" \"` for whitespace");
        }
        return (format == "csv").then_some(',');
    };
    let written = cell.text.as_str();
    let unquoted = written.trim_matches(['"', '\'']);
    let mut chars = if unquoted.is_empty() {
        written
    } else {
        unquoted
    }
    .chars();
    match (unquoted, chars.next(), chars.next()) {
        ("\\t" | "tab", ..) => Some('\t'),
        (_, Some(one), None) => Some(one),
        _ => {
            let message = format!("`{written}` is not one character");
            found.push(&cell.at, message, "write `|`, or `\" \"` for whitespace");
            None
        }
    }
}

/// Returns the format of times, if the metadata has one.
fn time(metadata: &Metadata, found: &mut Diagnostics) -> Option<ColumnKind> {
    let cell = metadata.cell("source_log_timestamp_format")?;
    match timestamp::kind(&cell.text) {
        Ok(kind) => Some(kind),
        Err(message) => {
            let at = Origin {
                key: "source_log_timestamp_format".to_owned(),
                ..cell.at.clone()
            };
            found.push(
                &at,
                message,
                "write a Java pattern such as `yyyy-MM-dd HH:mm:ss`, or `epoch`",
            );
            None
        }
    }
}

/// Returns the name of the class. The name takes precedence over the id, because ids changed
/// between OCSF versions.
fn class(
    metadata: &Metadata,
    version: &str,
    found: &mut Diagnostics,
    warnings: &mut Diagnostics,
) -> Option<String> {
    let schema = ocsf::schema(version).ok()?;
    let id = metadata.text("ocsf_class_id");
    let by_id = id
        .as_ref()
        .and_then(|id| schema.class_by_uid(id.parse().ok()?));
    let Some(written) = metadata.text("ocsf_class_name") else {
        return match (by_id, id) {
            (Some(class), _) => Some(class.name.clone()),
            (None, Some(id)) => {
                let message = format!("OCSF {version} has no class `{id}`");
                found.push(
                    &metadata.key("ocsf_class_id"),
                    message,
                    "give ocsf_class_name instead",
                );
                None
            }
            (None, None) => metadata.require("ocsf_class_name", "network_activity", found),
        };
    };
    let name = written.trim().to_lowercase().replace([' ', '-'], "_");
    if by_id.is_none_or(|class| class.name != name) && id.is_some() {
        let message = format!("is not the id of `{name}` in OCSF {version}");
        warnings.push(&metadata.key("ocsf_class_id"), message, "the name is used");
    }
    Some(name)
}
