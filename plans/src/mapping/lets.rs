//! Named expressions: planned once, and put in wherever an expression names them.

use super::found::Found;
use super::scope::{ITEM, Let, Scope};
use crate::spec::Sql;

/// The scope with more named expressions. One may use those before it. A mistake in one is
/// reported here; expressions that use it are left out silently.
pub(super) fn with_lets<'a>(
    scope: &Scope<'a>,
    lets: &[(String, Sql)],
    found: &mut Found,
) -> Scope<'a> {
    let mut scope = scope.clone();
    for (name, sql) in lets {
        if let Some(taken) = taken(&scope, name) {
            found.error(&sql.at, taken, "choose another name");
            continue;
        }
        let expr = found.expr(&scope, sql);
        let kind = expr
            .as_ref()
            .and_then(|expr| found.valid(&sql.at, scope.type_of(expr)));
        let planned = expr.zip(kind).map(|(expr, kind)| Let { expr, kind });
        scope.lets.insert(name.clone(), planned);
    }
    scope
}

/// Why an expression cannot have this name.
fn taken(scope: &Scope<'_>, name: &str) -> Option<String> {
    if name == ITEM {
        return Some(format!("`{ITEM}` is the element of an `each`"));
    }
    if scope.kinds.contains_key(name) {
        return Some(format!("`{name}` is a column"));
    }
    let is_double = scope.lets.contains_key(name);
    is_double.then(|| format!("there is already a `{name}` under [let]"))
}
