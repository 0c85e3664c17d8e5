//! Everybody, for reports: the user filter with `*` for the name, page by page. More people than
//! the bound are an error, never a list that looks whole.

use super::{
    LdapDirectory, entry, escaped,
    search::{Kind, Search},
};
use crate::directory::{Account, DirectoryError};

impl LdapDirectory {
    pub(super) async fn everybody(&self, most: usize) -> Result<Vec<Account>, DirectoryError> {
        let settings = &self.settings;
        let mut attributes = vec![
            settings.name_attribute.clone(),
            settings.id_attribute.clone(),
            settings.mail_attribute.clone(),
        ];
        attributes.extend(settings.member_of.clone());
        attributes.extend(entry::STATE_ATTRIBUTES.map(str::to_owned));
        let found = self
            .search(Search {
                kind: Kind::Many(most),
                base: settings.base.clone(),
                filter: settings.user_filter.replace("{user}", "*"),
                attributes,
            })
            .await?;
        let now = self.clock.now();
        // Entries without a name or an id are machines and the like; they cannot log in either.
        let mut people: Vec<Account> = found
            .entries
            .iter()
            .filter_map(|one| entry::account(settings, one, now).ok())
            .collect();
        if let Some(base) = &settings.group_base {
            for account in &mut people {
                self.add_groups(base, account).await?;
            }
        }
        for account in &mut people {
            account.groups.sort_unstable();
            account.groups.dedup();
        }
        Ok(people)
    }

    pub(super) async fn add_groups(
        &self,
        base: &str,
        account: &mut Account,
    ) -> Result<(), DirectoryError> {
        let settings = &self.settings;
        let filter = settings
            .group_filter
            .replace("{dn}", &escaped(&account.handle))
            .replace("{user}", &escaped(&account.name));
        let groups = self
            .search(Search {
                kind: Kind::Groups,
                base: base.to_owned(),
                filter,
                attributes: vec![settings.group_attribute.clone()],
            })
            .await?;
        let names = groups
            .entries
            .iter()
            .filter_map(|group| entry::first(group, &settings.group_attribute));
        account.groups.extend(names);
        Ok(())
    }
}
