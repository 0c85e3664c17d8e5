//! What a configuration means for the kernel: destinations, targets and allow prefixes, flattened
//! so that the program's longest-prefix look-ups give exactly the precedence the operator expects.
//!
//! Pure: it touches neither kernel nor ledger.

mod cut;
mod exact;
mod paint;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use agent_api::ServiceKind;
use filter_abi::{Destination, Limit, Target};
use ipnet::IpNet;

use crate::config::{self, AgentDown, Answer, Config, PORTAL_SERVICE, Ports, Rate};
use paint::Paint;

pub use cut::{Cut, in_the_way, protected};

/// Stable numbers of services, from the ledger.
pub type ServiceIds = HashMap<String, u32>;

/// The content of the generational tables, without the generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Prefixes with their flags; the place in the list is the prefix's number.
    pub destinations: Vec<(IpNet, u32)>,
    pub targets: Vec<TargetEntry>,
    /// Sources that are always admitted, by service number.
    pub allows: Vec<(u32, IpNet)>,
    /// Rates of public services, by service number.
    pub limits: Vec<(u32, Limit)>,
    /// Of ICMP errors to one destination; an interval of 0 is no limit.
    pub icmp_errors: Limit,
    /// Dropped packets a second that each CPU shows.
    pub drop_samples: u32,
    /// What the tables above say of single addresses and ports, for a shorter way to the same.
    pub exact: Vec<ExactTarget>,
}

/// The answer of the tables for one address, protocol and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExactTarget {
    pub address: IpAddr,
    pub protocol: u8,
    pub port: u16,
    /// With `Target::PROTECTED` where the destination is.
    pub target: Target,
}

/// One entry of the table of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetEntry {
    /// Place in `destinations`.
    pub destination: u16,
    pub protocol: u8,
    pub port: u16,
    /// 32 = any protocol, 48 = any port, up to 64 = this port.
    pub bits: u32,
    pub target: Target,
}

/// Most destination prefixes; their numbers share 32 bits with the generation.
pub const DESTINATIONS_MAX: usize = 1 << 15;
/// Most entries in the table of targets: half of it, as two generations live during a change.
pub const TARGETS_MAX: usize = 1 << 19;

/// Most allow prefixes: half of the smaller table, as two generations live during a change.
pub const ALLOWS_MAX: usize = 1 << 15;

/// The tables cannot hold the configuration.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error(
        "{found} different target prefixes, and the filter holds {DESTINATIONS_MAX}; merge neighbouring prefixes"
    )]
    Destinations { found: usize },
    #[error(
        "{found} prefixes under allow, and the filter holds {ALLOWS_MAX}; merge neighbouring prefixes"
    )]
    Allows { found: usize },
    #[error(
        "the targets need {found} entries, and the filter holds {TARGETS_MAX}; use fewer or rounder port ranges"
    )]
    Targets { found: usize },
}

/// What is said of one prefix, by itself and by the prefixes around it.
#[derive(Clone, Debug, Default)]
struct Area {
    protected: bool,
    paint: Paint,
}

/// What is said of a prefix itself: whether it is protected, and the claims on it.
type Own = (bool, Vec<(Ports, Target)>);

/// Flattens a configuration. Every service must have a number in `ids`.
pub fn compile(config: &Config, ids: &ServiceIds) -> Result<Policy, PolicyError> {
    let areas = areas(config, ids);
    if areas.len() > DESTINATIONS_MAX {
        return Err(PolicyError::Destinations { found: areas.len() });
    }
    let other_ports = match config.filter.other_ports_pass {
        true => Destination::PROTECTED | Destination::OTHER_PORTS_PASS,
        false => Destination::PROTECTED,
    };
    let mut policy = Policy::default();
    for (destination, (prefix, area)) in (0u16..).zip(areas) {
        policy
            .destinations
            .push((prefix, if area.protected { other_ports } else { 0 }));
        area.paint.entries(|protocol, port, bits, target| {
            policy.targets.push(TargetEntry {
                destination,
                protocol,
                port,
                bits,
                target,
            });
        });
    }
    if policy.targets.len() > TARGETS_MAX {
        return Err(PolicyError::Targets {
            found: policy.targets.len(),
        });
    }
    for service in &config.services {
        if let Some(&id) = ids.get(&service.name) {
            policy
                .allows
                .extend(service.allow.iter().map(|prefix| (id, *prefix)));
            policy
                .limits
                .extend(service.rate.map(|rate| (id, limit(rate))));
        }
    }
    if policy.allows.len() > ALLOWS_MAX {
        return Err(PolicyError::Allows {
            found: policy.allows.len(),
        });
    }
    policy.drop_samples = config.filter.drop_samples;
    policy.icmp_errors = limit(config.filter.icmp_errors);
    policy.exact = exact::targets(&policy);
    Ok(policy)
}

