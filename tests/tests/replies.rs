//! What protected hosts ask for themselves comes back, and nothing else: while everything is shut
//! to an outside host, the server fetches from that very host. And packets in pieces, and frames
//! that fill several buffers.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    lane::{Fate, Lane},
    packet::{self, UDP, V4},
    rig::{Family, must_be_shut},
};
use xtask::traffic;

const PATIENCE: Duration = Duration::from_secs(3);
/// Ports of the outside host.
const STREAMS: u16 = 9_090;
const DATAGRAMS: u16 = 9_053;

/// The outside host, which nobody granted anything, serves.
fn serve_outside(rig: &Rig) -> Result<()> {
    let any = IpAddr::from([0_u16; 8]);
    let client = &rig.layout.client;
    let listener = client.inside(|| TcpListener::bind((any, STREAMS)))??;
    thread::spawn(move || traffic::echo_streams(&listener));
    let socket = client.inside(|| UdpSocket::bind((any, DATAGRAMS)))??;
    thread::spawn(move || traffic::echo_datagrams(&socket));
    Ok(())
}

fn fetches(rig: &Rig, family: Family) -> Result<()> {
    rig.serve()?;
    serve_outside(rig)?;
    let agent = Agent::start(rig)?;
    let (client, server) = (&rig.layout.client, &rig.layout.server);
    let outside = |port| SocketAddr::new(rig.source(family), port);
    let own = rig.server(family, 0).ip();

    must_be_shut(client, rig.server(family, 80))?;

    let mut stream = server
        .inside(|| TcpStream::connect_timeout(&outside(STREAMS), PATIENCE))?
        .context("the server does not get an answer to its own connection")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"ping")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    ensure!(&answer == b"ping");

    let socket = server.inside(|| UdpSocket::bind((own, 0)))??;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(b"who", outside(DATAGRAMS))?;
    let (length, from) = socket
        .recv_from(&mut answer)
        .context("the server does not get an answer to its own question")?;
    ensure!(answer.get(..length) == Some(b"who") && from == outside(DATAGRAMS));
    ensure!(
        agent.count("Reply")? >= 4,
        "the answers passed by another row"
    );

    // The same outside host from a port that nobody asked, to the very port that asked.
    let stray = client.inside(|| UdpSocket::bind((rig.source(family), 0)))??;
    stray.send_to(b"let me in", socket.local_addr()?)?;
    socket.set_read_timeout(Some(Duration::from_millis(300)))?;
    ensure!(
        socket.recv_from(&mut answer).is_err(),
        "a datagram nobody asked for passed"
    );
    // And a connection to the port the server's own connection comes from.
    must_be_shut(client, stream.local_addr()?)?;
    must_be_shut(client, rig.server(family, 80))
}

#[test]
fn a_host_behind_the_gateway_fetches_from_a_host_it_is_shut_to() -> Result<()> {
    fetches(&Rig::gateway()?, Family::V4)
}

#[test]
fn a_host_behind_the_gateway_fetches_over_ipv6() -> Result<()> {
    fetches(&Rig::gateway()?, Family::V6)
}

#[test]
fn a_host_that_filters_itself_fetches_from_a_host_it_is_shut_to() -> Result<()> {
    let rig = Rig::host()?;
    let agent = rig.agent_config();
    // On a host the whole address is protected, so that its own ports need the answers, too.
    let [v4, v6] = rig.layout.server_at.both();
    let config = agent.replace("protect = []", &format!("protect = [\"{v4}\", \"{v6}\"]"));
    ensure!(config != agent, "the configuration changed its shape");
    rig.serve()?;
    serve_outside(&rig)?;
    let agent = Agent::start_with(&rig, &config)?;
    let outside = SocketAddr::new(rig.source(Family::V4), STREAMS);
    let mut stream = rig
        .layout
        .server
        .inside(|| TcpStream::connect_timeout(&outside, PATIENCE))?
        .context("the host does not get an answer to its own connection")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"ping")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    ensure!(agent.count("Reply")? >= 2);
    must_be_shut(&rig.layout.client, rig.server(Family::V4, 80))
}

/// A new agent takes over, and connections the server opened before go on.
#[test]
fn what_a_server_opened_survives_a_restart_of_the_agent() -> Result<()> {
    let rig = Rig::gateway()?;
    serve_outside(&rig)?;
    let agent = Agent::start(&rig)?;
    let outside = SocketAddr::new(rig.source(Family::V4), STREAMS);
    let mut stream = rig
        .layout
        .server
        .inside(|| TcpStream::connect_timeout(&outside, PATIENCE))??;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = [0; 4];
    stream.write_all(b"ping")?;
    stream.read_exact(&mut answer)?;
    drop(agent);
    stream.write_all(b"pong")?;
    stream.read_exact(&mut answer)?;
    let _agent = Agent::start(&rig)?;
    stream.write_all(b"ping")?;
    stream
        .read_exact(&mut answer)
        .context("the connection did not survive the restart")
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
