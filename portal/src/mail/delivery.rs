//! Carries what waits to the server. A server that is down is asked again after a while that grows,
//! with one mail, not with all; what the server never takes is dropped and audited. Time is a
//! parameter.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agent_api::AuditKind;
use lettre::Address;

use super::{Letter, MailError, Post, Posted, SmtpPost, Writer};
use crate::{
    audit::{clean, draft},
    config::Mail,
    directory::UserName,
    notices::{Kind, Person},
    portal::{Failure, Portal},
    random,
    store::{LinkRow, MailRow},
    text::Language,
};

/// How often the queue is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Mails carried at a time, so that other work of the database comes between.
const BATCH: i64 = 50;
/// The first wait after a failure, and the longest, in seconds.
const FIRST: i64 = 5;
const LONGEST: i64 = 900;

/// Seconds until the next try after so many in vain: doubling.
pub(crate) fn wait_after(failures: i64) -> i64 {
    let doublings = u32::try_from(failures.clamp(1, 20) - 1).unwrap_or(0);
    FIRST.saturating_mul(1_i64 << doublings).min(LONGEST)
}

/// While the server does not answer: failures in a row, and when it is asked again.
#[derive(Clone, Copy, Debug, Default)]
struct Down {
    failures: i64,
    until: i64,
}

/// The carrier.
#[derive(Debug)]
pub(crate) struct Delivery {
    mail: Mail,
    writer: Writer,
    post: Arc<dyn Post>,
    down: Mutex<Down>,
}

/// How one mail went.
enum Step {
    Gone,
    Stop,
}

impl Delivery {
    /// None: there is no `[mail]`.
    pub(crate) fn open(config: &crate::config::Config) -> Result<Option<Self>, MailError> {
        let Some(mail) = &config.mail else {
            return Ok(None);
        };
        let post = Arc::new(SmtpPost::open(mail)?);
        Self::open_with(config, mail, post).map(Some)
    }

    pub(crate) fn open_with(
        config: &crate::config::Config,
        mail: &Mail,
        post: Arc<dyn Post>,
    ) -> Result<Self, MailError> {
        Ok(Self {
            mail: mail.clone(),
            writer: Writer::new(config, mail)?,
            post,
            down: Mutex::default(),
        })
    }

