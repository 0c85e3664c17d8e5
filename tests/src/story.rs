//! What must hold wherever the filter stands. Each is a sandwich on real packets: shut, opened, the
//! neighbour still shut, closed, shut; a test says on which network it is told.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use xtask::{
    net::Namespace,
    traffic::{self, FlowReport},
};

use crate::{
    Agent, Rig,
    rig::{Family, must_be_open, must_be_shut},
};

const PATIENCE: Duration = Duration::from_secs(3);
/// Ports of the outside host.
pub const STREAMS: u16 = 9_090;
const DATAGRAMS: u16 = 9_053;

/// Shut, opened for one service and one source, closed, shut.
pub fn opens_and_shuts(rig: &Rig, family: Family) -> Result<()> {
    opens_and_shuts_with(rig, &rig.agent_config(), family)
}

/// The same with a configuration that has the rig's `web` and `ssh`.
pub fn opens_and_shuts_with(rig: &Rig, config: &str, family: Family) -> Result<()> {
    rig.serve()?;
    let (client, neighbour) = (&rig.layout.client, &rig.layout.neighbour);
    let (web, ssh) = (rig.server(family, 80), rig.server(family, 22));
    must_be_open(client, web).context("before the filter everything is open")?;

    let agent = Agent::start_with(rig, config)?;
    must_be_shut(client, web)?;
    must_be_shut(neighbour, web)?;

    let grant = agent.grant(rig.source(family), "web", "alice", 300)?;
    ensure!(
        grant.in_kernel,
        "a grant was reported that the kernel does not have"
    );
    must_be_open(client, web)?;
    must_be_shut(neighbour, web)?;
    must_be_shut(client, ssh)?;

    ensure!(agent.close_source(rig.source(family))? == 1);
    must_be_shut(client, web)
}

/// The next packet of a running connection is dropped, and the connection goes on when its source
/// is granted again.
pub fn revocation_cuts_a_running_connection(rig: &Rig, family: Family) -> Result<()> {
    rig.serve()?;
    let agent = Agent::start(rig)?;
    let source = rig.source(family);
    agent.grant(source, "echo", "alice", 300)?;
    let mut stream = connected(&rig.layout.client, rig.server(family, 7))?;
    says(&mut stream, b"ping")?;

    let admitted = agent.count("Granted")?;
    ensure!(admitted > 0);
    agent.close_source(source)?;
    let settled = agent.count("Granted")?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut answer = [0; 4];
    stream.write_all(b"ping")?;
    ensure!(
        stream.read(&mut answer).is_err(),
        "an answer came through a shut door"
    );
    ensure!(
        agent.count("Granted")? == settled,
        "a packet passed after the revocation"
    );
    ensure!(agent.count("NoGrant")? > 0, "nothing was dropped");

    agent.grant(source, "echo", "alice", 300)?;
    // The kernel sends what is outstanding again by itself, within a second or two.
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream
        .read_exact(&mut answer)
        .context("the connection did not go on when opened again")
}

/// While everything is shut to an outside host, the server fetches from that very host.
pub fn the_server_fetches_from_a_host_it_is_shut_to(rig: &Rig, family: Family) -> Result<()> {
    rig.serve()?;
    serve_outside(rig)?;
    let agent = Agent::start(rig)?;
    let (client, server) = (&rig.layout.client, &rig.layout.server);
    let outside = |port| SocketAddr::new(rig.source(family), port);
    let own = rig.server(family, 0).ip();

    must_be_shut(client, rig.server(family, 80))?;

    let mut stream = connected(server, outside(STREAMS))
        .context("the server does not get an answer to its own connection")?;
    says(&mut stream, b"ping")?;

    let socket = server.inside(|| UdpSocket::bind((own, 0)))??;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(b"who", outside(DATAGRAMS))?;
    let mut answer = [0; 4];
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

/// Killed and started again under traffic: nothing granted is lost, nobody else is let in.
pub fn the_agent_comes_and_goes(rig: &Rig) -> Result<()> {
    rig.serve()?;
    let mut first = Agent::start(rig)?;
    first.grant(rig.source(Family::V4), "echo", "alice", 300)?;
    let (second, granted, stranger) = under_traffic(rig, Duration::from_millis(2500), || {
        first.daemon.kill()?;
        Agent::start(rig)
    })?;
    nothing_lost_nobody_in(&granted, &stranger)?;
    let status = second.status()?;
    ensure!(status.took_over && status.holders == 1, "{status:?}");
    ensure!(second.close_source(rig.source(Family::V4))? == 1);
    must_be_shut(&rig.layout.client, rig.server(Family::V4, 7))
}

/// A granted flow of the client and a stranger's of the neighbour, while something happens.
pub fn under_traffic<T>(
    rig: &Rig,
    length: Duration,
    event: impl FnOnce() -> Result<T>,
) -> Result<(T, FlowReport, FlowReport)> {
    let to = rig.server(Family::V4, 7);
    let flow = |from: &Namespace| {
        let from = from.clone();
        thread::spawn(move || from.inside(|| traffic::flow(to, 500, length))?)
    };
    let (granted, stranger) = (flow(&rig.layout.client), flow(&rig.layout.neighbour));
    thread::sleep(Duration::from_millis(200));
    let happened = event();
    let granted = granted.join().ok().context("a flow panicked")??;
    let stranger = stranger.join().ok().context("a flow panicked")??;
    Ok((happened?, granted, stranger))
}

pub fn nothing_lost_nobody_in(granted: &FlowReport, stranger: &FlowReport) -> Result<()> {
    ensure!(
        granted.sent > 100 && granted.lost() == 0,
        "the granted flow: {granted:?}"
    );
    ensure!(
        stranger.sent > 100 && stranger.returned == 0,
        "the stranger's flow: {stranger:?}"
    );
    Ok(())
}

/// The client, which nobody granted anything, echoes streams and datagrams.
pub fn serve_outside(rig: &Rig) -> Result<()> {
    let any = IpAddr::from([0_u16; 8]);
    let client = &rig.layout.client;
    let listener = client.inside(|| TcpListener::bind((any, STREAMS)))??;
    thread::spawn(move || traffic::echo_streams(&listener));
    let socket = client.inside(|| UdpSocket::bind((any, DATAGRAMS)))??;
    thread::spawn(move || traffic::echo_datagrams(&socket));
    Ok(())
}

/// A connection with a patience for reading.
pub fn connected(from: &Namespace, to: SocketAddr) -> Result<TcpStream> {
    let stream = from
        .inside(|| TcpStream::connect_timeout(&to, PATIENCE))?
        .with_context(|| format!("{} does not reach {to}", from.name()))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends four bytes to an echo and wants them back.
pub fn says(stream: &mut TcpStream, word: &[u8; 4]) -> Result<()> {
    let mut answer = [0; 4];
    stream.write_all(word)?;
    stream.read_exact(&mut answer)?;
    ensure!(&answer == word, "the echo said {answer:?}");
    Ok(())
}
