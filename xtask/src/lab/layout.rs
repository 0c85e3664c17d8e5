//! Where things stand in the laboratory: names, addresses, folders. Only constants.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use crate::net::Namespace;

/// Everything the laboratory writes, but for `target/lab.json`, is below this folder. Not in
/// `/run`, which may be mounted `noexec`.
pub(super) const HOME: &str = "/var/lib/sekisho-lab";
/// Port of the portal.
pub(super) const PORTAL_PORT: u16 = 8443;
/// The user the portal runs as. No entry in the list of users is needed.
pub(super) const PORTAL_UID: u32 = 901;
/// Interfaces of the gate.
pub(super) const OUTER: &str = "outer";
pub(super) const INNER: &str = "inner";
/// The one interface of everybody else.
pub(super) const ETH: &str = "eth0";

const CLIENT: &str = "sekisho-client";
const NEIGHBOUR: &str = "sekisho-neighbour";
const GATE: &str = "sekisho-gate";
const SERVER: &str = "sekisho-server";
const WIRE: &str = "sekisho-wire";

/// Every namespace a laboratory of any topology may have made.
pub(super) const ALL: [&str; 5] = [CLIENT, NEIGHBOUR, GATE, SERVER, WIRE];

/// Where the filter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Topology {
    /// On a gateway: the server behind it is unmodified
    Gateway,
    /// On the host that runs the services
    Host,
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Host => "host",
        })
    }
}

/// An IPv4 and an IPv6 address of one machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) v4: Ipv4Addr,
    pub(super) v6: Ipv6Addr,
}

impl Pair {
    /// `outside`: the clients' side of the gate; the others are behind it.
    const fn outside(last: u16) -> Self {
        let low = last.to_be_bytes();
        Self {
            v4: Ipv4Addr::new(192, 0, 2, low[1]),
            v6: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, last),
        }
    }

    const fn behind(last: u16) -> Self {
        let low = last.to_be_bytes();
        Self {
            v4: Ipv4Addr::new(198, 51, 100, low[1]),
            v6: Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, last),
        }
    }

    pub(super) fn both(self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }
}

/// One laboratory.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) topology: Topology,
    pub(super) client: Namespace,
    pub(super) neighbour: Namespace,
    pub(super) gate: Namespace,
    pub(super) server: Namespace,
    pub(super) wire: Namespace,
    pub(super) client_at: Pair,
    pub(super) neighbour_at: Pair,
    pub(super) gate_at: Pair,
    pub(super) gate_inner_at: Pair,
    pub(super) server_at: Pair,
}

impl Layout {
    pub(super) fn of(topology: Topology) -> Self {
        let gate_at = Pair::outside(1);
        let (server, server_at) = match topology {
            Topology::Gateway => (SERVER, Pair::behind(10)),
            Topology::Host => (GATE, gate_at),
        };
        Self {
            topology,
            client: Namespace::named(CLIENT),
            neighbour: Namespace::named(NEIGHBOUR),
            gate: Namespace::named(GATE),
            server: Namespace::named(server),
            wire: Namespace::named(WIRE),
            client_at: Pair::outside(10),
            neighbour_at: Pair::outside(11),
            gate_at,
            gate_inner_at: Pair::behind(1),
            server_at,
        }
    }

    /// The interface over which packets for the services leave the filter.
    pub(super) fn gate_inner(&self) -> &'static str {
        match self.topology {
            Topology::Gateway => INNER,
            Topology::Host => OUTER,
        }
    }

    /// The interface on which the services' machine receives.
    pub(super) fn server_interface(&self) -> &'static str {
        match self.topology {
            Topology::Gateway => ETH,
            Topology::Host => OUTER,
        }
    }

    pub(super) fn portal_endpoints(&self) -> [SocketAddr; 2] {
        self.gate_at
            .both()
            .map(|address| SocketAddr::new(address, PORTAL_PORT))
    }
}

/// A path below [`HOME`].
pub(super) fn home(name: &str) -> PathBuf {
    Path::new(HOME).join(name)
}
