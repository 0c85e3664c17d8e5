//! Making the kernel map say what the ledger says. Removes before it adds.

use std::collections::HashMap;

use agent_api::AuditKind;
use filter_abi::Grant;

use super::{AGENT_ACTOR, Engine, ProblemBox};
use crate::{clock::Moment, kernel::GrantId, ledger::Entry};

/// Grants written by one batch.
const CHUNK: usize = 16_384;

/// Whether anything else may change map or ledger meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moving {
    /// At start: nobody can, differences are mended in bulk.
    Still,
    /// Running: each difference is looked at again before it is mended.
    Running,
}

/// What had to be mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    pub removed: u64,
    pub written: u64,
}

/// What the ledger says of a grant: deadline and idle limit, nanoseconds.
type Wanted = HashMap<GrantId, (u64, u64)>;

impl Engine {
    /// Compares and mends.
    pub async fn reconcile(&self, moving: Moving) -> Result<Reconciled, ProblemBox> {
        let done = match moving {
            Moving::Still => self.reconcile_still().await?,
            Moving::Running => self.reconcile_running().await?,
        };
        if moving == Moving::Running && done != Reconciled::default() {
            let reason = format!(
                "{} removed from the map, {} written to it",
                done.removed, done.written
            );
            tracing::warn!(
                removed = done.removed,
                written = done.written,
                "map and ledger disagreed"
            );
            self.note(Entry {
                reason: Some(reason),
                ..Entry::ok(AuditKind::Reconcile, AGENT_ACTOR)
            })
            .await?;
        }
        Ok(done)
    }

    async fn reconcile_still(&self) -> Result<Reconciled, ProblemBox> {
        let now = self.now();
        let mut empty = true;
        self.maps.scan(&mut |_| empty = false)?;
        if empty {
            return self.restore(now).await;
        }
        let mut wanted = self.wanted(now).await?;
        let mut remove = Vec::new();
        let mut rewrite = Vec::new();
        self.maps.scan(&mut |entries| {
            for (id, grant) in entries {
                match wanted.remove(id) {
                    None => remove.push(*id),
                    Some(want) if want == (grant.deadline_ns, grant.idle_ns) => {}
                    Some((deadline_ns, idle_ns)) => {
                        rewrite.push((
                            *id,
                            Grant {
                                deadline_ns,
                                idle_ns,
                                ..*grant
                            },
                        ));
                    }
                }
            }
        })?;
        self.maps.remove_many(&remove)?;
        let mut written = rewrite.len() as u64;
        self.maps.put_many(&rewrite)?;
        let mut missing: Vec<(GrantId, Grant)> = Vec::with_capacity(CHUNK);
        for (id, want) in wanted {
            missing.push((id, fresh(want, now)));
            if missing.len() == CHUNK {
                written += missing.len() as u64;
                self.maps.put_many(&missing)?;
                missing.clear();
            }
        }
        written += missing.len() as u64;
        self.maps.put_many(&missing)?;
        Ok(Reconciled {
            removed: remove.len() as u64,
            written,
        })
    }

    /// The map is empty: the ledger streams into it.
    async fn restore(&self, now: Moment) -> Result<Reconciled, ProblemBox> {
        let mut chunk: Vec<(GrantId, Grant)> = Vec::with_capacity(CHUNK);
        let mut written = 0u64;
        let mut failed = None;
        self.ledger
            .each_grant(now.boot_ns, |row| {
                chunk.push((row.id, fresh((row.deadline_boot_ns, row.idle_ns), now)));
                if chunk.len() == CHUNK && failed.is_none() {
                    written += chunk.len() as u64;
                    failed = self.maps.put_many(&chunk).err();
                    chunk.clear();
                }
            })
            .await?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        written += chunk.len() as u64;
        self.maps.put_many(&chunk)?;
        Ok(Reconciled {
            removed: 0,
            written,
        })
    }

    async fn wanted(&self, now: Moment) -> Result<Wanted, ProblemBox> {
        let mut wanted = Wanted::new();
        self.ledger
            .each_grant(now.boot_ns, |row| {
                wanted.insert(row.id, (row.deadline_boot_ns, row.idle_ns));
            })
            .await?;
        Ok(wanted)
    }

    async fn reconcile_running(&self) -> Result<Reconciled, ProblemBox> {
        let mut wanted = self.wanted(self.now()).await?;
        let mut suspects = Vec::new();
        self.maps.scan(&mut |entries| {
            for (id, grant) in entries {
                if wanted.remove(id) != Some((grant.deadline_ns, grant.idle_ns)) {
                    suspects.push(*id);
                }
            }
        })?;
        suspects.extend(wanted.into_keys());
        let mut done = Reconciled::default();
        for id in suspects {
            let turn = self.turn().await;
            let now = self.now();
            let row = self.ledger.grant(id, now.boot_ns).await?;
            let closed = turn.unrecorded.iter().any(|row| row.id == id);
            match (row, self.maps.read(id)?) {
                // Past its deadline or never recorded; an expired entry waits for the sweep.
                (None, Some(grant)) if grant.deadline_ns > now.boot_ns => {
                    self.maps.remove(id)?;
                    done.removed += 1;
                }
                (Some(row), None) if !closed => {
                    self.maps
                        .put(id, fresh((row.deadline_boot_ns, row.idle_ns), now))?;
                    done.written += 1;
                }
                (Some(row), Some(grant))
                    if (row.deadline_boot_ns, row.idle_ns)
                        != (grant.deadline_ns, grant.idle_ns) =>
                {
                    let (deadline_ns, idle_ns) = (row.deadline_boot_ns, row.idle_ns);
                    self.maps.put(
                        id,
                        Grant {
                            deadline_ns,
                            idle_ns,
                            ..grant
                        },
                    )?;
                    done.written += 1;
                }
                _ => {}
            }
        }
        Ok(done)
    }
}

fn fresh((deadline_ns, idle_ns): (u64, u64), now: Moment) -> Grant {
    Grant {
        deadline_ns,
        idle_ns,
        last_seen_ns: now.boot_ns,
        packets: 0,
    }
}
