//! The site all generated packets are judged at: every kind of prefix, service, target and rate,
//! on as few addresses as possible.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::oracle::{
    AgentDown, Answer, Config, Kind, OtherPorts, Protected, Rate, SECOND, Service, Target, prefix,
};

pub(super) const WEB: u32 = 1;
pub(super) const SSH: u32 = 2;
pub(super) const PING: u32 = 3;
pub(super) const ALL: u32 = 4;
pub(super) const OPEN: u32 = 5;
pub(super) const PORTAL: u32 = 6;
pub(super) const RANGE: u32 = 7;
pub(super) const FREE: u32 = 8;

/// Services that know grants.
pub(super) const GRANTED: [u32; 5] = [WEB, SSH, PING, ALL, RANGE];

pub(super) const fn v4(net: u8, host: u8) -> IpAddr {
    IpAddr::V4(match net {
        0 => Ipv4Addr::new(198, 51, 100, host),
        1 => Ipv4Addr::new(198, 51, 101, host),
        2 => Ipv4Addr::new(192, 0, 2, host),
        _ => Ipv4Addr::new(203, 0, 113, host),
    })
}

pub(super) const fn v6(net: u16, host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host))
}

/// Where packets of services go to: servers, one whose every port is a service, hosts where other
/// ports pass, the portal, and somewhere else.
pub(super) const DESTINATIONS: [[IpAddr; 8]; 2] = [
    [
        v4(0, 10),
        v4(0, 10),
        v4(0, 11),
        v4(0, 66),
        v4(0, 99),
        v4(1, 10),
        v4(2, 1),
        v4(2, 200),
    ],
    [
        v6(2, 0x10),
        v6(2, 0x10),
        v6(2, 0x11),
        v6(2, 0x42),
        v6(2, 0x99),
        v6(4, 0x10),
        v6(1, 1),
        v6(1, 0x200),
    ],
];

/// Protected hosts that talk to others by themselves.
pub(super) const HOSTS: [[IpAddr; 3]; 2] = [
    [v4(0, 11), v4(0, 66), v4(0, 10)],
    [v6(2, 0x11), v6(2, 0x42), v6(2, 0x10)],
];

/// Where packets come from. In IPv6 several share a /64.
pub(super) const SOURCES: [[IpAddr; 7]; 2] = [
    [
        v4(2, 10),
        v4(2, 11),
        v4(2, 12),
        v4(2, 77),
        v4(3, 5),
        v4(3, 66),
        v4(2, 53),
    ],
    [
        v6(1, 0x10),
        v6(1, 0x11),
        v6(5, 0x12),
        v6(1, 0x77),
        v6(3, 5),
        v6(3, 0x66),
        v6(1, 0x53),
    ],
];

/// Destination ports that mean something somewhere, and some next to them.
pub(super) const PORTS: [u16; 20] = [
    80, 443, 22, 53, 8_080, 8_081, 8_443, 600, 512, 511, 1_023, 1_024, 700, 5_000, 5_001, 25, 67,
    68, 0, 65_535,
];

/// Networks that may hold a grant.
pub(super) const NETWORKS: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0),
    Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0),
    Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 0),
];

/// An EtherType that the site lets pass.
pub(super) const LISTED: u16 = 0x88f7;

/// A target in each prefix that holds servers.
fn on_servers(protocol: u8, ports: Option<(u16, u16)>) -> Vec<Target> {
    let nets = [
        prefix(v4(0, 0), 24),
        prefix(v4(1, 0), 24),
        prefix(v6(2, 0), 64),
        prefix(v6(4, 0), 64),
    ];
    nets.map(|net| Target {
        prefix: net,
        protocol: Some(protocol),
        ports: ports.map(|(first, last)| first..=last),
    })
    .to_vec()
}

/// A target on two addresses.
fn on(addresses: [IpAddr; 2], protocol: Option<u8>, port: Option<u16>) -> Vec<Target> {
    let target = |address: IpAddr| Target {
        prefix: prefix(address, if address.is_ipv4() { 32 } else { 128 }),
        protocol,
        ports: port.map(|port| port..=port),
    };
    addresses.map(target).to_vec()
}

fn service(id: u32, kind: Kind, targets: impl IntoIterator<Item = Vec<Target>>) -> Service {
    Service {
        id,
        kind,
        answer: Answer::Silence,
        targets: targets.into_iter().flatten().collect(),
        allow: Vec::new(),
    }
}

fn one(port: u16) -> Option<(u16, u16)> {
    Some((port, port))
}

fn services() -> Vec<Service> {
    let keep = Kind::Granted(AgentDown::Keep);
    let closed = Kind::Granted(AgentDown::Closed);
    let server = [v4(0, 10), v6(2, 0x10)];
    let mut ssh = service(
        SSH,
        Kind::Granted(AgentDown::NoNewConnections),
        [on_servers(6, one(22)), on_servers(17, one(600))],
    );
    ssh.allow = vec![prefix(v4(3, 0), 24), prefix(v6(3, 0), 64)];
    let web = [
        on_servers(6, one(80)),
        on_servers(6, one(443)),
        on_servers(17, one(53)),
        on_servers(132, one(5_000)),
        on_servers(136, one(5_001)),
    ];
    // On one server only, so that the others' own echo requests are remembered.
    let ping = [1, 58, 47].map(|protocol| on(server, Some(protocol), None));
    let open = Kind::Public(Rate {
        interval_ns: SECOND / 10,
        burst: 3,
    });
    let portal = Kind::Public(Rate {
        interval_ns: SECOND,
        burst: 5,
    });
    let answering = |answer, service| Service { answer, ..service };
    vec![
        answering(Answer::Reset, service(WEB, keep, web)),
        answering(Answer::Prohibited, ssh),
        answering(Answer::Prohibited, service(PING, closed, ping)),
        service(ALL, closed, [on([v4(0, 99), v6(2, 0x99)], None, None)]),
        service(OPEN, open, [on_servers(6, one(8_080))]),
        service(
            PORTAL,
            portal,
            [on([v4(2, 1), v6(1, 1)], Some(6), Some(8_443))],
        ),
        service(RANGE, keep, [on_servers(17, Some((512, 1_023)))]),
        service(FREE, Kind::Public(Rate::NONE), [on_servers(6, one(8_081))]),
    ]
}

/// The whole of it.
pub fn site() -> Config {
    let protected = |address, bits, other_ports| Protected {
        prefix: prefix(address, bits),
        other_ports,
    };
    Config {
        protected: vec![
            protected(v4(0, 0), 24, OtherPorts::Drop),
            protected(v4(0, 64), 28, OtherPorts::Pass),
            protected(v4(1, 0), 24, OtherPorts::Pass),
            protected(v6(2, 0), 64, OtherPorts::Drop),
            protected(v6(2, 0x40), 124, OtherPorts::Pass),
            protected(v6(4, 0), 64, OtherPorts::Pass),
        ],
        portal: vec![v4(2, 1), v6(1, 1)],
        services: services(),
        ether_types: vec![LISTED],
        icmp_errors: Rate {
            interval_ns: SECOND / 20,
            burst: 4,
        },
    }
}

/// Addresses that packets go to, some of them twice.
pub fn destinations() -> impl Iterator<Item = IpAddr> {
    DESTINATIONS.into_iter().flatten()
}
