//! Reads the compact tables. They are embedded and covered by tests, so the reader does not
//! report errors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Schema;
use super::types::{
    Attribute, Attributes, Class, Constraint, ConstraintKind, Enumeration, Object, Requirement,
    Type,
};

/// Reads a table that `extract.py` wrote.
pub(super) fn schema(table: &str) -> Schema {
    let mut reader = Reader::default();
    for line in table.lines() {
        reader.record(&Record(line.split('\t').collect()));
    }
    reader.flush();
    reader.resolve_object_observables();
    Schema {
        version: reader.version,
        classes: reader.classes,
        objects: reader.objects,
    }
}

/// The fields of a line. Omitted fields at its end are empty.
struct Record<'a>(Vec<&'a str>);

impl<'a> Record<'a> {
    fn field(&self, index: usize) -> &'a str {
        self.0.get(index).copied().unwrap_or_default()
    }

    fn number(&self, index: usize) -> Option<u32> {
        self.field(index).parse().ok()
    }

    fn names(&self, index: usize) -> impl Iterator<Item = String> + use<'a> {
        let names = self.field(index).split(',');
        names.filter(|name| !name.is_empty()).map(str::to_owned)
    }
}

#[derive(Default)]
struct Reader {
    version: String,
    types: BTreeMap<String, Scalar>,
    enums: Vec<Arc<Enumeration>>,
    objects: BTreeMap<String, Object>,
    classes: BTreeMap<String, Class>,
    open: Option<Open>,
}

struct Scalar {
    base: String,
    observable: Option<u32>,
}

/// The class or object whose attributes are being read.
enum Open {
    Class(Class),
    Object(Object),
}

impl Reader {
    fn record(&mut self, record: &Record<'_>) {
        match record.field(0) {
            "version" => self.version = record.field(1).to_owned(),
            "type" => self.scalar(record),
            "enum" => self.enums.push(Arc::new(enumeration(record))),
            "object" => {
                self.flush();
                self.open = Some(Open::Object(object(record)));
            }
            "class" => {
                self.flush();
                self.open = Some(Open::Class(class(record)));
            }
            _ => self.attribute(record),
        }
    }

    fn scalar(&mut self, record: &Record<'_>) {
        let scalar = Scalar {
            base: record.field(2).to_owned(),
            observable: record.number(3),
        };
        self.types.insert(record.field(1).to_owned(), scalar);
    }

    fn attribute(&mut self, record: &Record<'_>) {
        let attribute = self.read_attribute(record);
        if let Some(attributes) = self.open_attributes() {
            attributes.insert(attribute.name.clone(), attribute);
        }
    }

    fn open_attributes(&mut self) -> Option<&mut Attributes> {
        match self.open.as_mut()? {
            Open::Class(class) => Some(&mut class.attributes),
            Open::Object(object) => Some(&mut object.attributes),
        }
    }

    fn flush(&mut self) {
        match self.open.take() {
            Some(Open::Class(class)) => {
                self.classes.insert(class.name.clone(), class);
            }
            Some(Open::Object(object)) => {
                self.objects.insert(object.name.clone(), object);
            }
            None => {}
        }
    }

    fn read_attribute(&self, record: &Record<'_>) -> Attribute {
        let written = record.field(2);
        let (name, is_array) = match written.strip_suffix("[]") {
            Some(name) => (name, true),
            None => (written, false),
        };
        let type_name = name.strip_prefix('@').unwrap_or(name);
        let of_type = self.types.get(type_name).and_then(|s| s.observable);
        let enumeration = record.number(4).and_then(|n| self.enums.get(n as usize));
        Attribute {
            name: record.field(1).to_owned(),
            type_name: type_name.to_owned(),
            ty: self.type_of(name),
            is_array,
            requirement: requirement(record.field(3)),
            enumeration: enumeration.cloned(),
            sibling: Some(record.field(5).to_owned()).filter(|name| !name.is_empty()),
            profiles: record.names(6).collect(),
            observable: record.number(7).or(of_type),
        }
    }

    fn type_of(&self, name: &str) -> Type {
        match name {
            "@object" | "json" => Type::Json,
            "boolean" => Type::Boolean,
            "integer" => Type::Integer,
            "long" => Type::Long,
            "float" => Type::Float,
            "timestamp" => Type::Timestamp,
            "datetime" => Type::Datetime,
            "string" => Type::Text,
            _ => match (name.strip_prefix('@'), self.types.get(name)) {
                (Some(object), _) => Type::Object(object.to_owned()),
                (None, Some(scalar)) => self.type_of(&scalar.base),
                (None, None) => Type::Text,
            },
        }
    }

    /// Sets the observable type of attributes whose object is observable.
    fn resolve_object_observables(&mut self) {
        let known: BTreeMap<String, u32> = self
            .objects
            .values()
            .filter_map(|object| Some((object.name.clone(), object.observable?)))
            .collect();
        let classes = self.classes.values_mut().map(|class| &mut class.attributes);
        let objects = self
            .objects
            .values_mut()
            .map(|object| &mut object.attributes);
        for attribute in classes.chain(objects).flat_map(|all| all.values_mut()) {
            if let Type::Object(name) = &attribute.ty {
                attribute.observable = attribute.observable.or(known.get(name).copied());
            }
        }
    }
}

fn enumeration(record: &Record<'_>) -> Enumeration {
    let members = record.0.iter().skip(2);
    let pairs = members.filter_map(|member| member.split_once('='));
    Enumeration::new(
        pairs
            .map(|(id, caption)| (id.to_owned(), caption.to_owned()))
            .collect(),
    )
}

fn object(record: &Record<'_>) -> Object {
    Object {
        name: record.field(1).to_owned(),
        caption: record.field(2).to_owned(),
        profiles: profiles(record),
        constraints: constraints(record.field(4)),
        observable: record.number(5),
        attributes: Attributes::new(),
    }
}

fn class(record: &Record<'_>) -> Class {
    Class {
        name: record.field(1).to_owned(),
        caption: record.field(2).to_owned(),
        profiles: profiles(record),
        constraints: constraints(record.field(4)),
        uid: record.number(5).unwrap_or_default(),
        category_uid: record.number(6).unwrap_or_default(),
        category_name: record.field(7).to_owned(),
        attributes: Attributes::new(),
    }
}

fn profiles(record: &Record<'_>) -> BTreeSet<String> {
    record.names(3).collect()
}

fn constraints(text: &str) -> Vec<Constraint> {
    let written = text.split(';').filter_map(|one| one.split_once(':'));
    written
        .map(|(kind, names)| Constraint {
            kind: match kind {
                "just_one" => ConstraintKind::JustOne,
                _ => ConstraintKind::AtLeastOne,
            },
            attributes: names.split(',').map(str::to_owned).collect(),
        })
        .collect()
}

fn requirement(letter: &str) -> Requirement {
    match letter {
        "r" => Requirement::Required,
        "c" => Requirement::Recommended,
        _ => Requirement::Optional,
    }
}
