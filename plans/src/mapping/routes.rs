//! A source's filters and routes: conditions, classes, profiles and attributes.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema as ArrowSchema};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::{Expr, cast};

use super::attributes::{Builder, Level};
use super::found::Found;
use super::layout::{Key, Layout, Object, Placed};
use super::program::{Class, Route};
use super::scope::Scope;
use super::shape::Shaper;
use super::tree::{Members, Tree};
use super::{classify, leftover, lets, outputs, times, tree};
use crate::diagnostics::{Origin, did_you_mean};
use crate::functions;
use crate::ocsf;
use crate::ocsf::Schema;
use crate::spec::{Event, Output, Source, Sql};

const OBSERVABLES: &str = "observables";

/// Compiles the routes of one source.
pub(super) struct Compiler<'a> {
    pub(super) source: &'a Source,
    pub(super) ocsf: &'a Schema,
    pub(super) scope: &'a Scope<'a>,
    pub(super) found: &'a mut Found,
}

impl Compiler<'_> {
    pub(super) fn filters(&mut self) -> Vec<(Placed, String)> {
        let mut filters = Vec::new();
        for filter in &self.source.filters {
            if let Some(when) = self.condition(&filter.when) {
                filters.push((when, filter.reason.clone()));
            }
        }
        filters
    }

    pub(super) fn routes(&mut self) -> Vec<Route> {
        let source = self.source;
        if source.events.is_empty() {
            let at = &source.format.at;
            self.found
                .error(at, "the source has no events", "list them under `events`");
        }
        let account = self.first_text(&source.account);
        let region = self.first_text(&source.region);
        let mut routes = Vec::new();
        for event in &source.events {
            self.found.enter(&event.name);
            let scope = lets::with_lets(self.scope, &event.lets, self.found);
            let mut compiler = Compiler {
                scope: &scope,
                found: &mut *self.found,
                ..*self
            };
            let route = compiler.route(event);
            self.found.leave();
            if let Some(mut route) = route {
                route.account.clone_from(&account);
                route.region.clone_from(&region);
                routes.push(route);
            }
        }
        check_reachable(&source.events, self.found);
        routes
    }

    fn condition(&mut self, sql: &Sql) -> Option<Placed> {
        let expr = self.expr(sql)?;
        if matches!(self.scope.type_of(&expr), Ok(DataType::Boolean)) {
            let at = sql.at.place().into();
            return Some(Placed { expr, at });
        }
        self.found
            .error(&sql.at, "a condition is true or false", "compare the value");
        None
    }

    fn expr(&mut self, sql: &Sql) -> Option<Expr> {
        let planned = self.found.expr(self.scope, sql)?;
        self.found.valid(&sql.at, self.scope.finish(planned))
    }

    /// The first of the expressions that is not NULL, as text.
    fn first_text(&mut self, all: &[Sql]) -> Option<Placed> {
        let mut texts = Vec::new();
        for sql in all {
            if let Some(expr) = self.expr(sql) {
                texts.push(cast(expr, DataType::Utf8View));
            }
        }
        let first = match texts.len() {
            0 => return None,
            1 => texts.into_iter().next()?,
            _ => coalesce(texts),
        };
        let expr = self.scope.finish(first).ok()?;
        let at = all.first()?.at.place().into();
        Some(Placed { expr, at })
    }

    fn route(&mut self, event: &Event) -> Option<Route> {
        let class = known_class(event, self.ocsf, self.found)?;
        let profiles = profiles(event, class, self.found);
        let when = event.when.as_ref().map(|when| self.condition(when));
        let (members, keys) = self.members(event, class, &profiles);
        let time = self.time(event, &members)?;
        let shaper = Shaper {
            ocsf: self.ocsf,
            profiles: &profiles,
        };
        let (mut fields, mut shaped) = shaper.event(members, class);
        self.add_last(&mut fields, &mut shaped, event, class);
        Some(Route {
            name: event.name.clone(),
            class: self.class(class),
            when: when.flatten(),
            also: event.also,
            time,
            account: None,
            region: None,
            schema: Arc::new(ArrowSchema::new(fields)),
            event: shaped,
            keys,
        })
    }

    fn class(&self, class: &ocsf::Class) -> Class {
        let output = self.source.outputs.get(&class.name);
        Class {
            uid: class.uid,
            name: class.name.clone(),
            output: outputs::name(self.source, &class.name),
            target: output.and_then(|output| output.uri.clone()),
            role: output.and_then(Output::role),
        }
    }

    /// Every attribute that is mapped or derived, and the values of the record that they
    /// may hold.
    fn members(
        &mut self,
        event: &Event,
        class: &ocsf::Class,
        profiles: &[String],
    ) -> (Members, Vec<Key>) {
        let mut builder = Builder {
            ocsf: self.ocsf,
            class,
            declared: profiles,
            profiles,
            keys: Vec::new(),
            item: None,
            eaches: 0,
            found: self.found,
        };
        let level = Level::of_class(class);
        let mut members = builder.object(self.scope, &level, &event.attributes, "", &event.at);
        let keys = builder.keys;
        classify::add(&mut members, class, self.ocsf, profiles);
        self.finish(self.scope, &mut members, &event.at);
        (members, keys)
    }

    /// Adds what is made from the other attributes: observables, and what none of them holds.
    fn add_last(
        &self,
        fields: &mut Fields,
        shaped: &mut Object,
        event: &Event,
        class: &ocsf::Class,
    ) {
        let mut last: Vec<(&str, DataType, Layout)> = Vec::new();
        let is_mapped = fields.iter().any(|field| field.name() == OBSERVABLES);
        let has = |name| class.attributes.contains_key(name);
        let observed = classify::observables(shaped, class, self.ocsf, fields);
        if !is_mapped && has(OBSERVABLES) && !observed.is_empty() {
            last.push((
                OBSERVABLES,
                functions::observables_type(),
                Layout::Observables(observed),
            ));
        }
        if self.source.unmapped.kept {
            let style = self.source.unmapped.style;
            let leftover = leftover::leftover(event, self.scope.redaction, style);
            last.push((
                ocsf::UNMAPPED,
                leftover::kind(style),
                Layout::Unmapped(leftover),
            ));
        }
        for (name, kind, layout) in last {
            shaped.insert(fields, Field::new(name, kind, true), layout);
        }
    }

    /// Writes out the casts of derived attributes.
    fn finish(&mut self, scope: &Scope<'_>, members: &mut Members, at: &Origin) {
        for tree in members.values_mut() {
            match tree {
                Tree::Struct(inner) => self.finish(scope, inner, at),
                Tree::Items(items) => {
                    let items = items.iter_mut();
                    items.for_each(|inner| self.finish(scope, inner, at));
                }
                Tree::Each(elements) => {
                    if let Some(inner) = self.found.valid(at, scope.with_item()) {
                        self.finish(&inner, &mut elements.members, at);
                    }
                }
                Tree::Leaf(leaf) if leaf.filled == tree::Filled::Derived => {
                    let finished = scope.finish(leaf.expr.clone());
                    if let Some(expr) = self.found.valid(at, finished) {
                        leaf.expr = expr;
                    }
                }
                Tree::Leaf(_) => {}
            }
        }
    }

    /// The event's time. Without it no period owns a row, so every dialect needs it.
    fn time(&mut self, event: &Event, members: &Members) -> Option<Placed> {
        if let Some(time) = tree::leaf(members, "time") {
            let expr = times::of_millis(&time.expr);
            let expr = self.found.valid(&event.at, self.scope.finish(expr))?;
            let at = time.at.clone().into();
            return Some(Placed { expr, at });
        }
        if !event.attributes.contains_key("time") {
            let message = "required attribute `time` is missing";
            self.found.error(&event.at, message, "map or set `time`");
        }
        None
    }
}

