//! What would change, in words: services, settings, and who would lose access.

use std::{collections::BTreeSet, fmt::Display};

use agent_api::{
    Applied, ConfigRequest, Difference, LostAccess, Mode, ServiceChange, ServiceKind, Source,
};

use super::needs_grant;
use crate::{
    config::{AgentDown, Answer, Config, PORTAL_SERVICE, Rate, Service, seconds_text},
    engine::{Caller, Engine, ProblemBox, switch},
    kernel::GrantId,
    ledger::Selection,
    policy::{self, Cut, ServiceIds},
};

/// Most holders that are named.
const NAMED_MAX: usize = 100;

/// Names only, for the audit and for reload.
pub(super) fn brief(old: &Config, new: &Config) -> Applied {
    let names = |from: &Config, keep: &dyn Fn(&Service) -> bool| -> Vec<String> {
        from.services
            .iter()
            .filter(|s| keep(s))
            .map(|s| s.name.clone())
            .collect()
    };
    Applied {
        added: names(new, &|service| old.service(&service.name).is_none()),
        removed: names(old, &|service| new.service(&service.name).is_none()),
        changed: names(new, &|service| {
            old.service(&service.name).is_some_and(|o| o != service)
        }),
        closed: 0,
        needs_restart: needs_restart(old, new),
    }
}

pub(super) fn summary(applied: &Applied) -> String {
    format!(
        "added [{}], removed [{}], changed [{}]",
        applied.added.join(" "),
        applied.removed.join(" "),
        applied.changed.join(" ")
    )
}

pub(super) fn summary_of(difference: &Difference) -> String {
    let changed: Vec<&str> = difference
        .changed
        .iter()
        .map(|c| c.service.as_str())
        .collect();
    let mut text = format!(
        "added [{}], removed [{}], changed [{}]",
        difference.added.join(" "),
        difference.removed.join(" "),
        changed.join(" ")
    );
    if !difference.settings.is_empty() {
        text += &format!(", {}", difference.settings.join(", "));
    }
    text
}

/// The known numbers, and made-up ones for services that are new: enough to see whether the
/// tables take it.
pub(super) fn numbered(ids: &ServiceIds, config: &Config) -> ServiceIds {
    let mut all = ids.clone();
    let first = ids.values().max().map_or(1, |last| last + 1);
    let new = config
        .services
        .iter()
        .filter(|service| !ids.contains_key(&service.name));
    all.extend((first..).zip(new).map(|(id, s)| (s.name.clone(), id)));
    all
}

impl Engine {
    /// Everything an operator should see before. The caller holds the turn.
    pub(super) async fn difference(
        &self,
        caller: &Caller,
        new: &Config,
        request: &ConfigRequest,
    ) -> Result<Difference, ProblemBox> {
        let state = self.state();
        let old = &state.config;
        let brief = brief(old, new);
        let mut difference = Difference {
            settings: settings(old, new),
            needs_restart: brief.needs_restart,
            notes: notes(caller, old, new),
            added: brief.added,
            removed: brief.removed,
            ..Difference::default()
        };
        for name in &brief.changed {
            if let (Some(before), Some(after)) = (old.service(name), new.service(name)) {
                let holders = match needs_grant(before) && needs_grant(after) {
                    true => self.holders_of(&state.ids, name).await?,
                    false => 0,
                };
                difference.changed.push(ServiceChange {
                    service: name.clone(),
                    changes: changes(before, after),
                    holders,
                });
            }
        }
        let now = self.now().boot_ns;
        for (name, &id) in &state.ids {
            let losing = self.losing(new.service(name), id).await?;
            for row in losing.into_iter().filter(|row| row.deadline_boot_ns > now) {
                let lost = LostAccess {
                    service: name.clone(),
                    source: row.id.source,
                    user: row.user,
                };
                difference.would_close += 1;
                if difference.closing.len() < NAMED_MAX {
                    difference.closing.push(lost);
                }
            }
        }
        if difference.would_close > 0 && request.confirm_within_seconds.is_some() {
            difference.notes.push(format!(
                "a rollback does not bring the {} closed grants back: their holders log in again",
                difference.would_close
            ));
        }
        self.note_cut(new, request, &mut difference).await?;
        Ok(difference)
    }

