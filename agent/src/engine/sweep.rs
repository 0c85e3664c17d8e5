//! Ending what has ended: holders past their deadline, grants idle for too long, deny prefixes.
//!
//! The kernel has stopped admitting them already; sweeping frees their places and says so in the
//! audit.

use agent_api::AuditKind;

use super::{AGENT_ACTOR, Closing, Engine, ProblemBox, open};
use crate::kernel::GrantId;

/// Holders swept in one turn, so that requests wait a few milliseconds at most.
const CHUNK: u32 = 200;

impl Engine {
    /// Tells the kernel that the agent is alive, for so long.
    pub fn heartbeat(&self, believed: std::time::Duration) -> Result<(), ProblemBox> {
        let believed = u64::try_from(believed.as_nanos()).unwrap_or(u64::MAX);
        let until = self.now().boot_ns.saturating_add(believed);
        Ok(self.maps.heartbeat(until)?)
    }

    /// One sweep of holders whose deadline has passed. Returns how many ended; call again while
    /// it returns a full chunk.
    pub async fn sweep(&self) -> Result<u64, ProblemBox> {
        let mut turn = self.turn().await;
        let now = self.now();
        let mut rows = self.ledger.ended(now.boot_ns, CHUNK).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        rows.retain(|row| !turn.is_struck(row));
        rows.sort_by_key(|row| row.id);
        let remaining = self.remaining(&turn, &rows, now).await?;
        self.shut(&rows, &remaining)?;
        let closing = Closing {
            kind: AuditKind::Expire,
            actor: AGENT_ACTOR.into(),
            reason: Some("deadline".into()),
            request_id: None,
        };
        let count = rows.len() as u64;
        self.strike(&mut turn, rows, &remaining, &closing, now)
            .await?;
        Ok(count)
    }

    /// Ends grants that were silent for longer than their idle limit.
    pub async fn sweep_idle(&self) -> Result<u64, ProblemBox> {
        let boot_ns = self.now().boot_ns;
        let mut idle: Vec<GrantId> = Vec::new();
        self.maps.scan(&mut |entries| {
            let too_long = entries.iter().filter(|(_, grant)| is_idle(grant, boot_ns));
            idle.extend(too_long.map(|(id, _)| *id));
        })?;
        let mut ended = 0;
        for id in idle {
            let mut turn = self.turn().await;
            // The person may have logged in again meanwhile.
            let still = self
                .maps
                .read(id)?
                .is_some_and(|grant| is_idle(&grant, self.now().boot_ns));
            if !still {
                continue;
            }
            let rows = self.ledger.holders(&open::of(id)).await?;
            let none = std::collections::HashMap::new();
            self.maps.remove(id)?;
            let closing = Closing {
                kind: AuditKind::Expire,
                actor: AGENT_ACTOR.into(),
                reason: Some("idle".into()),
                request_id: None,
            };
            ended += rows.len() as u64;
            self.strike(&mut turn, rows, &none, &closing, self.now())
                .await?;
        }
        Ok(ended)
    }
}

fn is_idle(grant: &filter_abi::Grant, now_ns: u64) -> bool {
    grant.idle_ns != 0 && now_ns.saturating_sub(grant.last_seen_ns) > grant.idle_ns
}
