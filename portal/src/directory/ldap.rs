//! LDAP: search and bind over TLS, with a pool for each. The searching connections are never bound
//! as somebody else, referrals are not followed, and whatever is not a clear answer is no answer.

mod connect;
mod contain;
mod entry;
mod list;
mod search;
mod verdict;

use std::{fmt, fs, time::Duration};

use deadpool::{Runtime, managed};
use ldap3::ldap_escape;
use zeroize::Zeroizing;

use super::{Account, Answer, Directory, DirectoryError, Password, PasswordAnswer, UserName};
use crate::{clock::Clock, config::LdapSettings};
use connect::{Connector, Identity};
use contain::contain;
pub(crate) use contain::quiet_library;
use search::{Found, Kind, Search};

type Pool = managed::Pool<Connector>;

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
    async fn search(&self, search: Search) -> Result<Found, DirectoryError> {
        let mut tries = 0;
        loop {
            let connection = self.service.get().await.map_err(unavailable)?;
            tries += 1;
            let limit = self.patience();
            let whole = search.kind.patience(limit);
            let run = contain(search.clone().run(connection.ldap.clone(), limit));
            // The limit inside counts from message to message; this one counts altogether.
            let fault = match tokio::time::timeout(whole, run).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(fault)) => fault,
                Err(_) => return Err(unavailable("the search took too long")),
            };
            drop(managed::Object::take(connection));
            if tries > 1 || fault.is_final() {
                return Err(unavailable(fault));
            }
        }
    }

    async fn person(&self, name: &UserName) -> Result<Option<Account>, DirectoryError> {
        let settings = &self.settings;
        let mut attributes = vec![
            settings.name_attribute.clone(),
            settings.id_attribute.clone(),
            settings.mail_attribute.clone(),
        ];
        attributes.extend(settings.member_of.clone());
        attributes.extend(entry::STATE_ATTRIBUTES.map(str::to_owned));
        let filter = settings
            .user_filter
            .replace("{user}", &escaped(name.as_str()));
        let found = self
            .search(Search {
                kind: Kind::Person,
                base: settings.base.clone(),
                filter,
                attributes,
            })
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
            self.add_groups(base, &mut account).await?;
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
        let connection = self.binds.get().await.map_err(unavailable)?;
        let limit = self.patience();
        let (mut ldap, dn) = (connection.ldap.clone(), dn.to_owned());
        let secret = Zeroizing::new(password.expose().to_owned());
        let bind = contain(async move { ldap.with_timeout(limit).simple_bind(&dn, &secret).await });
        let answer = match tokio::time::timeout(limit * 2, bind).await {
            Ok(Ok(result)) => verdict::of(result.rc, &result.text),
            Ok(Err(fault)) => Err(fault.to_string()),
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

    fn list(&self, most: usize) -> Answer<'_, Option<Vec<Account>>> {
        Box::pin(async move { self.everybody(most).await.map(Some) })
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async {
            let connection = self.service.get().await.map_err(unavailable)?;
            connect::probe(&connection.ldap, self.patience())
                .await
                .map_err(unavailable)
        })
    }
}

#[cfg(test)]
mod tests;
