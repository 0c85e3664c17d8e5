//! Several interfaces in one configuration: two providers of a gateway, two outer ports of a bridge.
//! A grant holds on each, and what is shut is shut on each.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tests::{
    Agent, Rig,
    rig::{Family, must_be_open, must_be_shut, replaced},
    story,
};
use xtask::lab::{self, ETH, OUTER};

/// The gate's other outer interface, and the client's end of its cable.
const SECOND: &str = lab::SECOND.0;
const SECOND_ETH: &str = lab::SECOND.1;

/// The way by which the client's packets come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    First,
    Second,
}

impl Way {
    const BOTH: [Self; 2] = [Self::First, Self::Second];
}

/// Shut on both, opened once for both, closed once for both.
fn sandwich(rig: &Rig, take: impl Fn(Way) -> Result<()>) -> Result<()> {
    rig.serve()?;
    story::serve_outside(rig)?;
    let (client, server) = (&rig.layout.client, &rig.layout.server);
    let both = |then: &dyn Fn(Family) -> Result<()>| -> Result<()> {
        for way in Way::BOTH {
            take(way)?;
            Family::BOTH.into_iter().try_for_each(then)?;
        }
        Ok(())
    };
    let open = |family| must_be_open(client, rig.server(family, 80));
    let shut = |family| must_be_shut(client, rig.server(family, 80));
    // Answers to the server's own connections come by another interface than it asked by.
    let fetches = |family| {
        let outside = SocketAddr::new(rig.source(family), story::STREAMS);
        story::says(&mut story::connected(server, outside)?, b"ping")
    };

    // With the filter on the first interface only, the second is seen to be another way in.
    let agent = Agent::start(rig)?;
    take(Way::First)?;
    shut(Family::V4)?;
    take(Way::Second)?;
    open(Family::V4)?;

    let interfaces = format!("interfaces = [\"{OUTER}\", \"{SECOND}\"]");
    let one = format!("interfaces = [\"{OUTER}\"]");
    let config = replaced(&rig.agent_config(), &one, &interfaces)?;
    drop(agent);
    let agent = Agent::start_with(rig, &config)?;
    let status = agent.status()?;
    let attached: Vec<_> = status
        .interfaces
        .iter()
        .filter(|interface| interface.attached)
        .map(|interface| interface.name.as_str())
        .collect();
    ensure!(attached == [OUTER, SECOND], "{status:?}");
    let said = agent.cli_ok(&["status"])?;
    for name in [OUTER, SECOND] {
        let words = format!("{name} (native, program ");
        ensure!(said.contains(&words), "does not name {name}:\n{said}");
    }

    both(&shut)?;
    both(&fetches)?;
    for family in Family::BOTH {
        agent.grant(rig.source(family), "web", "alice", 300)?;
    }
    both(&open)?;
    for family in Family::BOTH {
        agent.close_source(rig.source(family))?;
    }
    both(&shut)
}

/// The client keeps its addresses; the second provider's network is only on its way.
#[test]
fn a_gateway_with_two_providers_opens_and_shuts_on_both() -> Result<()> {
    let rig = Rig::gateway()?;
    let (client, gate) = (&rig.layout.client, &rig.layout.gate);
    rig.layout.second_way()?;
    for (machine, interface, last) in [(gate, SECOND, 1), (client, SECOND_ETH, 2)] {
        machine.ip([
            format!("address add 203.0.113.{last}/24 dev {interface}").as_str(),
            format!("address add 2001:db8:3::{last}/64 dev {interface} nodad").as_str(),
        ])?;
    }
    let (v4, v6) = (rig.source(Family::V4), rig.source(Family::V6));
    sandwich(&rig, |way| {
        let (via4, via6) = match way {
            Way::First => ("192.0.2.1", "2001:db8:1::1"),
            Way::Second => ("203.0.113.1", "2001:db8:3::1"),
        };
        client.ip([
            format!("route replace default via {via4} src {v4}").as_str(),
            format!("route replace default via {via6} src {v6}").as_str(),
        ])
    })
}

/// The client moves from one port to the other with card and addresses.
#[test]
fn a_bridge_with_two_outer_ports_opens_and_shuts_on_both() -> Result<()> {
    let rig = Rig::bridge()?;
    let client = &rig.layout.client;
    rig.layout.second_way()?;
    let card = "2:0:0:0:0:a";
    let (v4, v6) = (rig.source(Family::V4), rig.source(Family::V6));
    sandwich(&rig, |way| {
        let (from, to) = match way {
            Way::First => (SECOND_ETH, ETH),
            Way::Second => (ETH, SECOND_ETH),
        };
        client.ip([
            format!("link set {from} down").as_str(),
            format!("address flush dev {from}").as_str(),
            format!("link set {to} address {card}").as_str(),
            format!("link set {to} up").as_str(),
            format!("address replace {v4}/24 dev {to}").as_str(),
            format!("address replace {v6}/64 dev {to} nodad").as_str(),
        ])
    })
}
