//! Ending what has ended: holders past their deadline, grants idle for too long, deny prefixes.
//!
//! The kernel has stopped admitting them already; sweeping frees their places and says so in the
//! audit.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use agent_api::{AuditKind, ProblemCode};

use super::{AGENT_ACTOR, Closing, Engine, ProblemBox, Turn, problem};
use crate::{
    clock::Stopwatch,
    kernel::{GrantId, KernelError},
};

/// Holders swept in the first turn; later ones take what fits.
pub(super) const CHUNK: u32 = 200;
const CHUNKS: RangeInclusive<u32> = 100..=2_000;
/// How long a turn may take, so that requests wait a few milliseconds at most.
const SHORT: Duration = Duration::from_millis(3);
const LONG: Duration = Duration::from_millis(5);

impl Engine {
    /// Tells the kernel that the agent is alive, for so long.
    pub fn heartbeat(&self, believed: std::time::Duration) -> Result<(), ProblemBox> {
        let believed = u64::try_from(believed.as_nanos()).unwrap_or(u64::MAX);
        let until = self.now().boot_ns.saturating_add(believed);
        Ok(self.maps.heartbeat(until)?)
    }

    /// One sweep of holders whose deadline has passed. Returns how many ended; call again until it
    /// returns 0.
    pub async fn sweep(&self) -> Result<u64, ProblemBox> {
        let mut turn = self.turn().await;
        let watch = Stopwatch::start();
        let now = self.now();
        let mut rows = self.ledger.ended(now.boot_ns, turn.chunk).await?;
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
        turn.adapt(count, watch.elapsed());
        Ok(count)
    }

    /// Ends grants that were silent for longer than their idle limit.
    pub async fn sweep_idle(&self) -> Result<u64, ProblemBox> {
        let boot_ns = self.now().boot_ns;
        let maps = Arc::clone(&self.maps);
        // A look at a million grants takes long enough to keep requests waiting.
        let looked = tokio::task::spawn_blocking(move || -> Result<_, KernelError> {
            let mut idle: Vec<GrantId> = Vec::new();
            maps.scan(&mut |entries| {
                let too_long = entries.iter().filter(|(_, grant)| is_idle(grant, boot_ns));
                idle.extend(too_long.map(|(id, _)| *id));
            })?;
            Ok(idle)
        });
        let idle = looked.await.map_err(|error| {
            let text = format!("looking for idle grants was cut short: {error}");
            problem(ProblemCode::Unavailable, text)
        })??;
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
            let rows = self.ledger.holders_of(id).await?;
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

impl Turn {
    /// Takes fewer holders next time if these took long, more if there was time left.
    fn adapt(&mut self, count: u64, took: Duration) {
        let full = count >= u64::from(self.chunk);
        let next = if took > LONG {
            self.chunk / 2
        } else if full && took < SHORT {
            self.chunk + self.chunk / 4
        } else {
            self.chunk
        };
        self.chunk = next.clamp(*CHUNKS.start(), *CHUNKS.end());
    }
}

fn is_idle(grant: &filter_abi::Grant, now_ns: u64) -> bool {
    grant.idle_ns != 0 && now_ns.saturating_sub(grant.last_seen_ns) > grant.idle_ns
}
