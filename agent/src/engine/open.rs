//! Opening a grant: checks and caps, then ledger and audit, then the map, then a look at the map.

use std::net::IpAddr;

use agent_api::{AuditKind, Grant, GrantRequest, Problem, ProblemCode, Role, ServiceKind, Source};
use filter_abi::Grant as KernelGrant;
use jiff::Timestamp;

use super::{Caller, Closing, Engine, ProblemBox, Turn, family, journal::cut, problem};
use crate::{
    clock::Moment,
    config::{Service, seconds_text},
    kernel::{GrantId, KernelError},
    ledger::{Entry, HolderRow},
};

/// Longest user name.
const USER_MAX: usize = 256;
const NS: u64 = 1_000_000_000;

impl Engine {
    /// Opens or extends a grant and returns it as the kernel map holds it.
    pub async fn open(&self, caller: &Caller, request: GrantRequest) -> Result<Grant, Problem> {
        let result = self.try_open(caller, &request).await;
        if let Err(refusal) = &result {
            let entry = Entry {
                kind: Some(AuditKind::Refuse),
                actor: caller.name(),
                outcome: code_name(refusal.0.code),
                user: Some(cut(request.user)),
                source: Some(request.source.into()),
                service: Some(cut(request.service)),
                reason: Some(cut(refusal.0.message.clone())),
                request_id: request.request_id.map(cut),
                ..Entry::default()
            };
            if let Err(error) = self.note_refusal(entry).await {
                tracing::error!(%error, "a refusal could not be written to the audit");
            }
        }
        result.map_err(|error| error.0)
    }

    async fn try_open(&self, caller: &Caller, request: &GrantRequest) -> Result<Grant, ProblemBox> {
        let source = admissible(request.source)?;
        // Taken first, so that lockdown or another configuration cannot come in between.
        let mut turn = self.turn().await;
        // A holder that was closed and still stands in the ledger must not lend its deadline.
        self.record_late(&mut turn).await?;
        let state = self.state();
        let (service, service_id) = state.service(&request.service).ok_or_else(|| {
            let names: Vec<&str> = state
                .config
                .services
                .iter()
                .map(|s| s.name.as_str())
                .collect();
            let text = format!(
                "there is no service `{}`; there are: {}",
                request.service,
                names.join(", ")
            );
            problem(ProblemCode::NotFound, text)
        })?;
        let seconds = length(caller, service, request)?;
        check_words(caller, request)?;
        if state.switches.lockdown {
            let text = "lockdown is on, nothing opens; `sekisho lockdown off` ends it";
            return Err(problem(ProblemCode::Lockdown, text).into());
        }
        let id = GrantId {
            source: scope(service, source),
            service: service_id,
        };
        let now = self.now();
        let holder = HolderRow {
            id,
            user: request.user.clone(),
            factor: request.factor.clone().map(cut),
            opened_ms: now.wall.as_millisecond(),
            opened_by: caller.name(),
            deadline_ms: after(now, seconds).as_millisecond(),
            deadline_boot_ns: now.boot_ns.saturating_add(seconds.saturating_mul(NS)),
            idle_ns: service.idle_seconds.unwrap_or(0).saturating_mul(NS),
        };
        let before = self.ledger.holders_of(id).await?;
        self.refuse_when_full(&turn, id, &before)?;
        let entry = Entry {
            user: Some(holder.user.clone()),
            source: Some(id.source),
            service: Some(service.name.clone()),
            factor: holder.factor.clone(),
            reason: Some(cut(format!(
                "until {}{}{}",
                after(now, seconds),
                match id.source {
                    Source::Address(_) => String::new(),
                    Source::Prefix(_) => format!(", asked for by {source}"),
                },
                request
                    .reason
                    .as_deref()
                    .map(|r| format!(": {r}"))
                    .unwrap_or_default()
            ))),
            request_id: request.request_id.clone().map(cut),
            ..Entry::ok(AuditKind::Grant, &caller.name())
        };
        let mut entries = vec![entry];
        let mut writing = self.ledger.write_unsettled().await?;
        if turn.closings {
            let struck = crate::ledger::reopen(&mut writing, &holder).await?;
            let closed = struck.map(|(closing, row)| self.closed_entry(&closing, &row));
            entries.splice(0..0, closed);
        }
        crate::ledger::put_holder(&mut writing, &holder).await?;
        // Before the first wait: a grant may count as shared and not be, never the other way round.
        turn.note_shared(&holder, &before);
        self.commit(&mut turn, writing, now.wall, entries).await?;
        if before.is_empty() {
            add(&mut turn.used, id.source);
        }
        if let Err(error) = self.admit(id, &holder, &before, now) {
            self.take_back(&mut turn, &holder, &before, now).await;
            return Err(error.into());
        }
        turn.unrecorded
            .retain(|row| row.id != id || row.user != holder.user);
        if !before.iter().any(|row| row.is_same(&holder)) {
            turn.holders += 1;
        }
        drop(turn);
        // Others take their turns meanwhile, and wait with this one.
        if let Err(error) = self.ledger.settled().await {
            self.withdraw(holder).await;
            return Err(error.into());
        }
        let view = self.view(id, self.now()).await?;
        view.ok_or_else(|| {
            problem(
                ProblemCode::Unavailable,
                "the grant was closed at the same moment",
            )
            .into()
        })
    }

