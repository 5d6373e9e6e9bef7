//! The IAM roles for writing targets. Security Lake has one role for each custom source. They
//! are part of plans, because the name of a role is not a secret.

use serde::{Deserialize, Serialize};

/// An IAM role to assume.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Role {
    /// ARN of the role.
    pub arn: String,
    /// External id that the trust policy of the role requires.
    pub external_id: Option<String>,
}

/// The roles to use below URIs. Without a role, the process uses its own identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access(Vec<(String, Option<Role>)>);

impl Access {
    /// Uses `role` for everything below `folder`. `None` means the identity of the process.
    pub fn grant(&mut self, folder: &str, role: Option<Role>) {
        self.0.push((folder.trim_end_matches('/').to_owned(), role));
    }

    /// Returns the role of the longest folder that contains `uri`.
    pub fn role(&self, uri: &str) -> Option<&Role> {
        let contains = |folder: &str| {
            let rest = uri.strip_prefix(folder);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let containing = self.0.iter().filter(|(folder, _)| contains(folder));
        let (_, role) = containing.max_by_key(|(folder, _)| folder.len())?;
        role.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_folder_decides_and_names_are_compared_whole() {
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
