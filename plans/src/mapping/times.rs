//! The `*_dt` twins of times, which the datetime profile brings.

use datafusion::logical_expr::{Expr, cast};

use super::fit::instant;
use super::tree::{Leaf, Members, Tree, leaf};
use crate::ocsf::{Attributes, Type};

/// Adds the twin of every time that has none yet.
pub(super) fn add(members: &mut Members, attributes: &Attributes) {
    let mut found: Vec<(String, Leaf)> = Vec::new();
    for name in members.keys() {
        let twin = format!("{name}_dt");
        let is_time = attributes
            .get(name)
            .is_some_and(|a| a.ty == Type::Timestamp);
        let has_twin = attributes
            .get(&twin)
            .is_some_and(|a| a.ty == Type::Datetime);
        let time = leaf(members, name).filter(|_| is_time && has_twin);
        if let Some(time) = time.filter(|_| !members.contains_key(&twin)) {
            let expr = of_millis(&time.expr);
            found.push((twin, Leaf::derived(expr, instant())));
        }
    }
    for (name, leaf) in found {
        members.insert(name, Tree::Leaf(leaf));
    }
}

/// The instant that an expression gives as epoch milliseconds.
pub(super) fn of_millis(millis: &Expr) -> Expr {
    if let Expr::Cast(outer) = millis
        && is_instant(&outer.expr)
    {
        return (*outer.expr).clone();
    }
    cast(millis.clone(), instant())
}

fn is_instant(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(cast) => *cast.field.data_type() == instant(),
        Expr::TryCast(cast) => *cast.field.data_type() == instant(),
        _ => false,
    }
}