    async fn holders_of(&self, ids: &ServiceIds, name: &str) -> Result<u64, ProblemBox> {
        let Some(&id) = ids.get(name) else {
            return Ok(0);
        };
        let selection = Selection {
            service: Some(id),
            ..Selection::default()
        };
        let now = self.now().boot_ns;
        let rows = self.ledger.holders(&selection).await?;
        let open = rows.iter().filter(|row| row.deadline_boot_ns > now);
        Ok(open.count() as u64)
    }

    /// Whether the caller would be cut off, or only seems to be.
    async fn note_cut(
        &self,
        new: &Config,
        request: &ConfigRequest,
        difference: &mut Difference,
    ) -> Result<(), ProblemBox> {
        let Some(connection) = request.connection else {
            return Ok(());
        };
        let client = connection.client.to_canonical();
        let server = connection.server.to_canonical();
        let Some(cut) = policy::in_the_way(new, client, server, connection.port) else {
            return Ok(());
        };
        let state = self.state();
        if let Cut::Grant(service) = cut
            && let Some(&service_id) = state.ids.get(&service.name)
            && !state.switches.lockdown
        {
            let now = self.now();
            for source in Source::of(client) {
                let id = GrantId {
                    source,
                    service: service_id,
                };
                let Some(grant) = self.ledger.grant(id, now.boot_ns).await? else {
                    continue;
                };
                difference.notes.push(format!(
                    "your own connection rests on a grant for service `{}` that ends at {}",
                    service.name,
                    now.wall_of(grant.deadline_boot_ns)
                ));
                return Ok(());
            }
        }
        let sentence = cut.sentence(client, server, connection.port);
        match switch::mode_of(&state.switches) {
            Mode::Enforce => difference.cuts = Some(sentence),
            Mode::Observe => difference
                .notes
                .push(format!("once mode is enforce, {sentence}")),
        }
        Ok(())
    }
}

fn changes(old: &Service, new: &Service) -> Vec<String> {
    let mut out = Vec::new();
    if old.kind != new.kind {
        out.push(match new.kind {
            ServiceKind::Public => "becomes public: open to everybody".to_owned(),
            ServiceKind::Granted => "needs a grant from now on".to_owned(),
        });
    }
    listed(&mut out, "target", &old.targets, &new.targets);
    listed(&mut out, "group", &old.groups, &new.groups);
    listed(&mut out, "allow", &old.allow, &new.allow);
    let length = |seconds: Option<u64>| seconds.map_or("none".to_owned(), seconds_text);
    let (was, is) = (Some(old.default_seconds), Some(new.default_seconds));
    moved(&mut out, "default", length(was), length(is));
    let (was, is) = (Some(old.max_seconds), Some(new.max_seconds));
    moved(&mut out, "max", length(was), length(is));
    moved(
        &mut out,
        "idle",
        length(old.idle_seconds),
        length(new.idle_seconds),
    );
    moved(&mut out, "rate", rate(old.rate), rate(new.rate));
    moved(&mut out, "answer", answer(old.answer), answer(new.answer));
    let (was, is) = (agent_down(old.agent_down), agent_down(new.agent_down));
    moved(&mut out, "agent_down", was, is);
    let (was, is) = (ipv6_grants(old), ipv6_grants(new));
    moved(&mut out, "ipv6_grants", was, is);
    if out.is_empty() {
        out.push("the same in another order".into());
    }
    out
}