/// What a service says of its packets beside who may send them.
fn traffic_flags(service: &config::Service) -> u32 {
    let rated = match service.rate {
        Some(_) => Target::RATED,
        None => 0,
    };
    let answer = match service.answer {
        Answer::Silent => 0,
        Answer::Reset => Target::ANSWER_RESET,
        Answer::Prohibited => Target::ANSWER_PROHIBITED,
    };
    let agent_down = match service.agent_down {
        AgentDown::Keep => 0,
        AgentDown::NoNewConnections => Target::AGENT_DOWN_OLD_ONLY,
        AgentDown::Closed => Target::AGENT_DOWN_CLOSED,
    };
    rated | answer | agent_down
}

fn limit(rate: Rate) -> Limit {
    Limit {
        interval_ns: rate.interval_ns,
        tolerance_ns: u64::from(rate.burst - 1).saturating_mul(rate.interval_ns),
    }
}

/// Every prefix that is named, with everything that holds for it. From the widest prefix to the
/// most specific, each starts as what encloses it and paints its own targets over that.
fn areas(config: &Config, ids: &ServiceIds) -> BTreeMap<IpNet, Area> {
    let mut own: BTreeMap<(u8, IpNet), Own> = BTreeMap::new();
    for prefix in &config.filter.protect {
        own.entry((prefix.prefix_len(), *prefix)).or_default().0 = true;
    }
    for service in &config.services {
        let Some(&id) = ids.get(&service.name) else {
            continue;
        };
        let mut flags = 0;
        if service.kind == ServiceKind::Public {
            flags |= Target::PUBLIC;
        }
        if !service.allow.is_empty() {
            flags |= Target::HAS_ALLOWS;
        }
        flags |= traffic_flags(service);
        for target in &service.targets {
            let (protected, claims) = own
                .entry((target.prefix.prefix_len(), target.prefix))
                .or_default();
            // The portal's address is not protected by being the portal's.
            *protected |= service.name != PORTAL_SERVICE;
            claims.push((target.ports, Target { service: id, flags }));
        }
    }
    let mut areas: BTreeMap<IpNet, Area> = BTreeMap::new();
    for ((_, prefix), (protected, mut claims)) in own {
        let mut area = enclosing(&areas, prefix).cloned().unwrap_or_default();
        area.protected |= protected;
        claims.sort_by_key(|(ports, _)| width(*ports));
        for (ports, target) in claims {
            area.paint.claim(ports, target);
        }
        areas.insert(prefix, area);
    }
    areas
}

fn enclosing(areas: &BTreeMap<IpNet, Area>, prefix: IpNet) -> Option<&Area> {
    let mut outer = prefix;
    while let Some(wider) = outer.supernet() {
        if let Some(area) = areas.get(&wider) {
            return Some(area);
        }
        outer = wider;
    }
    None
}

/// Wide claims are painted first, so that a more specific one on the same prefix wins.
fn width(ports: Ports) -> u8 {
    match ports {
        Ports::Any => 0,
        Ports::Protocol(_) => 1,
        Ports::Range { first, last, .. } if first != last => 2,
        Ports::Range { .. } => 3,
    }
}

#[cfg(test)]
mod tests;
