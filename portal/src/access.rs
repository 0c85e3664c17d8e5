//! The access rules: groups × service × source decide what a person may open, and which factors
//! each service asks for. A `ServiceId` exists only for what these rules allow.

use std::{fmt, net::IpAddr};

use agent_api::{Service, ServiceKind};

use crate::{
    config::{Access, FactorKind},
    directory::Account,
    proof::Factors,
};

/// A service that the rules allow somebody to open; made here only.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServiceId(String);

impl fmt::Debug for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ServiceId {
    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

/// What a person may open from a source with the factors they gave, in the agent's order.
pub(crate) fn allowed(
    services: &[Service],
    account: &Account,
    access: &[Access],
    source: IpAddr,
    factors: &Factors,
) -> Vec<ServiceId> {
    services
        .iter()
        .filter(|service| service.kind == ServiceKind::Granted)
        .filter(|service| is_member(account, service))
        .filter(|service| {
            needed(&service.name, access, source)
                .is_some_and(|needed| needed.iter().all(|factor| factors.contains(*factor)))
        })
        .map(|service| ServiceId(service.name.clone()))
        .collect()
}

/// True: one of the person's groups may open the service.
pub(crate) fn is_member(account: &Account, service: &Service) -> bool {
    // Directories do not tell groups apart by case.
    let lower = |name: &String| name.to_lowercase();
    let groups: Vec<String> = account.groups.iter().map(lower).collect();
    service
        .groups
        .iter()
        .any(|group| groups.contains(&lower(group)))
}

/// The factors a service asks for from a source. None: not from there.
fn needed(service: &str, access: &[Access], source: IpAddr) -> Option<Vec<FactorKind>> {
    let mut entries = access
        .iter()
        .filter(|entry| entry.service == service)
        .peekable();
    if entries.peek().is_none() {
        return Some(vec![FactorKind::Pwd, FactorKind::Otp]);
    }
    entries
        .find(|entry| entry.covers(source))
        .map(|entry| entry.factors.clone())
}

/// True: some service may be opened with a code alone, so that a log-in without a password makes
/// sense at all.
pub(crate) fn code_alone_is_used(access: &[Access]) -> bool {
    access
        .iter()
        .any(|entry| !entry.factors.contains(&FactorKind::Pwd))
}

#[cfg(test)]
mod tests;
