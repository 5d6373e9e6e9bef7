//! What an expression may name: columns, sets, and the element of an `each`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column as Name, DFSchema, Result, plan_err};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable, TryCast, cast};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::fit;
use crate::decode;
use crate::decode::RAW;
use crate::functions::{Redaction, dotted_key};
use crate::spec::{Column, ColumnKind};

/// The name of the element in an `each` table's expressions.
pub(super) const ITEM: &str = "item";

/// A named expression, and the type of its value.
#[derive(Clone, Debug)]
pub(super) struct Let {
    pub(super) expr: Expr,
    pub(super) kind: DataType,
}

/// The columns that expressions are written over, and how values leave them.
#[derive(Clone)]
pub(super) struct Scope<'a> {
    pub(super) kinds: BTreeMap<String, ColumnKind>,
    pub(super) schema: Arc<DFSchema>,
    pub(super) sets: &'a BTreeMap<String, Vec<String>>,
    pub(super) redaction: &'a Redaction,
    /// Named expressions. One that is `None` has a mistake, which is reported.
    pub(super) lets: BTreeMap<String, Option<Let>>,
    /// Whether texts may be JSON, since the records are.
    pub(super) reads_json: bool,
    /// Whether the format has columns itself, so that no others need a declaration.
    pub(super) has_own_columns: bool,
    /// The columns are unknown, so expressions cannot be planned.
    pub(super) is_blind: bool,
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        columns: &[Column],
        sets: &'a BTreeMap<String, Vec<String>>,
        redaction: &'a Redaction,
    ) -> Result<Self> {
        let kinds = columns.iter().map(|c| (c.name.clone(), c.kind.clone()));
        let schema = decode::schema_of(columns);
        // The record itself is JSON, or a text that no path leads into.
        let raw = (RAW.to_owned(), ColumnKind::Json);
        Ok(Self {
            kinds: kinds.chain([raw]).collect(),
            schema: Arc::new(DFSchema::try_from(schema)?),
            sets,
            redaction,
            lets: BTreeMap::new(),
            reads_json: false,
            has_own_columns: columns
                .iter()
                .any(|column| column.at.line == 0 && column.is_of_record()),
            is_blind: false,
        })
    }

    /// A scope whose columns are unknown.
    pub(super) fn blind(sets: &'a BTreeMap<String, Vec<String>>, redaction: &'a Redaction) -> Self {
        let schema = DFSchema::try_from(decode::schema_of(&[]));
        Self {
            kinds: BTreeMap::new(),
            schema: Arc::new(schema.unwrap_or_else(|_| DFSchema::empty())),
            sets,
            redaction,
            lets: BTreeMap::new(),
            reads_json: false,
            has_own_columns: true,
            is_blind: true,
        }
    }

    /// The same with `item`, the JSON of one element.
    pub(super) fn with_item(&self) -> Result<Self> {
        let mut columns: Vec<Column> = vec![Column::new(ITEM, ColumnKind::Json)];
        for (name, kind) in &self.kinds {
            if name != ITEM && name != RAW {
                columns.push(Column::new(name, kind.clone()));
            }
        }
        let mut scope = Self::new(&columns, self.sets, self.redaction)?;
        scope.lets.clone_from(&self.lets);
        scope.has_own_columns = self.has_own_columns;
        scope.reads_json = self.reads_json;
        scope.is_blind = self.is_blind;
        Ok(scope)
    }

    /// Every name that an expression may use, for suggestions.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds
            .keys()
            .chain(self.lets.keys())
            .map(String::as_str)
            .filter(|name| *name != RAW)
    }

    pub(super) fn type_of(&self, expr: &Expr) -> Result<DataType> {
        expr.get_type(self.schema.as_ref())
    }

    /// The expression with its casts written out and its constants folded.
    pub(super) fn finish(&self, expr: Expr) -> Result<Expr> {
        let context = SimplifyContext::builder()
            .with_schema(Arc::clone(&self.schema))
            .build();
        let simplifier = ExprSimplifier::new(context);
        let kind = |expr: &Expr| self.type_of(expr);
        let coerced = self.trying(simplifier.coerce(expr, &self.schema)?)?;
        let before = kind(&coerced)?;
        let simple = simplifier.simplify(coerced)?;
        // Folding may change a type by a hair (such as Utf8 for Utf8View). The simplified
        // form is needed all the same: the engine cannot run `coalesce` before it.
        Ok(match kind(&simple)? == before {
            true => simple,
            false => cast(simple, before),
        })
    }

    /// The expression with `TRY_CAST` for each cast that may fail: a value that has not the
    /// type is NULL.
    fn trying(&self, expr: Expr) -> Result<Expr> {
        let trying = expr.transform_up(|expr| match expr {
            Expr::Cast(cast) if !self.can_cast(&cast.expr, cast.field.data_type())? => {
                self.no_cast(&cast.expr, cast.field.data_type())
            }
            Expr::TryCast(cast) if !self.can_cast(&cast.expr, cast.field.data_type())? => {
                self.no_cast(&cast.expr, cast.field.data_type())
            }
            Expr::Cast(cast)
                if !always_fits(&self.type_of(&cast.expr)?, cast.field.data_type()) =>
            {
                Ok(Transformed::yes(Expr::TryCast(TryCast {
                    expr: cast.expr,
                    field: cast.field,
                })))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(trying.data)
    }

    fn can_cast(&self, expr: &Expr, to: &DataType) -> Result<bool> {
        Ok(can_cast_types(&self.type_of(expr)?, to))
    }

    fn no_cast(&self, expr: &Expr, to: &DataType) -> Result<Transformed<Expr>> {
        let from = self.type_of(expr)?;
        plan_err!("{} cannot become {}", fit::name_of(&from), fit::name_of(to))
    }

    /// Whether the expression gives JSON text: a JSON column or a path into one.
    pub(super) fn json_key(&self, expr: &Expr) -> Option<String> {
        let path = path_of(expr)?;
        let (column, inside) = path.split_first()?;
        let is_json = match self.kinds.get(column) {
            Some(ColumnKind::Json) => true,
            Some(ColumnKind::Text) => self.reads_json,
            _ => false,
        };
        is_json.then(|| match column == RAW {
            true => dotted_key(inside),
            false => dotted_key(&path),
        })
    }
}

/// Whether every value of a type can be cast to another one.
fn always_fits(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    match (from, to) {
        (from, to) if from == to => true,
        (Null, _) | (_, Utf8 | LargeUtf8 | Utf8View) => true,
        (Int8 | Int16 | Int32, Int32 | Int64 | Float64) => true,
        (Int64, Float64 | Timestamp(TimeUnit::Millisecond, _)) => true,
        (Timestamp(from, _), Timestamp(to, _)) => from == to,
        (Timestamp(..), Int64) | (Boolean, Int32 | Int64) => true,
        (List(from), List(to)) => always_fits(from.data_type(), to.data_type()),
        _ => false,
    }
}

/// The column that an expression reads, and the keys into it. Casts are ignored.
pub(super) fn path_of(expr: &Expr) -> Option<Vec<String>> {
    match expr {
        Expr::Column(Name { name, .. }) => Some(vec![name.clone()]),
        Expr::Cast(cast) => path_of(&cast.expr),
        Expr::TryCast(cast) => path_of(&cast.expr),
        Expr::Alias(alias) => path_of(&alias.expr),
        Expr::ScalarFunction(call) if call.name() == "json_get" => {
            let (json, keys) = call.args.split_first()?;
            let mut path = path_of(json)?;
            for key in keys {
                path.push(literal(key)?.to_owned());
            }
            Some(path)
        }
        _ => None,
    }
}

/// The text of a literal.
pub(super) fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        Expr::Cast(cast) => literal(&cast.expr),
        _ => None,
    }
}
