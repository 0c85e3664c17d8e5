//! Closing very many holders at once. The map is changed piece by piece while the ledger is read;
//! then one row in the ledger and one record in the audit close all of them. The holders' own rows
//! go and their own audit records are written afterwards, without keeping anybody waiting.

use std::collections::HashSet;

use agent_api::{AuditKind, Closed, ClosedHolder, ProblemCode};

use super::{Closing, Engine, ProblemBox, Turn, family, journal::cut, open, problem};
use crate::{
    clock::{Moment, Stopwatch},
    kernel::GrantId,
    ledger::{ClosingRow, Entry, HolderRow, Selection},
};

/// Holders whose rows go in one transaction.
const DRAIN: u32 = 500;

/// A closing that the ledger could not record yet.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    row: ClosingRow,
    /// How many holders it closed; None while the map may still hold some of their grants.
    count: Option<u64>,
}

/// What closing many changed in the map.
#[derive(Default)]
struct Shut {
    holders: u64,
    /// Grants that are gone: IPv4, IPv6.
    gone: [u64; 2],
    /// Grants that somebody else still holds.
    held: HashSet<GrantId>,
}

impl Engine {
    /// Closes everything that matches. `named` are the first of these holders.
    pub(super) async fn close_many(
        &self,
        turn: &mut Turn,
        selection: Selection,
        closing: Closing,
        named: &[HolderRow],
        arrived: Stopwatch,
    ) -> Result<Closed, ProblemBox> {
        // Remembered before the first change: what fails half-way is gone on with, not reopened.
        turn.late.push(Late {
            row: ClosingRow {
                id: 0,
                selection,
                actor: closing.actor,
                reason: closing.reason,
                request_id: closing.request_id,
            },
            count: None,
        });
        let last = turn.late.len() - 1;
        let shut = self.shut_late(turn, last).await.map_err(|error| {
            tracing::error!(%error, "a close of very many stopped half-way; trying again");
            let text = format!(
                "not everything is closed yet ({error}); the agent goes on with it every second: ask again who is open"
            );
            problem(ProblemCode::Unavailable, text)
        })?;
        let took = arrived.elapsed();
        let state = self.state();
        let view = |row: &HolderRow| ClosedHolder {
            source: row.id.source,
            service: state.service_name(row.id.service),
            user: row.user.clone(),
            still_held: shut.held.contains(&row.id),
        };
        let closed = Closed {
            count: shut.holders,
            closed: named.iter().map(view).collect(),
            map_changed_after_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        };
        self.record_closings(turn).await.map_err(|error| {
            tracing::error!(%error, "the ledger could not record a close; trying again");
            let text = format!(
                "closed in the kernel, but the ledger could not record it ({error}): it would return at the next start of the agent unless the record succeeds; it is tried again every second"
            );
            problem(ProblemCode::Unavailable, text)
        })?;
        Ok(closed)
    }

    /// Shuts what a remembered closing covers, and takes it off what is counted.
    async fn shut_late(&self, turn: &mut Turn, index: usize) -> Result<Shut, ProblemBox> {
        let Some(late) = turn.late.get(index) else {
            return Ok(Shut::default());
        };
        let selection = late.row.selection.clone();
        let shut = self.shut_many(turn, &selection, self.now()).await?;
        for (used, gone) in turn.used.iter_mut().zip(shut.gone) {
            *used = used.saturating_sub(gone);
        }
        turn.holders = turn.holders.saturating_sub(shut.holders);
        if let Some(late) = turn.late.get_mut(index) {
            late.count = Some(shut.holders);
        }
        Ok(shut)
    }

    async fn shut_many(
        &self,
        turn: &mut Turn,
        selection: &Selection,
        now: Moment,
    ) -> Result<Shut, ProblemBox> {
        let whole = selection.user.is_none() && selection.opened_by.is_none();
        let mut shut = Shut::default();
        let mut shared = Vec::new();
        let mut pieces = self.ledger.matching(selection).await?;
        while let Some(piece) = pieces.recv().await {
            let mut gone = Vec::new();
            for grant in piece? {
                shut.holders += u64::from(grant.holders);
                if whole || !turn.is_shared(grant.id) {
                    gone.push(grant.id);
                } else {
                    shared.push(grant.id);
                }
            }
            self.remove_all(turn, &mut shut, &gone)?;
        }
        // What others may hold, too, is looked at one by one; the rest is shut by now.
        let mut gone = Vec::new();
        for id in shared {
            let mut holders = self.ledger.holders_of(id).await?;
            holders.retain(|row| {
                row.deadline_boot_ns > now.boot_ns && !selection.covers(row) && !turn.is_struck(row)
            });
            match open::limits(&holders) {
                None => gone.push(id),
                Some(limits) => {
                    self.shorten(id, limits)?;
                    shut.held.insert(id);
                }
            }
        }
        self.remove_all(turn, &mut shut, &gone)?;
        Ok(shut)
    }

