//! In whose name targets are written: a role for each prefix, as Security Lake's
//! providers have it. Travels with plans; a role's name is no secret.

use serde::{Deserialize, Serialize};

/// An IAM role to assume.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Role {
    pub arn: String,
    /// What the role's trust policy asks for, so that nobody is tricked into using it.
    pub external_id: Option<String>,
}

/// Which role is used below which URI. Without one, the process's own identity is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access(Vec<(String, Option<Role>)>);

impl Access {
    /// Uses `role` for everything below `folder`; none is the process's own identity.
    pub fn grant(&mut self, folder: &str, role: Option<Role>) {
        self.0.push((folder.trim_end_matches('/').to_owned(), role));
    }

    /// The role of the longest folder that `uri` stands in.
    pub fn role(&self, uri: &str) -> Option<&Role> {
        let holds = |folder: &str| {
            let rest = uri.strip_prefix(folder);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let holding = self.0.iter().filter(|(folder, _)| holds(folder));
        let (_, role) = holding.max_by_key(|(folder, _)| folder.len())?;
        role.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_folder_decides_and_a_name_that_only_begins_alike_does_not() {
        let role = |name: &str| {
            Some(Role {
                arn: name.to_owned(),
                external_id: None,
            })
        };
        let mut access = Access::default();
        access.grant("s3://lake/", role("lake"));
        access.grant("s3://lake/ext/dns", role("dns"));
        access.grant("s3://lake/rejected", None);
        let name = |uri: &str| access.role(uri).map(|role| role.arn.as_str());
        assert_eq!(name("s3://lake/ext/vpc/a.parquet"), Some("lake"));
        assert_eq!(name("s3://lake/ext/dns/a.parquet"), Some("dns"));
        assert_eq!(name("s3://lake/ext/dns2/a.parquet"), Some("lake"));
        assert_eq!(name("s3://lake/rejected/a"), None);
        assert_eq!(name("s3://lakeside/a"), None);
    }
}
