//! Ends everything of one person: tokens, tickets, cookies, open grants. The one way to do it, for
//! verbs, for pages, and for the watch for leavers.

use agent_api::{AuditKind, CloseRequest};
use jiff::Timestamp;

use crate::{
    audit::{Audit, Written, draft},
    grants::{Grants, GrantsError},
    store::{LockedOut, Store, StoreError},
};

/// What becomes of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Revoked for good, by id and by name.
    Revoke,
    /// Suspended as by an operator, who may resume them. By id alone where there is one: somebody
    /// else may have the name by now.
    Suspend,
}

/// Whose everything ends, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LockOut<'a> {
    /// None: the directory does not know the person any more, or does not answer.
    pub(crate) id: Option<&'a str>,
    pub(crate) name: &'a str,
    pub(crate) depth: Depth,
    /// The audit's word when all of it was done.
    pub(crate) outcome: &'a str,
    /// May be empty.
    pub(crate) reason: &'a str,
    /// Of the page that asked for it.
    pub(crate) request_id: Option<&'a str>,
}

/// What a lock-out works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means<'a> {
    pub(crate) store: &'a Store,
    pub(crate) grants: &'a dyn Grants,
    pub(crate) audit: &'a Audit,
    pub(crate) now: Timestamp,
}

/// What ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) stored: LockedOut,
    /// How many holders were closed. Err: none for sure; they stay until their deadline.
    pub(crate) grants: Result<u64, GrantsError>,
    /// Where the audit record went.
    pub(crate) record: Written,
}

impl LockOut<'_> {
    /// First what could open anew, then what is open, then the record. An agent that does not
    /// answer stops none of the rest.
    pub(crate) async fn carry_out(&self, means: Means<'_>) -> Result<Ended, StoreError> {
        let stored = self.end_stored(means.store, means.now.as_second()).await?;
        let request = CloseRequest {
            user: Some(self.name.to_owned()),
            reason: Some(format!("lock-out {}", self.reason).trim().to_owned()),
            request_id: self.request_id.map(str::to_owned),
            ..CloseRequest::default()
        };
        let grants = means
            .grants
            .close(&request)
            .await
            .map(|closed| closed.count);
        let outcome = match grants {
            Ok(_) => self.outcome,
            Err(_) => "grants-not-closed",
        };
        let mut entry = draft(AuditKind::Lockout, outcome);
        entry.user = Some(self.name.to_owned());
        entry.reason = Some(self.reason.to_owned()).filter(|reason| !reason.is_empty());
        entry.request_id = self.request_id.map(str::to_owned);
        let record = means.audit.write(entry).await?;
        Ok(Ended {
            stored,
            grants,
            record,
        })
    }

    async fn end_stored(&self, store: &Store, now: i64) -> Result<LockedOut, StoreError> {
        if self.depth == Depth::Revoke {
            return store.lock_out(self.id, self.name, now).await;
        }
        if let Some(id) = self.id {
            return store.suspend_all(id, self.reason, now).await;
        }
        let mut all = LockedOut::default();
        for person in store.people_called(self.name).await? {
            let one = store.suspend_all(&person.user_id, self.reason, now).await?;
            all.tokens += one.tokens;
            all.tickets += one.tickets;
            all.cookies += one.cookies;
        }
        Ok(all)
    }
}
