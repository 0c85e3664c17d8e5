//! Ends what a round found: everything of leavers, and of people out of a group the services it
//! opened. Each is in the audit.

use agent_api::{AuditKind, CloseRequest};

use super::{Report, Sweep, guard::Held, look::Found};
use crate::{
    audit::draft,
    lockout::{Depth, LockOut},
    store::StoreError,
};

impl Sweep {
    pub(super) async fn end(
        &self,
        found: &Found,
        report: &mut Report,
        held: Held,
    ) -> Result<(), StoreError> {
        if !held.leavers {
            for (person, why) in &found.leavers {
                let order = LockOut {
                    id: Some(&person.user_id),
                    name: &person.user_name,
                    depth: Depth::Suspend,
                    outcome: "leaver",
                    reason: &format!("leaver: {}", why.name()),
                    request_id: None,
                };
                let ended = order.carry_out(self.means()).await?;
                report.ended += 1;
                report.not_closed += usize::from(ended.grants.is_err());
                tracing::info!(
                    user = %person.user_name,
                    why = why.name(),
                    tokens = ended.stored.tokens,
                    "somebody left the directory; what they had here ended"
                );
            }
        }
        if !held.strays {
            self.close_strays(found, report).await?;
        }
        if held == super::guard::NONE {
            report.held_back = 0;
        }
        Ok(())
    }

    async fn close_strays(&self, found: &Found, report: &mut Report) -> Result<(), StoreError> {
        for (person, services) in &found.strays {
            for service in services {
                let request = CloseRequest {
                    user: Some(person.user_name.clone()),
                    service: Some(service.clone()),
                    reason: Some("out of the group".into()),
                    ..CloseRequest::default()
                };
                let closed = self.grants.close(&request).await;
                let outcome = match closed {
                    Ok(_) => "left-group",
                    Err(_) => "grants-not-closed",
                };
                report.closed += usize::from(closed.is_ok());
                report.not_closed += usize::from(closed.is_err());
                let mut entry = draft(AuditKind::Lockout, outcome);
                entry.user = Some(person.user_name.clone());
                entry.reason = Some(format!("out of the group for {service}"));
                self.audit.write(entry).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn record_held(&self, report: &Report) -> Result<(), StoreError> {
        let mut entry = draft(AuditKind::Lockout, "leavers-held");
        let (going, of) = (report.held_back, report.people);
        entry.reason = Some(format!("{going} of {of} people at once; nothing ended"));
        self.audit.write(entry).await.map(|_| ())
    }
}
