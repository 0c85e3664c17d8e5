//! An answer instead of silence, where a service wants it: applications notice at once.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tests::{
    Agent, Rig,
    bench::Passing,
    rig::{Family, must_be_shut, replaced},
};

/// Far less than a client waits before it sends its first packet again.
const AT_ONCE: Duration = Duration::from_millis(500);

/// An ICMP error that comes while the kernel still sends is taken note of only at the next packet,
/// a second later (`sock_owned_by_user` in `tcp_v6_err`, net/ipv6/tcp_ipv6.c).
const SOON: Duration = Duration::from_secs(2);

/// `web` answers with a reset, `ssh` with "prohibited", `echo` not at all.
fn rig() -> Result<(Rig, Agent, Passing)> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let config = replaced(
        &rig.agent_config(),
        "name = \"web\"\n",
        "name = \"web\"\nanswer = \"reset\"\n",
    )?;
    let config = replaced(
        &config,
        "name = \"ssh\"\n",
        "name = \"ssh\"\nanswer = \"prohibited\"\n",
    )?;
    // A card sends what its program answers; a virtual link needs a program at its other end.
    let passing = Passing::on(&rig.layout.wire, "to-gate")?;
    let agent = Agent::start_with(&rig, &config)?;
    Ok((rig, agent, passing))
}

fn refused(
    rig: &Rig,
    family: Family,
    port: u16,
    kinds: &[ErrorKind],
    within: Duration,
) -> Result<()> {
    let started = clock();
    let to = rig.server(family, port);
    let error = match rig.layout.client.connect(to, Duration::from_secs(3))? {
        Ok(_) => anyhow::bail!("{to} is open"),
        Err(error) => error,
    };
    ensure!(kinds.contains(&error.kind()), "{to}: {error:?}");
    ensure!(
        started.elapsed() < within,
        "{to}: after {:?}",
        started.elapsed()
    );
    Ok(())
}

#[test]
fn a_service_that_wants_it_refuses_at_once_and_the_others_stay_silent() -> Result<()> {
    let (rig, agent, _passing) = rig()?;
    for family in Family::BOTH {
        refused(&rig, family, 80, &[ErrorKind::ConnectionRefused], AT_ONCE)?;
        // ICMP code 13 is EHOSTUNREACH to a socket, ICMPv6 code 1 is EACCES.
        let prohibited = [ErrorKind::HostUnreachable, ErrorKind::PermissionDenied];
        refused(&rig, family, 22, &prohibited, SOON)?;
        must_be_shut(&rig.layout.client, rig.server(family, 7))?;
    }
    ensure!(agent.count("NoGrant")? >= 6);
    // What is dropped for another reason is not answered.
    must_be_shut(&rig.layout.client, rig.server(Family::V4, 81))
}

#[test]
fn a_revoked_connection_is_reset() -> Result<()> {
    let (rig, agent, _passing) = rig()?;
    for family in Family::BOTH {
        let source = rig.source(family);
        agent.grant(source, "web", "alice", 300)?;
        let to = rig.server(family, 80);
        let mut stream = rig
            .layout
            .client
            .inside(|| TcpStream::connect_timeout(&to, Duration::from_secs(3)))??;
        stream.set_read_timeout(Some(Duration::from_secs(3)))?;
        let mut answer = [0; 4];
        stream.write_all(b"ping")?;
        stream.read_exact(&mut answer)?;
        agent.close_source(source)?;
        let started = clock();
        stream.write_all(b"ping")?;
        let error = match stream.read(&mut answer) {
            Ok(_) => anyhow::bail!("an answer came through a shut door"),
            Err(error) => error,
        };
        ensure!(error.kind() == ErrorKind::ConnectionReset, "{error:?}");
        ensure!(started.elapsed() < AT_ONCE);
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a refusal takes is what is tested"
)]
fn clock() -> Instant {
    Instant::now()
}
