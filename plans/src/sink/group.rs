//! The groups of a split's rows: what becomes one object. Region and account become
//! folders of its URI, so no other text than a name of one may pass here.

use std::collections::HashMap;
use std::sync::Arc;

use crate::lake::{is_account, is_region_name};

/// Characters of a wrong name that are quoted.
const QUOTED: usize = 64;

/// Rows that become one object: events of one route for one region, account and day.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    pub route: usize,
    pub region: Arc<str>,
    pub account: Arc<str>,
    pub day: i32,
}

/// Why a row has no group: the text that cannot be a folder's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadPlace {
    #[error("`{0}` is neither 12 digits nor external or external_name")]
    Account(String),
    #[error("`{0}` is no region: at most 64 ASCII letters, digits, `-` and `_`, no mark first")]
    Region(String),
}

impl BadPlace {
    /// The reason that the row is quarantined for.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Account(_) => "invalid_account",
            Self::Region(_) => "invalid_region",
        }
    }
}

/// Interned groups. Neighbouring rows mostly share theirs, so the last one is tried first.
#[derive(Default)]
pub(super) struct Groups {
    all: Vec<Group>,
    ids: HashMap<Group, u32>,
    last: u32,
}

impl Groups {
    pub(super) fn group(&self, id: u32) -> &Group {
        &self.all[id as usize]
    }

    pub(super) fn id(
        &mut self,
        route: usize,
        region: &str,
        account: &str,
        day: i32,
    ) -> Result<u32, BadPlace> {
        if let Some(last) = self.all.get(self.last as usize)
            && (last.route, last.day) == (route, day)
            && *last.region == *region
            && *last.account == *account
        {
            return Ok(self.last);
        }
        let group = Group {
            route,
            region: region.into(),
            account: account.into(),
            day,
        };
        if let Some(id) = self.ids.get(&group) {
            self.last = *id;
            return Ok(*id);
        }
        let quoted = |text: &str| text.chars().take(QUOTED).collect();
        if !is_account(account) {
            return Err(BadPlace::Account(quoted(account)));
        }
        if !is_region_name(region) {
            return Err(BadPlace::Region(quoted(region)));
        }
        let id = self.all.len() as u32;
        self.all.push(group.clone());
        self.ids.insert(group, id);
        self.last = id;
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_whose_region_or_account_is_no_folders_name_has_no_group() {
        let mut groups = Groups::default();
        assert_eq!(groups.id(0, "eu-west-1", "123456789012", 1), Ok(0));
        let long = "/".repeat(1000);
        let bad = groups.id(0, &long, "123456789012", 1).expect_err("refused");
        assert_eq!(bad.reason(), "invalid_region");
        assert!(bad.to_string().starts_with("`//") && bad.to_string().len() < 200);
        let bad = groups.id(0, "eu-west-1", "../x", 1).expect_err("refused");
        assert_eq!(bad.reason(), "invalid_account");
        assert_eq!(groups.id(0, "eu-west-1", "123456789012", 1), Ok(0));
    }
}
