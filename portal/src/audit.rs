//! The portal's audit events, kept by the agent. When the agent is down a record waits in the
//! portal's database and is forwarded later with the time and actor it had.

use std::sync::Arc;

use agent_api::{AuditDraft, AuditKind};
use jiff::Timestamp;

use crate::{
    clock::Clock,
    grants::{Grants, GrantsError},
    store::{Kept, Store, StoreError},
};

/// Records forwarded at a time.
const BATCH: i64 = 200;
/// Longest text from outside in a record.
const TEXT_MAX: usize = 256;

/// Writes records.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    grants: Arc<dyn Grants>,
    store: Store,
    clock: Clock,
    actor: String,
}

/// A record with nothing but what happened.
pub(crate) fn draft(kind: AuditKind, outcome: &str) -> AuditDraft {
    AuditDraft {
        kind,
        outcome: outcome.to_owned(),
        user: None,
        source: None,
        factor: None,
        token: None,
        reason: None,
        request_id: None,
    }
}

/// Text from outside, without control characters and not longer than a record needs.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(TEXT_MAX)
        .collect()
}

impl Audit {
    /// `actor`: who the records are by, `portal` or `uid N`.
    pub(crate) fn new(grants: Arc<dyn Grants>, store: Store, clock: Clock, actor: String) -> Self {
        Self {
            grants,
            store,
            clock,
            actor,
        }
    }

    /// Writes a record, to the agent or to the outbox. Err: to neither.
    pub(crate) async fn write(&self, draft: AuditDraft) -> Result<Written, StoreError> {
        match self.grants.audit(&draft).await {
            Ok(()) => Ok(Written::ToAgent),
            Err(error) => {
                let kept = match (self.actor.as_str(), draft.kind) {
                    ("portal", AuditKind::Login | AuditKind::Ticket) => Kept::UntilFull,
                    _ => Kept::Always,
                };
                let text =
                    serde_json::to_string(&draft).map_err(|e| StoreError::Value(e.to_string()))?;
                let now = self.clock.now().as_second();
                self.store
                    .keep_record(now, &self.actor, &text, kept)
                    .await?;
                Ok(Written::Kept(error.to_string()))
            }
        }
    }

    /// Forwards what waits, oldest first, until the agent fails or nothing is left.
    pub(crate) async fn forward(&self) -> Result<u64, StoreError> {
        let mut forwarded = 0;
        loop {
            let rows = self.store.waiting_records(BATCH).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let at = Timestamp::from_second(row.at).unwrap_or(Timestamp::UNIX_EPOCH);
                let Ok(mut draft) = serde_json::from_str::<AuditDraft>(&row.draft) else {
                    tracing::error!(id = row.id, "an unreadable record in the outbox is dropped");
                    self.store.remove_record(row.id).await?;
                    continue;
                };
                let reason = draft.reason.take().unwrap_or_default();
                let actor = &row.actor;
                draft.reason = Some(
                    format!("{reason} [by {actor} at {at}, agent was down]")
                        .trim()
                        .into(),
                );
                match self.grants.audit(&draft).await {
                    Ok(()) => {}
                    Err(GrantsError::Down(_)) => return Ok(forwarded),
                    Err(GrantsError::Refused(problem)) => {
                        // Trying again would be refused again and hold back all the others.
                        tracing::error!(%problem, record = %row.draft, "the agent refused a record");
                    }
                }
                self.store.remove_record(row.id).await?;
                forwarded += 1;
            }
        }
        let folded = self.store.take_folded().await?;
        if folded > 0 {
            let mut record = draft(AuditKind::Login, "folded");
            record.reason = Some(format!(
                "{folded} further attempts while the agent was down"
            ));
            self.write(record).await?;
        }
        Ok(forwarded)
    }
}

/// Where a record went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    ToAgent,
    /// Into the outbox, because of this.
    Kept(String),
}
