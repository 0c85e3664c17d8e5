//! Closing: the map first, then ledger and audit. When the caller hears "closed", it is.

use std::collections::HashMap;

use agent_api::{AuditKind, CloseRequest, Closed, ClosedHolder, Problem, ProblemCode, Role};

use super::{Caller, Engine, PORTAL_ACTOR, ProblemBox, Turn, journal::cut, open, problem};
use crate::{
    clock::{Moment, Stopwatch},
    kernel::{GrantId, KernelError},
    ledger::{Entry, HolderRow, Selection},
};

/// Holders that are named in a reply. More than these are closed as one, see `many`.
const NAMED: u32 = 1_000;
/// Holders in one transaction of a large close.
const CHUNK: usize = 5_000;

/// Why holders are closed, for the audit.
#[derive(Clone, Debug)]
pub struct Closing {
    pub kind: AuditKind,
    pub actor: String,
    pub reason: Option<String>,
    pub request_id: Option<String>,
}

impl Engine {
    /// Closes every holder that matches. `arrived` runs since the request came in.
    pub async fn close(
        &self,
        caller: &Caller,
        request: CloseRequest,
        arrived: Stopwatch,
    ) -> Result<Closed, Problem> {
        self.try_close(caller, request, arrived)
            .await
            .map_err(|error| error.0)
    }

    async fn try_close(
        &self,
        caller: &Caller,
        request: CloseRequest,
        arrived: Stopwatch,
    ) -> Result<Closed, ProblemBox> {
        let nothing =
            request.source.is_none() && request.service.is_none() && request.user.is_none();
        if nothing && !request.all {
            let text = "say what to close: source, service, user, or all";
            return Err(problem(ProblemCode::BadRequest, text).into());
        }
        let service = match &request.service {
            None => None,
            Some(name) => Some(self.state().ids.get(name).copied().ok_or_else(|| {
                problem(
                    ProblemCode::NotFound,
                    format!("there is no service `{name}`"),
                )
            })?),
        };
        let selection = Selection {
            source: request.source,
            service,
            user: request.user,
            opened_by: (caller.role == Role::Portal).then(|| PORTAL_ACTOR.into()),
        };
        let closing = Closing {
            kind: AuditKind::Close,
            actor: caller.name(),
            reason: request.reason.map(cut),
            request_id: request.request_id.map(cut),
        };
        let mut turn = self.turn().await;
        let now = self.now();
        let mut rows = self.ledger.first_holders(&selection, NAMED + 1).await?;
        if rows.len() > NAMED as usize {
            rows.truncate(NAMED as usize);
            return self
                .close_many(&mut turn, selection, closing, &rows, arrived)
                .await;
        }
        rows.retain(|row| !turn.is_struck(row));
        let whole = selection.user.is_none() && selection.opened_by.is_none();
        let remaining = if whole {
            HashMap::new()
        } else {
            self.remaining(&turn, &rows, now).await?
        };
        self.shut(&rows, &remaining)?;
        let took = arrived.elapsed();
        let state = self.state();
        let named = |row: &HolderRow| ClosedHolder {
            source: row.id.source,
            service: state.service_name(row.id.service),
            user: row.user.clone(),
            still_held: remaining.contains_key(&row.id),
        };
        let closed = Closed {
            count: rows.len() as u64,
            closed: rows.iter().map(named).collect(),
            map_changed_after_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        };
        self.strike(&mut turn, rows, &remaining, &closing, now)
            .await?;
        Ok(closed)
    }

    /// What is left of each grant once these holders are gone: deadline and idle limit.
    pub(super) async fn remaining(
        &self,
        turn: &Turn,
        rows: &[HolderRow],
        now: Moment,
    ) -> Result<HashMap<GrantId, (u64, u64)>, ProblemBox> {
        let mut left: HashMap<GrantId, (u64, u64)> = HashMap::new();
        let mut leaving: HashMap<GrantId, Vec<&HolderRow>> = HashMap::new();
        for row in rows.iter().filter(|row| turn.is_shared(row.id)) {
            leaving.entry(row.id).or_default().push(row);
        }
        for (id, gone) in leaving {
            let mut holders = self.ledger.holders_of(id).await?;
            holders.retain(|row| {
                row.deadline_boot_ns > now.boot_ns
                    && !turn.is_struck(row)
                    && !gone.iter().any(|other| other.is_same(row))
            });
            left.extend(open::limits(&holders).map(|limits| (id, limits)));
        }
        Ok(left)
    }

    /// Changes the map: shortens what others still hold, removes the rest.
    pub(super) fn shut(
        &self,
        rows: &[HolderRow],
        remaining: &HashMap<GrantId, (u64, u64)>,
    ) -> Result<(), KernelError> {
        let mut gone: Vec<GrantId> = rows
            .iter()
            .map(|row| row.id)
            .filter(|id| !remaining.contains_key(id))
            .collect();
        gone.dedup();
        match gone.as_slice() {
            [one] => self.maps.remove(*one)?,
            many => self.maps.remove_many(many)?,
        }
        for (&id, &limits) in remaining {
            self.shorten(id, limits)?;
        }
        Ok(())
    }

