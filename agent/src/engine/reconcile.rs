//! Making the kernel map say what the ledger says. Removes before it adds.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
};

use agent_api::{AuditKind, ProblemCode};
use filter_abi::Grant;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{AGENT_ACTOR, Engine, ProblemBox, Turn, open, problem};
use crate::{
    clock::Moment,
    kernel::{GrantId, KernelError, Maps},
    ledger::{Entry, GrantRow},
};

/// Threads that write what is restored.
const WRITERS: usize = 2;

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

/// What the ledger says, sorted by grant, with a mark for those that were found in the map. A
/// sorted list takes half the memory of a hash, which counts with a million grants.
struct Wanted {
    rows: Vec<GrantRow>,
    found: Vec<bool>,
}

impl Wanted {
    fn new(mut rows: Vec<GrantRow>) -> Self {
        rows.retain(GrantRow::is_live);
        rows.sort_unstable_by_key(|row| row.id);
        let found = vec![false; rows.len()];
        Self { rows, found }
    }

    /// The row of a grant, which is marked as found.
    fn take(&mut self, id: GrantId) -> Option<GrantRow> {
        let place = self.rows.binary_search_by_key(&id, |row| row.id).ok()?;
        *self.found.get_mut(place)? = true;
        self.rows.get(place).copied()
    }

    /// Rows that were never taken.
    fn left(&self) -> impl Iterator<Item = &GrantRow> {
        self.rows
            .iter()
            .zip(&self.found)
            .filter(|(_, found)| !**found)
            .map(|(row, _)| row)
    }
}

/// What a full read of the ledger counts on the way.
#[derive(Default)]
struct Count {
    used: [u64; 2],
    holders: u64,
    /// Grants that have several holders.
    shared: HashSet<GrantId>,
}

impl Count {
    fn add(&mut self, rows: &[GrantRow]) {
        for row in rows {
            open::add(&mut self.used, row.id.source);
            self.holders += u64::from(row.holders);
            if row.holders > 1 {
                self.shared.insert(row.id);
            }
        }
    }
}

impl Turn {
    /// Whether the ledger still names holders that are closed.
    fn lags(&self) -> bool {
        self.closings || !self.unrecorded.is_empty() || !self.late.is_empty()
    }
}

/// Threads that write grants into the maps while the next ones are read: a new entry costs the
/// kernel more than reading it costs us.
struct Writers {
    pieces: SyncSender<Vec<(GrantId, Grant)>>,
    threads: Vec<JoinHandle<Result<(), KernelError>>>,
}

impl Writers {
    fn start(maps: &Arc<dyn Maps>) -> Self {
        let (pieces, next) = sync_channel::<Vec<(GrantId, Grant)>>(WRITERS);
        let next = Arc::new(Mutex::new(next));
        let threads = (0..WRITERS).map(|_| {
            let (maps, next) = (Arc::clone(maps), Arc::clone(&next));
            spawn_blocking(move || {
                loop {
                    let piece = next.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match piece {
                        Ok(grants) => maps.put_many(&grants)?,
                        Err(_) => return Ok(()),
                    }
                }
            })
        });
        Self {
            pieces,
            threads: threads.collect(),
        }
    }

    /// Waits while all threads have enough to do. Once all have failed there is nobody to take it,
    /// which `end` says.
    fn put(&self, grants: Vec<(GrantId, Grant)>) {
        let _ = self.pieces.send(grants);
    }

    /// Waits until everything is written.
    async fn end(self) -> Result<(), ProblemBox> {
        drop(self.pieces);
        for thread in self.threads {
            thread
                .await
                .map_err(|error| problem(ProblemCode::Unavailable, error.to_string()))??;
        }
        Ok(())
    }
}

