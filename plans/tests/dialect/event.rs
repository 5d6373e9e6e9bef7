//! Random events: attributes of a class, mapped by random expressions, and whatever else OCSF
//! requires.

use std::collections::BTreeMap;

use plans::ocsf::{
    Attribute, Attributes, Class, Constraint, ConstraintKind, Enumeration, Requirement, Schema,
    Type,
};

use crate::expression::{Expressions, Wanted};
use crate::json::quoted;
use crate::random::Random;
use crate::rows::{Column, WORDS};

const CLASSES: [&str; 8] = [
    "network_activity",
    "http_activity",
    "dns_activity",
    "authentication",
    "api_activity",
    "process_activity",
    "file_activity",
    "detection_finding",
];

/// Globs in enums. The texts without a star are exact.
const GLOBS: [&str; 4] = ["f*", "*ing *", "*w*", "1*"];

/// How deep attributes are.
const DEPTH: usize = 3;

/// Attributes that are derived, or that the source maps.
const DERIVED: [&str; 12] = [
    "time",
    "type_uid",
    "type_name",
    "class_uid",
    "class_name",
    "category_uid",
    "category_name",
    "observables",
    "unmapped",
    "enrichments",
    "severity_id",
    "metadata",
];

/// An enum's text that is one member, wherever it is.
pub(crate) struct Exact {
    pub(crate) text: String,
    /// The attribute; empty inside a list.
    pub(crate) path: Vec<String>,
    /// The caption and the id of the member.
    pub(crate) member: [String; 2],
}

/// How an attribute is written.
enum Written {
    /// A constant.
    Set(String),
    /// An expression, an enum or a list.
    Map(String),
    Object(BTreeMap<String, Written>),
}

/// Writes the mapping of one event.
pub(crate) struct Events<'a> {
    pub(crate) random: &'a mut Random,
    pub(crate) schema: &'static Schema,
    pub(crate) columns: &'a [Column],
    profiles: Vec<String>,
    pub(crate) exact: Vec<Exact>,
}

impl<'a> Events<'a> {
    pub(crate) fn new(
        random: &'a mut Random,
        schema: &'static Schema,
        columns: &'a [Column],
    ) -> Self {
        Self {
            random,
            schema,
            columns,
            profiles: Vec::new(),
            exact: Vec::new(),
        }
    }

    /// The event's file.
    pub(crate) fn toml(&mut self) -> String {
        let name = *self.random.pick(&CLASSES);
        let class = self.schema.class(name).expect("a class of OCSF 1.1.0");
        for profile in ["cloud", "datetime", "host", "security_control"] {
            if class.profile(profile).is_some() && self.random.percent(15) {
                self.profiles.push(profile.to_owned());
            }
        }
        let mut written = BTreeMap::new();
        for _ in 0..3 + self.random.below(10) {
            self.add(&mut written, &class.attributes, &mut Vec::new());
        }
        self.complete_class(&mut written, class);
        let (mut set, mut map) = (String::new(), String::new());
        render(&written, "", &mut set, &mut map);
        let when = match self.random.percent(10) {
            true => format!("when = {}\n", quoted(&self.expressions(false).condition())),
            false => String::new(),
        };
        let profiles = match self.profiles.is_empty() {
            true => String::new(),
            false => format!("profiles = {:?}\n", self.profiles),
        };
        format!(
            "class = {}\n{profiles}{when}[set]\n{set}[map]\n{map}",
            quoted(name)
        )
    }

