//! LDAP.
use super::{Account, Answer, Directory, DirectoryError, Password, PasswordAnswer, UserName};
use crate::config::LdapSettings;
#[derive(Debug)]
pub(crate) struct LdapDirectory;
impl LdapDirectory {
    pub(crate) fn open(_: &LdapSettings) -> Result<Self, DirectoryError> {
        Err(DirectoryError("this build has no LDAP yet".into()))
    }
}
impl Directory for LdapDirectory {
    fn find<'a>(&'a self, _: &'a UserName) -> Answer<'a, Option<Account>> {
        Box::pin(async { Err(DirectoryError("no".into())) })
    }
    fn verify<'a>(&'a self, _: &'a Account, _: &'a Password) -> Answer<'a, PasswordAnswer> {
        Box::pin(async { Err(DirectoryError("no".into())) })
    }
    fn pretend<'a>(&'a self, _: &'a Password) -> Answer<'a, ()> {
        Box::pin(async { Err(DirectoryError("no".into())) })
    }
    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async { Err(DirectoryError("no".into())) })
    }
}
