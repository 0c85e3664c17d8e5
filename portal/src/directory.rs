//! Where users and groups live. A directory says who somebody is, which groups they are in, and
//! whether a password is theirs; it never learns about codes or grants.

mod dn;
mod hash;
mod ldap;
mod local;
pub(crate) mod users_file;

pub(crate) use dn::Dn;
#[cfg(test)]
pub(crate) use hash::cheap;
pub(crate) use hash::hash;
pub(crate) use ldap::{LdapDirectory, quiet_library};
pub(crate) use local::LocalDirectory;

use std::{fmt, pin::Pin, sync::Arc};

use zeroize::Zeroizing;

use crate::{clock::Clock, config};

/// What a directory answers, sometime.
pub(crate) type Answer<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, DirectoryError>> + Send + 'a>>;

/// No answer; nobody may get in on it. The text is for the log and the operator.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the directory is unavailable: {0}")]
pub(crate) struct DirectoryError(pub(crate) String);

/// A person, as the directory knows them now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// Stays when the person is renamed or moved.
    pub(crate) id: String,
    /// The name as the directory writes it.
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
    /// Their full names, in the one spelling of [`Dn`]; empty where a directory has none.
    pub(crate) group_dns: Vec<String>,
    pub(crate) state: AccountState,
    /// The directory's own handle, e.g. a DN.
    pub(crate) handle: String,
    /// Where notices go.
    pub(crate) mail: Option<String>,
}

impl Account {
    /// True: the person is in one of these groups, each given by its name or by its full name (a
    /// DN). Directories do not tell groups apart by case.
    pub(crate) fn is_in_any(&self, groups: &[String]) -> bool {
        groups.iter().any(|group| self.is_in(group))
    }

    /// A full name is compared with full names only: whoever may name a group could call it by
    /// another one's, with the commas escaped.
    pub(crate) fn is_in(&self, group: &str) -> bool {
        if !self.group_dns.is_empty()
            && group.contains('=')
            && let Some(wanted) = Dn::parse(group).filter(Dn::is_full)
        {
            return self.group_dns.contains(&wanted.to_string());
        }
        let wanted = group.to_lowercase();
        self.groups.iter().any(|own| own.to_lowercase() == wanted)
    }
}

/// Whether the person may log in at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountState {
    Active,
    Disabled,
    Expired,
    /// For a while, after wrong passwords. Nobody who left.
    Locked,
    /// Not before the password was changed. Nobody who left.
    MustChange,
}

impl AccountState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Locked => "locked",
            Self::MustChange => "must-change-password",
        }
    }
}

/// What the directory says to a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PasswordAnswer {
    Right,
    /// Right, but expired or to be changed before anything else. The word is for operators.
    MustChange(&'static str),
    /// The reason is for the audit only.
    Wrong(&'static str),
}

/// Looks people up and checks their passwords.
pub(crate) trait Directory: Send + Sync + fmt::Debug {
    /// None: nobody, or more than one, has this name.
    fn find<'a>(&'a self, name: &'a UserName) -> Answer<'a, Option<Account>>;

    /// The accounts behind so many names, for looking through everybody. A name that is left out
    /// is not gone for sure: ask [`Directory::find`]. Groups may be missing.
    fn find_many<'a>(&'a self, names: &'a [UserName]) -> Answer<'a, Vec<Account>>;

    /// Whoever has this stable id, under whatever name. Groups may be missing.
    fn find_id<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Account>>;

    /// Looks at a password once.
    fn verify<'a>(
        &'a self,
        account: &'a Account,
        password: &'a Password,
    ) -> Answer<'a, PasswordAnswer>;

    /// Takes as long as [`Directory::verify`], for a person who does not exist.
    fn pretend<'a>(&'a self, password: &'a Password) -> Answer<'a, ()>;

    /// Everybody, for reports; an error when they are more than `most`. None: this directory cannot
    /// list.
    fn list(&self, most: usize) -> Answer<'_, Option<Vec<Account>>> {
        let _ = most;
        Box::pin(async { Ok(None) })
    }

    /// Ok: it answers.
    fn check(&self) -> Answer<'_, ()>;
}

/// Opens the directory that the configuration names.
pub(crate) fn open(
    config: &config::Config,
    clock: &Clock,
) -> Result<Arc<dyn Directory>, DirectoryError> {
    let hashes = config.limits.hashes_at_once.value();
    match &config.directory {
        config::Directory::Local(settings) => {
            Ok(Arc::new(LocalDirectory::open(&settings.file, hashes)?))
        }
        config::Directory::Ldap(settings) => {
            Ok(Arc::new(LdapDirectory::open(settings, clock.clone())?))
        }
    }
}

/// A typed user name: 1 to 256 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserName(String);

impl UserName {
    pub(crate) fn parse(typed: &str) -> Option<Self> {
        let name = typed.trim();
        let fits = (1..=256).contains(&name.len()) && !name.chars().any(char::is_control);
        fits.then(|| Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// No evasion by case.
    pub(crate) fn lower(&self) -> String {
        self.0.to_lowercase()
    }
}

/// A password that may be sent to a directory: 1 to 128 bytes without NUL. An empty one would be
/// an unauthenticated bind, which succeeds (RFC 4513 §5.1.2). Its `Debug` shows nothing.
pub(crate) struct Password(Zeroizing<String>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Password {
    /// Passed on exactly as typed.
    pub(crate) fn parse(typed: &str) -> Option<Self> {
        let fits = (1..=128).contains(&typed.len()) && !typed.contains('\0');
        fits.then(|| Self(Zeroizing::new(typed.to_owned())))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}
