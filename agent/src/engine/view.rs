//! What is there now, for people and scripts.

use agent_api::{
    Counter, Counters, Fill, Grant, GrantPage, GrantQuery, Holder, Problem, ProblemCode,
    Service as ServiceView, Status,
};
use filter_abi::{ABI_VERSION, Action, Reason};
use jiff::Timestamp;

use super::{Caller, Engine, Figures, ProblemBox, problem, switch};
use crate::{
    clock::Moment,
    kernel::GrantId,
    ledger::{HolderRow, Selection},
};

const NS: u64 = 1_000_000_000;
const PAGE: u32 = 1_000;
const PAGE_MAX: u32 = 10_000;

impl Engine {
    /// One grant; None if nobody holds it any more.
    pub(super) async fn view(&self, id: GrantId, now: Moment) -> Result<Option<Grant>, ProblemBox> {
        let mut rows = self.ledger.holders_of(id).await?;
        rows.retain(|row| row.deadline_boot_ns > now.boot_ns);
        let Some(deadline_ns) = rows.iter().map(|row| row.deadline_boot_ns).max() else {
            return Ok(None);
        };
        let kernel = self.maps.read(id)?;
        // Before the first packet the kernel's field says when the grant was opened.
        let last_seen = kernel
            .filter(|grant| grant.packets > 0)
            .map(|grant| now.wall_of(grant.last_seen_ns));
        Ok(Some(Grant {
            source: id.source,
            service: self.state().service_name(id.service),
            holders: rows.iter().map(|row| holder(row, now)).collect(),
            deadline: now.wall_of(deadline_ns),
            remaining_seconds: deadline_ns.saturating_sub(now.boot_ns) / NS,
            packets: kernel.map_or(0, |grant| grant.packets),
            last_seen,
            in_kernel: kernel.is_some_and(|grant| grant.deadline_ns == deadline_ns),
        }))
    }

    /// A page of grants.
    pub async fn list(&self, query: GrantQuery) -> Result<GrantPage, Problem> {
        self.try_list(query).await.map_err(|error| error.0)
    }

    async fn try_list(&self, query: GrantQuery) -> Result<GrantPage, ProblemBox> {
        let state = self.state();
        let service = match &query.service {
            None => None,
            Some(name) => Some(state.ids.get(name).copied().ok_or_else(|| {
                problem(
                    ProblemCode::NotFound,
                    format!("there is no service `{name}`"),
                )
            })?),
        };
        let selection = Selection {
            source: query.source,
            service,
            user: query.user,
            opened_by: None,
        };
        let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
        let after = query.after.as_deref().map(cursor).transpose()?;
        let now = self.now();
        let ids = self
            .ledger
            .page(&selection, now.boot_ns, after, limit)
            .await?;
        let full = u32::try_from(ids.len()) == Ok(limit);
        let next = ids
            .last()
            .filter(|_| full)
            .map(|id| format!("{},{}", id.source, id.service));
        let mut grants = Vec::with_capacity(ids.len());
        for id in ids {
            grants.extend(self.view(id, now).await?);
        }
        Ok(GrantPage { grants, next })
    }

    /// The services, as the portal needs them.
    pub fn services(&self) -> Vec<ServiceView> {
        let state = self.state();
        let view = |service: &crate::config::Service| ServiceView {
            name: service.name.clone(),
            kind: service.kind,
            targets: service.targets.iter().map(ToString::to_string).collect(),
            groups: service.groups.clone(),
            allow: service.allow.iter().map(ToString::to_string).collect(),
            default_seconds: service.default_seconds,
            max_seconds: service.max_seconds,
            ipv6_prefix: service.ipv6_prefix,
            idle_seconds: service.idle_seconds,
        };
        state.config.services.iter().map(view).collect()
    }

    /// How the agent is.
    pub async fn status(&self, caller: &Caller) -> Result<Status, Problem> {
        self.try_status(caller).await.map_err(|error| error.0)
    }

    async fn try_status(&self, caller: &Caller) -> Result<Status, ProblemBox> {
        let state = self.state();
        let Figures {
            used,
            holders,
            unrecorded,
        } = self.figures();
        let capacity = u64::from(state.config.filter.capacity);
        let [v4, v6] = used;
        let mut warnings = Vec::new();
        let interfaces = self.interfaces();
        warnings.extend(self.lost_interfaces());
        warnings.extend(self.mode_unproven());
        if unrecorded > 0 {
            warnings.push(format!(
                "{unrecorded} closed holders are not in the ledger yet: it cannot be written; check the disk"
            ));
        }
        for (family, used) in [("IPv4", v4), ("IPv6", v6)] {
            if used * 10 >= capacity * 9 {
                warnings.push(format!(
                    "the table of {family} grants holds {used} of {capacity}; raise filter.capacity"
                ));
            }
        }
        if let Some(trial) = self.trial() {
            warnings.push(format!(
                "the configuration is on trial and rolls back in {} s: `sekisho confirm` keeps it",
                trial.remaining_seconds
            ));
        }
        if state.switches.observe {
            warnings.push("mode is observe: nothing that should be shut is shut".into());
        }
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            abi: ABI_VERSION,
            mode: switch::mode_of(&state.switches),
            lockdown: state.switches.lockdown,
            started: self.started,
            took_over: state.took_over,
            interfaces,
            reattached: state.reattached,
            agreed: state.agreed,
            services: state.config.services.len() as u64,
            grants_v4: Fill { used: v4, capacity },
            grants_v6: Fill { used: v6, capacity },
            holders,
            denied: self.ledger.denies(self.now().boot_ns).await?.len() as u64,
            trial: self.trial(),
            warnings,
            you_are: caller.role,
        })
    }

    /// Every reason with its packets.
    pub fn counters(&self) -> Result<Counters, Problem> {
        let counts = self
            .maps
            .counters()
            .map_err(|error| ProblemBox::from(error).0)?;
        let count = |index: u32| counts.get(index as usize).copied().unwrap_or(0);
        let counter = |reason: Reason| Counter {
            reason: reason.name().into(),
            action: match reason.action() {
                Action::Pass => "pass".into(),
                Action::Drop => "drop".into(),
            },
            packets: count(reason as u32),
            would_drop: count(reason as u32 + Reason::COUNT),
        };
        Ok(Counters {
            counters: Reason::ALL.into_iter().map(counter).collect(),
        })
    }
}

fn holder(row: &HolderRow, now: Moment) -> Holder {
    Holder {
        user: row.user.clone(),
        factor: row.factor.clone(),
        opened: Timestamp::from_millisecond(row.opened_ms).unwrap_or(Timestamp::UNIX_EPOCH),
        deadline: now.wall_of(row.deadline_boot_ns),
        opened_by: row.opened_by.clone(),
    }
}

fn cursor(text: &str) -> Result<GrantId, Problem> {
    let parsed = text.split_once(',').and_then(|(source, service)| {
        Some(GrantId {
            source: source.parse().ok()?,
            service: service.parse().ok()?,
        })
    });
    parsed.ok_or_else(|| {
        problem(
            ProblemCode::BadRequest,
            "`after` must be the `next` of an earlier page",
        )
    })
}
