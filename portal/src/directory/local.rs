//! The local directory: a users file, read again when it changes. A file that cannot be read means
//! nobody gets in, never that the last good one still counts.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{
    Account, AccountState, Answer, Directory, DirectoryError, Password, PasswordAnswer, UserName,
    hash,
    users_file::{User, UsersFile},
};

/// Longest wait for a turn to hash; a flood must not queue for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// A users file and the hashes that may run at the same time.
#[derive(Debug)]
pub(crate) struct LocalDirectory {
    path: PathBuf,
    read: Mutex<Option<(Stamp, Arc<UsersFile>)>>,
    turns: Arc<Semaphore>,
}

/// Tells one version of the file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    fn of(path: &Path) -> Result<Self, DirectoryError> {
        let meta = std::fs::metadata(path)
            .map_err(|e| DirectoryError(format!("users file {}: {e}", path.display())))?;
        Ok(Self {
            inode: meta.ino(),
            length: meta.len(),
            seconds: meta.mtime(),
            nanoseconds: meta.mtime_nsec(),
        })
    }
}

impl LocalDirectory {
    /// Reads the file once, so that a broken one is told at start.
    pub(crate) fn open(path: &Path, at_once: u32) -> Result<Self, DirectoryError> {
        let directory = Self {
            path: path.to_owned(),
            read: Mutex::new(None),
            turns: Arc::new(Semaphore::new(usize::try_from(at_once).unwrap_or(1))),
        };
        directory.users()?;
        Ok(directory)
    }

    fn users(&self) -> Result<Arc<UsersFile>, DirectoryError> {
        let stamp = Stamp::of(&self.path)?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match read.as_ref() {
            Some((of, users)) if *of == stamp => Ok(users.clone()),
            _ => {
                let users = Arc::new(UsersFile::read(&self.path)?);
                *read = Some((stamp, users.clone()));
                Ok(users)
            }
        }
    }

    /// One hash on the blocking pool, when it is its turn.
    async fn compare(&self, password: &Password, hash: String) -> Result<bool, DirectoryError> {
        let busy = |_| DirectoryError("too many passwords are being checked".into());
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned())
            .await
            .map_err(busy)?
            .map_err(|e| DirectoryError(e.to_string()))?;
        let password = Password(Zeroizing::new(password.expose().to_owned()));
        tokio::task::spawn_blocking(move || {
            let right = hash::verify(&password, &hash);
            drop(turn);
            right
        })
        .await
        .map_err(|e| DirectoryError(e.to_string()))
    }
}

fn account(user: &User) -> Account {
    Account {
        id: user.id(),
        name: user.name.clone(),
        groups: user.groups.clone(),
        group_dns: Vec::new(),
        state: if user.disabled {
            AccountState::Disabled
        } else {
            AccountState::Active
        },
        handle: user.name.clone(),
        mail: user.mail.clone(),
    }
}

impl Directory for LocalDirectory {
    fn find<'a>(&'a self, name: &'a UserName) -> Answer<'a, Option<Account>> {
        Box::pin(async move { Ok(self.users()?.find(name.as_str()).map(account)) })
    }

    fn list(&self, most: usize) -> Answer<'_, Option<Vec<Account>>> {
        Box::pin(async move {
            let users = self.users()?;
            if users.users.len() > most {
                return Err(DirectoryError(format!("it has more than {most} people")));
            }
            Ok(Some(users.users.iter().map(account).collect()))
        })
    }

    fn find_many<'a>(&'a self, names: &'a [UserName]) -> Answer<'a, Vec<Account>> {
        Box::pin(async move {
            let users = self.users()?;
            let found = names.iter().filter_map(|name| users.find(name.as_str()));
            Ok(found.map(account).collect())
        })
    }

    fn find_id<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Account>> {
        Box::pin(async move {
            let users = self.users()?;
            Ok(users.users.iter().find(|user| user.id() == id).map(account))
        })
    }

    fn verify<'a>(
        &'a self,
        account: &'a Account,
        password: &'a Password,
    ) -> Answer<'a, PasswordAnswer> {
        Box::pin(async move {
            let users = self.users()?;
            // Somebody else may have the name by now.
            let user = users
                .find(&account.handle)
                .filter(|user| user.id() == account.id);
            let stored = user.map(|user| user.password.clone());
            let exists = stored.is_some();
            let right = self
                .compare(password, stored.unwrap_or_else(hash::nobody))
                .await?;
            Ok(if right && exists {
                PasswordAnswer::Right
            } else {
                PasswordAnswer::Wrong("wrong-password")
            })
        })
    }

    fn pretend<'a>(&'a self, password: &'a Password) -> Answer<'a, ()> {
        Box::pin(async move { self.compare(password, hash::nobody()).await.map(|_| ()) })
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async move { self.users().map(|_| ()) })
    }
}

#[cfg(test)]
mod tests;
