//! LDAP: search and bind over TLS, with a pool for each. The searching connections are never bound
//! as somebody else, referrals are not followed, and whatever is not a clear answer is no answer.

mod connect;
mod entry;
mod verdict;

use std::{fmt, fs, time::Duration};

use deadpool::{Runtime, managed};
use ldap3::{
    Ldap, LdapError, Scope, SearchEntry, SearchOptions, SearchResult,
    adapters::{Adapter, EntriesOnly, PagedResults},
    ldap_escape,
};

use super::{Account, Answer, Directory, DirectoryError, Password, PasswordAnswer, UserName};
use crate::{clock::Clock, config::LdapSettings};
use connect::{Connector, Identity, Pooled};

type Pool = managed::Pool<Connector>;

/// Entries of a group search; more is a filter that matches everything.
const GROUPS_MAX: usize = 2_000;
const PAGE: i32 = 500;
/// sizeLimitExceeded: more entries matched than were asked for.
const SIZE_LIMIT: u32 = 4;

/// One or more servers with the same entries.
pub(crate) struct LdapDirectory {
    settings: LdapSettings,
    clock: Clock,
    service: Pool,
    binds: Pool,
}

impl fmt::Debug for LdapDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LdapDirectory({})", self.settings.urls.join(" "))
    }
}

impl LdapDirectory {
    /// Reads certificates and the searcher's password; connects to nothing yet.
    pub(crate) fn open(settings: &LdapSettings, clock: Clock) -> Result<Self, DirectoryError> {
        let searcher = match (&settings.bind_dn, &settings.bind_password_file) {
            (Some(dn), Some(file)) => {
                let text = fs::read_to_string(file)
                    .map_err(|e| DirectoryError(format!("cannot read {}: {e}", file.display())))?;
                let password = Password::parse(text.trim_end_matches(['\r', '\n']));
                let password = password.ok_or_else(|| {
                    DirectoryError(format!("{} holds no usable password", file.display()))
                })?;
                Identity::Searcher {
                    dn: dn.clone(),
                    password,
                }
            }
            _ => Identity::Anonymous,
        };
        let service = pool(settings, Connector::new(settings, searcher)?)?;
        let binds = pool(settings, Connector::new(settings, Identity::Anonymous)?)?;
        Ok(Self {
            settings: settings.clone(),
            clock,
            service,
            binds,
        })
    }

    fn patience(&self) -> Duration {
        self.settings.timeout.duration()
    }

    /// Runs a search on a service connection; once more on another one if that broke.
    async fn search(
        &self,
        base: &str,
        filter: &str,
        what: What<'_>,
    ) -> Result<Found, DirectoryError> {
        let mut tries = 0;
        loop {
            let mut connection = self.service.get().await.map_err(unavailable)?;
            tries += 1;
            let limit = self.patience();
            let search = what.run(&mut connection.ldap, base, filter, limit);
            // The limit inside counts from message to message; this one counts altogether.
            let result = tokio::time::timeout(limit * 3, search).await;
            match result {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(error)) => {
                    drop(managed::Object::take(connection));
                    if tries > 1 || matches!(error, LdapError::LdapResult { .. }) {
                        return Err(unavailable(error));
                    }
                }
                Err(_) => {
                    drop(managed::Object::take(connection));
                    return Err(unavailable("the search took too long"));
                }
            }
        }
    }

    async fn person(&self, name: &UserName) -> Result<Option<Account>, DirectoryError> {
        let settings = &self.settings;
        let mut attributes = vec![
            settings.name_attribute.as_str(),
            settings.id_attribute.as_str(),
        ];
        attributes.extend(settings.member_of.as_deref());
        attributes.extend(entry::STATE_ATTRIBUTES);
        let filter = settings
            .user_filter
            .replace("{user}", &escaped(name.as_str()));
        let found = self
            .search(&settings.base, &filter, What::Person(&attributes))
            .await?;
        let [one] = found.entries.as_slice() else {
            return Ok(None);
        };
        if found.more {
            return Ok(None);
        }
        let mut account =
            entry::account(settings, one, self.clock.now()).map_err(DirectoryError)?;
        if let Some(base) = &settings.group_base {
            let filter = settings
                .group_filter
                .replace("{dn}", &escaped(&account.handle))
                .replace("{user}", &escaped(&account.name));
            let attributes = [settings.group_attribute.as_str()];
            let groups = self
                .search(base, &filter, What::Groups(&attributes))
                .await?;
            account.groups.extend(
                groups
                    .entries
                    .iter()
                    .filter_map(|group| entry::first(group, &settings.group_attribute)),
            );
        }
        account.groups.sort_unstable();
        account.groups.dedup();
        Ok(Some(account))
    }

    /// One bind. It is not tried again: a second try would count twice towards a lock-out.
    async fn bind(&self, dn: &str, password: &Password) -> Result<PasswordAnswer, DirectoryError> {
        if dn.is_empty() {
            return Err(unavailable("an entry without a DN"));
        }
        let mut connection = self.binds.get().await.map_err(unavailable)?;
        let limit = self.patience();
        let bind = connection
            .ldap
            .with_timeout(limit)
            .simple_bind(dn, password.expose());
        let answer = match tokio::time::timeout(limit * 2, bind).await {
            Ok(Ok(result)) => verdict::of(result.rc, &result.text),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the bind took too long".into()),
        };
        if answer.is_err() {
            drop(managed::Object::take(connection));
        }
        answer.map_err(DirectoryError)
    }
}

