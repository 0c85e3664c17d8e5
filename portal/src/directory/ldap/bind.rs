//! Looking at a password: one bind on a connection of its own pool, never tried again, and one at a
//! time for each person, so that somebody whose binds hang holds up nobody else.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use deadpool::managed;
use zeroize::Zeroizing;

use super::{LdapDirectory, contain::contain, policy, unavailable, verdict};
use crate::directory::{DirectoryError, Password, PasswordAnswer};

/// Whose passwords are being looked at.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashSet<String>>);

/// Somebody's turn; over when dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    dn: String,
}

impl Turns {
    /// None: this person's password is being looked at already.
    pub(super) fn take(&self, dn: &str) -> Option<Turn<'_>> {
        let dn = dn.to_lowercase();
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Lazily: a turn that is made and not given away would end the other one's.
        running.insert(dn.clone()).then(|| Turn { turns: self, dn })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut running = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.dn);
    }
}

impl LdapDirectory {
    /// One bind. It is not tried again: a second try would count twice towards a lock-out.
    pub(super) async fn bind(
        &self,
        dn: &str,
        password: &Password,
    ) -> Result<PasswordAnswer, DirectoryError> {
        if dn.is_empty() {
            return Err(unavailable("an entry without a DN"));
        }
        let Some(_turn) = self.turns.take(dn) else {
            return Err(unavailable(
                "a password of the same person is being looked at still",
            ));
        };
        let connection = self.binds.get().await.map_err(unavailable)?;
        let limit = self.patience();
        let (mut ldap, dn) = (connection.ldap.clone(), dn.to_owned());
        let secret = Zeroizing::new(password.expose().to_owned());
        let bind = contain(async move {
            ldap.with_timeout(limit)
                .with_controls(policy::request())
                .simple_bind(&dn, &secret)
                .await
        });
        let answer = match tokio::time::timeout(limit * 2, bind).await {
            Ok(Ok(result)) => verdict::of(result.rc, &result.text, policy::of(&result)),
            Ok(Err(fault)) => Err(fault.to_string()),
            Err(_) => Err("the bind took too long".into()),
        };
        if answer.is_err() {
            drop(managed::Object::take(connection));
        }
        answer.map_err(DirectoryError)
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;

    #[test]
    fn a_person_has_one_turn_and_others_theirs() {
        let turns = Turns::default();
        let first = turns.take("cn=Alice").unwrap();
        assert!(turns.take("CN=alice").is_none());
        assert!(turns.take("cn=bob").is_some());
        drop(first);
        assert!(turns.take("cn=alice").is_some());
    }
}
