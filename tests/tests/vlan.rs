//! Tagged traffic in each topology, over real wires: a tag neither opens nor shuts anything, it
//! arrives as it was sent, and it may be in the frame or, as a card's offload has it, beside it.

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    bench::{Tag, Tags},
    packet::{QINQ, VLAN},
    rig::Family,
    story,
};
use xtask::{
    command,
    lab::{ETH, OUTER, Topology},
    net::Namespace,
};

/// Longer than an echo needs.
const ECHO: Duration = Duration::from_millis(150);

const CUSTOMER: &[Tag] = &[Tag { kind: VLAN, id: 7 }];
const PRIORITY: &[Tag] = &[Tag { kind: VLAN, id: 0 }];
const STACKED: &[Tag] = &[Tag { kind: QINQ, id: 7 }, Tag { kind: VLAN, id: 8 }];

/// Whether a datagram comes back. A new socket for each, so that no late echo counts.
fn echoes(from: &Namespace, to: SocketAddr) -> Result<bool> {
    from.inside(|| {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        socket.set_read_timeout(Some(ECHO))?;
        socket.send_to(b"tagged", to)?;
        Ok(socket.recv_from(&mut [0; 16]).is_ok())
    })?
}

/// Who puts on and takes off the tags: the client, and whoever is the next behind the filter that
/// looks at them. A bridge does not, it only forwards them.
fn ends(rig: &Rig, tags: &[Tag]) -> Result<[Tags; 2]> {
    let layout = &rig.layout;
    let far = match layout.topology {
        Topology::Gateway => Tags::on(&layout.gate, OUTER, tags),
        _ => Tags::on(&layout.server, layout.server_interface(), tags),
    };
    Ok([Tags::on(&layout.client, ETH, tags)?, far?])
}

/// A card that puts tags on by itself gets the frame without; ours are to write them themselves.
fn write_tags_into_frames(rig: &Rig) -> Result<()> {
    for (namespace, interface) in [(&rig.layout.client, ETH), (&rig.layout.wire, "to-gate")] {
        let mut ethtool = namespace.command("ethtool");
        ethtool.args(["-K", interface, "txvlan", "off"]);
        command::output(ethtool.args(["tx-vlan-stag-hw-insert", "off"]))?;
    }
    Ok(())
}

/// The first bytes behind the addresses of a dropped frame, as the filter saw them.
fn dropped_frame(agent: &Agent, from: &Namespace, to: SocketAddr) -> Result<String> {
    let packets = thread::scope(|scope| {
        let follow = ["drops", "--follow", "--reason", "NoGrant", "--count", "1"];
        let reader = scope.spawn(move || agent.cli_json_lines(&follow));
        for _ in 0..50 {
            if reader.is_finished() {
                break;
            }
            ensure!(!echoes(from, to)?, "{to} is open");
        }
        let read = reader.join();
        read.map_err(|_| anyhow::anyhow!("the reader panicked"))?
    })?;
    let frame = packets.first().and_then(|packet| packet["frame"].as_str());
    Ok(frame
        .and_then(|frame| frame.get(24..))
        .context("no frame was shown")?
        .to_owned())
}

/// What the filter sees where the tags are written into the frame.
fn written(tags: &[Tag], family: Family) -> String {
    let mut text = String::new();
    for tag in tags {
        text.push_str(&format!("{:04x}{:04x}", tag.kind, tag.id));
    }
    text.push_str(match family {
        Family::V4 => "0800",
        Family::V6 => "86dd",
    });
    text
}

fn sandwich(rig: &Rig, agent: &Agent, family: Family, seen: &str) -> Result<()> {
    let (client, echo) = (&rig.layout.client, rig.server(family, 7));
    let frame = dropped_frame(agent, client, echo)?;
    ensure!(
        frame.starts_with(seen),
        "the filter saw {frame}, not {seen}"
    );

    let before = agent.count("Granted")?;
    agent.grant(rig.source(family), "echo", "alice", 300)?;
    ensure!(echoes(client, echo)?, "{family:?}: granted and shut");
    ensure!(agent.count("Granted")? > before);

    let outside = SocketAddr::new(rig.source(family), story::STREAMS);
    story::says(&mut story::connected(&rig.layout.server, outside)?, b"ping")
        .context("the server does not get an answer to its own tagged connection")?;

    agent.close_source(rig.source(family))?;
    let before = agent.count("NoGrant")?;
    ensure!(!echoes(client, echo)?, "{family:?}: revoked and open");
    ensure!(agent.count("NoGrant")? > before);
    Ok(())
}

fn tagged_traffic(topology: Topology) -> Result<()> {
    let rig = Rig::of(topology)?;
    rig.serve()?;
    story::serve_outside(&rig)?;
    let agent = Agent::start(&rig)?;
    let beside = ends(&rig, CUSTOMER)?;
    for family in Family::BOTH {
        sandwich(&rig, &agent, family, &written(&[], family))
            .with_context(|| format!("{topology}, a tag beside the frame, {family:?}"))?;
    }
    drop(beside);
    write_tags_into_frames(&rig)?;
    for tags in [CUSTOMER, STACKED, PRIORITY] {
        let _ends = ends(&rig, tags)?;
        for family in Family::BOTH {
            sandwich(&rig, &agent, family, &written(tags, family))
                .with_context(|| format!("{topology}, {tags:?}, {family:?}"))?;
        }
    }
    // Who waits for tags takes nothing else: what arrived above carried them.
    let [at_client, _far] = ends(&rig, CUSTOMER)?;
    drop(at_client);
    agent.grant(rig.source(Family::V4), "echo", "alice", 300)?;
    ensure!(!echoes(&rig.layout.client, rig.server(Family::V4, 7))?);
    Ok(())
}

#[test]
fn tagged_traffic_opens_and_shuts_on_a_gateway() -> Result<()> {
    tagged_traffic(Topology::Gateway)
}

#[test]
fn tagged_traffic_opens_and_shuts_on_a_host() -> Result<()> {
    tagged_traffic(Topology::Host)
}

/// The server takes the tags off: so they came out of the inner port as they went into the outer.
#[test]
fn tagged_traffic_opens_and_shuts_over_a_bridge_and_stays_tagged() -> Result<()> {
    tagged_traffic(Topology::Bridge)
}
