//! The source of a load that was sent: one that ships, or files that are read from memory.

use std::collections::BTreeMap;

use plans::compiled::Compiled;
use plans::{compiled, dialects};

use super::proto;
use crate::load::failure::{Failure, Kind};
use crate::load::recorded::SentSource;

const MOST_FILES: usize = 64;
const MOST_BYTES: usize = 1 << 20;
const LONGEST_NAME: usize = 128;

fn wrong(message: impl Into<String>, remedy: &str) -> Failure {
    Failure::new(Kind::Usage, "source", message, remedy)
}

impl SentSource {
    /// The source of a request; its files are plain and few.
    pub fn received(source: proto::Source) -> Result<Self, Failure> {
        plain("source.name", &source.name)?;
        plain("source.ocsf_version", &source.ocsf_version)?;
        plain("source.config_digest", &source.config_digest)?;
        let bytes: usize = source.files.values().map(Vec::len).sum();
        if source.files.len() > MOST_FILES || bytes > MOST_BYTES {
            let count = source.files.len();
            return Err(wrong(
                format!("`source.files` holds {count} files of {bytes} bytes"),
                "a source is at most 64 files of 1 MiB together",
            ));
        }
        let mut files = BTreeMap::new();
        for (name, content) in source.files {
            plain("source.files", &name)?;
            let text = String::from_utf8(content)
                .map_err(|_| wrong(format!("{name} is not UTF-8"), "save the file as UTF-8"))?;
            files.insert(name, text);
        }
        Ok(Self {
            name: source.name,
            files,
            ocsf_version: source.ocsf_version,
            config_digest: source.config_digest,
        })
    }

    /// The source as it travels.
    pub fn sent(&self) -> proto::Source {
        let files = self.files.clone().into_iter();
        proto::Source {
            name: self.name.clone(),
            files: files.map(|(name, text)| (name, text.into())).collect(),
            ocsf_version: self.ocsf_version.clone(),
            config_digest: self.config_digest.clone(),
        }
    }

    /// Compiles it, which must come to what the sender's program came to.
    pub fn compile(&self, raw: bool) -> Result<Compiled, Failure> {
        let loaded = match self.files.is_empty() {
            true => self.shipped()?.load(&self.ocsf_version),
            false => {
                let named = |name: &String| format!("{}/{name}", self.name);
                let names: Vec<String> = self.files.keys().map(named).collect();
                let texts = self.files.values().map(String::as_str);
                let files: Vec<_> = names.iter().map(String::as_str).zip(texts).collect();
                dialects::load_embedded(&files, &self.ocsf_version)
            }
        };
        let loaded = loaded.map_err(|found| wrong(found.to_string(), "mend the lines above"))?;
        let compiled = compiled::compile(loaded, &self.ocsf_version, raw)
            .map_err(|error| wrong(error.to_string(), "mend the source"))?;
        match compiled.program.digest == self.config_digest {
            true => Ok(compiled),
            false => Err(self.differs(&compiled.program.digest)),
        }
    }

    fn shipped(&self) -> Result<&'static plans::sources::Shipped, Failure> {
        let remedy = "update the scheduler, or send the source's files";
        plans::sources::find(&self.name).map_err(|error| wrong(error.to_string(), remedy))
    }

    fn differs(&self, digest: &str) -> Failure {
        let (name, sent, version) = (&self.name, &self.config_digest, env!("CARGO_PKG_VERSION"));
        let message = format!(
            "the scheduler ({version}) compiles source {name} to {digest}, the client to {sent}"
        );
        let remedy = "use the same version of lakebolt on both sides";
        Failure::new(Kind::Usage, "config_differs", message, remedy)
    }
}

/// Texts that become parts of paths and messages.
fn plain(field: &str, text: &str) -> Result<(), Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let fits = !text.is_empty() && text.len() <= LONGEST_NAME && !text.starts_with('.');
    match fits && text.chars().all(is_plain) {
        true => Ok(()),
        false => Err(wrong(
            format!("`{field}` holds a name that is not plain"),
            "use letters, digits, `_`, `-` and `.`, 128 of them at most",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped(files: bool) -> SentSource {
        let version = plans::ocsf::DEFAULT_VERSION;
        let shipped = plans::sources::find("vpc_flow").expect("it ships");
        let loaded = shipped.load(version).expect("it is right");
        let compiled = compiled::compile(loaded, version, false).expect("it compiles");
        let texts = shipped.files().iter().filter(|_| files);
        let base = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        SentSource {
            name: "vpc_flow".to_owned(),
            files: texts
                .map(|(name, text)| (base(name), (*text).to_owned()))
                .collect(),
            ocsf_version: version.to_owned(),
            config_digest: compiled.program.digest,
        }
    }

    #[test]
    fn a_source_that_ships_and_its_files_compile_to_the_same() {
        for files in [false, true] {
            let sent = SentSource::received(shipped(files).sent()).expect("it is plain");
            assert_eq!(sent, shipped(files));
            let compiled = sent.compile(false).expect("it compiles");
            assert_eq!(compiled.source.name, "vpc_flow");
        }
    }

    #[test]
    fn another_meaning_of_the_same_source_is_refused() {
        let mut sent = shipped(false);
        sent.config_digest = "other".to_owned();
        let failure = sent.compile(false).expect_err("it differs");
        assert_eq!(failure.code, "config_differs");
        assert!(failure.message.contains("the client to other"), "{failure}");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["../x.toml", "a/b.toml", ".hidden", "", "a b"] {
            let mut source = shipped(true).sent();
            source.files.insert(name.to_owned(), Vec::new());
            assert!(SentSource::received(source).is_err(), "{name}");
        }
    }

    #[test]
    fn too_much_and_no_text_are_refused() {
        for content in [vec![b' '; MOST_BYTES], vec![0xFF]] {
            let mut source = shipped(true).sent();
            source.files.insert("more.toml".to_owned(), content);
            assert!(SentSource::received(source).is_err());
        }
        let mut source = shipped(false).sent();
        source.files = (0..65).map(|n| (format!("{n}.toml"), Vec::new())).collect();
        assert!(SentSource::received(source).is_err());
    }
}
