//! Where things stand in the laboratory: names, addresses, folders. Only constants.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::network;
use crate::net::Namespace;

/// Everything the laboratory writes, but for `target/lab.json`, is below this folder. Not in
/// `/run`, which may be mounted `noexec`.
pub(super) const HOME: &str = "/var/lib/sekisho-lab";
/// Port of the portal.
pub(super) const PORTAL_PORT: u16 = 8443;
/// The user the portal runs as. No entry in the list of users is needed.
pub const PORTAL_UID: u32 = 901;
/// Interfaces of the gate.
pub const OUTER: &str = "outer";
pub const INNER: &str = "inner";
/// Joins the two where the gate is a bridge, and has the gate's own addresses.
pub const BRIDGE: &str = "br0";
/// The one interface of everybody else.
pub const ETH: &str = "eth0";
/// Another way in, beside the wire: the gate's interface, and the client's end of its cable.
pub const SECOND: (&str, &str) = ("outer2", "eth1");

/// The laboratory's namespaces begin so; each test has a beginning of its own.
pub(super) const PREFIX: &str = "sekisho";

/// Where the filter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Topology {
    /// On a gateway: the server behind it is unmodified
    Gateway,
    /// On the host that runs the services
    Host,
    /// On the outer port of a bridge: clients and server are neighbours, no address is changed
    Bridge,
}

impl Topology {
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Host, Self::Bridge];
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Host => "host",
            Self::Bridge => "bridge",
        })
    }
}

/// An IPv4 and an IPv6 address of one machine.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub v4: Ipv4Addr,
    pub v6: Ipv6Addr,
}

impl Pair {
    /// On the clients' side of the gate. `last` is the end of both addresses as it is written.
    const fn outside(last: u8) -> Self {
        Self {
            v4: Ipv4Addr::new(192, 0, 2, last),
            v6: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, same_digits(last)),
        }
    }

    /// Behind the gate.
    const fn behind(last: u8) -> Self {
        Self {
            v4: Ipv4Addr::new(198, 51, 100, last),
            v6: Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, same_digits(last)),
        }
    }

    pub fn both(self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }
}

/// The number that looks in hexadecimal as `number` does in decimal: 10 is written `::10`, too.
const fn same_digits(number: u8) -> u16 {
    let number = number as u16;
    (number / 100) * 0x100 + (number / 10 % 10) * 0x10 + number % 10
}

/// Who stands where: namespaces and addresses of one laboratory, or of one test.
#[derive(Clone, Debug)]
pub struct Layout {
    pub topology: Topology,
    prefix: String,
    pub client: Namespace,
    pub neighbour: Namespace,
    pub gate: Namespace,
    pub server: Namespace,
    pub wire: Namespace,
    pub client_at: Pair,
    pub neighbour_at: Pair,
    pub gate_at: Pair,
    pub gate_inner_at: Pair,
    pub server_at: Pair,
}

impl Layout {
    /// The same machines at the same addresses, in namespaces whose names begin with `prefix`.
    pub fn of(topology: Topology, prefix: &str) -> Self {
        let named = |role: &str| named(prefix, role);
        let gate_at = Pair::outside(1);
        let (server, server_at) = match topology {
            Topology::Gateway => (named("server"), Pair::behind(10)),
            Topology::Host => (named("gate"), gate_at),
            Topology::Bridge => (named("server"), Pair::outside(20)),
        };
        Self {
            topology,
            prefix: prefix.to_owned(),
            client: named("client"),
            neighbour: named("neighbour"),
            gate: named("gate"),
            server,
            wire: named("wire"),
            client_at: Pair::outside(10),
            neighbour_at: Pair::outside(11),
            gate_at,
            gate_inner_at: Pair::behind(1),
            server_at,
        }
    }

    /// The namespace of a role, also of one that only some test knows.
    pub fn named(&self, role: &str) -> Namespace {
        named(&self.prefix, role)
    }

    /// The gate's interface that has the gate's own addresses.
    pub fn gate_interface(&self) -> &'static str {
        match self.topology {
            Topology::Gateway | Topology::Host => OUTER,
            Topology::Bridge => BRIDGE,
        }
    }

    /// The interface over which packets for the services leave the filter.
    pub(super) fn gate_inner(&self) -> &'static str {
        match self.topology {
            Topology::Gateway | Topology::Bridge => INNER,
            Topology::Host => OUTER,
        }
    }

    /// The interface on which the services' machine receives.
    pub fn server_interface(&self) -> &'static str {
        match self.topology {
            Topology::Gateway | Topology::Bridge => ETH,
            Topology::Host => OUTER,
        }
    }

    /// Which interface has which addresses.
    pub(super) fn places(&self) -> Vec<(&Namespace, &'static str, Pair)> {
        let mut places = vec![
            (&self.client, ETH, self.client_at),
            (&self.neighbour, ETH, self.neighbour_at),
            (&self.gate, self.gate_interface(), self.gate_at),
        ];
        if self.topology == Topology::Gateway {
            places.push((&self.gate, INNER, self.gate_inner_at));
        }
        if self.topology != Topology::Host {
            places.push((&self.server, self.server_interface(), self.server_at));
        }
        places
    }

    /// Makes namespaces, cables and addresses.
    pub fn create(&self) -> Result<()> {
        network::create(self)
    }

    /// Joins one more interface to the clients' wire, at a plug of this name.
    pub fn plug(&self, plug: &str, namespace: &Namespace, interface: &str) -> Result<()> {
        network::plug(self, plug, namespace, interface)
    }

    /// Joins the client and the gate by a second way, which has no addresses.
    pub fn second_way(&self) -> Result<()> {
        let (outer, eth) = SECOND;
        self.gate.cable(outer, &self.client, eth)?;
        if self.topology == Topology::Bridge {
            let port = format!("link set {outer} master {BRIDGE}");
            self.gate.ip([port.as_str()])?;
        }
        Ok(())
    }

    /// Removes the namespaces, with everything in them; none need be there.
    pub fn remove(&self) -> Result<()> {
        for namespace in [
            &self.client,
            &self.neighbour,
            &self.gate,
            &self.server,
            &self.wire,
        ] {
            namespace.remove()?;
        }
        Ok(())
    }

    pub fn portal_endpoints(&self) -> [SocketAddr; 2] {
        self.gate_at
            .both()
            .map(|address| SocketAddr::new(address, PORTAL_PORT))
    }
}

fn named(prefix: &str, role: &str) -> Namespace {
    Namespace::named(format!("{prefix}-{role}"))
}

/// A path below [`HOME`].
pub(super) fn home(name: &str) -> PathBuf {
    Path::new(HOME).join(name)
}
