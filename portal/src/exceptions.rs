//! Exceptions: somebody without a second factor opens one service from one network with the
//! password alone, because somebody approved it, until an end that cannot be left out. Nothing that
//! an exception opened outlasts it.

use std::{fmt, net::IpAddr, str::FromStr};

use agent_api::{AuditKind, CloseRequest};
use ipnet::IpNet;

use crate::{
    audit::draft,
    directory::Account,
    notices::{Kind, Person},
    portal::{Failure, Portal},
    store::{ExceptionRow, StoreError},
};

/// Networks an exception is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sources(Vec<IpNet>);

impl Sources {
    /// None: nothing was named.
    pub(crate) fn new(prefixes: Vec<IpNet>) -> Option<Self> {
        (!prefixes.is_empty()).then_some(Self(prefixes))
    }

    /// From wherever; has to be said.
    pub(crate) fn any() -> Self {
        Self(vec![
            IpNet::new_assert(IpAddr::from([0; 4]), 0),
            IpNet::new_assert(IpAddr::from([0; 16]), 0),
        ])
    }

    fn covers(&self, source: IpAddr) -> bool {
        self.0.iter().any(|prefix| prefix.contains(&source))
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&words.join(" "))
    }
}

impl FromStr for Sources {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let prefixes = text.split_whitespace().map(|word| {
            word.parse::<IpNet>()
                .or_else(|_| word.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| format!("{word:?} is no network such as 192.0.2.0/24"))
        });
        Self::new(prefixes.collect::<Result<_, _>>()?).ok_or_else(|| "no network is named".into())
    }
}

/// A live exception of one person; made by [`Portal::exceptions_of`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    id: String,
    user_id: String,
    service: String,
    sources: Sources,
    ends: i64,
}

impl Exception {
    /// In the place of a token's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Seconds that are left for this service from there. None: it is for something else.
    pub(crate) fn left(&self, service: &str, source: IpAddr, now: i64) -> Option<u64> {
        let fits = self.service == service && self.sources.covers(source);
        let left = u64::try_from(self.ends - now).ok().filter(|left| *left > 0);
        left.filter(|_| fits)
    }

    fn is_for(&self, source: IpAddr) -> bool {
        self.sources.covers(source)
    }
}

impl Portal {
    /// What is excepted for a person now.
    pub(crate) async fn exceptions_of(&self, user_id: &str) -> Result<Vec<Exception>, Failure> {
        let rows = self
            .store
            .live_exceptions(user_id, self.now().as_second())
            .await?;
        rows.into_iter().map(read).collect()
    }

    /// One that lets this person log in from there with the password alone.
    pub(crate) async fn exception_for(
        &self,
        account: &Account,
        source: IpAddr,
    ) -> Result<Option<Exception>, Failure> {
        let all = self.exceptions_of(&account.id).await?;
        Ok(all.into_iter().find(|one| one.is_for(source)))
    }

    /// Ends what is over, and announces what soon will be.
    pub(crate) async fn look_after_exceptions(&self) -> Result<(), Failure> {
        let now = self.now().as_second();
        for over in self.store.end_exceptions_over(now).await? {
            self.record_end(&over, "ended").await?;
        }
        let soon = now + self.config.exceptions.reminder.seconds();
        for ending in self.store.remind_of_exceptions(soon, now).await? {
            let until = self.notices.moment(ending.ends);
            let values = [("service", ending.service.as_str()), ("until", &until)];
            let person = Person {
                id: Some(&ending.user_id),
                name: &ending.user_name,
                mail: None,
            };
            self.notices
                .tell(person, Kind::ExceptionEnding, &values)
                .await;
            self.notices
                .tell_operators(Kind::ExceptionEnding, &values)
                .await;
        }
        Ok(())
    }

    async fn record_end(&self, row: &ExceptionRow, outcome: &str) -> Result<(), StoreError> {
        let mut record = draft(AuditKind::User, &format!("exception-{outcome}"));
        record.user = Some(row.user_name.clone());
        record.token = Some(row.id.clone());
        record.reason = Some(format!("{} from {}", row.service, row.sources));
        self.audit.write(record).await.map(drop)
    }
}

/// What the agent is asked when an exception ends before its time.
pub(crate) fn closing(row: &ExceptionRow, why: &str) -> CloseRequest {
    CloseRequest {
        user: Some(row.user_name.clone()),
        service: Some(row.service.clone()),
        reason: Some(format!("exception {} ended: {why}", row.id)),
        ..CloseRequest::default()
    }
}

fn read(row: ExceptionRow) -> Result<Exception, Failure> {
    let sources = row.sources.parse();
    let sources = sources.map_err(|why| StoreError::Value(format!("{}: {why}", row.id)))?;
    Ok(Exception {
        id: row.id,
        user_id: row.user_id,
        service: row.service,
        sources,
        ends: row.ends,
    })
}

#[cfg(test)]
mod tests;
