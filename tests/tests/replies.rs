//! What protected hosts ask for themselves comes back, and nothing else: while everything is shut
//! to an outside host, the server fetches from that very host. And packets in pieces, and frames
//! that fill several buffers.

use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    lane::{Fate, Lane},
    packet::{self, UDP, V4},
    rig::Family,
    story,
};

const PATIENCE: Duration = Duration::from_secs(3);

#[test]
fn a_host_behind_the_gateway_fetches_from_a_host_it_is_shut_to() -> Result<()> {
    story::the_server_fetches_from_a_host_it_is_shut_to(&Rig::gateway()?, Family::V4)
}

#[test]
fn a_host_behind_the_gateway_fetches_over_ipv6() -> Result<()> {
    story::the_server_fetches_from_a_host_it_is_shut_to(&Rig::gateway()?, Family::V6)
}

/// A new agent takes over, and connections the server opened before go on.
#[test]
fn what_a_server_opened_survives_a_restart_of_the_agent() -> Result<()> {
    let rig = Rig::gateway()?;
    story::serve_outside(&rig)?;
    let outside = SocketAddr::new(rig.source(Family::V4), story::STREAMS);
    let agent = Agent::start(&rig)?;
    let mut stream = story::connected(&rig.layout.server, outside)?;
    story::says(&mut stream, b"ping")?;
    drop(agent);
    story::says(&mut stream, b"pong")?;
    let _agent = Agent::start(&rig)?;
    story::says(&mut stream, b"ping").context("the connection did not survive the restart")
}

/// Datagrams larger than the link come in pieces: all of them pass with a grant, none without.
#[test]
fn large_datagrams_pass_in_pieces_with_a_grant_and_not_without() -> Result<()> {
    for family in Family::BOTH {
        let rig = Rig::gateway()?;
        rig.serve()?;
        let agent = Agent::start(&rig)?;
        let source = rig.source(family);
        let socket = rig
            .layout
            .client
            .inside(|| UdpSocket::bind((source, 0)))??;
        let large = vec![7; 4_000];
        let mut answer = vec![0; 8_000];
        socket.send_to(&large, rig.server(family, 7))?;
        socket.set_read_timeout(Some(Duration::from_millis(300)))?;
        ensure!(
            socket.recv_from(&mut answer).is_err(),
            "pieces passed without a grant"
        );
        ensure!(agent.count("FragmentUnknown")? >= 1);

        agent.grant(source, "echo", "alice", 300)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(&large, rig.server(family, 7))?;
        let (length, _) = socket
            .recv_from(&mut answer)
            .with_context(|| format!("{family:?}: the pieces of a granted datagram do not pass"))?;
        ensure!(length == large.len());
        ensure!(agent.count("Fragment")? >= 2);
    }
    Ok(())
}

/// Jumbo frames, which a driver hands over in several buffers.
#[test]
fn jumbo_frames_pass_with_a_grant_and_not_without() -> Result<()> {
    let rig = Rig::gateway()?;
    let layout = &rig.layout;
    let links = [
        (&layout.wire, "switch"),
        (&layout.wire, "to-client"),
        (&layout.wire, "to-gate"),
        (&layout.client, "eth0"),
        (&layout.gate, "outer"),
        (&layout.gate, "inner"),
        (&layout.server, "eth0"),
    ];
    for (namespace, link) in links {
        namespace.ip([format!("link set {link} mtu 9000").as_str()])?;
    }
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    for family in Family::BOTH {
        let source = rig.source(family);
        let socket = layout.client.inside(|| UdpSocket::bind((source, 0)))??;
        let large = vec![7; 8_000];
        let mut answer = vec![0; 9_000];
        socket.send_to(&large, rig.server(family, 7))?;
        socket.set_read_timeout(Some(Duration::from_millis(300)))?;
        ensure!(
            socket.recv_from(&mut answer).is_err(),
            "a jumbo frame passed without a grant"
        );
        agent.grant(source, "echo", "alice", 300)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(&large, rig.server(family, 7))?;
        let (length, _) = socket
            .recv_from(&mut answer)
            .with_context(|| format!("{family:?}: a granted jumbo frame does not pass"))?;
        ensure!(length == large.len());
    }
    ensure!(agent.count("Fragment")? == 0, "the frames came in pieces");
    ensure!(agent.count("Malformed")? == 0);
    Ok(())
}

/// RFC 2131 section 4.1: a client asks everybody, before it has an address, and any server answers.
/// Nobody has to open port 68 for that.
#[test]
fn a_lease_is_answered_when_it_was_asked_for_and_only_then() -> Result<()> {
    let mut lane = Lane::open()?;
    let (server, client) = (lane.stranger.0, lane.server.0);
    let answer = |lane: &Lane, from, to| -> Result<Vec<u8>> {
        let payload = packet::udp(from, to, b"lease")?;
        Ok(lane.v4(&V4::default().packet(server, client, UDP, &payload)?))
    };
    let (lease, other) = (answer(&lane, 67, 68)?, answer(&lane, 67, 69)?);
    lane.expect(&lease, "NoService", Fate::Vanishes)?;
    let payload = packet::udp(68, 67, b"who")?;
    let request = V4::default().packet([0; 4].into(), [255; 4].into(), UDP, &payload)?;
    lane.leave(&packet::frame([0xff; 6], packet::IPV4, &request))?;
    lane.expect(&lease, "Reply", Fate::Passes)?;
    lane.expect(&other, "NoService", Fate::Vanishes)
}
