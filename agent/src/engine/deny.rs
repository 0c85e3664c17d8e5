//! Deny prefixes: ledger and audit first, then the kernel table is made to hold exactly those.

use std::collections::BTreeMap;

use agent_api::{AuditKind, Deny, DenyRequest, Problem, ProblemCode, Role};
use ipnet::IpNet;

use super::{Caller, Engine, ProblemBox, Turn, journal::cut, problem};
use crate::{
    clock::Moment,
    ledger::{DenyRow, Entry},
};

const YEAR: u64 = 365 * 86_400;
/// Most prefixes, and most of the portal's; the kernel's tables hold twice that.
const DENIES_MAX: usize = 32_768;
const PORTAL_DENIES_MAX: usize = 4_096;
const NS: u64 = 1_000_000_000;
/// The portal reports single sources, and only for a while.
const PORTAL_MAX_SECONDS: u64 = 86_400;

impl Engine {
    /// Denies a prefix, or changes until when.
    pub async fn deny(&self, caller: &Caller, request: DenyRequest) -> Result<Deny, Problem> {
        let prefix = request.prefix.trunc();
        if matches!(prefix, IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some()) {
            let text = "this is an IPv4 address in IPv6 clothes; write it as IPv4";
            return Err(problem(ProblemCode::BadRequest, text));
        }
        let text = |text: &str| Err(problem(ProblemCode::BadRequest, text));
        if !(1..=YEAR).contains(&request.for_seconds) {
            return text("a denial lasts between one second and a year");
        }
        if prefix.prefix_len() == 0 {
            return text("this would deny everybody; `sekisho lockdown on` does that");
        }
        let narrow = match prefix {
            IpNet::V4(net) => net.prefix_len() == 32,
            IpNet::V6(net) => net.prefix_len() >= 64,
        };
        if caller.role == Role::Portal && !(narrow && request.for_seconds <= PORTAL_MAX_SECONDS) {
            let message = "the portal may deny one source (a /32 or /64) for at most a day";
            return Err(problem(ProblemCode::BeyondCap, message));
        }
        self.try_deny(caller, prefix, request)
            .await
            .map_err(|error| error.0)
    }

    async fn try_deny(
        &self,
        caller: &Caller,
        prefix: IpNet,
        request: DenyRequest,
    ) -> Result<Deny, ProblemBox> {
        let mut turn = self.turn().await;
        let now = self.now();
        let known = self.ledger.denies(now.boot_ns).await?;
        let by_portal = known
            .iter()
            .filter(|row| row.opened_by == super::PORTAL_ACTOR)
            .count();
        let full = known.len() >= DENIES_MAX
            || (caller.role == Role::Portal && by_portal >= PORTAL_DENIES_MAX);
        if full && !known.iter().any(|row| row.prefix == prefix) {
            let text = "too many prefixes are denied; lift some or deny a wider prefix";
            return Err(problem(ProblemCode::Full, text).into());
        }
        let boot_ns = now
            .boot_ns
            .saturating_add(request.for_seconds.saturating_mul(NS));
        let row = DenyRow {
            prefix,
            deadline_ms: now.wall_of(boot_ns).as_millisecond(),
            deadline_boot_ns: boot_ns,
            reason: request.reason.map(cut),
            opened_by: caller.name(),
        };
        let entry = Entry {
            source: (prefix.prefix_len() == prefix.max_prefix_len()).then(|| prefix.addr().into()),
            reason: Some(cut(format!(
                "{prefix} until {}{}",
                now.wall_of(boot_ns),
                row.reason
                    .as_deref()
                    .map(|r| format!(": {r}"))
                    .unwrap_or_default()
            ))),
            ..Entry::ok(AuditKind::Deny, &caller.name())
        };
        let mut writing = self.ledger.write().await?;
        crate::ledger::put_deny(&mut writing, &row).await?;
        self.commit(&mut turn, writing, now.wall, vec![entry])
            .await?;
        self.write_denies(&turn, now).await?;
        Ok(shown(&row, now))
    }

    /// Lifts a denial.
    pub async fn lift(&self, caller: &Caller, prefix: IpNet) -> Result<(), Problem> {
        self.try_lift(caller, prefix.trunc())
            .await
            .map_err(|error| error.0)
    }

    async fn try_lift(&self, caller: &Caller, prefix: IpNet) -> Result<(), ProblemBox> {
        let mut turn = self.turn().await;
        let now = self.now();
        let mut writing = self.ledger.write().await?;
        if !crate::ledger::remove_deny(&mut writing, prefix).await? {
            let text = format!("{prefix} is not denied; `sekisho list --denied` shows what is");
            return Err(problem(ProblemCode::NotFound, text).into());
        }
        let entry = Entry {
            outcome: "lifted".into(),
            reason: Some(prefix.to_string()),
            ..Entry::ok(AuditKind::Deny, &caller.name())
        };
        self.commit(&mut turn, writing, now.wall, vec![entry])
            .await?;
        self.write_denies(&turn, now).await
    }

    /// What is denied now.
    pub async fn denies(&self) -> Result<Vec<Deny>, Problem> {
        let now = self.now();
        let rows = self
            .ledger
            .denies(now.boot_ns)
            .await
            .map_err(|e| ProblemBox::from(e).0)?;
        Ok(rows.iter().map(|row| shown(row, now)).collect())
    }

    /// Removes what has ended, from the ledger and from the kernel.
    pub async fn sweep_denies(&self) -> Result<u64, ProblemBox> {
        let mut turn = self.turn().await;
        let now = self.now();
        let mut writing = self.ledger.write().await?;
        let ended = crate::ledger::remove_ended_denies(&mut writing, now.boot_ns).await?;
        if ended == 0 {
            return Ok(0);
        }
        let entry = Entry {
            outcome: "ended".into(),
            count: ended,
            ..Entry::ok(AuditKind::Deny, super::AGENT_ACTOR)
        };
        self.commit(&mut turn, writing, now.wall, vec![entry])
            .await?;
        self.write_denies(&turn, now).await?;
        Ok(ended)
    }

    /// Brings the kernel table in line; at start, and after each change.
    pub async fn restore_denies(&self) -> Result<(), ProblemBox> {
        let turn = self.turn().await;
        self.write_denies(&turn, self.now()).await
    }

    async fn write_denies(&self, _turn: &Turn, now: Moment) -> Result<(), ProblemBox> {
        let rows = self.ledger.denies(now.boot_ns).await?;
        Ok(self.maps.deny(&flattened(&rows))?)
    }
}

/// A look-up finds only the most specific prefix, so each prefix lasts as long as the longest of
/// those around it.
fn flattened(rows: &[DenyRow]) -> BTreeMap<IpNet, u64> {
    let own: BTreeMap<IpNet, u64> = rows
        .iter()
        .map(|row| (row.prefix, row.deadline_boot_ns))
        .collect();
    let longest = |prefix: IpNet| {
        let around = std::iter::successors(Some(prefix), IpNet::supernet);
        around
            .filter_map(|wider| own.get(&wider).copied())
            .max()
            .unwrap_or(0)
    };
    own.keys()
        .map(|prefix| (*prefix, longest(*prefix)))
        .collect()
}

fn shown(row: &DenyRow, now: Moment) -> Deny {
    Deny {
        prefix: row.prefix,
        deadline: now.wall_of(row.deadline_boot_ns),
        remaining_seconds: row.deadline_boot_ns.saturating_sub(now.boot_ns) / NS,
        reason: row.reason.clone(),
        by: row.opened_by.clone(),
    }
}