fn known_class<'a>(
    event: &Event,
    schema: &'a Schema,
    found: &mut Found,
) -> Option<&'a ocsf::Class> {
    let class = schema.class(&event.class);
    if class.is_none() {
        let message = format!("OCSF {} has no class `{}`", schema.version(), event.class);
        let remedy = match schema.nearest_class(&event.class) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "name a class as schema.ocsf.io does, such as `network_activity`".to_owned(),
        };
        found.error(&event.at, message, remedy);
    }
    class
}

/// The declared profiles as the class spells them.
fn profiles(event: &Event, class: &ocsf::Class, found: &mut Found) -> Vec<String> {
    let mut profiles: Vec<String> = Vec::new();
    for declared in &event.profiles {
        match class.profile(declared) {
            Some(profile) if profiles.iter().any(|known| known == profile) => {}
            Some(profile) => profiles.push(profile.to_owned()),
            None => {
                let known = class.profiles.iter().map(String::as_str);
                let message = format!("class `{}` has no profile `{declared}`", class.name);
                found.error(&event.profiles_at, message, did_you_mean(declared, known));
            }
        }
    }
    profiles
}

/// A route without a condition takes every row, so that no later one gets any.
fn check_reachable(events: &[Event], found: &mut Found) {
    let takes_all = |event: &Event| event.when.is_none() && !event.also;
    let Some(taker) = events.iter().position(takes_all) else {
        return;
    };
    for event in events.iter().skip(taker + 1).filter(|event| !event.also) {
        let message = format!(
            "event `{}` is never reached, as `{}` takes every row",
            event.name, events[taker].name
        );
        let remedy = "give the earlier one a `when`, or change the order";
        found.error(&event.at, message, remedy);
    }
}