    /// Carries for ever.
    pub(crate) async fn run(self, portal: Arc<Portal>) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(failure) = self.turn(&portal).await {
                tracing::error!(%failure, "notices cannot be carried");
            }
        }
    }

    /// Carries what is due now.
    pub(crate) async fn turn(&self, portal: &Portal) -> Result<(), Failure> {
        let now = portal.now().as_second();
        self.account_for(portal, now).await?;
        let down = *self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if down.until > now {
            return Ok(());
        }
        // One is enough to see whether a server that was down is back.
        let batch = if down.failures > 0 { 1 } else { BATCH };
        for row in portal.store.due_mails(now, batch).await? {
            if let Step::Stop = self.carry(portal, &row, now).await? {
                break;
            }
        }
        Ok(())
    }

    /// What was dropped or folded is told: to the audit, and to whom it was for.
    async fn account_for(&self, portal: &Portal, now: i64) -> Result<(), Failure> {
        let dropped = portal.store.take_dropped_mails().await?;
        if dropped > 0 {
            let why = format!("{dropped} notices dropped: too many wait");
            tracing::error!(dropped, "notices were dropped: too many wait");
            record(portal, "mail-dropped", None, &why).await?;
        }
        for folded in portal.store.take_folded_mails(now).await? {
            let person = Person {
                id: Some(&folded.user_id),
                name: &folded.user_name,
                mail: None,
            };
            let count = folded.folded.to_string();
            portal
                .notices
                .tell(person, Kind::Folded, &[("count", &count)])
                .await;
        }
        Ok(())
    }

    async fn carry(&self, portal: &Portal, row: &MailRow, now: i64) -> Result<Step, Failure> {
        let store = &portal.store;
        let posted = match self.address(portal, row).await {
            Ok(to) => self.send(portal, row, to, now).await?,
            Err(refused) => refused,
        };
        let kind = row.kind.as_str();
        match posted {
            Posted::Taken => {
                self.set_down(None, now);
                tracing::info!(kind, user = row.user_name, "a notice was sent");
                store.remove_mail(row.id).await?;
            }
            Posted::Never(why) => {
                self.set_down(None, now);
                give_up(portal, row, &why).await?;
            }
            Posted::Later(why) | Posted::ServerDown(why)
                if now - row.created >= self.mail.give_up.seconds() =>
            {
                give_up(portal, row, &format!("{why}; tried for too long")).await?;
            }
            Posted::Later(why) => {
                self.set_down(None, now);
                tracing::debug!(kind, why, "a notice is put off");
                let due = now + wait_after(row.tries + 1).max(60);
                store.postpone_mail(row.id, due, &why).await?;
            }
            Posted::ServerDown(why) => {
                let wait = self.set_down(Some(()), now);
                tracing::warn!(why, wait_s = wait, "the mail server does not take notices");
                store.postpone_mail(row.id, now + wait, &why).await?;
                return Ok(Step::Stop);
            }
        }
        Ok(Step::Gone)
    }

    /// Notes whether the server works; gives how long it is left alone.
    fn set_down(&self, failed: Option<()>, now: i64) -> i64 {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        match failed {
            None => {
                *down = Down::default();
                0
            }
            Some(()) => {
                down.failures += 1;
                let wait = wait_after(down.failures);
                down.until = now + wait;
                wait
            }
        }
    }

    /// Where a mail goes. Err: what becomes of it without an address.
    async fn address(&self, portal: &Portal, row: &MailRow) -> Result<Address, Posted> {
        let text = match (&row.address, UserName::parse(&row.user_name)) {
            (Some(address), _) => Some(address.clone()),
            (None, None) => None,
            (None, Some(name)) => match portal.directory.find(&name).await {
                Ok(found) => found
                    .filter(|account| row.user_id.as_ref() == Some(&account.id))
                    .and_then(|account| account.mail),
                Err(failure) => return Err(Posted::Later(failure.to_string())),
            },
        };
        let text = text.ok_or_else(|| Posted::Never("the person has no mail address".into()))?;
        text.trim()
            .parse()
            .map_err(|_| Posted::Never("the person's mail address is none".into()))
    }

    async fn send(
        &self,
        portal: &Portal,
        row: &MailRow,
        to: Address,
        now: i64,
    ) -> Result<Posted, Failure> {
        let Some(kind) = Kind::of_name(&row.kind) else {
            return Ok(Posted::Never("no such notice".into()));
        };
        let mut language = portal.config.portal.default_language;
        if let Some(id) = &row.user_id
            && let Some(tag) = portal.store.language(id).await?
        {
            language = Language::of_tag(&tag).unwrap_or(language);
        }
        let params: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&row.params).unwrap_or_default();
        let mut values: Vec<(&str, &str)> = params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
            .collect();
        let link = match (&row.user_id, kind.has_link()) {
            (Some(id), true) => self.link(portal, row, id, now).await?,
            _ => String::new(),
        };
        values.push(("link", &link));
        let letter = Letter {
            kind,
            language,
            user: &row.user_name,
            values: &values,
        };
        Ok(
            match self.writer.write(&letter, to, &row.message, portal.now()) {
                Ok(message) => self.post.send(message).await,
                Err(failure) => Posted::Never(failure.to_string()),
            },
        )
    }

    /// A new link at each attempt: only its hash is kept, so an earlier one cannot be sent again.
    async fn link(
        &self,
        portal: &Portal,
        row: &MailRow,
        user_id: &str,
        now: i64,
    ) -> Result<String, Failure> {
        let token = random::handle();
        let whose = LinkRow {
            user_id: user_id.to_owned(),
            user_name: row.user_name.clone(),
        };
        let expires = now + self.mail.link.seconds();
        portal
            .store
            .add_link(&random::digest(&token), row.id, &whose, expires)
            .await?;
        Ok(self.writer.link(&token))
    }
}

async fn give_up(portal: &Portal, row: &MailRow, why: &str) -> Result<(), Failure> {
    tracing::warn!(
        kind = row.kind,
        user = row.user_name,
        why,
        "a notice is given up"
    );
    let reason = format!("{}: {why}", row.kind);
    record(portal, "mail-not-sent", Some(&row.user_name), &reason).await?;
    portal.store.remove_mail(row.id).await?;
    Ok(())
}

async fn record(
    portal: &Portal,
    outcome: &str,
    user: Option<&str>,
    reason: &str,
) -> Result<(), Failure> {
    let mut record = draft(AuditKind::User, outcome);
    record.user = user.map(str::to_owned);
    record.reason = Some(clean(reason));
    portal.audit.write(record).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
