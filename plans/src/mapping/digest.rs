//! The digest of everything that decides an output's rows.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::diagnostics::Origin;
use crate::spec::{Column, Node, Object, Source, Sql, Value};

/// To be raised when the same configuration gives other rows than before.
const REVISION: u32 = 3;

/// Hex SHA-256; the same for sources that differ only in places, names of aliases
/// and where the load goes.
pub(super) fn digest(source: &Source, ocsf: &str, columns: &[Column], raw: bool) -> String {
    let mut source = source.clone();
    source.aliases.clear();
    source.load = None;
    source.outputs.clear();
    source.columns = columns.to_vec();
    forget_places(&mut source);
    let rendered = format!("{REVISION}\n{ocsf}\n{raw}\n{source:?}");
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(rendered.as_bytes()) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn forget_places(source: &mut Source) {
    source.format.at = Origin::default();
    source
        .columns
        .iter_mut()
        .for_each(|column| column.at = Origin::default());
    source.account.iter_mut().for_each(sql);
    source.region.iter_mut().for_each(sql);
    source
        .filters
        .iter_mut()
        .for_each(|filter| sql(&mut filter.when));
    source.base_at = Origin::default();
    source.lets.iter_mut().for_each(|(_, value)| sql(value));
    for event in &mut source.events {
        event.at = Origin::default();
        event.profiles_at = Origin::default();
        event.lets.iter_mut().for_each(|(_, value)| sql(value));
        event.when.iter_mut().for_each(sql);
        object(&mut event.attributes);
    }
}

fn sql(sql: &mut Sql) {
    sql.at = Origin::default();
}

fn object(object: &mut Object) {
    object.values_mut().for_each(node);
}

fn node(node: &mut Node) {
    node.at = Origin::default();
    match &mut node.value {
        Value::Object(inner) => object(inner),
        Value::Sql(inner) => sql(inner),
        Value::List(items) => items.iter_mut().for_each(self::node),
        Value::Enum(members) => {
            sql(&mut members.on);
            members
                .to
                .iter_mut()
                .for_each(|(_, _, at)| *at = Origin::default());
        }
        Value::Each(each) => {
            sql(&mut each.list);
            each.when.iter_mut().for_each(sql);
            object(&mut each.item);
        }
        Value::Constant(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dialects, formats, ocsf, sources};

    #[test]
    fn the_same_files_at_another_place_have_the_same_digest() {
        let shipped = sources::find("vpc_flow").expect("it ships");
        let digest_at = |place: &str| {
            let files = shipped.files().iter();
            let files: Vec<(String, String)> = files
                .map(|(name, text)| (format!("{place}{name}"), format!("\n{text}")))
                .collect();
            let files: Vec<(&str, &str)> = files
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str()))
                .collect();
            let loaded = dialects::load_embedded(&files, ocsf::DEFAULT_VERSION);
            let source = loaded.expect("it is right").source;
            let columns = formats::find(&source.format.name).expect("known").columns();
            digest(&source, ocsf::DEFAULT_VERSION, &columns, false)
        };
        assert_eq!(digest_at(""), digest_at("/somewhere/else/"));
    }
}
