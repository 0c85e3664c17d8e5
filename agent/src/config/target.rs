//! Targets as operators write them: `192.0.2.10 tcp/443`, `2001:db8::/64 udp/500-510`,
//! `192.0.2.0/24 icmp`, `192.0.2.7 any`.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

/// One address prefix with protocol and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub prefix: IpNet,
    pub ports: Ports,
}

/// Which packets towards the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Every protocol.
    Any,
    /// One protocol, every port of it (or it has none).
    Protocol(u8),
    /// One protocol, ports `first..=last`.
    Range { protocol: u8, first: u16, last: u16 },
}

/// Names of protocols (IANA protocol numbers) and whether they have ports.
const PROTOCOLS: [(&str, u8, bool); 11] = [
    ("icmp", 1, false),
    ("igmp", 2, false),
    ("ipip", 4, false),
    ("tcp", 6, true),
    ("udp", 17, true),
    ("gre", 47, false),
    ("esp", 50, false),
    ("ah", 51, false),
    ("icmpv6", 58, false),
    ("sctp", 132, true),
    ("udplite", 136, true),
];

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let (Some(prefix), Some(ports), None) = (words.next(), words.next(), words.next()) else {
            return Err(format!(
                "`{text}` is not a target; write an address or prefix and a protocol, for example `192.0.2.10 tcp/443`"
            ));
        };
        Ok(Self {
            prefix: parse_prefix(prefix)?,
            ports: parse_ports(ports)?,
        })
    }
}

/// An address or a prefix; bits behind the prefix length must be zero.
pub(crate) fn parse_prefix(text: &str) -> Result<IpNet, String> {
    let net = match (text.parse::<IpAddr>(), text.parse::<IpNet>()) {
        (Ok(address), _) => IpNet::from(address),
        (_, Ok(net)) => net,
        _ => {
            return Err(format!(
                "`{text}` is neither an IP address nor a prefix such as 192.0.2.0/24"
            ));
        }
    };
    if net.addr() != net.network() {
        return Err(format!(
            "`{text}` has bits behind its length; did you mean {}?",
            net.trunc()
        ));
    }
    if let IpNet::V6(v6) = net
        && v6.addr().to_ipv4_mapped().is_some()
    {
        return Err(format!(
            "`{text}` is an IPv4 address in IPv6 clothes; write it as IPv4"
        ));
    }
    Ok(net)
}

fn parse_ports(text: &str) -> Result<Ports, String> {
    let unknown = || {
        format!(
            "`{text}` is not a protocol; use any, tcp/PORT, udp/PORT, sctp/PORT, a range such as tcp/8000-8010, icmp, icmpv6, gre, esp, or proto/NUMBER"
        )
    };
    if text == "any" {
        return Ok(Ports::Any);
    }
    let (name, ports) = match text.split_once('/') {
        Some((name, ports)) => (name, Some(ports)),
        None => (text, None),
    };
    if name == "proto" {
        let number: u8 = ports.and_then(|p| p.parse().ok()).ok_or_else(unknown)?;
        return Ok(Ports::Protocol(number));
    }
    let &(_, protocol, has_ports) = PROTOCOLS
        .iter()
        .find(|(known, _, _)| *known == name)
        .ok_or_else(unknown)?;
    let Some(ports) = ports else {
        return Ok(Ports::Protocol(protocol));
    };
    if !has_ports {
        return Err(format!("`{text}`: {name} has no ports; write `{name}`"));
    }
    let port = |p: &str| p.parse::<u16>().ok().filter(|&p| p > 0).ok_or_else(unknown);
    let (first, last) = match ports.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(ports)?, port(ports)?),
    };
    if first > last {
        return Err(format!(
            "`{text}`: the range runs backwards; write {name}/{last}-{first}"
        ));
    }
    Ok(Ports::Range {
        protocol,
        first,
        last,
    })
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix.prefix_len() == self.prefix.max_prefix_len() {
            write!(f, "{} {}", self.prefix.addr(), self.ports)
        } else {
            write!(f, "{} {}", self.prefix, self.ports)
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |number: u8| {
            PROTOCOLS
                .iter()
                .find(|(_, known, _)| *known == number)
                .map(|(name, _, _)| *name)
        };
        match *self {
            Self::Any => f.write_str("any"),
            Self::Protocol(protocol) => match name(protocol) {
                Some(name) => f.write_str(name),
                None => write!(f, "proto/{protocol}"),
            },
            Self::Range {
                protocol,
                first,
                last,
            } => {
                f.write_str(name(protocol).unwrap_or("proto"))?;
                if first == last {
                    write!(f, "/{first}")
                } else {
                    write!(f, "/{first}-{last}")
                }
            }
        }
    }
}
