//! The rules, in the order in which they are reported.

use serde::Serialize;

/// One rule that objects obey or break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    StrayFile,
    Path,
    SourcePrefix,
    Region,
    Account,
    Readable,
    NotEmpty,
    Compression,
    PageSize,
    RowGroupSize,
    ObjectSize,
    ObjectCount,
    SameSchema,
    TimeType,
    TimeOrder,
    EventDay,
    OneClass,
    Version,
    TypeUid,
    CategoryUid,
    Attributes,
    Required,
    Enums,
    Profiles,
    Values,
}

/// Whether a broken rule fails the verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    Demand,
    /// Security Lake's advice, or what cannot be told from the objects alone.
    Advice,
}

use Weight::{Advice, Demand};

/// Every rule with its name, what it says, and its weight.
static RULES: &[(Rule, &str, &str, Weight)] = &[
    (
        Rule::StrayFile,
        "stray_file",
        "nothing but Parquet objects stands in the target",
        Demand,
    ),
    (
        Rule::Path,
        "path",
        "path is region=R/accountId=A/eventDay=YYYYMMDD/, exact case",
        Demand,
    ),
    (
        Rule::SourcePrefix,
        "source_prefix",
        "path starts with ext/SOURCE/, SOURCE of at most 20 characters",
        Advice,
    ),
    (
        Rule::Region,
        "region",
        "region is one of lower-case letters, digits and dashes",
        Demand,
    ),
    (
        Rule::Account,
        "account",
        "account has 12 digits, or is external or external_ID",
        Demand,
    ),
    (
        Rule::Readable,
        "readable",
        "object is readable Apache Parquet",
        Demand,
    ),
    (Rule::NotEmpty, "not_empty", "object has rows", Demand),
    (
        Rule::Compression,
        "compression",
        "every column is compressed with zstd",
        Demand,
    ),
    (
        Rule::PageSize,
        "page_size",
        "data pages hold at most 1 MB uncompressed",
        Demand,
    ),
    (
        Rule::RowGroupSize,
        "row_group_size",
        "row groups hold at most 256 MB compressed",
        Demand,
    ),
    (
        Rule::ObjectSize,
        "object_size",
        "object has at most 256 MB",
        Advice,
    ),
    (
        Rule::ObjectCount,
        "object_count",
        "at most one object for each 5 minutes of a day, unless they are large",
        Demand,
    ),
    (
        Rule::SameSchema,
        "same_schema",
        "schema is the same in all objects of a source's class",
        Demand,
    ),
    (
        Rule::TimeType,
        "time_type",
        "time is int64 in epoch milliseconds",
        Demand,
    ),
    (
        Rule::TimeOrder,
        "time_order",
        "events are in the order of their time",
        Demand,
    ),
    (
        Rule::EventDay,
        "event_day",
        "time is in the path's eventDay, UTC",
        Demand,
    ),
    (
        Rule::OneClass,
        "one_class",
        "object holds events of one known class",
        Demand,
    ),
    (
        Rule::Version,
        "version",
        "metadata.version is an OCSF version known here",
        Demand,
    ),
    (
        Rule::TypeUid,
        "type_uid",
        "type_uid is class_uid * 100 + activity_id",
        Demand,
    ),
    (
        Rule::CategoryUid,
        "category_uid",
        "category_uid is the class's",
        Demand,
    ),
    (
        Rule::Attributes,
        "attributes",
        "columns are attributes of the class, with their types",
        Demand,
    ),
    (
        Rule::Required,
        "required",
        "required attributes are there, and constraints hold",
        Demand,
    ),
    (
        Rule::Enums,
        "enums",
        "enum values are known to the OCSF version",
        Demand,
    ),
    (
        Rule::Profiles,
        "profiles",
        "profiles are the class's, and declared where their attributes are used",
        Demand,
    ),
    (
        Rule::Values,
        "values",
        "addresses and ports are well formed",
        Demand,
    ),
];

impl Rule {
    /// Every rule, in the order in which they are reported.
    pub fn all() -> impl Iterator<Item = Rule> {
        RULES.iter().map(|(rule, ..)| *rule)
    }

    /// The rule's name in results.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// What the rule says.
    pub fn says(self) -> &'static str {
        self.entry().2
    }

    pub fn weight(self) -> Weight {
        self.entry().3
    }

    fn entry(self) -> &'static (Rule, &'static str, &'static str, Weight) {
        &RULES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_every_rule_at_its_place() {
        for (index, (rule, name, ..)) in RULES.iter().enumerate() {
            assert_eq!(*rule as usize, index, "{name}");
            let written = serde_json::to_value(rule).expect("a unit variant");
            assert_eq!(written, *name);
        }
        assert_eq!(Rule::Values as usize + 1, RULES.len());
    }
}
