//! The oracle against every agreed packet, and against the text of each row that remembers
//! something. The packets of the second kind are built here, with nothing borrowed.

mod answers;
mod fixtures;
mod flows;
mod fragments;
mod limits;

use std::net::IpAddr;

use super::*;

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const NOW: u64 = 1_000_000 * SECOND;

/// A server, protected, with ssh for granted sources and a public port 80.
pub(super) const SERVER: &str = "198.51.100.10";
pub(super) const SERVER6: &str = "2001:db8:2::10";
pub(super) const FRIEND: &str = "192.0.2.10";
pub(super) const FRIEND6: &str = "2001:db8:1::10";
pub(super) const STRANGER: &str = "192.0.2.77";
pub(super) const STRANGER6: &str = "2001:db8:1::77";

pub(super) const SSH: u32 = 1;
pub(super) const WEB: u32 = 2;

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn on_both(protocol: u8, port: u16) -> Vec<Target> {
    let target = |address| Target {
        prefix: address,
        protocol: Some(protocol),
        ports: Some(port..=port),
    };
    vec![
        target(prefix(ip("198.51.100.0"), 24)),
        target(prefix(ip("2001:db8:2::"), 64)),
    ]
}

/// The server's world, with these rates for the public port and for ICMP errors.
pub(super) fn world(public: Rate, icmp_errors: Rate, down: AgentDown) -> Oracle {
    let protected = |address, other_ports| Protected {
        prefix: address,
        other_ports,
    };
    let mut oracle = Oracle::new(Config {
        protected: vec![
            protected(prefix(ip("198.51.100.0"), 24), OtherPorts::Drop),
            protected(prefix(ip("2001:db8:2::"), 64), OtherPorts::Drop),
        ],
        portal: Vec::new(),
        services: vec![
            Service {
                id: SSH,
                kind: Kind::Granted(down),
                answer: Answer::Silence,
                targets: on_both(TCP, 22),
                allow: Vec::new(),
            },
            Service {
                id: WEB,
                kind: Kind::Public(public),
                answer: Answer::Silence,
                targets: on_both(TCP, 80),
                allow: Vec::new(),
            },
        ],
        ether_types: Vec::new(),
        icmp_errors,
    });
    for source in [FRIEND, FRIEND6] {
        oracle.grants.insert((ip(source), SSH), hour());
    }
    oracle
}

pub(super) fn plain() -> Oracle {
    world(Rate::NONE, Rate::NONE, AgentDown::Keep)
}

pub(super) fn hour() -> Grant {
    Grant {
        deadline_ns: NOW + 3_600 * SECOND,
        idle_ns: 0,
        last_seen_ns: NOW,
    }
}

/// A packet of either family, by the addresses.
pub(super) fn packet(from: &str, to: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (ip(from), ip(to)) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
            let head = [0x45, 0, total[0], total[1], 0, 9, 0, 0, 64, protocol, 0, 0];
            let addresses = [from.octets(), to.octets()].concat();
            [&[0; 12][..], &[8, 0], &head, &addresses, payload].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
            let head = [0x60, 0, 0, 0, length[0], length[1], protocol, 64];
            let addresses = [from.octets(), to.octets()].concat();
            [&[0; 12][..], &[0x86, 0xdd], &head, &addresses, payload].concat()
        }
        _ => panic!("{from} and {to}"),
    }
}

pub(super) const SYN: u8 = 2;
pub(super) const ACK: u8 = 16;
pub(super) const FIN: u8 = 1;
pub(super) const RST: u8 = 4;

pub(super) fn tcp(from: u16, to: u16, flags: u8) -> Vec<u8> {
    let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
    [&ports[..], &[0; 8], &[0x50, flags, 0, 0, 0, 0, 0, 0]].concat()
}

pub(super) fn udp(from: u16, to: u16) -> Vec<u8> {
    [from.to_be_bytes(), to.to_be_bytes(), [0, 8], [0, 0]].concat()
}

impl Oracle {
    pub(super) fn says(&mut self, frame: &[u8], now_ns: u64) -> Reason {
        self.judge(frame, now_ns).reason
    }
}
