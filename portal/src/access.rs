//! The access rules: groups × service × source decide what a person may open, and which factors
//! each service asks for. A `ServiceId` exists only for what these rules allow.

use std::{fmt, net::IpAddr};

use agent_api::{Service, ServiceKind};

use crate::{
    config::{Access, Category, FactorKind, Ways},
    directory::Account,
    exceptions::Exception,
    proof::Factors,
};

/// A service that the rules allow somebody to open; made here only.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServiceId {
    name: String,
    /// Seconds, where the rules allow less than the service gives by itself.
    longest: Option<u64>,
}

impl fmt::Debug for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl ServiceId {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn longest(&self) -> Option<u64> {
        self.longest
    }
}

/// What somebody has shown.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) factors: Factors,
    /// Seconds since something held was shown.
    pub(crate) age: i64,
    pub(crate) exceptions: Vec<Exception>,
    /// The present, for the exceptions' ends.
    pub(crate) now: i64,
}

/// What a person who may use a service still has to do for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing.
    Allowed(ServiceId),
    /// Show these, beside what was shown.
    Lacks {
        service: String,
        factors: Vec<FactorKind>,
    },
}

impl Standing {
    pub(crate) fn service(&self) -> &str {
        match self {
            Self::Allowed(id) => id.name(),
            Self::Lacks { service, .. } => service,
        }
    }
}

/// Every service that is for this person from this source, in the agent's order.
pub(crate) fn standings(
    services: &[Service],
    account: &Account,
    access: &[Access],
    source: IpAddr,
    shown: &Shown,
) -> Vec<Standing> {
    services
        .iter()
        .filter(|service| service.kind == ServiceKind::Granted)
        .filter(|service| account.is_in_any(&service.groups))
        .filter_map(|service| standing(service, account, access, source, shown))
        .collect()
}

/// What a person may open from a source now.
pub(crate) fn allowed(
    services: &[Service],
    account: &Account,
    access: &[Access],
    source: IpAddr,
    shown: &Shown,
) -> Vec<ServiceId> {
    standings(services, account, access, source, shown)
        .into_iter()
        .filter_map(|standing| match standing {
            Standing::Allowed(id) => Some(id),
            Standing::Lacks { .. } => None,
        })
        .collect()
}

/// None: not for this person, or not from there.
fn standing(
    service: &Service,
    account: &Account,
    access: &[Access],
    source: IpAddr,
    shown: &Shown,
) -> Option<Standing> {
    let by_rule = by_rule(service, account, access, source, shown);
    if matches!(by_rule, Some(Standing::Allowed(_))) || !shown.factors.contains(FactorKind::Pwd) {
        return by_rule;
    }
    let left = shown
        .exceptions
        .iter()
        .filter(|exception| exception.user_id() == account.id)
        .filter_map(|exception| exception.left(&service.name, source, shown.now))
        .max();
    match left {
        Some(left) => Some(allowed_for(service, Some(left))),
        None => by_rule,
    }
}

/// What the rules say, without exceptions.
fn by_rule(
    service: &Service,
    account: &Account,
    access: &[Access],
    source: IpAddr,
    shown: &Shown,
) -> Option<Standing> {
    let name = &service.name;
    let mut entries = access
        .iter()
        .filter(|entry| entry.service == *name)
        .peekable();
    let (ways, longest, fresh) = match entries.peek() {
        None => (Ways::default(), None, None),
        Some(_) => {
            let entry = entries.find(|entry| entry.covers(account, source))?;
            (entry.factors.clone(), entry.longest, entry.fresh)
        }
    };
    let is_fresh = fresh.is_none_or(|fresh| shown.age <= fresh.seconds());
    let lacks = missing(&ways, &shown.factors, is_fresh);
    if !lacks.is_empty() {
        return Some(Standing::Lacks {
            service: name.clone(),
            factors: lacks,
        });
    }
    let longest = longest.and_then(|length| u64::try_from(length.seconds()).ok());
    Some(allowed_for(service, longest))
}

/// For so many seconds at most, if the service gives more by itself.
fn allowed_for(service: &Service, longest: Option<u64>) -> Standing {
    Standing::Allowed(ServiceId {
        name: service.name.clone(),
        longest: longest.filter(|longest| *longest < service.default_seconds),
    })
}

/// What is missing on the way that asks for least. What is held must be shown again when the proof
/// is stale.
fn missing(ways: &Ways, shown: &Factors, is_fresh: bool) -> Vec<FactorKind> {
    ways.iter()
        .map(|way| {
            let lacks = |kind: &&FactorKind| {
                let stale = !is_fresh && kind.category() == Category::Possession;
                stale || !shown.satisfies(**kind)
            };
            way.iter().filter(lacks).copied().collect::<Vec<_>>()
        })
        .min_by_key(Vec::len)
        .unwrap_or_default()
}

/// True: some service may be opened with a code alone, so that a log-in without a password makes
/// sense at all.
pub(crate) fn alone_is_used(access: &[Access], kind: FactorKind) -> bool {
    access
        .iter()
        .any(|entry| entry.factors.iter().any(|way| way == [kind]))
}

#[cfg(test)]
pub(crate) mod tests;
