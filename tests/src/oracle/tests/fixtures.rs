//! Every agreed packet of filter-core, in the world they are agreed in.

use filter_core::fixtures::{self, Setting};

use super::*;
use crate::oracle::tables::{Bucket, FlowKey, State};

fn target(address: &str, bits: u32, protocol: Option<u8>, ports: Option<(u16, u16)>) -> Target {
    Target {
        prefix: prefix(ip(address), bits),
        protocol,
        ports: ports.map(|(first, last)| first..=last),
    }
}

/// A target in each prefix of the servers.
fn on_servers(protocol: u8, ports: Option<(u16, u16)>) -> Vec<Target> {
    [
        ("198.51.100.0", 24),
        ("198.51.101.0", 24),
        ("2001:db8:2::", 64),
    ]
    .map(|(address, bits)| target(address, bits, Some(protocol), ports))
    .to_vec()
}

fn one(port: u16) -> Option<(u16, u16)> {
    Some((port, port))
}

fn granted(id: u32, targets: Vec<Target>) -> Service {
    Service {
        id,
        kind: Kind::Granted(AgentDown::Keep),
        answer: Answer::Silence,
        targets,
        allow: Vec::new(),
    }
}

fn public(id: u32, targets: Vec<Target>) -> Service {
    Service {
        kind: Kind::Public(Rate::NONE),
        ..granted(id, targets)
    }
}

fn guarded(id: u32, down: AgentDown, targets: Vec<Target>) -> Service {
    Service {
        kind: Kind::Granted(down),
        ..granted(id, targets)
    }
}

/// What came before the packets: first fragments, flows of the server, rates used up.
fn remember(oracle: &mut Oracle) {
    for (from, to, id, age, end) in [
        ("192.0.2.10", "198.51.100.10", 0x1111, 1, 1_480),
        ("192.0.2.10", "198.51.100.10", 0x2222, 31, 1_480),
        ("2001:db8:1::a", "2001:db8:2::a", 0x1111, 1, 1_448),
    ] {
        let first = First {
            protocol: UDP,
            id,
            end,
        };
        let seen = NOW - age * SECOND;
        oracle.fragments.record(ip(from), ip(to), first, seen);
    }
    for (own, peer, echo) in [
        ("198.51.100.10", "203.0.113.200", 1),
        ("2001:db8:2::a", "2001:db8:5::35", 58),
    ] {
        for (own_port, peer_port, protocol, age, state) in [
            (40_001, 443, TCP, 1, State::SynSent),
            (40_002, 443, TCP, 3_600, State::Established),
            (40_003, 443, TCP, 7_441, State::Established),
            (40_004, 53, UDP, 1, State::Unreplied),
            (40_005, 53, UDP, 31, State::Unreplied),
            (40_006, 0, echo, 1, State::Echo),
        ] {
            let key = FlowKey {
                protocol,
                own: ip(own),
                own_port,
                peer: ip(peer),
                peer_port,
            };
            oracle.flows.open(key, state, NOW - age * SECOND);
        }
    }
    let lease = packet("0.0.0.0", "255.255.255.255", UDP, &udp(68, 67));
    oracle.outgoing(&lease, NOW);
    let hour = Rate {
        interval_ns: 3_600 * SECOND,
        burst: 1,
    };
    let hasty = Bucket::Public(8, ip("192.0.2.88"));
    let lax = Bucket::IcmpErrors(ip("198.51.101.10"));
    for bucket in [hasty, lax] {
        assert!(oracle.buckets.take(bucket, hour, NOW));
    }
}

