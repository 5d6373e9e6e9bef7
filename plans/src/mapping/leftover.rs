//! The `unmapped` attribute: what is parsed and not mapped.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion::common::Column as Name;
use datafusion::logical_expr::{Expr, lit};

use super::scope::Scope;
use super::tree::Leaf;
use crate::decode::EXTRA;
use crate::functions;
use crate::functions::{Redaction, UnmappedSource, UnmappedSpec, dotted_key, map_type};
use crate::spec::{Column, ColumnKind, Event, UnmappedStyle};

/// Columns with their expressions, in the order of the map's entries.
type Sources = Vec<(UnmappedSource, Expr)>;

/// The leaf that holds everything of `columns` that is neither `mapped` nor consumed.
pub(super) fn leaf(
    mut mapped: BTreeSet<String>,
    scope: &Scope<'_>,
    event: &Event,
    columns: &[Column],
    style: UnmappedStyle,
) -> Leaf {
    let mut sources = Sources::new();
    mapped.extend(event.consumed.iter().cloned());
    for column in columns.iter().filter(|column| column.is_of_record()) {
        sources.extend(left_of(column, &mapped));
    }
    // Consumed by their names in the input, as no column takes these.
    let extra = source(String::new(), true, event.consumed.to_vec());
    sources.push((extra, Expr::Column(Name::new_unqualified(EXTRA))));
    call(sources, scope.redaction, style)
}

fn source(key: String, json: bool, except: Vec<String>) -> UnmappedSource {
    UnmappedSource { key, json, except }
}

/// The column less what is mapped of it; `None` when all of it is.
fn left_of(column: &Column, mapped: &BTreeSet<String>) -> Option<(UnmappedSource, Expr)> {
    let key = dotted_key(&column.segments());
    let own = dotted_key(&[&column.name]);
    if [&key, &own, &column.name]
        .iter()
        .any(|name| mapped.contains(*name))
    {
        return None;
    }
    let json = column.kind == ColumnKind::Json;
    let below = |path: &&String| path.starts_with(&key) && path.len() > key.len();
    let except = match json {
        true => mapped.iter().filter(below).cloned().collect(),
        false => Vec::new(),
    };
    let expr = Expr::Column(Name::new_unqualified(&column.name));
    Some((source(key, json, except), expr))
}

fn call(sources: Sources, redaction: &Redaction, style: UnmappedStyle) -> Leaf {
    let (columns, values): (Vec<UnmappedSource>, Vec<Expr>) = sources.into_iter().unzip();
    let spec = UnmappedSpec {
        columns,
        redaction: redaction.clone(),
    };
    let spec = serde_json::to_string(&spec).expect("texts and booleans are JSON");
    let mut args = vec![lit(functions::wide_text(spec))];
    args.extend(values);
    let (name, kind) = match style {
        UnmappedStyle::Map => ("unmapped_map", map_type()),
        UnmappedStyle::Json => ("unmapped_json", DataType::Utf8View),
    };
    Leaf::derived(functions::named(name).call(args), kind)
}