impl Engine {
    /// Compares and mends.
    pub async fn reconcile(&self, moving: Moving) -> Result<Reconciled, ProblemBox> {
        let done = match moving {
            Moving::Still => match self.reconcile_still().await {
                Ok(done) => done,
                Err(error) => {
                    // Not everything was read, so it was not counted either.
                    let (v4, v6, holders) = self.ledger.counts().await?;
                    let mut turn = self.turn().await;
                    (turn.used, turn.holders, turn.shared) = ([v4, v6], holders, None);
                    return Err(error);
                }
            },
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
        let (mut wanted, count) = self.wanted(now).await?;
        self.counted(count).await;
        let mut remove = Vec::new();
        let mut rewrite = Vec::new();
        self.maps.scan(&mut |entries| {
            for (id, grant) in entries {
                match wanted.take(*id) {
                    None => remove.push(*id),
                    Some(row) if agrees(&row, grant) => {}
                    Some(row) => rewrite.push((*id, corrected(&row, grant))),
                }
            }
        })?;
        self.maps.remove_many(&remove)?;
        let mut written = rewrite.len() as u64;
        self.maps.put_many(&rewrite)?;
        let mut missing: Vec<(GrantId, Grant)> = Vec::new();
        for row in wanted.left() {
            missing.push((row.id, fresh(row, now)));
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
        let mut written = 0u64;
        let mut count = Count::default();
        let (v4, v6) = self.ledger.holder_counts().await?;
        self.maps.make_room([v4, v6])?;
        let writers = Writers::start(&self.maps);
        self.ledger
            .each_grant(now.boot_ns, |rows| {
                count.add(rows);
                let live = rows.iter().filter(|row| row.is_live());
                let grants: Vec<(GrantId, Grant)> =
                    live.map(|row| (row.id, fresh(row, now))).collect();
                written += grants.len() as u64;
                writers.put(grants);
            })
            .await?;
        writers.end().await?;
        self.counted(count).await;
        Ok(Reconciled {
            removed: 0,
            written,
        })
    }

    async fn wanted(&self, now: Moment) -> Result<(Wanted, Count), ProblemBox> {
        let mut all = Vec::new();
        let mut count = Count::default();
        self.ledger
            .each_grant(now.boot_ns, |rows| {
                count.add(rows);
                all.extend_from_slice(rows);
            })
            .await?;
        Ok((Wanted::new(all), count))
    }

    /// Takes over what was counted while nobody could change it.
    async fn counted(&self, count: Count) {
        let mut turn = self.turn().await;
        turn.used = count.used;
        turn.holders = count.holders;
        turn.shared = Some(count.shared);
    }

    async fn reconcile_running(&self) -> Result<Reconciled, ProblemBox> {
        if self.turn().await.lags() {
            // The ledger lags behind the map, so it is no judge of it now.
            return Ok(Reconciled::default());
        }
        let (mut wanted, _) = self.wanted(self.now()).await?;
        let mut suspects = Vec::new();
        self.maps.scan(&mut |entries| {
            for (id, grant) in entries {
                if !wanted.take(*id).is_some_and(|row| agrees(&row, grant)) {
                    suspects.push(*id);
                }
            }
        })?;
        suspects.extend(wanted.left().map(|row| row.id));
        drop(wanted);
        let mut done = Reconciled::default();
        for id in suspects {
            let turn = self.turn().await;
            let now = self.now();
            let row = self.ledger.grant(id, now.boot_ns).await?;
            if turn.unrecorded.iter().any(|row| row.id == id) || !turn.late.is_empty() {
                continue;
            }
            match (row, self.maps.read(id)?) {
                // Past its deadline or never recorded; an expired entry waits for the sweep.
                (None, Some(grant)) if grant.deadline_ns > now.boot_ns => {
                    self.maps.remove(id)?;
                    done.removed += 1;
                }
                (Some(row), None) => {
                    self.maps.put(id, fresh(&row, now))?;
                    done.written += 1;
                }
                (Some(row), Some(grant)) if !agrees(&row, &grant) => {
                    self.maps.put(id, corrected(&row, &grant))?;
                    done.written += 1;
                }
                _ => {}
            }
        }
        Ok(done)
    }
}

fn agrees(row: &GrantRow, grant: &Grant) -> bool {
    (row.deadline_boot_ns, row.idle_ns) == (grant.deadline_ns, grant.idle_ns)
}

/// The kernel's entry with the ledger's limits.
fn corrected(row: &GrantRow, grant: &Grant) -> Grant {
    Grant {
        deadline_ns: row.deadline_boot_ns,
        idle_ns: row.idle_ns,
        ..*grant
    }
}

fn fresh(row: &GrantRow, now: Moment) -> Grant {
    Grant {
        deadline_ns: row.deadline_boot_ns,
        idle_ns: row.idle_ns,
        last_seen_ns: now.boot_ns,
        packets: 0,
    }
}