/// What `filter_core::fixtures::World` holds, as a person would configure it.
fn agreed_world() -> Oracle {
    let protected = |address, bits, other_ports| Protected {
        prefix: prefix(ip(address), bits),
        other_ports,
    };
    let web = [
        on_servers(6, one(80)),
        on_servers(6, one(443)),
        on_servers(17, one(53)),
        on_servers(132, one(5_000)),
        on_servers(136, one(5_001)),
    ];
    let ping = [
        on_servers(1, None),
        on_servers(58, None),
        on_servers(47, None),
    ];
    let mut ssh = granted(
        2,
        [on_servers(6, one(22)), on_servers(17, one(600))].concat(),
    );
    ssh.allow = vec![
        prefix(ip("203.0.113.0"), 24),
        prefix(ip("2001:db8:3::"), 64),
    ];
    let everything = vec![
        target("198.51.100.99", 32, None, None),
        target("2001:db8:2::63", 128, None, None),
    ];
    let portal = vec![
        target("192.0.2.1", 32, Some(6), one(8443)),
        target("2001:db8:1::1", 128, Some(6), one(8443)),
    ];
    let rated = Service {
        kind: Kind::Public(Rate {
            interval_ns: SECOND,
            burst: 3,
        }),
        ..public(8, on_servers(6, one(8081)))
    };
    let mut oracle = Oracle::new(Config {
        protected: vec![
            protected("198.51.100.0", 24, OtherPorts::Drop),
            protected("198.51.101.0", 24, OtherPorts::Pass),
            protected("2001:db8:2::", 64, OtherPorts::Drop),
        ],
        portal: vec![ip("192.0.2.1"), ip("2001:db8:1::1")],
        services: vec![
            granted(1, web.concat()),
            ssh,
            granted(3, ping.concat()),
            granted(4, everything),
            public(5, on_servers(6, one(8080))),
            public(6, portal),
            granted(7, on_servers(17, Some((512, 1023)))),
            rated,
            guarded(9, AgentDown::Closed, on_servers(6, one(9001))),
            guarded(
                10,
                AgentDown::NoNewConnections,
                [on_servers(6, one(9002)), on_servers(17, one(9002))].concat(),
            ),
        ],
        ether_types: vec![0x88f7],
        icmp_errors: Rate {
            interval_ns: SECOND,
            burst: 1,
        },
    });
    oracle.alive_until_ns = NOW - SECOND;
    let network = "2001:db8:4::".parse().unwrap();
    oracle.prefix_grants.insert((network, 1), hour());
    remember(&mut oracle);
    oracle.denies = vec![
        (prefix(ip("203.0.113.66"), 32), NOW + 3_600 * SECOND),
        (prefix(ip("203.0.113.67"), 32), NOW - SECOND),
        (prefix(ip("2001:db8:3::42"), 128), NOW + 3_600 * SECOND),
    ];
    let live = hour();
    let ended = Grant {
        deadline_ns: NOW - SECOND,
        ..live
    };
    let silent = Grant {
        idle_ns: SECOND,
        last_seen_ns: NOW - 10 * SECOND,
        ..live
    };
    for (source, service, grant) in [
        ("192.0.2.10", 1, live),
        ("192.0.2.10", 3, live),
        ("192.0.2.10", 4, live),
        ("192.0.2.10", 7, live),
        ("192.0.2.10", 9, live),
        ("192.0.2.10", 10, live),
        ("192.0.2.11", 1, ended),
        ("192.0.2.12", 1, silent),
        ("2001:db8:1::a", 1, live),
        ("2001:db8:1::a", 3, live),
        ("2001:db8:1::b", 1, ended),
    ] {
        oracle.grants.insert((ip(source), service), grant);
    }
    oracle
}

#[test]
fn every_fixture_gets_its_reason_and_verdict_under_every_setting() {
    for setting in Setting::ALL {
        for fixture in fixtures::all() {
            let mut oracle = agreed_world();
            oracle.observe = setting == Setting::Observe;
            oracle.lockdown = setting == Setting::Lockdown;
            let verdict = oracle.judge(&fixture.frame, NOW);
            let agreed = setting.reason(fixture.reason);
            assert_eq!(
                verdict.reason as u32,
                agreed as u32,
                "{setting:?}: {}: the oracle says {:?}, agreed is {}",
                fixture.name,
                verdict.reason,
                agreed.name()
            );
            let (_, passes) = setting.outcome(fixture.reason);
            assert_eq!(verdict.passes, passes, "{setting:?}: {}", fixture.name);
        }
    }
}

#[test]
fn reasons_have_the_numbers_names_and_actions_of_the_counters() {
    for ours in Reason::ALL {
        let Some(theirs) = filter_abi::Reason::ALL.get(ours as usize) else {
            continue;
        };
        assert_eq!(format!("{ours:?}"), theirs.name());
        let passes = matches!(theirs.action(), filter_abi::Action::Pass);
        assert_eq!(ours.passes(), passes, "{ours:?}");
        assert_eq!(
            ours.opened_by_observe(),
            theirs.opened_by_observe(),
            "{ours:?}"
        );
    }
}
