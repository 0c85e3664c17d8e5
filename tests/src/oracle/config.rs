//! The configuration as a person would write it down: prefixes, services, targets. Look-ups read
//! all of it, every time.

use std::{net::IpAddr, ops::RangeInclusive};

/// An address prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    pub address: IpAddr,
    pub bits: u32,
}

impl Prefix {
    /// The leading bits agree, and so does the family.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs, width) = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        let ignored = width - self.bits.min(width);
        ours.checked_shr(ignored).unwrap_or(0) == theirs.checked_shr(ignored).unwrap_or(0)
    }
}

/// A prefix of an address and a length.
pub fn prefix(address: impl Into<IpAddr>, bits: u32) -> Prefix {
    Prefix {
        address: address.into(),
        bits,
    }
}

/// What happens to a port of a protected address that no service claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherPorts {
    Drop,
    Pass,
}

/// A protected prefix.
#[derive(Clone, Copy, Debug)]
pub struct Protected {
    pub prefix: Prefix,
    pub other_ports: OtherPorts,
}

/// So many at once, then one for each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// 0 = no limit.
    pub interval_ns: u64,
    /// At least 1.
    pub burst: u64,
}

impl Rate {
    pub const NONE: Self = Self {
        interval_ns: 0,
        burst: 1,
    };
}

/// What becomes of granted sources while the agent's heartbeat is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentDown {
    Keep,
    NoNewConnections,
    Closed,
}

/// Who may reach a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everybody, each source at this rate.
    Public(Rate),
    /// Who holds a grant.
    Granted(AgentDown),
}

/// What a packet is told that drops for want of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Silence,
    /// TCP with a reset, the rest with an ICMP error.
    Reset,
    /// Everything with an ICMP error.
    Prohibited,
}

/// Where a service is.
#[derive(Clone, Debug)]
pub struct Target {
    pub prefix: Prefix,
    /// None = all of them.
    pub protocol: Option<u8>,
    /// None = all of them, also for protocols that have none.
    pub ports: Option<RangeInclusive<u16>>,
}

impl Target {
    fn claims(&self, address: IpAddr, protocol: u8, port: u16) -> bool {
        self.prefix.contains(address)
            && self.protocol.is_none_or(|ours| ours == protocol)
            && self
                .ports
                .as_ref()
                .is_none_or(|ports| ports.contains(&port))
    }

    /// Sorts claims: the prefix first, then one port, a range (the shorter, the more special),
    /// a protocol, anything.
    fn rank(&self) -> (u32, u32) {
        let special = match (&self.ports, self.protocol) {
            (Some(ports), _) => 0x2_0000 - u32::from(ports.end() - ports.start()),
            (None, Some(_)) => 1,
            (None, None) => 0,
        };
        (self.prefix.bits, special)
    }
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    pub id: u32,
    pub kind: Kind,
    pub answer: Answer,
    pub targets: Vec<Target>,
    /// Sources that need no grant.
    pub allow: Vec<Prefix>,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Config {
    pub protected: Vec<Protected>,
    /// Addresses that are the portal's; those outside every protected prefix are judged for
    /// public services only.
    pub portal: Vec<IpAddr>,
    pub services: Vec<Service>,
    /// EtherTypes that pass beside the built-in ones.
    pub ether_types: Vec<u16>,
    /// For each destination.
    pub icmp_errors: Rate,
}

/// How an address stands to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Protected(OtherPorts),
    Portal,
    Elsewhere,
}

impl Config {
    pub(super) fn place(&self, address: IpAddr) -> Place {
        let protected = self
            .protected
            .iter()
            .filter(|protected| protected.prefix.contains(address))
            .max_by_key(|protected| protected.prefix.bits);
        match protected {
            Some(protected) => Place::Protected(protected.other_ports),
            None if self.portal.contains(&address) => Place::Portal,
            None => Place::Elsewhere,
        }
    }

    /// The service whose target claims this best. The port is 0 for protocols without ports.
    pub(super) fn service(&self, address: IpAddr, protocol: u8, port: u16) -> Option<&Service> {
        let claims = self.services.iter().flat_map(|service| {
            let targets = service.targets.iter();
            targets
                .filter(|target| target.claims(address, protocol, port))
                .map(move |target| (target.rank(), service))
        });
        claims
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, service)| service)
    }
}