    fn remove_all(
        &self,
        turn: &mut Turn,
        shut: &mut Shut,
        gone: &[GrantId],
    ) -> Result<(), ProblemBox> {
        self.maps.remove_many(gone)?;
        for id in gone {
            if let Some(count) = shut.gone.get_mut(family(id.source)) {
                *count += 1;
            }
            turn.forget_shared(*id);
        }
        Ok(())
    }

    /// Records closings of very many.
    pub(super) async fn record_closings(&self, turn: &mut Turn) -> Result<(), ProblemBox> {
        while let Some(late) = turn.late.first() {
            if late.count.is_none() {
                self.shut_late(turn, 0).await?;
                continue;
            }
            let late = late.clone();
            let mut writing = self.ledger.write().await?;
            crate::ledger::put_closing(&mut writing, &late.row).await?;
            let entry = self.summary(&late);
            self.commit(turn, writing, self.now().wall, vec![entry])
                .await?;
            turn.late.remove(0);
            turn.closings = true;
        }
        Ok(())
    }

    /// One record for all of them, which says what was selected and how many that were.
    fn summary(&self, late: &Late) -> Entry {
        let selection = &late.row.selection;
        let mut reason = format!(
            "{} holders at once; each is named in a record of its own that follows",
            late.count()
        );
        if selection == &Selection::default() {
            reason.push_str("; everything");
        }
        if let Some(by) = &selection.opened_by {
            reason.push_str(&format!("; opened by {by}"));
        }
        if let Some(why) = &late.row.reason {
            reason.push_str(": ");
            reason.push_str(why);
        }
        Entry {
            user: selection.user.clone(),
            source: selection.source,
            service: selection.service.map(|id| self.state().service_name(id)),
            reason: Some(cut(reason)),
            request_id: late.row.request_id.clone(),
            count: late.count(),
            ..Entry::ok(AuditKind::Close, &late.row.actor)
        }
    }

    /// Removes the rows of some holders that a closing covers and writes their audit records.
    /// Returns how many; call again until it returns 0. Takes no turn: what is closed stays closed,
    /// and nobody else sees it any more.
    pub async fn drain(&self) -> Result<u64, ProblemBox> {
        if !self.ledger.has_closings().await? {
            return Ok(0);
        }
        let mut writing = self.ledger.write().await?;
        let mut done = 0;
        let mut entries = Vec::new();
        while let Some(closing) = crate::ledger::first_closing(&mut writing).await? {
            let rows = crate::ledger::closed_holders(&mut writing, &closing, DRAIN).await?;
            crate::ledger::remove_holders(&mut writing, &rows).await?;
            entries.extend(rows.iter().map(|row| self.closed_entry(&closing, row)));
            done += rows.len() as u64;
            if u32::try_from(rows.len()) == Ok(DRAIN) {
                break;
            }
            crate::ledger::end_closing(&mut writing, closing.id).await?;
        }
        self.append(writing, self.now().wall, entries).await?;
        Ok(done)
    }

    /// The record of one holder that a closing of very many covered.
    pub(super) fn closed_entry(&self, closing: &ClosingRow, row: &HolderRow) -> Entry {
        Entry {
            user: Some(row.user.clone()),
            source: Some(row.id.source),
            service: Some(self.state().service_name(row.id.service)),
            factor: row.factor.clone(),
            reason: closing.reason.clone(),
            request_id: closing.request_id.clone(),
            ..Entry::ok(AuditKind::Close, &closing.actor)
        }
    }
}

impl Late {
    pub(super) fn count(&self) -> u64 {
        self.count.unwrap_or(0)
    }

    pub(super) fn covers(&self, row: &HolderRow) -> bool {
        self.row.selection.covers(row)
    }
}
