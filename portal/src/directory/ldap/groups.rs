//! The groups of a person: those on the entry, those a search finds, and groups that contain those,
//! by the server's own rule or level by level. Bounded, and safe where groups contain each other.

use std::collections::HashSet;

use super::{LdapDirectory, entry, escaped, search::Search};
use crate::{
    config::Nested,
    directory::{Account, DirectoryError, Dn},
};

/// Groups of one person at most; more is a filter that matches everything.
const GROUPS_MAX: usize = 2_000;
/// Levels of groups within groups.
const LEVELS_MAX: usize = 16;
/// Groups asked about in one filter.
const AT_ONCE: usize = 50;

/// A group that was found.
struct Group {
    dn: String,
    name: Option<String>,
}

impl LdapDirectory {
    /// Adds what the searches find to the groups of an account.
    pub(super) async fn add_groups(&self, account: &mut Account) -> Result<(), DirectoryError> {
        if let Some(base) = &self.settings.group_base {
            let filter = self
                .settings
                .group_filter
                .replace("{dn}", &escaped(&account.handle))
                .replace("{user}", &escaped(&account.name));
            let direct = self.groups(base, filter).await?;
            let all = match self.settings.nested {
                Nested::None | Nested::Rule => direct,
                Nested::Walk => self.walk(base, direct).await?,
            };
            for group in all {
                let Some(name) = group.name else { continue };
                account.groups.push(name);
                let full = entry::full_name(Dn::parse(&group.dn), &group.dn);
                account.group_dns.push(full);
            }
        }
        for names in [&mut account.groups, &mut account.group_dns] {
            names.sort_unstable();
            names.dedup();
        }
        Ok(())
    }

    async fn groups(&self, base: &str, filter: String) -> Result<Vec<Group>, DirectoryError> {
        let attribute = &self.settings.group_attribute;
        let search = Search::below(base, filter.clone(), vec![attribute.clone()], GROUPS_MAX);
        let found = self.search(search).await?;
        if found.more {
            return Err(DirectoryError(format!(
                "more than {GROUPS_MAX} groups match {filter:?}"
            )));
        }
        let group = |found: &ldap3::SearchEntry| Group {
            dn: found.dn.clone(),
            name: entry::first(found, attribute),
        };
        Ok(found.entries.iter().map(group).collect())
    }

    /// Groups that contain these, those that contain them, and so on.
    async fn walk(&self, base: &str, direct: Vec<Group>) -> Result<Vec<Group>, DirectoryError> {
        let mut seen: HashSet<String> = direct.iter().map(|g| g.dn.to_lowercase()).collect();
        let mut fresh: Vec<String> = direct.iter().map(|group| group.dn.clone()).collect();
        let mut all = direct;
        for _ in 0..LEVELS_MAX {
            let mut next = Vec::new();
            for some in fresh.chunks(AT_ONCE) {
                let each = |dn: &String| self.settings.group_filter.replace("{dn}", &escaped(dn));
                let filter = format!("(|{})", some.iter().map(each).collect::<String>());
                for group in self.groups(base, filter).await? {
                    if seen.insert(group.dn.to_lowercase()) {
                        next.push(group.dn.clone());
                        all.push(group);
                    }
                }
            }
            if next.is_empty() {
                return Ok(all);
            }
            if all.len() > GROUPS_MAX {
                break;
            }
            fresh = next;
        }
        Err(DirectoryError(format!(
            "groups lie more than {LEVELS_MAX} levels within groups, or are more than {GROUPS_MAX}"
        )))
    }
}
