//! Objects from their members: which of them exist, and what they lack.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, ListArray, RecordBatch, StructArray, new_null_array,
};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, FieldRef, Fields, Int32Type};
use datafusion::common::{Result, exec_err};

use super::each::Frame;
use super::mask::{self, Mask};
use super::{Expr, Failures, evaluate};
use crate::mapping::{Content, Demand, Key, Layout, Leaf, Object};

/// What is found while events are built.
pub(super) struct Build<'a> {
    /// The record's values that attributes may hold.
    pub(super) keys: &'a [Key],
    pub(super) failures: Failures,
    pub(super) left_out: Vec<LeftOut>,
    /// The elements of each `each`, by its number.
    pub(super) frames: Vec<Option<Frame>>,
}

/// A member of an object.
pub(super) struct Built {
    pub(super) array: ArrayRef,
    /// The rows in which it makes its object exist.
    content: Mask,
    pub(super) arrived: Vec<Arrived>,
}

/// A value of the record that is in an attribute.
pub(super) struct Arrived {
    /// Index into the route's keys.
    pub(super) key: usize,
    /// The rows in which it is; of the elements of the innermost `each`, if there is one.
    pub(super) rows: Mask,
    /// The numbers of the `each` tables around it, from the outside.
    pub(super) around: Vec<usize>,
}

/// An object that OCSF would refuse, and that its parent can do without.
pub(super) struct LeftOut {
    pub(super) path: String,
    pub(super) reason: Cow<'static, str>,
    pub(super) detail: String,
    /// How many objects each row left out.
    pub(super) rows: Vec<(usize, u64)>,
}

impl LeftOut {
    /// The number of objects in the rows that are asked for.
    pub(super) fn count(&self, is_counted: impl Fn(usize) -> bool) -> u64 {
        let rows = self.rows.iter().filter(|(row, _)| is_counted(*row));
        rows.map(|(_, count)| count).sum()
    }
}

/// A row that becomes no event.
pub(super) struct Missed {
    pub(super) row: usize,
    pub(super) reason: Cow<'static, str>,
    pub(super) detail: String,
}

/// Objects of some rows.
pub(super) struct Objects {
    pub(super) array: StructArray,
    pub(super) exists: Mask,
    pub(super) content: Mask,
    pub(super) arrived: Vec<Arrived>,
}

