//! The rules, in the order of reports.

use serde::Serialize;

/// A rule for objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Files that are not Parquet.
    StrayFile,
    /// Partition folders.
    Path,
    /// Folder of the source.
    SourcePrefix,
    /// Name of the region.
    Region,
    /// Account id.
    Account,
    /// Parquet can be read.
    Readable,
    /// Number of rows.
    NotEmpty,
    /// Codec of columns.
    Compression,
    /// Size of data pages.
    PageSize,
    /// Size of row groups.
    RowGroupSize,
    /// Size of objects.
    ObjectSize,
    /// Number of objects for each day.
    ObjectCount,
    /// Schema of all objects of a class.
    SameSchema,
    /// Type and unit of `time`.
    TimeType,
    /// Order of events.
    TimeOrder,
    /// Day of events.
    EventDay,
    /// Class of events.
    OneClass,
    /// OCSF version.
    Version,
    /// Value of `type_uid`.
    TypeUid,
    /// Value of `category_uid`.
    CategoryUid,
    /// Names and types of attributes.
    Attributes,
    /// Required attributes and constraints.
    Required,
    /// Members of enumerations.
    Enums,
    /// Declared profiles.
    Profiles,
    /// Addresses and ports.
    Values,
}

/// Whether a broken rule fails the verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A finding fails the verification.
    Demand,
    /// A finding is a warning. These are recommendations of Security Lake, and rules that the
    /// objects alone cannot decide.
    Advice,
}

use Weight::{Advice, Demand};

/// Every rule with its name, description and weight.
static RULES: &[(Rule, &str, &str, Weight)] = &[
    (
        Rule::StrayFile,
        "stray_file",
        "the target contains only Parquet objects",
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
        "path starts with ext/SOURCE/, and SOURCE has at most 20 characters",
        Advice,
    ),
    (
        Rule::Region,
        "region",
        "region has only lower-case letters, digits and dashes",
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
        "data pages have at most 1 MB uncompressed",
        Demand,
    ),
    (
        Rule::RowGroupSize,
        "row_group_size",
        "row groups have at most 256 MB compressed",
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
        "at most one object for each 5 minutes of a day, unless objects are large",
        Demand,
    ),
    (
        Rule::SameSchema,
        "same_schema",
        "all objects of a source and class have the same schema",
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
        "events are sorted by time",
        Demand,
    ),
    (
        Rule::EventDay,
        "event_day",
        "time is on the eventDay of the path, UTC",
        Demand,
    ),
    (
        Rule::OneClass,
        "one_class",
        "object has events of one known class",
        Demand,
    ),
    (
        Rule::Version,
        "version",
        "metadata.version is a known OCSF version",
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
        "category_uid is that of the class",
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
        "required attributes have values, and constraints are met",
        Demand,
    ),
    (
        Rule::Enums,
        "enums",
        "enum values are members in the OCSF version",
        Demand,
    ),
    (
        Rule::Profiles,
        "profiles",
        "profiles belong to the class, and are declared if their attributes are used",
        Demand,
    ),
    (
        Rule::Values,
        "values",
        "addresses and ports are valid",
        Demand,
    ),
];

impl Rule {
    /// Returns every rule, in the order of reports.
    pub fn all() -> impl Iterator<Item = Rule> {
        RULES.iter().map(|(rule, ..)| *rule)
    }

    /// Returns the name of the rule in results.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// Returns the description of the rule.
    pub fn description(self) -> &'static str {
        self.entry().2
    }

    /// Returns whether a finding fails the verification.
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
    fn the_table_has_every_rule_in_order() {
        for (index, (rule, name, ..)) in RULES.iter().enumerate() {
            assert_eq!(*rule as usize, index, "{name}");
            let written = serde_json::to_value(rule).expect("a unit variant");
            assert_eq!(written, *name);
        }
        assert_eq!(Rule::Values as usize + 1, RULES.len());
    }
}
