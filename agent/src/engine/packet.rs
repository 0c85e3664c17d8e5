//! A packet that a program is asked about, as bytes. Checksums stay zero: the filter never looks at
//! them.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use agent_api::{ExplainRequest, ServiceKind};

use crate::config::{Ports, Service};

const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const VLAN_ID_MAX: u16 = 4_095;
/// Names that the configuration uses, with the protocol's IANA number and whether it has ports.
const PROTOCOLS: [(&str, u8, bool); 6] = [
    ("tcp", TCP, true),
    ("udp", 17, true),
    ("sctp", 132, true),
    ("udplite", 136, true),
    ("gre", 47, false),
    ("esp", 50, false),
];
/// Of class E (RFC 1112 §4): nobody's address, so nobody's grant.
const NOBODY: Ipv4Addr = Ipv4Addr::new(240, 0, 0, 1);
/// From the discard-only prefix (RFC 6666).
const NOBODY6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1);
/// Where an answer would go; above every well-known port.
const CLIENT_PORT: u16 = 50_000;

/// The first packet a client would send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    protocol: u8,
    /// None: a protocol without ports.
    port: Option<u16>,
    vlan: Vec<u16>,
}

impl Packet {
    /// The request, checked; or what is wrong with it.
    pub(super) fn of(request: &ExplainRequest) -> Result<Self, String> {
        let source = request.source.to_canonical();
        let destination = request.destination.to_canonical();
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(format!(
                "{source} and {destination} are of two families; a packet has one"
            ));
        }
        let (protocol, has_ports) = protocol(&request.protocol, destination)?;
        let port = match (has_ports, request.port) {
            (true, Some(port)) => Some(port),
            (true, None) => return Err(format!("{} needs a port", request.protocol)),
            (false, None) => None,
            (false, Some(_)) => return Err(format!("{} has no ports", request.protocol)),
        };
        if request.vlan.len() > filter_abi::VLAN_TAGS_MAX {
            return Err("the filter looks through two VLAN tags at most".into());
        }
        if let Some(id) = request.vlan.iter().find(|id| **id > VLAN_ID_MAX) {
            return Err(format!("{id} is no VLAN id; they end at {VLAN_ID_MAX}"));
        }
        Ok(Self {
            source,
            destination,
            protocol,
            port,
            vlan: request.vlan.clone(),
        })
    }

    /// A stranger's packet to a granted service. None: the service has no target to ask about.
    pub(super) fn canary(service: &Service) -> Option<Self> {
        if service.kind != ServiceKind::Granted {
            return None;
        }
        let packet = Self::from_nobody(service).next()?;
        let allowed = service.allow.iter();
        (!allowed
            .into_iter()
            .any(|prefix| prefix.contains(&packet.source)))
        .then_some(packet)
    }

    /// A packet to a service from an address that nobody has, for each family it has a target of.
    pub(super) fn from_nobody(service: &Service) -> impl Iterator<Item = Self> + use<'_> {
        let nobody = [IpAddr::V4(NOBODY), IpAddr::V6(NOBODY6)];
        nobody
            .into_iter()
            .filter_map(|source| Self::to(service, source))
    }

    /// The packet to the first target of a service that this source could reach. None: it has none
    /// of that family.
    pub(super) fn to(service: &Service, source: IpAddr) -> Option<Self> {
        let target = service
            .targets
            .iter()
            .find(|target| target.prefix.addr().is_ipv4() == source.is_ipv4())?;
        let (protocol, port) = match target.ports {
            Ports::Any => (TCP, Some(1)),
            Ports::Range {
                protocol, first, ..
            } => (protocol, Some(first)),
            Ports::Protocol(protocol) => {
                let has_ports = PROTOCOLS
                    .iter()
                    .any(|(_, p, ports)| *p == protocol && *ports);
                (protocol, has_ports.then_some(1))
            }
        };
        Some(Self {
            source,
            destination: target.prefix.addr(),
            protocol,
            port,
            vlan: Vec::new(),
        })
    }

    /// From the Ethernet header on.
    pub(super) fn frame(&self) -> Vec<u8> {
        let tags: Vec<(u16, u16)> = self.vlan.iter().map(|id| (VLAN, *id)).collect();
        framed(&tags, self.ether_type(), &self.bytes())
    }

    pub(super) fn ether_type(&self) -> u16 {
        match self.source {
            IpAddr::V4(_) => IPV4,
            IpAddr::V6(_) => IPV6,
        }
    }

    /// From the IP header on.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut packet = Vec::new();
        let payload = self.payload();
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                packet.extend([0x45, 0]);
                packet.extend((20 + length).to_be_bytes());
                packet.extend([0, 1, 0, 0, 64, self.protocol, 0, 0]);
                packet.extend(source.octets());
                packet.extend(destination.octets());
            }
            (source, destination) => {
                let octets = |address: IpAddr| match address {
                    IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                    IpAddr::V6(address) => address.octets(),
                };
                packet.extend([0x60, 0, 0, 0]);
                packet.extend(length.to_be_bytes());
                packet.extend([self.protocol, 64]);
                packet.extend(octets(source));
                packet.extend(octets(destination));
            }
        }
        packet.extend(payload);
        packet
    }

    /// A SYN, an echo request, or a header with its ports and nothing else.
    fn payload(&self) -> Vec<u8> {
        let mut payload = vec![0; 20];
        let start: &[u8] = match (self.port, self.protocol) {
            (Some(port), _) => {
                let [a, b] = CLIENT_PORT.to_be_bytes();
                let [c, d] = port.to_be_bytes();
                &[a, b, c, d]
            }
            (None, ICMP) => &[8],
            (None, ICMPV6) => &[128],
            (None, _) => &[],
        };
        for (to, from) in payload.iter_mut().zip(start) {
            *to = *from;
        }
        if self.protocol == TCP {
            // Data offset 5, SYN (RFC 9293 §3.1).
            for (to, from) in payload.iter_mut().skip(12).zip([5 << 4, 2]) {
                *to = from;
            }
        }
        payload
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = PROTOCOLS.iter().find(|(_, p, _)| *p == self.protocol);
        write!(f, "packet from {} to {} ", self.source, self.destination)?;
        match known {
            Some((name, _, _)) => f.write_str(name)?,
            None => write!(f, "proto/{}", self.protocol)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, "/{port}"))
    }
}

/// A frame: addresses, tags as (EtherType, id), the EtherType of what it carries, and that.
pub(super) fn framed(tags: &[(u16, u16)], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for (tag, id) in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend(id.to_be_bytes());
    }
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Number of a protocol and whether it has ports.
fn protocol(text: &str, destination: IpAddr) -> Result<(u8, bool), String> {
    if text == "icmp" || text == "icmpv6" {
        let number = if destination.is_ipv4() { ICMP } else { ICMPV6 };
        return Ok((number, false));
    }
    let named = PROTOCOLS.iter().find(|(name, _, _)| *name == text);
    let numbered = || {
        let number: u8 = text.strip_prefix("proto/").unwrap_or(text).parse().ok()?;
        let has_ports = PROTOCOLS.iter().any(|(_, p, ports)| *p == number && *ports);
        Some((number, has_ports))
    };
    named
        .map(|(_, number, has_ports)| (*number, *has_ports))
        .or_else(numbered)
        .ok_or_else(|| {
            format!("`{text}` is not a protocol; write tcp, udp, sctp, udplite, icmp, gre, esp or a number")
        })
}