impl<'a> Build<'a> {
    pub(super) fn new(keys: &'a [Key]) -> Self {
        Self {
            keys,
            failures: Failures::default(),
            left_out: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// The members of an object.
    pub(super) fn members(
        &mut self,
        object: &Object<Expr>,
        fields: &Fields,
        batch: &RecordBatch,
    ) -> Result<Vec<Built>> {
        let mut members = Vec::with_capacity(object.members.len());
        for (layout, field) in object.members.iter().zip(fields) {
            members.push(self.member(layout, field, batch)?);
        }
        Ok(members)
    }

    fn member(
        &mut self,
        layout: &Layout<Expr>,
        field: &FieldRef,
        batch: &RecordBatch,
    ) -> Result<Built> {
        match (layout, field.data_type()) {
            (Layout::Leaf(leaf), _) => self.leaf(leaf, field, batch),
            (Layout::Struct(object), DataType::Struct(fields)) => {
                let objects = self.object(object, fields, batch)?;
                Ok(Built {
                    array: Arc::new(objects.array),
                    content: objects.content,
                    arrived: objects.arrived,
                })
            }
            (Layout::Items(items), DataType::List(item)) => self.items(items, item, batch),
            (Layout::Each(each), DataType::List(item)) => self.each(each, item, batch),
            // These are made from the other members.
            (Layout::Observables(_) | Layout::Unmapped(_), kind) => Ok(Built::of(
                new_null_array(kind, batch.num_rows()),
                Vec::new(),
            )),
            (_, kind) => exec_err!("{} is {kind} in the plan", field.name()),
        }
    }

    fn leaf(&mut self, leaf: &Leaf<Expr>, field: &FieldRef, batch: &RecordBatch) -> Result<Built> {
        let array = evaluate(&leaf.value, batch, &mut self.failures)?;
        if array.data_type() != field.data_type() {
            return exec_err!(
                "{} is {} where {} was planned",
                field.name(),
                array.data_type(),
                field.data_type()
            );
        }
        let there = mask::validity(&array);
        let mut arrived = Vec::with_capacity(leaf.holds.len());
        if !mask::is_empty(&there) {
            for held in &leaf.holds {
                let rows = match &held.when {
                    Some(when) => mask::and(&there, &truth(when, batch)),
                    None => there.clone(),
                };
                arrived.push(Arrived {
                    key: held.key,
                    rows,
                    around: Vec::new(),
                });
            }
        }
        Ok(Built::of(array, arrived))
    }

    /// Objects, of which those are left out that OCSF would refuse.
    pub(super) fn object(
        &mut self,
        object: &Object<Expr>,
        fields: &Fields,
        batch: &RecordBatch,
    ) -> Result<Objects> {
        let members = self.members(object, fields, batch)?;
        let content = content(object, &members);
        let mut exists = match object.is_required || object.content.is_empty() {
            true => any(members.iter().map(|member| mask::validity(&member.array))),
            false => content.clone(),
        };
        for demand in &object.demands {
            let met = met(demand, &members);
            if let Some(refused) = mask::without(&exists, &met, batch.num_rows()) {
                exists = mask::and(&exists, &Some(!&refused));
                self.left_out.push(LeftOut {
                    path: object.path.clone(),
                    reason: demand.reason.clone(),
                    detail: demand.detail.clone(),
                    rows: refused.set_indices().map(|row| (row, 1)).collect(),
                });
            }
        }
        let mut arrays = Vec::with_capacity(members.len());
        let mut arrived = Vec::new();
        for member in members {
            arrays.push(member.array);
            arrived.extend(member.arrived);
        }
        self.keep(&mut arrived, &exists);
        Ok(Objects {
            array: StructArray::try_new(fields.clone(), arrays, mask::nulls(&exists))?,
            content: mask::and(&content, &exists),
            exists,
            arrived,
        })
    }

    /// Keeps what arrived in objects that exist.
    pub(super) fn keep(&self, arrived: &mut Vec<Arrived>, exists: &Mask) {
        if exists.is_none() {
            return;
        }
        for value in arrived.iter_mut() {
            let mut there = exists.clone();
            for number in &value.around {
                if let Some(frame) = self.frames.get(*number).and_then(Option::as_ref) {
                    there = frame.of_elements(&there);
                }
            }
            value.rows = mask::and(&value.rows, &there);
        }
        arrived.retain(|value| !mask::is_empty(&value.rows));
    }

    /// A list of the objects that exist.
    fn items(
        &mut self,
        items: &[Object<Expr>],
        item: &FieldRef,
        batch: &RecordBatch,
    ) -> Result<Built> {
        let DataType::Struct(fields) = item.data_type() else {
            return exec_err!("a list of objects is one of structs");
        };
        let mut arrays = Vec::with_capacity(items.len());
        let mut masks = Vec::with_capacity(items.len());
        let mut arrived = Vec::new();
        for object in items {
            let objects = self.object(object, fields, batch)?;
            arrays.push(objects.array);
            masks.push(objects.exists);
            arrived.extend(objects.arrived);
        }
        let mut indices = Vec::new();
        let mut lengths = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let before = indices.len();
            let there = (0..arrays.len()).filter(|at| mask::contains(&masks[*at], row));
            indices.extend(there.map(|at| (at, row)));
            lengths.push(indices.len() - before);
        }
        let arrays: Vec<&dyn Array> = arrays.iter().map(|array| array as &dyn Array).collect();
        let values = match indices.is_empty() {
            true => new_null_array(item.data_type(), 0),
            false => interleave(&arrays, &indices)?,
        };
        let list = lists(item, lengths, values)?;
        Ok(Built::of(list, arrived))
    }

    /// The rows that do not meet the demands of the event itself.
    pub(super) fn missed(
        &self,
        event: &Object<Expr>,
        members: &[Built],
        rows: usize,
    ) -> Vec<Missed> {
        let mut missed = Vec::new();
        for demand in &event.demands {
            let met = met(demand, members);
            let Some(refused) = mask::without(&None, &met, rows) else {
                continue;
            };
            for row in refused.set_indices() {
                let (reason, detail) = self.cause(demand, row);
                missed.push(Missed {
                    row,
                    reason,
                    detail,
                });
            }
        }
        missed
    }

    /// Why a row does not meet a demand. If an object was left out, that is the cause.
    fn cause(&self, demand: &Demand, row: usize) -> (Cow<'static, str>, String) {
        let is_below = |path: &str| {
            path == demand.detail
                || path
                    .strip_prefix(&demand.detail)
                    .is_some_and(|rest| rest.starts_with('.'))
        };
        let cause = self.left_out.iter().find(|object| {
            is_below(&object.path) && object.rows.iter().any(|(known, _)| *known == row)
        });
        match cause {
            Some(object) => (object.reason.clone(), object.detail.clone()),
            None => (demand.reason.clone(), demand.detail.clone()),
        }
    }
}

impl Built {
    /// A value, and what it holds.
    pub(super) fn of(array: ArrayRef, arrived: Vec<Arrived>) -> Self {
        Self {
            content: mask::validity(&array),
            array,
            arrived,
        }
    }
}

/// Lists with so many of the values each. An empty list is NULL.
pub(super) fn lists(item: &FieldRef, lengths: Vec<usize>, values: ArrayRef) -> Result<ArrayRef> {
    let nulls = lengths.iter().map(|length| *length > 0).collect();
    let offsets = OffsetBuffer::from_lengths(lengths);
    let list = ListArray::try_new(item.clone(), offsets, values, Some(nulls))?;
    Ok(Arc::new(list))
}

/// The rows for which a condition is true. One that fails is not.
pub(super) fn truth(when: &Expr, batch: &RecordBatch) -> Mask {
    let placed = crate::mapping::Placed {
        expr: Arc::clone(when),
        at: "".into(),
    };
    let value = evaluate(&placed, batch, &mut Failures::default());
    match value.as_ref().ok().and_then(|array| array.as_boolean_opt()) {
        Some(condition) => mask::of(condition),
        None => Some(BooleanBuffer::new_unset(batch.num_rows())),
    }
}

/// The rows in which any of them is.
fn any(masks: impl Iterator<Item = Mask>) -> Mask {
    let mut masks = masks.peekable();
    let first = masks.next()?;
    masks.fold(first, |any, next| mask::or(&any, &next))
}

/// The rows in which members make their object exist.
fn content(object: &Object<Expr>, members: &[Built]) -> Mask {
    any(object.content.iter().map(|content| match content {
        Content::Value(index) => members[*index].content.clone(),
        Content::KnownId(index) => known_ids(&members[*index].array),
    }))
}

fn known_ids(ids: &ArrayRef) -> Mask {
    let Some(ids) = ids.as_primitive_opt::<Int32Type>() else {
        return mask::validity(ids);
    };
    let is_known = |ids: &Int32Array, row| ids.is_valid(row) && ids.value(row) != 0;
    Some(BooleanBuffer::collect_bool(ids.len(), |row| {
        is_known(ids, row)
    }))
}

/// The rows that meet a demand.
fn met(demand: &Demand, members: &[Built]) -> Mask {
    let mut masks = demand
        .members
        .iter()
        .map(|index| mask::validity(&members[*index].array));
    if !demand.is_exclusive {
        return any(masks);
    }
    let first = masks.next()?;
    let (mut one, mut several): (Mask, Option<BooleanBuffer>) = (first, None);
    let rows = members[demand.members[0]].array.len();
    for next in masks {
        let both = mask::and(&one, &next).unwrap_or_else(|| BooleanBuffer::new_set(rows));
        several = Some(match several {
            Some(several) => &several | &both,
            None => both,
        });
        one = mask::or(&one, &next);
    }
    match several {
        Some(several) => mask::and(&one, &Some(!&several)),
        None => one,
    }
}
