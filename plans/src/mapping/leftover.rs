//! The `unmapped` attribute: what is parsed and not mapped.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion::common::Column as Name;
use datafusion::logical_expr::{Expr, cast, lit};

use super::attributes::Builder;
use super::scope::Scope;
use super::tree::Leaf;
use crate::decode::EXTRA;
use crate::functions;
use crate::functions::{Redaction, UnmappedSource, UnmappedSpec, dotted_key, map_type};
use crate::ocsf::UNMAPPED;
use crate::spec::{Column, ColumnKind, Event, Node, Object, UnmappedStyle, Value};

/// Columns with their expressions, in the order of the map's entries.
type Sources = Vec<(UnmappedSource, Expr)>;

/// The leaf that holds everything of `columns` that `builder` has not mapped.
pub(super) fn leaf(
    builder: &mut Builder<'_>,
    scope: &Scope<'_>,
    event: &Event,
    columns: &[Column],
    style: UnmappedStyle,
) -> Leaf {
    let mut sources = Sources::new();
    if let Some(Node {
        value: Value::Object(object),
        ..
    }) = event.attributes.get(UNMAPPED)
    {
        written(builder, scope, object, "", &mut sources);
    }
    let mut mapped = builder.mapped.clone();
    mapped.extend(event.consumed.iter().cloned());
    for column in columns {
        sources.extend(left_of(column, &mapped));
    }
    // By its names in the input: no column takes what stands there.
    let extra = source(String::new(), true, event.consumed.to_vec());
    sources.push((extra, Expr::Column(Name::new_unqualified(EXTRA))));
    call(sources, scope.redaction, style)
}

/// What the mapping itself puts there, under the keys that it gives.
fn written(
    builder: &mut Builder<'_>,
    scope: &Scope<'_>,
    object: &Object,
    parent: &str,
    sources: &mut Sources,
) {
    for (name, node) in object {
        let own = dotted_key(&[name]);
        let key = super::tree::join(parent, &own);
        let expr = match &node.value {
            Value::Object(inner) => {
                written(builder, scope, inner, &key, sources);
                continue;
            }
            Value::Sql(sql) => builder.planned(scope, sql),
            Value::Constant(constant) => {
                super::enumeration::plain(constant).map(|text| lit(super::fit::text(text)))
            }
            _ => {
                let message = format!("`unmapped.{key}` is one text");
                builder
                    .diagnostics
                    .push(&node.at, message, "write an expression");
                None
            }
        };
        let finished = expr.and_then(|expr| {
            let result = scope.finish(cast(expr, DataType::Utf8View));
            builder.valid(&node.at, result)
        });
        sources.extend(finished.map(|expr| (source(key, false, Vec::new()), expr)));
    }
}

fn source(key: String, json: bool, except: Vec<String>) -> UnmappedSource {
    UnmappedSource { key, json, except }
}

/// The column less what is mapped of it; `None` when all of it is.
fn left_of(column: &Column, mapped: &BTreeSet<String>) -> Option<(UnmappedSource, Expr)> {
    let key = dotted_key(&[&column.name]);
    if mapped.contains(&key) || mapped.contains(&column.name) {
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
