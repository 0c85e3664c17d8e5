//! LDAP: search and bind over TLS, with a pool for each. The searching connections are never bound
//! as somebody else, referrals are not followed, and whatever is not a clear answer is no answer.

mod bind;
mod circuit;
mod connect;
mod contain;
mod entry;
mod groups;
mod list;
mod people;
mod policy;
mod ranges;
mod search;
mod verdict;

use std::{fmt, fs, sync::Arc, time::Duration};

use deadpool::{Runtime, managed};
use ldap3::ldap_escape;

use super::{Account, Answer, Directory, DirectoryError, Password, PasswordAnswer, UserName};
use crate::{clock::Clock, config::LdapSettings};
use bind::Turns;
use circuit::Circuit;
use connect::{Connector, Identity, Pooled};
use contain::contain;
pub(crate) use contain::quiet_library;
use search::{Found, Search};

type Pool = managed::Pool<Connector>;

/// One or more servers with the same entries.
pub(crate) struct LdapDirectory {
    settings: LdapSettings,
    clock: Clock,
    service: Pool,
    binds: Pool,
    turns: Turns,
    circuit: Arc<Circuit>,
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
        let circuit = Arc::new(Circuit::new(settings.urls.len()));
        let connector =
            |identity| Connector::new(settings, identity, circuit.clone(), clock.clone());
        let service = pool(settings, connector(searcher)?)?;
        let binds = pool(settings, connector(Identity::Anonymous)?)?;
        Ok(Self {
            settings: settings.clone(),
            clock,
            service,
            binds,
            turns: Turns::default(),
            circuit,
        })
    }

    fn patience(&self) -> Duration {
        self.settings.timeout.duration()
    }

    /// A search got no answer. If the server says nothing else either, it counts as dead: one slow
    /// answer alone must not shut the directory for everybody.
    async fn suspect(&self, connection: &Pooled) {
        let limit = self.patience().min(Duration::from_secs(1));
        if connect::probe(&connection.ldap, limit).await.is_err() {
            self.circuit
                .failed(connection.server, self.clock.monotonic());
        }
    }

    /// Runs a search on a service connection; once more on another one if that broke.
    async fn search(&self, search: Search) -> Result<Found, DirectoryError> {
        let mut tries = 0;
        loop {
            let connection = self.service.get().await.map_err(unavailable)?;
            tries += 1;
            let limit = self.patience();
            let whole = search.patience(limit);
            let run = contain(search.clone().run(connection.ldap.clone(), limit));
            // The limit inside counts from message to message; this one counts altogether.
            let fault = match tokio::time::timeout(whole, run).await {
                Ok(Ok(found)) => {
                    if found.more {
                        // What was not read of the answer may still come.
                        drop(managed::Object::take(connection));
                    }
                    return Ok(found);
                }
                Ok(Err(fault)) => fault,
                Err(_) => {
                    drop(managed::Object::take(connection));
                    return Err(unavailable("the search took too long"));
                }
            };
            if fault.is_silence() {
                self.suspect(&connection).await;
            }
            drop(managed::Object::take(connection));
            if tries > 1 || fault.is_final() {
                return Err(unavailable(fault));
            }
        }
    }
}

/// Answers within a time, whatever the servers do.
async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, DirectoryError>>,
) -> Result<T, DirectoryError> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let seconds = limit.as_secs();
        Err(unavailable(format!("no answer within {seconds} s")))
    })
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
        Box::pin(in_time(self.patience() * 3, self.person(name)))
    }

    fn find_many<'a>(&'a self, names: &'a [UserName]) -> Answer<'a, Vec<Account>> {
        Box::pin(self.many(names))
    }

    fn find_id<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Account>> {
        Box::pin(in_time(self.patience() * 3, self.by_id(id)))
    }

    fn verify<'a>(
        &'a self,
        account: &'a Account,
        password: &'a Password,
    ) -> Answer<'a, PasswordAnswer> {
        Box::pin(in_time(
            self.patience() * 3,
            self.bind(&account.handle, password),
        ))
    }

    fn pretend<'a>(&'a self, _: &'a Password) -> Answer<'a, ()> {
        // A bind as nobody could count against somebody; the time is levelled by the pace.
        Box::pin(async { Ok(()) })
    }

    fn list(&self, most: usize) -> Answer<'_, Option<Vec<Account>>> {
        Box::pin(async move { self.everybody(most).await.map(Some) })
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(in_time(self.patience() * 3, async {
            let connection = self.service.get().await.map_err(unavailable)?;
            connect::probe(&connection.ldap, self.patience())
                .await
                .map_err(unavailable)
        }))
    }
}

#[cfg(test)]
mod tests;
