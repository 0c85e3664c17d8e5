//! Whether a configuration would drop one TCP connection: the one an operator types over.
//!
//! It knows the configuration only. Grants that are open, deny prefixes and the mode are the
//! engine's to consider.

use std::net::IpAddr;

use agent_api::ServiceKind;
use ipnet::IpNet;

use super::width;
use crate::config::{self, Config, PORTAL_SERVICE, Ports};

/// IANA protocol number.
const TCP: u8 = 6;

/// What stands in the way of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut<'a> {
    /// This service admits only who holds a grant.
    Grant(&'a config::Service),
    /// This prefix is protected, and no service names the port.
    NoService(IpNet),
}

/// What would drop a connection from `client` to `server`, unless the client holds a grant. None:
/// the configuration does not stand in its way.
pub fn in_the_way(config: &Config, client: IpAddr, server: IpAddr, port: u16) -> Option<Cut<'_>> {
    let covers = |target: &&config::Target| {
        target.prefix.contains(&server)
            && match target.ports {
                Ports::Any => true,
                Ports::Protocol(protocol) => protocol == TCP,
                Ports::Range {
                    protocol,
                    first,
                    last,
                } => protocol == TCP && (first..=last).contains(&port),
            }
    };
    let claims = config.services.iter().flat_map(|service| {
        service
            .targets
            .iter()
            .filter(covers)
            .map(move |target| (service, target))
    });
    let best = claims.max_by_key(|(_, target)| (target.prefix.prefix_len(), width(target.ports)));
    let Some((service, _)) = best else {
        return protecting(config, server)
            .filter(|_| !config.filter.other_ports_pass)
            .map(Cut::NoService);
    };
    let admitted = service.kind == ServiceKind::Public
        || service.allow.iter().any(|prefix| prefix.contains(&client));
    (!admitted).then_some(Cut::Grant(service))
}

/// Every prefix that a configuration protects; the portal's address is not, by being the portal's.
pub fn protected(config: &Config) -> impl Iterator<Item = IpNet> + '_ {
    let targets = config
        .services
        .iter()
        .filter(|service| service.name != PORTAL_SERVICE)
        .flat_map(|service| &service.targets)
        .map(|target| target.prefix);
    config.filter.protect.iter().copied().chain(targets)
}

/// The most specific prefix that protects an address.
fn protecting(config: &Config, server: IpAddr) -> Option<IpNet> {
    protected(config)
        .filter(|prefix| prefix.contains(&server))
        .max_by_key(IpNet::prefix_len)
}

impl Cut<'_> {
    /// What would happen and how to avoid it.
    pub fn sentence(&self, client: IpAddr, server: IpAddr, port: u16) -> String {
        let who = format!("your own connection from {client} to {server} port {port}");
        match self {
            Self::Grant(service) => format!(
                "{who} would need a grant for service `{0}`: add {client} to the allow list of `{0}`, or open a grant for it first",
                service.name
            ),
            Self::NoService(prefix) => format!(
                "{who} would be dropped: {prefix} is protected and no service names that port (filter.other_ports = \"drop\"); add a service with target \"{server} tcp/{port}\" and {client} in its allow list"
            ),
        }
    }
}
