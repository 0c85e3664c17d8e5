//! Tells people by mail what happened to their access. Telling only queues: it never fails what it
//! tells of, never waits for a server, and without `[mail]` it does nothing.

mod hooks;
mod kind;

pub(crate) use kind::{COMMON, Kind};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    audit::clean,
    clock::Clock,
    config::{Config, Mail},
    random,
    store::{NewMail, Store, StoreError},
};

/// Whom a notice is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person<'a> {
    /// The directory's id; None: not known any more, so nothing but `mail` finds them.
    pub(crate) id: Option<&'a str>,
    pub(crate) name: &'a str,
    /// None: the directory is asked when the mail is sent.
    pub(crate) mail: Option<&'a str>,
}

impl<'a> From<&'a crate::directory::Account> for Person<'a> {
    fn from(account: &'a crate::directory::Account) -> Self {
        Self {
            id: Some(&account.id),
            name: &account.name,
            mail: account.mail.as_deref(),
        }
    }
}

impl<'a> From<&'a crate::store::TokenRow> for Person<'a> {
    fn from(token: &'a crate::store::TokenRow) -> Self {
        Self {
            id: Some(&token.user_id),
            name: &token.user_name,
            mail: None,
        }
    }
}

impl<'a> From<&'a crate::live::LiveCookie> for Person<'a> {
    fn from(cookie: &'a crate::live::LiveCookie) -> Self {
        Self {
            id: Some(cookie.user_id()),
            name: cookie.user_name(),
            mail: None,
        }
    }
}

/// Queues notices.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    store: Store,
    clock: Clock,
    mail: Option<Mail>,
    zone: TimeZone,
}

impl Notices {
    pub(crate) fn new(config: &Config, store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            mail: config.mail.clone(),
            zone: config.portal.time_zone(),
        }
    }

    /// Queues a notice for a person. What goes wrong is logged here: it must not undo what the
    /// notice is about.
    pub(crate) async fn tell(&self, person: Person<'_>, kind: Kind, params: &[(&str, &str)]) {
        let Some(mail) = &self.mail else { return };
        if !mail.is_on(kind) {
            return;
        }
        let queued = self.queue(mail, person, kind, params).await;
        if let Err(failure) = queued {
            tracing::error!(%failure, kind = kind.name(), "a notice could not be queued");
        }
    }

    /// Queues a notice for every operator's address.
    pub(crate) async fn tell_operators(&self, kind: Kind, params: &[(&str, &str)]) {
        let Some(mail) = &self.mail else { return };
        for address in mail.operators() {
            let person = Person {
                id: None,
                name: "operator",
                mail: Some(address),
            };
            if let Err(failure) = self.queue(mail, person, kind, params).await {
                tracing::error!(%failure, kind = kind.name(), "a notice could not be queued");
            }
        }
    }

    async fn queue(
        &self,
        mail: &Mail,
        person: Person<'_>,
        kind: Kind,
        params: &[(&str, &str)],
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let time = self.moment(now.as_second());
        let map: serde_json::Map<String, serde_json::Value> = params
            .iter()
            .copied()
            .chain([("time", time.as_str())])
            .map(|(name, value)| (name.to_owned(), clean(value).into()))
            .collect();
        let params = serde_json::Value::Object(map).to_string();
        let message = random::handle();
        let new = NewMail {
            user_id: person.id,
            user_name: person.name,
            address: person.mail,
            kind: kind.name(),
            params: &params,
            important: kind.is_important(),
            message: &message,
            at: now.as_second(),
        };
        self.store
            .queue_mail(&new, mail.per_hour(), mail.queue())
            .await
    }

    /// A time as mails show it: the site's zone, the same in every language.
    pub(crate) fn moment(&self, second: i64) -> String {
        let at = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        let local = at.to_zoned(self.zone.clone());
        local.strftime("%Y-%m-%d %H:%M %Z").to_string()
    }
}

#[cfg(test)]
mod tests;