    /// Writes the sum of all holders into the map and reads it back.
    fn admit(
        &self,
        id: GrantId,
        holder: &HolderRow,
        before: &[HolderRow],
        now: Moment,
    ) -> Result<(), KernelError> {
        let live = before
            .iter()
            .filter(|row| row.deadline_boot_ns > now.boot_ns);
        let others = live.filter(|row| !row.is_same(holder));
        let own_earlier = before.iter().filter(|row| row.is_same(holder));
        let deadline_ns = others
            .clone()
            .chain(own_earlier)
            .map(|row| row.deadline_boot_ns)
            .fold(holder.deadline_boot_ns, u64::max);
        let idle_ns = others
            .map(|row| row.idle_ns)
            .fold(holder.idle_ns, longer_idle);
        let packets = self.maps.read(id)?.map_or(0, |grant| grant.packets);
        let grant = KernelGrant {
            deadline_ns,
            idle_ns,
            last_seen_ns: now.boot_ns,
            packets,
        };
        self.maps.put(id, grant)?;
        match self.maps.read(id)? {
            Some(found) if found.deadline_ns == deadline_ns && found.idle_ns == idle_ns => Ok(()),
            _ => Err(KernelError::Rejected(
                "the map does not hold the grant it was given".into(),
            )),
        }
    }

    /// The map refused: the record must not promise what the kernel does not do.
    async fn take_back(
        &self,
        turn: &mut Turn,
        holder: &HolderRow,
        before: &[HolderRow],
        now: Moment,
    ) {
        let earlier = before.iter().find(|row| row.is_same(holder));
        if before.is_empty() {
            subtract(&mut turn.used, holder.id.source, 1);
            if let Err(error) = self.maps.remove(holder.id) {
                tracing::error!(%error, "a grant that failed could not be removed from the map");
            }
        }
        let undone = async {
            let mut writing = self.ledger.write().await?;
            match earlier {
                Some(row) => crate::ledger::restore_holder(&mut writing, row).await?,
                None => {
                    crate::ledger::remove_holder(&mut writing, holder).await?;
                }
            }
            let state = self.state();
            let entry = Entry {
                user: Some(holder.user.clone()),
                source: Some(holder.id.source),
                service: Some(state.service_name(holder.id.service)),
                reason: Some("the kernel map refused the grant; it was taken back".into()),
                ..Entry::ok(AuditKind::Close, super::AGENT_ACTOR)
            };
            self.commit(turn, writing, now.wall, vec![entry]).await
        };
        if let Err(error) = undone.await {
            tracing::error!(%error, "a grant that failed could not be taken back; the next reconcile reports it");
        }
    }

    /// The disk refused: what nobody can rely on is shut again, and struck from the ledger like
    /// everything that is closed, so that the next agent does not open it.
    async fn withdraw(&self, holder: HolderRow) {
        let mut turn = self.turn().await;
        let now = self.now();
        let rows = vec![holder];
        // Nothing known of others: shut for them, too.
        let remaining = self.remaining(&turn, &rows, now).await.unwrap_or_default();
        if let Err(error) = self.shut(&rows, &remaining) {
            tracing::error!(%error, "a grant that could not be recorded is still open");
            return;
        }
        let closing = Closing {
            kind: AuditKind::Close,
            actor: super::AGENT_ACTOR.into(),
            reason: Some("the grant could not be recorded".into()),
            request_id: None,
        };
        if let Err(error) = self
            .strike(&mut turn, rows, &remaining, &closing, now)
            .await
        {
            tracing::error!(%error, "a grant that could not be recorded is shut");
        }
    }