    fn expressions(&mut self, has_item: bool) -> Expressions<'_> {
        Expressions {
            random: self.random,
            columns: self.columns,
            has_item,
        }
    }

    /// The attributes that may be mapped.
    fn usable<'b>(&self, attributes: &'b Attributes, is_root: bool) -> Vec<&'b Attribute> {
        attributes
            .values()
            .filter(|attribute| {
                let profiles = self.profiles.iter().map(String::as_str);
                let is_derived = is_root && DERIVED.contains(&attribute.name.as_str());
                // JSON objects have no texts as members, unlike JSON attributes.
                let is_json_object = attribute.ty == Type::Json && attribute.type_name == "object";
                !is_derived && !is_json_object && attribute.is_in(profiles)
            })
            .collect()
    }

    /// Adds a random attribute.
    fn add(
        &mut self,
        written: &mut BTreeMap<String, Written>,
        attributes: &Attributes,
        path: &mut Vec<String>,
    ) {
        let usable = self.usable(attributes, path.is_empty());
        if usable.is_empty() {
            return;
        }
        let attribute = *self.random.pick(&usable);
        path.push(attribute.name.clone());
        match self.schema.object_of(attribute) {
            Some(object) if !attribute.is_array => {
                if path.len() < DEPTH {
                    let inside = written
                        .entry(attribute.name.clone())
                        .or_insert_with(|| Written::Object(BTreeMap::new()));
                    if let Written::Object(inside) = inside {
                        self.add(inside, &object.attributes, path);
                    }
                }
            }
            Some(_) => {
                let list = self.objects(attribute, false, 1);
                written.insert(attribute.name.clone(), Written::Map(list));
            }
            None => {
                let value = self.mapped(attribute, path, false);
                written.insert(attribute.name.clone(), Written::Map(value));
            }
        }
        path.pop();
    }

    fn complete_class(&mut self, written: &mut BTreeMap<String, Written>, class: &Class) {
        self.complete(
            written,
            &class.attributes,
            &class.constraints,
            &mut Vec::new(),
        );
    }

    /// Adds what OCSF requires of an object.
    fn complete(
        &mut self,
        written: &mut BTreeMap<String, Written>,
        attributes: &Attributes,
        constraints: &[Constraint],
        path: &mut Vec<String>,
    ) {
        let usable = self.usable(attributes, path.is_empty());
        for attribute in &usable {
            let is_required = attribute.requirement == Requirement::Required;
            if is_required && !written.contains_key(&attribute.name) {
                self.require(written, attribute, path);
            }
        }
        for constraint in constraints {
            let wanted = &constraint.attributes;
            let has = wanted.iter().any(|name| written.contains_key(name));
            let fitting = usable
                .iter()
                .find(|attribute| wanted.contains(&attribute.name));
            if let (false, Some(attribute)) = (has, fitting) {
                self.require(written, attribute, path);
            }
            if constraint.kind == ConstraintKind::JustOne {
                let mut seen = false;
                written.retain(|name, _| {
                    !wanted.contains(name) || !std::mem::replace(&mut seen, true)
                });
            }
        }
        for (name, value) in written {
            let object = attributes.get(name).and_then(|a| self.schema.object_of(a));
            if let (Some(object), Written::Object(inside)) = (object, value) {
                path.push(name.clone());
                if inside.is_empty() {
                    self.add(inside, &object.attributes, path);
                }
                self.complete(inside, &object.attributes, &object.constraints, path);
                path.pop();
            }
        }
    }

    fn require(
        &mut self,
        written: &mut BTreeMap<String, Written>,
        attribute: &Attribute,
        path: &mut Vec<String>,
    ) {
        let value = match self.schema.object_of(attribute) {
            Some(_) if attribute.is_array => Written::Map(self.objects(attribute, false, 0)),
            Some(_) => Written::Object(BTreeMap::new()),
            None if self.random.percent(8) => {
                path.push(attribute.name.clone());
                let mapped = self.mapped(attribute, path, false);
                path.pop();
                Written::Map(mapped)
            }
            None => Written::Set(self.constant(attribute)),
        };
        written.insert(attribute.name.clone(), value);
    }

    /// A constant of the attribute's type.
    fn constant(&mut self, attribute: &Attribute) -> String {
        let value = match &attribute.enumeration {
            Some(members) => {
                let members: Vec<(&str, &str)> = members.members().collect();
                let (id, caption) = *self.random.pick(&members);
                let is_number = attribute.ty != Type::Text && self.random.percent(50);
                if is_number {
                    id.to_owned()
                } else {
                    quoted(caption)
                }
            }
            None => constant(attribute),
        };
        if attribute.is_array {
            format!("[{value}]")
        } else {
            value
        }
    }

    /// The value of a scalar, or of a list of scalars.
    fn mapped(&mut self, attribute: &Attribute, path: &[String], has_item: bool) -> String {
        if let Some(members) = &attribute.enumeration
            && !attribute.is_array
        {
            return self.enumeration(attribute, members, path, has_item);
        }
        let wanted = wanted(attribute);
        let mut expressions = self.expressions(has_item);
        if !attribute.is_array {
            return quoted(&expressions.of(wanted));
        }
        match expressions.random.percent(30) {
            true => quoted(&expressions.json()),
            false => {
                let count = 1 + expressions.random.below(3);
                let items: Vec<String> = (0..count)
                    .map(|_| quoted(&expressions.of(wanted)))
                    .collect();
                format!("[{}]", items.join(", "))
            }
        }
    }

    fn enumeration(
        &mut self,
        attribute: &Attribute,
        members: &Enumeration,
        path: &[String],
        has_item: bool,
    ) -> String {
        let members: Vec<(&str, &str)> = members.members().collect();
        let mut expressions = self.expressions(has_item);
        let on = match expressions.random.percent(70) {
            true => expressions.operand(),
            false => expressions.text(1),
        };
        let condition = expressions.condition();
        match self.random.below(6) {
            0 => quoted(&on),
            1 => {
                let (one, two) = (self.random.pick(&members).1, self.random.pick(&members).1);
                let (one, two) = (one.replace('\'', "''"), two.replace('\'', "''"));
                quoted(&format!(
                    "CASE WHEN {condition} THEN '{one}' ELSE '{two}' END"
                ))
            }
            2 => format!("{{ match = {} }}", quoted(&on)),
            _ => {
                let mut to = Vec::new();
                for text in WORDS.iter().chain(&GLOBS) {
                    if !self.random.percent(35) {
                        continue;
                    }
                    let (id, caption) = *self.random.pick(&members);
                    let is_number = attribute.ty != Type::Text && self.random.percent(50);
                    let target = if is_number {
                        id.to_owned()
                    } else {
                        quoted(caption)
                    };
                    to.push(format!("{} = {target}", quoted(text)));
                    if !text.contains('*') {
                        self.exact.push(Exact {
                            text: (*text).to_owned(),
                            path: path.to_vec(),
                            member: [id.to_owned(), caption.to_owned()],
                        });
                    }
                }
                match to.is_empty() {
                    true => format!("{{ match = {} }}", quoted(&on)),
                    false => {
                        format!(
                            "{{ match = {}, to = {{ {} }} }}",
                            quoted(&on),
                            to.join(", ")
                        )
                    }
                }
            }
        }
    }

    /// A list of objects: one for each element of a list, or some that are written out.
    fn objects(&mut self, attribute: &Attribute, has_item: bool, depth: usize) -> String {
        if self.random.percent(65) {
            let mut expressions = self.expressions(has_item);
            let each = expressions.json();
            let when = match expressions.random.percent(30) {
                true => {
                    expressions.has_item = true;
                    format!(", when = {}", quoted(&expressions.condition()))
                }
                false => String::new(),
            };
            let members = self.members(attribute, true, depth);
            return format!(
                "{{ each = {}{when}, {} }}",
                quoted(&each),
                members.join(", ")
            );
        }
        let count = 1 + self.random.below(3);
        let items: Vec<String> = (0..count)
            .map(|_| {
                let members = self.members(attribute, has_item, depth);
                format!("{{ {} }}", members.join(", "))
            })
            .collect();
        format!("[{}]", items.join(", "))
    }

    /// Members of an object in a list, with what OCSF requires of it.
    fn members(&mut self, attribute: &Attribute, has_item: bool, depth: usize) -> Vec<String> {
        let object = self
            .schema
            .object_of(attribute)
            .expect("is a list of objects");
        let mut written = BTreeMap::new();
        let usable = self.usable(&object.attributes, false);
        for _ in 0..1 + self.random.below(3) {
            let member = *self.random.pick(&usable);
            if let Some(value) = self.member(member, has_item, depth) {
                written.insert(member.name.clone(), value);
            }
        }
        for member in &usable {
            if member.requirement == Requirement::Required
                && !written.contains_key(&member.name)
                && let Some(value) = self.member(member, has_item, depth)
            {
                written.insert(member.name.clone(), value);
            }
        }
        for constraint in &object.constraints {
            let names = &constraint.attributes;
            if !names.iter().any(|name| written.contains_key(name)) {
                let fitting = usable.iter().filter(|member| names.contains(&member.name));
                for member in fitting {
                    if let Some(value) = self.member(member, has_item, depth) {
                        written.insert(member.name.clone(), value);
                        break;
                    }
                }
            }
        }
        if written.is_empty() {
            written.insert(usable[0].name.clone(), quoted("item"));
        }
        written
            .iter()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect()
    }

    fn member(&mut self, member: &Attribute, has_item: bool, depth: usize) -> Option<String> {
        match self.schema.object_of(member) {
            None => Some(self.mapped(member, &[], has_item)),
            Some(_) if depth == 0 => None,
            Some(_) if member.is_array => Some(self.objects(member, has_item, depth - 1)),
            Some(_) => {
                let members = self.members(member, has_item, depth - 1);
                Some(format!("{{ {} }}", members.join(", ")))
            }
        }
    }
}

