//! Finding people: one by name with all groups, many by their names at once, one by the stable id.

use ldap3::SearchEntry;

use super::{
    LdapDirectory, entry, escaped,
    ranges::{self, Pieces},
    search::Search,
};
use crate::directory::{Account, DirectoryError, UserName};

/// Names in one filter.
const AT_ONCE: usize = 50;
/// Pieces of one attribute fetched for one person.
const PIECES_MAX: usize = 50;

impl LdapDirectory {
    fn filter_of(&self, name: &UserName) -> String {
        let name = escaped(name.as_str());
        self.settings.user_filter.replace("{user}", &name)
    }

    pub(super) fn attributes(&self) -> Vec<String> {
        let settings = &self.settings;
        let mut attributes = vec![
            settings.name_attribute.clone(),
            settings.id_attribute.clone(),
            settings.mail_attribute.clone(),
        ];
        attributes.extend(settings.member_of.clone());
        attributes.extend(entry::STATE_ATTRIBUTES.map(str::to_owned));
        attributes
    }

    /// The one person of a name, with every group.
    pub(super) async fn person(&self, name: &UserName) -> Result<Option<Account>, DirectoryError> {
        let Some(mut one) = self.only(self.filter_of(name)).await? else {
            return Ok(None);
        };
        self.complete(&mut one).await?;
        let mut account = self.account(&one)?;
        self.add_groups(&mut account).await?;
        Ok(Some(account))
    }

    /// The only entry that matches.
    async fn only(&self, filter: String) -> Result<Option<SearchEntry>, DirectoryError> {
        let search = Search::below(&self.settings.base, filter, self.attributes(), 2);
        let found = self.search(search).await?;
        let mut entries = found.entries.into_iter();
        Ok(match (entries.next(), entries.next()) {
            (Some(one), None) if !found.more => Some(one),
            _ => None,
        })
    }

    pub(super) fn account(&self, found: &SearchEntry) -> Result<Account, DirectoryError> {
        entry::account(&self.settings, found, self.clock.now()).map_err(DirectoryError)
    }

    /// Fetches the further pieces of a long `memberOf`.
    pub(super) async fn complete(&self, found: &mut SearchEntry) -> Result<(), DirectoryError> {
        let Some(attribute) = &self.settings.member_of else {
            return Ok(());
        };
        let Some(mut piece) = ranges::take(found, attribute) else {
            return Ok(());
        };
        let mut pieces = Pieces::default();
        for _ in 0..PIECES_MAX {
            let Some(next) = pieces.add(attribute, piece).map_err(DirectoryError)? else {
                let values = pieces.into_values();
                found.attrs.insert(attribute.clone(), values);
                return Ok(());
            };
            let search = Search::entry(&found.dn, vec![next]);
            let more = self.search(search).await?.entries.into_iter().next();
            piece = more
                .and_then(|mut more| ranges::take(&mut more, attribute))
                .ok_or_else(|| DirectoryError(format!("{attribute} breaks off")))?;
        }
        Err(DirectoryError(format!(
            "{attribute} comes in more than {PIECES_MAX} pieces"
        )))
    }

    /// Accounts behind names, so many at a time. Entries that cannot be read are left out.
    pub(super) async fn many(&self, names: &[UserName]) -> Result<Vec<Account>, DirectoryError> {
        let mut accounts = Vec::with_capacity(names.len());
        for some in names.chunks(AT_ONCE) {
            let each = some.iter().map(|name| self.filter_of(name));
            let filter = format!("(|{})", each.collect::<String>());
            // A name may fit two entries; with very many the rest is asked for one by one.
            let search = Search::below(&self.settings.base, filter, self.attributes(), AT_ONCE * 4);
            let found = self.search(search).await?;
            accounts.extend(
                found
                    .entries
                    .iter()
                    .filter_map(|one| self.account(one).ok()),
            );
        }
        Ok(accounts)
    }

    /// Whoever has an id and still fits the user filter, under any name.
    pub(super) async fn by_id(&self, id: &str) -> Result<Option<Account>, DirectoryError> {
        let Some(id) = id.strip_prefix("ldap:") else {
            return Ok(None);
        };
        let attribute = &self.settings.id_attribute;
        let anybody = self.settings.user_filter.replace("{user}", "*");
        let filter = format!("(&{anybody}{})", id_filter(attribute, id));
        match self.only(filter).await? {
            Some(found) => Ok(Some(self.account(&found)?)),
            None => Ok(None),
        }
    }
}

/// An id is text, or stands for bytes.
fn id_filter(attribute: &str, id: &str) -> String {
    let bytes = if attribute.eq_ignore_ascii_case("objectGUID") {
        entry::guid_bytes(id)
    } else {
        data_encoding::HEXLOWER.decode(id.as_bytes()).ok()
    };
    let binary = bytes.map(|bytes| {
        let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!("({attribute}={escaped})")
    });
    match binary {
        Some(binary) if attribute.eq_ignore_ascii_case("objectGUID") => binary,
        Some(binary) => format!("(|({attribute}={}){binary})", escaped(id)),
        None => format!("({attribute}={})", escaped(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::id_filter;

    #[test]
    fn ids_are_searched_as_what_they_were() {
        assert_eq!(id_filter("entryUUID", "a-b*"), "(entryUUID=a-b\\2a)");
        assert_eq!(
            id_filter("objectGUID", "33323130-3534-3736-3839-616263646566"),
            "(objectGUID=\\30\\31\\32\\33\\34\\35\\36\\37\\38\\39\\61\\62\\63\\64\\65\\66)"
        );
        assert_eq!(id_filter("guid", "00ff"), "(|(guid=00ff)(guid=\\00\\ff))");
    }
}