    fn refuse_when_full(
        &self,
        turn: &Turn,
        id: GrantId,
        before: &[HolderRow],
    ) -> Result<(), KernelError> {
        let capacity = self.state().config.filter.capacity;
        let used = turn
            .used
            .get(family(id.source))
            .copied()
            .unwrap_or(u64::MAX);
        if before.is_empty() && used >= u64::from(capacity) {
            let family = if id.source.is_ipv4() { "IPv4" } else { "IPv6" };
            return Err(KernelError::Full { family, capacity });
        }
        Ok(())
    }
}

impl Turn {
    /// Remembers a grant that gets another holder.
    fn note_shared(&mut self, holder: &HolderRow, before: &[HolderRow]) {
        let others = before.iter().any(|row| !row.is_same(holder));
        if let Some(shared) = self.shared.as_mut().filter(|_| others) {
            shared.insert(holder.id);
        }
    }
}

/// What these holders of one grant amount to: deadline and idle limit. None: there are none.
pub(super) fn limits(holders: &[HolderRow]) -> Option<(u64, u64)> {
    let deadline = holders.iter().map(|row| row.deadline_boot_ns).max()?;
    let idle = holders.iter().map(|row| row.idle_ns).reduce(longer_idle)?;
    Some((deadline, idle))
}

/// 0 means no limit and wins.
pub(super) fn longer_idle(a: u64, b: u64) -> u64 {
    if a == 0 || b == 0 { 0 } else { a.max(b) }
}

pub(super) fn add(used: &mut [u64; 2], source: Source) {
    if let Some(used) = used.get_mut(family(source)) {
        *used += 1;
    }
}

pub(super) fn subtract(used: &mut [u64; 2], source: Source, count: u64) {
    if let Some(used) = used.get_mut(family(source)) {
        *used = used.saturating_sub(count);
    }
}

fn after(now: Moment, seconds: u64) -> Timestamp {
    now.wall_of(now.boot_ns.saturating_add(seconds.saturating_mul(NS)))
}

/// What a grant for this address is held from.
fn scope(service: &Service, address: IpAddr) -> Source {
    match Source::around(address) {
        Some(prefix) if service.ipv6_prefix => prefix,
        _ => address.into(),
    }
}

/// The source as one that a packet can really come from.
pub(super) fn admissible(source: IpAddr) -> Result<IpAddr, Problem> {
    let source = source.to_canonical();
    let what = match source {
        _ if source.is_unspecified() => "no address",
        _ if source.is_loopback() => "a loopback address",
        _ if source.is_multicast() => "a multicast address",
        IpAddr::V4(v4) if v4.is_broadcast() || v4.octets().first().is_some_and(|&o| o >= 240) => {
            "a reserved address"
        }
        IpAddr::V4(v4) if v4.octets().first() == Some(&0) => "an address of this network",
        _ => return Ok(source),
    };
    let text =
        format!("{source} is {what}, no client sends from it; give the client's own address");
    Err(problem(ProblemCode::BadRequest, text))
}

/// Length of the grant in seconds, within what the service allows.
fn length(caller: &Caller, service: &Service, request: &GrantRequest) -> Result<u64, Problem> {
    if service.kind == ServiceKind::Public {
        let text = format!(
            "service `{}` is public: everybody reaches it without a grant",
            service.name
        );
        return Err(problem(ProblemCode::BadRequest, text));
    }
    let asked = request.for_seconds.unwrap_or(service.default_seconds);
    if asked == 0 {
        let text = "a grant must end in the future; ask for at least one second";
        return Err(problem(ProblemCode::BadRequest, text));
    }
    if asked <= service.max_seconds {
        return Ok(asked);
    }
    if caller.role == Role::Portal && !request.exact {
        return Ok(service.max_seconds);
    }
    let text = format!(
        "{} is longer than service `{}` allows ({}); ask for less or raise its max",
        seconds_text(asked),
        service.name,
        seconds_text(service.max_seconds)
    );
    Err(problem(ProblemCode::BeyondCap, text))
}

fn check_words(caller: &Caller, request: &GrantRequest) -> Result<(), Problem> {
    let user = &request.user;
    if user.trim().is_empty() || user.len() > USER_MAX || user.chars().any(char::is_control) {
        let text = format!("the user must be 1 to {USER_MAX} bytes without control characters");
        return Err(problem(ProblemCode::BadRequest, text));
    }
    if caller.role == Role::Portal && request.factor.as_deref().is_none_or(str::is_empty) {
        let text = "the portal must say how the person proved themselves (factor)";
        return Err(problem(ProblemCode::BadRequest, text));
    }
    Ok(())
}

pub(super) fn code_name(code: ProblemCode) -> String {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "refused".into(),
    }
}
