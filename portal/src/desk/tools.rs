//! What the desk works with, at the portal and in verbs alike, and the person it works for.

use crate::{
    codes::Codes,
    config::{self, Config},
    directory::{Account, Directory, UserName},
    lockout::Means,
    notices::{Kind, Notices, Person},
    portal::{Failure, Portal},
    text::{DeskWords, Language, Texts},
};

/// The parts of a portal that cases need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tools<'a> {
    pub(crate) config: &'a Config,
    pub(crate) means: Means<'a>,
    pub(crate) notices: &'a Notices,
    pub(crate) codes: &'a Codes,
    pub(crate) texts: &'a Texts,
    pub(crate) directory: &'a dyn Directory,
}

/// What the directory says.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Here(Account),
    /// Nobody, or more than one, of this name.
    Nobody,
    /// It does not answer.
    Silent,
}

/// Somebody the desk works for.
#[derive(Clone, Debug)]
pub(crate) struct Whom {
    /// The directory's id, from the directory or from what the portal holds.
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) seen: Seen,
}

impl Whom {
    pub(crate) fn account(&self) -> Option<&Account> {
        match &self.seen {
            Seen::Here(account) => Some(account),
            Seen::Nobody | Seen::Silent => None,
        }
    }
}

impl Portal {
    /// What cases at the portal work with.
    pub(crate) fn tools(&self) -> Tools<'_> {
        Tools {
            config: &self.config,
            means: Means {
                store: &self.store,
                grants: self.grants.as_ref(),
                audit: &self.audit,
                now: self.now(),
            },
            notices: &self.notices,
            codes: &self.codes,
            texts: &self.texts,
            directory: self.directory.as_ref(),
        }
    }
}

impl Tools<'_> {
    /// None: the configuration has no desk.
    pub(crate) fn desk(&self) -> Option<&config::Desk> {
        self.config.desk.as_ref()
    }

    pub(crate) fn now(&self) -> i64 {
        self.means.now.as_second()
    }

    /// Somebody by exact name. None: neither the directory nor the portal knows them.
    pub(crate) async fn whom(&self, name: &str) -> Result<Option<Whom>, Failure> {
        let Some(typed) = UserName::parse(name) else {
            return Ok(None);
        };
        let seen = match self.directory.find(&typed).await {
            Ok(Some(account)) => {
                return Ok(Some(Whom {
                    id: Some(account.id.clone()),
                    name: account.name.clone(),
                    seen: Seen::Here(account),
                }));
            }
            Ok(None) => Seen::Nobody,
            Err(failure) => {
                tracing::warn!(%failure, "the desk goes by what the portal holds");
                Seen::Silent
            }
        };
        let known = self.means.store.people_called(typed.as_str()).await?;
        Ok(known.into_iter().next().map(|person| Whom {
            id: Some(person.user_id),
            name: person.user_name,
            seen,
        }))
    }

    /// Tells the person, in the language they read last.
    pub(super) async fn tell(
        &self,
        id: Option<&str>,
        name: &str,
        account: Option<&Account>,
        text: fn(&DeskWords) -> &str,
    ) -> Result<(), Failure> {
        let read = match id {
            Some(id) => self.means.store.language(id).await?,
            None => None,
        };
        let language = read
            .and_then(|tag| Language::of_tag(&tag))
            .unwrap_or(self.config.portal.default_language);
        let action = text(&self.texts.of(language).desk);
        let person = Person {
            id,
            name,
            mail: account.and_then(|account| account.mail.as_deref()),
        };
        self.notices
            .tell(person, Kind::DeskAction, &[("action", action)])
            .await;
        Ok(())
    }
}