fn pool(settings: &LdapSettings, connector: Connector) -> Result<Pool, DirectoryError> {
    let patience = settings.timeout.duration();
    let most = usize::try_from(settings.connections.value()).unwrap_or(1);
    let servers = u32::try_from(settings.urls.len()).unwrap_or(1);
    Pool::builder(connector)
        .max_size(most)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(patience * 2))
        .create_timeout(Some(patience * 3 * servers))
        .recycle_timeout(Some(patience))
        .build()
        .map_err(unavailable)
}

fn unavailable(error: impl fmt::Display) -> DirectoryError {
    DirectoryError(error.to_string())
}

/// The one place where text from outside enters a filter (RFC 4515 §3).
fn escaped(text: &str) -> String {
    ldap_escape(text).into_owned()
}

/// What a search found.
struct Found {
    entries: Vec<SearchEntry>,
    /// There are more than were asked for.
    more: bool,
}

/// The two kinds of search.
#[derive(Clone, Copy)]
enum What<'a> {
    /// Exactly one entry, so two are enough to know there is more than one.
    Person(&'a [&'a str]),
    Groups(&'a [&'a str]),
}

impl What<'_> {
    async fn run(
        self,
        ldap: &mut Ldap,
        base: &str,
        filter: &str,
        limit: Duration,
    ) -> Result<Found, LdapError> {
        match self {
            Self::Person(attributes) => {
                let options = SearchOptions::new().sizelimit(2);
                let SearchResult(entries, result) = ldap
                    .with_search_options(options)
                    .with_timeout(limit)
                    .search(base, Scope::Subtree, filter, attributes)
                    .await?;
                let more = result.rc == SIZE_LIMIT;
                if !more {
                    result.success()?;
                }
                let entries = entries.into_iter().map(SearchEntry::construct).collect();
                Ok(Found { entries, more })
            }
            Self::Groups(attributes) => {
                let adapters: Vec<Box<dyn Adapter<'_, &str, &[&str]>>> = vec![
                    Box::new(EntriesOnly::new()),
                    Box::new(PagedResults::new(PAGE)),
                ];
                let mut stream = ldap
                    .with_timeout(limit)
                    .streaming_search_with(adapters, base, Scope::Subtree, filter, attributes)
                    .await?;
                let mut entries = Vec::new();
                while let Some(entry) = stream.next().await? {
                    if entries.len() == GROUPS_MAX {
                        return Err(LdapError::AdapterInit(format!(
                            "more than {GROUPS_MAX} groups match {filter:?}"
                        )));
                    }
                    entries.push(SearchEntry::construct(entry));
                }
                stream.finish().await.success()?;
                Ok(Found {
                    entries,
                    more: false,
                })
            }
        }
    }
}

impl Directory for LdapDirectory {
    fn find<'a>(&'a self, name: &'a UserName) -> Answer<'a, Option<Account>> {
        Box::pin(self.person(name))
    }

    fn verify<'a>(
        &'a self,
        account: &'a Account,
        password: &'a Password,
    ) -> Answer<'a, PasswordAnswer> {
        Box::pin(self.bind(&account.handle, password))
    }

    fn pretend<'a>(&'a self, _: &'a Password) -> Answer<'a, ()> {
        // A bind as nobody could count against somebody; the time is levelled by the pace.
        Box::pin(async { Ok(()) })
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async {
            let Pooled { ldap, .. } = &mut *self.service.get().await.map_err(unavailable)?;
            connect::probe(ldap, self.patience())
                .await
                .map_err(unavailable)
        })
    }
}

#[cfg(test)]
mod tests;
