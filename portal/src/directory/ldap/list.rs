//! Everybody, for reports: the user filter with `*` for the name, page by page. More people than
//! the bound are an error, never a list that looks whole.

use super::{LdapDirectory, search::Search};
use crate::directory::{Account, DirectoryError};

impl LdapDirectory {
    pub(super) async fn everybody(&self, most: usize) -> Result<Vec<Account>, DirectoryError> {
        let settings = &self.settings;
        let filter = settings.user_filter.replace("{user}", "*");
        let search = Search::below(&settings.base, filter.clone(), self.attributes(), most);
        let mut found = self.search(search).await?;
        if found.more {
            return Err(DirectoryError(format!(
                "more than {most} entries match {filter:?}"
            )));
        }
        let mut people = Vec::with_capacity(found.entries.len());
        for entry in &mut found.entries {
            self.complete(entry).await?;
            // Entries without a name or an id are machines and the like; they cannot log in either.
            let Ok(mut account) = self.account(entry) else {
                continue;
            };
            self.add_groups(&mut account).await?;
            people.push(account);
        }
        Ok(people)
    }
}