fn render(written: &BTreeMap<String, Written>, path: &str, set: &mut String, map: &mut String) {
    for (name, value) in written {
        match value {
            Written::Set(value) => *set += &format!("{path}{name} = {value}\n"),
            Written::Map(value) => *map += &format!("{path}{name} = {value}\n"),
            Written::Object(inside) => render(inside, &format!("{path}{name}."), set, map),
        }
    }
}

fn wanted(attribute: &Attribute) -> Wanted {
    match attribute.ty {
        Type::Boolean => Wanted::Boolean,
        Type::Integer | Type::Long | Type::Float => Wanted::Number,
        Type::Timestamp | Type::Datetime => Wanted::Time,
        Type::Json => Wanted::Json,
        Type::Text if attribute.type_name == "ip" => Wanted::Ip,
        Type::Text | Type::Object(_) => Wanted::Text,
    }
}

fn constant(attribute: &Attribute) -> String {
    match &attribute.ty {
        Type::Boolean => "true".to_owned(),
        Type::Integer | Type::Long => "1".to_owned(),
        Type::Float => "1.5".to_owned(),
        Type::Timestamp => "1700000000000".to_owned(),
        Type::Datetime => quoted("2024-01-15T10:00:00Z"),
        Type::Json => quoted("{}"),
        Type::Text | Type::Object(_) => quoted(match attribute.type_name.as_str() {
            "ip" => "192.0.2.1",
            "hostname" => "constant.example",
            "email" => "constant@example.com",
            "mac" => "00:00:5e:00:53:01",
            "url" => "https://constant.example/",
            "subnet" => "192.0.2.0/24",
            "uuid" => "123e4567-e89b-12d3-a456-426614174000",
            _ => "constant",
        }),
    }
}
