//! `each(json, program, …)`: a list with one object for each element of a JSON array.
//! The program is an expression over `item` and the columns that follow. It is encoded as
//! DataFusion serialises expressions.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, RecordBatch, StringViewBuilder, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::compute::{filter, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion_proto::bytes::Serializeable;

use super::definition::{Cache, Definition, Returns};
use super::json::{Raw, elements};
use super::registry;
use super::text::{as_text, text_type};

pub(super) static EACH: Definition = Definition {
    name: "each",
    arguments: |types| Ok(types.to_vec()),
    returns: Returns::From(returns),
    invoke,
};

/// Name of the element in the expressions of an `each` table.
const ITEM: &str = "item";

/// Returns the call that makes a list of `object` from `list`. `outer` lists the other
/// columns that `object` uses.
pub(crate) fn each_expr(
    list: Expr,
    object: &Expr,
    outer: Vec<Expr>,
    scope: &DFSchema,
) -> Result<Expr> {
    let mut fields = vec![Field::new(ITEM, DataType::Utf8View, true)];
    for column in &outer {
        let name = column.schema_name().to_string();
        fields.push(Field::new(name, column.get_type(scope)?, true));
    }
    let program = lit(ScalarValue::Binary(Some(object.to_bytes()?.to_vec())));
    let mut args = vec![list, program];
    for (column, field) in outer.into_iter().zip(&fields[1..]) {
        args.push(lit(field.name().as_str()));
        args.push(column);
    }
    Ok(super::named(EACH.name).call(args))
}

struct Program {
    object: Arc<dyn PhysicalExpr>,
    schema: Arc<Schema>,
    kind: DataType,
}

fn program(
    literal: Option<&ScalarValue>,
    names: &[Option<&ScalarValue>],
    types: &[DataType],
) -> Result<Arc<Program>> {
    static PROGRAMS: Cache<Program> = Cache::new();
    let Some(ScalarValue::Binary(Some(bytes))) = literal else {
        return exec_err!("each needs its program as a literal");
    };
    let mut fields = vec![Field::new(ITEM, text_type(), true)];
    for (name, kind) in names.iter().zip(types) {
        let Some(Some(name)) = name.and_then(|name| name.try_as_str()) else {
            return exec_err!("each needs its columns' names as literals");
        };
        fields.push(Field::new(name, kind.clone(), true));
    }
    let schema = Arc::new(Schema::new(fields));
    let key = [bytes.as_slice(), schema.to_string().as_bytes()].concat();
    PROGRAMS.get(&key, || {
        let expr = Expr::from_bytes_with_ctx(bytes, registry::decoder())?;
        let scope = DFSchema::try_from(Arc::clone(&schema))?;
        let object = registry::evaluator().create_physical_expr(expr, &scope)?;
        let kind = object.data_type(&schema)?;
        Ok(Program {
            object,
            schema: Arc::clone(&schema),
            kind,
        })
    })
}

fn returns(fields: &[FieldRef], literals: &[Option<&ScalarValue>]) -> Result<DataType> {
    let Some(outer) = fields.get(2..) else {
        return exec_err!("each needs a list and a program");
    };
    let types: Vec<DataType> = outer
        .iter()
        .skip(1)
        .step_by(2)
        .map(|field| field.data_type().clone())
        .collect();
    let names: Vec<_> = literals[2..].iter().step_by(2).copied().collect();
    let kind = program(literals[1], &names, &types)?.kind.clone();
    Ok(DataType::List(Arc::new(Field::new_list_field(kind, true))))
}

fn invoke(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let literals: Vec<Option<&ScalarValue>> = args
        .args
        .iter()
        .map(|arg| match arg {
            ColumnarValue::Scalar(value) => Some(value),
            ColumnarValue::Array(_) => None,
        })
        .collect();
    let names: Vec<_> = literals[2..].iter().step_by(2).copied().collect();
    let outer: Vec<ArrayRef> = args.args[2..]
        .iter()
        .skip(1)
        .step_by(2)
        .map(|column| column.to_array(args.number_rows))
        .collect::<Result<_>>()?;
    let types: Vec<DataType> = outer.iter().map(|a| a.data_type().clone()).collect();
    let program = program(literals[1], &names, &types)?;
    let lists = as_text(&args.args[0].to_array(args.number_rows)?)?;
    let items = Items::of(&lists);
    let mut columns: Vec<ArrayRef> = vec![Arc::clone(&items.texts)];
    for column in &outer {
        columns.push(take(column, &items.rows, None)?);
    }
    let batch = RecordBatch::try_new(Arc::clone(&program.schema), columns)?;
    let objects = program
        .object
        .evaluate(&batch)?
        .into_array(batch.num_rows())?;
    Ok(ColumnarValue::Array(Arc::new(
        items.into_lists(&objects, lists.len())?,
    )))
}

/// The elements of the arrays of all rows.
struct Items {
    texts: ArrayRef,
    /// The row of each element.
    rows: UInt32Array,
}

impl Items {
    fn of(lists: &arrow::array::StringViewArray) -> Self {
        let mut texts = StringViewBuilder::new();
        let mut rows = Vec::new();
        for row in (0..lists.len()).filter(|row| lists.is_valid(*row)) {
            let Some(json) = Raw::parse(lists.value(row)) else {
                continue;
            };
            match json {
                Raw::Array(array) => {
                    for item in elements(array).filter_map(Raw::text) {
                        texts.append_value(item);
                        rows.push(row as u32);
                    }
                }
                other => {
                    if let Some(item) = other.text() {
                        texts.append_value(item);
                        rows.push(row as u32);
                    }
                }
            }
        }
        Self {
            texts: Arc::new(texts.finish()),
            rows: rows.into(),
        }
    }

    /// Collects the objects that are not NULL in lists. An empty list becomes NULL.
    fn into_lists(self, objects: &ArrayRef, rows: usize) -> Result<ListArray> {
        let kept: BooleanBuffer = (0..objects.len()).map(|at| objects.is_valid(at)).collect();
        let mut lengths = vec![0usize; rows];
        for (at, row) in self.rows.values().iter().enumerate() {
            lengths[*row as usize] += usize::from(kept.value(at));
        }
        let nulls: NullBuffer = lengths.iter().map(|length| *length > 0).collect();
        let values = filter(objects, &kept.into())?;
        let field = Arc::new(Field::new_list_field(objects.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(ListArray::try_new(field, offsets, values, Some(nulls))?)
    }
}