    /// Gives a grant the limits that its other holders have.
    pub(super) fn shorten(
        &self,
        id: GrantId,
        (deadline_ns, idle_ns): (u64, u64),
    ) -> Result<(), KernelError> {
        let Some(grant) = self.maps.read(id)? else {
            return Ok(());
        };
        self.maps.put(
            id,
            filter_abi::Grant {
                deadline_ns,
                idle_ns,
                ..grant
            },
        )
    }

    /// Strikes closed holders from the ledger. If that fails they stay shut, are remembered, and
    /// are tried again; the caller is told that the record lags behind.
    pub(super) async fn strike(
        &self,
        turn: &mut Turn,
        rows: Vec<HolderRow>,
        remaining: &HashMap<GrantId, (u64, u64)>,
        closing: &Closing,
        now: Moment,
    ) -> Result<(), ProblemBox> {
        let mut last: Option<GrantId> = None;
        for row in &rows {
            if last != Some(row.id) && !remaining.contains_key(&row.id) {
                open::subtract(&mut turn.used, row.id.source, 1);
                turn.forget_shared(row.id);
            }
            last = Some(row.id);
        }
        turn.holders = turn.holders.saturating_sub(rows.len() as u64);
        // Remembered before the first wait and forgotten chunk by chunk as they are recorded.
        let already = turn.unrecorded.len();
        turn.unrecorded.extend_from_slice(&rows);
        for chunk in rows.chunks(CHUNK) {
            if let Err(error) = self.strike_chunk(turn, chunk, closing, now).await {
                let text = format!(
                    "closed in the kernel, but the ledger could not record it ({error}): it would return at the next start of the agent unless the record succeeds; it is tried again every second"
                );
                tracing::error!(%error, "the ledger could not record a close; trying again");
                return Err(problem(ProblemCode::Unavailable, text).into());
            }
            turn.unrecorded.drain(already..already + chunk.len());
        }
        Ok(())
    }

    async fn strike_chunk(
        &self,
        turn: &mut Turn,
        rows: &[HolderRow],
        closing: &Closing,
        now: Moment,
    ) -> Result<(), ProblemBox> {
        let state = self.state();
        let mut writing = self.ledger.write().await?;
        crate::ledger::remove_holders(&mut writing, rows).await?;
        let entry = |row: &HolderRow| Entry {
            user: Some(row.user.clone()),
            source: Some(row.id.source),
            service: Some(state.service_name(row.id.service)),
            factor: row.factor.clone(),
            reason: closing.reason.clone(),
            request_id: closing.request_id.clone(),
            ..Entry::ok(closing.kind, &closing.actor)
        };
        let entries = rows.iter().map(entry).collect();
        self.commit(turn, writing, now.wall, entries).await
    }

    /// Tries again to record what was closed.
    pub async fn record_unrecorded(&self) -> Result<(), ProblemBox> {
        let mut turn = self.turn().await;
        self.record_late(&mut turn).await
    }

    pub(super) async fn record_late(&self, turn: &mut Turn) -> Result<(), ProblemBox> {
        self.record_closings(turn).await?;
        if turn.closings {
            // New ones come in turns only, so what is seen here is true until this turn ends.
            turn.closings = self.ledger.has_closings().await?;
        }
        if turn.unrecorded.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let closing = Closing {
            kind: AuditKind::Close,
            actor: super::AGENT_ACTOR.into(),
            reason: Some("closed earlier, recorded late".into()),
            request_id: None,
        };
        while !turn.unrecorded.is_empty() {
            let chunk: Vec<HolderRow> = turn.unrecorded.iter().take(CHUNK).cloned().collect();
            self.strike_chunk(turn, &chunk, &closing, now).await?;
            turn.unrecorded.drain(..chunk.len());
        }
        Ok(())
    }
}

impl Turn {
    /// Whether a row of the ledger was closed already and only waits to be struck.
    pub(super) fn is_struck(&self, row: &HolderRow) -> bool {
        self.unrecorded.iter().any(|struck| struck.is_same(row))
            || self.late.iter().any(|late| late.covers(row))
    }

    /// Whether a grant may have several holders.
    pub(super) fn is_shared(&self, id: GrantId) -> bool {
        self.shared
            .as_ref()
            .is_none_or(|shared| shared.contains(&id))
    }

    /// Nobody holds this grant any more.
    pub(super) fn forget_shared(&mut self, id: GrantId) {
        if let Some(shared) = &mut self.shared {
            shared.remove(&id);
        }
    }
}