/// Settings beside the services that take effect at once.
fn settings(old: &Config, new: &Config) -> Vec<String> {
    let mut out = Vec::new();
    listed(&mut out, "operator uid", &old.operators, &new.operators);
    let uid = |config: &Config| match &config.portal {
        Some(portal) => format!("uid {}", portal.uid),
        None => "none".into(),
    };
    moved(&mut out, "portal", uid(old), uid(new));
    let (was, is) = (&old.filter, &new.filter);
    let other_ports = |pass| if pass { "pass" } else { "drop" };
    let before = other_ports(was.other_ports_pass);
    let after = other_ports(is.other_ports_pass);
    moved(&mut out, "other_ports", before, after);
    let prefixes = |config: &Config| policy::protected(config).collect::<BTreeSet<_>>();
    let (before, after) = (prefixes(old), prefixes(new));
    for prefix in &after {
        if !before.iter().any(|outer| outer.contains(prefix)) {
            let rest = match is.other_ports_pass {
                true => "",
                false => ": what no service names drops there",
            };
            out.push(format!("{prefix} is protected from now on{rest}"));
        }
    }
    for prefix in &before {
        if !after.iter().any(|outer| outer.contains(prefix)) {
            out.push(format!("{prefix} is not protected any more"));
        }
    }
    listed(
        &mut out,
        "pass_ether_types",
        &was.pass_ether_types,
        &is.pass_ether_types,
    );
    let (before, after) = (rate(Some(was.icmp_errors)), rate(Some(is.icmp_errors)));
    moved(&mut out, "icmp_errors", before, after);
    moved(&mut out, "drop_samples", was.drop_samples, is.drop_samples);
    out
}

fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let (was, is) = (&old.filter, &new.filter);
    let fixed = [
        ("agent.socket", old.socket != new.socket),
        ("agent.ledger", old.ledger != new.ledger),
        ("filter.interfaces", was.interfaces != is.interfaces),
        ("filter.xdp_mode", was.xdp_mode != is.xdp_mode),
        ("filter.capacity", was.capacity != is.capacity),
        ("filter.bpffs", was.bpffs != is.bpffs),
        ("filter.debug_log", was.debug_log != is.debug_log),
    ];
    fixed
        .iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| (*key).to_owned())
        .collect()
}

fn notes(caller: &Caller, old: &Config, new: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    if old.filter.mode != new.filter.mode {
        notes.push("filter.mode counts at the very first start only; use `sekisho mode`".into());
    }
    let portal = |config: &Config| config.service(PORTAL_SERVICE).is_some();
    if portal(old) && !portal(new) {
        notes.push(
            "the portal's endpoints are not listed any more: nobody can log in through the filter"
                .into(),
        );
    }
    if caller.uid != 0 && !new.operators.contains(&caller.uid) {
        notes.push(format!(
            "uid {} will be no operator any more: somebody else has to confirm it",
            caller.uid
        ));
    }
    notes
}

fn listed<T: Display>(out: &mut Vec<String>, what: &str, old: &[T], new: &[T]) {
    let texts = |list: &[T]| list.iter().map(T::to_string).collect::<BTreeSet<String>>();
    let (old, new) = (texts(old), texts(new));
    out.extend(old.difference(&new).map(|gone| format!("- {what} {gone}")));
    out.extend(new.difference(&old).map(|come| format!("+ {what} {come}")));
}

fn moved<T: PartialEq + Display>(out: &mut Vec<String>, what: &str, old: T, new: T) {
    if old != new {
        out.push(format!("{what} {old} -> {new}"));
    }
}

fn rate(rate: Option<Rate>) -> String {
    match rate {
        None => "none".into(),
        Some(Rate { interval_ns, burst }) => {
            format!("one each {interval_ns} ns, {burst} at once")
        }
    }
}

fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::Silent => "silent",
        Answer::Reset => "reset",
        Answer::Prohibited => "prohibited",
    }
}

fn ipv6_grants(service: &Service) -> &'static str {
    match service.ipv6_prefix {
        true => "prefix",
        false => "address",
    }
}

fn agent_down(policy: AgentDown) -> &'static str {
    match policy {
        AgentDown::Keep => "keep",
        AgentDown::NoNewConnections => "no_new_connections",
        AgentDown::Closed => "closed",
    }
}
