//! A link on the way that carries less than the server's own: the router before it says so with an
//! ICMP error, which has to reach the protected server, or its large packets vanish for ever.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    rig::{Family, Machine, must_be_shut},
    story,
};
use xtask::{
    command,
    lab::{ETH, Topology},
    net::Namespace,
};

/// What the narrow link carries.
const NARROW: &str = "1400";
/// More than a connection has under way at first.
const LENGTH: usize = 300_000;
const PATIENCE: Duration = Duration::from_secs(5);

/// A router on the clients' wire, and a host behind its narrow link.
struct Beyond {
    _router: Machine,
    far: Machine,
}

impl Beyond {
    fn put(rig: &Rig) -> Result<Self> {
        let layout = &rig.layout;
        let (router, far) = (rig.machine("router")?, rig.machine("far")?);
        layout.plug("to-router", &router, "near")?;
        router.cable("narrow", &far, ETH)?;
        router.forward()?;
        router.ip([
            "address add 192.0.2.254/24 dev near",
            "address add 2001:db8:1::254/64 dev near nodad",
            "address add 203.0.113.1/24 dev narrow",
            "address add 2001:db8:3::1/64 dev narrow nodad",
            format!("link set narrow mtu {NARROW}").as_str(),
        ])?;
        far.ip([
            "address add 203.0.113.10/24 dev eth0",
            "address add 2001:db8:3::10/64 dev eth0 nodad",
            "route add default via 203.0.113.1",
            "route add default via 2001:db8:3::1",
        ])?;
        let back = [
            "route add 203.0.113.0/24 via 192.0.2.254",
            "route add 2001:db8:3::/64 via 2001:db8:1::254",
        ];
        if layout.topology == Topology::Gateway {
            layout.gate.ip(back)?;
            router.ip([
                format!("route add default via {}", layout.gate_at.v4).as_str(),
                format!("route add default via {}", layout.gate_at.v6).as_str(),
            ])?;
        } else {
            layout.server.ip(back)?;
        }
        Ok(Self {
            _router: router,
            far,
        })
    }

    fn address(family: Family) -> Result<IpAddr> {
        Ok(match family {
            Family::V4 => "203.0.113.10".parse()?,
            Family::V6 => "2001:db8:3::10".parse()?,
        })
    }
}

fn listen(at: &Namespace, port: u16) -> Result<TcpListener> {
    let any = IpAddr::from([0_u16; 8]);
    Ok(at.inside(|| TcpListener::bind((any, port)))??)
}

fn give(mut stream: TcpStream) -> Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&vec![7; LENGTH])?;
    Ok(())
}

fn take(mut stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut all = Vec::new();
    let ended = stream.read_to_end(&mut all);
    ensure!(
        all.len() == LENGTH,
        "{} of {LENGTH} bytes arrived: {ended:?}",
        all.len()
    );
    Ok(())
}

/// What the server knows of the way.
fn learned(rig: &Rig, to: IpAddr) -> Result<String> {
    let mut ip = rig.layout.server.command("ip");
    command::output(ip.args(["route", "get", &to.to_string()]))
}

/// Runs a transfer from the server to the far host, and sees that the way's size was learned.
fn large_packets(
    rig: &Rig,
    agent: &Agent,
    family: Family,
    transfer: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let size = format!("mtu {NARROW}");
    let far = Beyond::address(family)?;
    let route = learned(rig, far)?;
    ensure!(!route.contains(&size), "known before: {route}");
    let before = agent.count("IcmpError")?;
    transfer().with_context(|| format!("{family:?} on a {}", rig.layout.topology))?;
    ensure!(
        agent.count("IcmpError")? > before,
        "{family:?}: no error was needed, so what was tested?"
    );
    let route = learned(rig, far)?;
    ensure!(route.contains(&size), "not learned: {route}");
    Ok(())
}

fn download(topology: Topology) -> Result<()> {
    let rig = Rig::of(topology)?;
    let beyond = Beyond::put(&rig)?;
    let listener = listen(&rig.layout.server, 80)?;
    thread::spawn(move || listener.incoming().flatten().try_for_each(give));
    let agent = Agent::start(&rig)?;
    for family in Family::BOTH {
        let web = rig.server(family, 80);
        must_be_shut(&beyond.far, web)?;
        agent.grant(Beyond::address(family)?, "web", "alice", 300)?;
        large_packets(&rig, &agent, family, || {
            take(story::connected(&beyond.far, web)?)
        })?;
    }
    Ok(())
}

fn upload(topology: Topology) -> Result<()> {
    let rig = Rig::of(topology)?;
    let beyond = Beyond::put(&rig)?;
    let listener = listen(&beyond.far, story::STREAMS)?;
    let agent = Agent::start(&rig)?;
    for family in Family::BOTH {
        let outside = SocketAddr::new(Beyond::address(family)?, story::STREAMS);
        large_packets(&rig, &agent, family, || {
            let stream = story::connected(&rig.layout.server, outside)?;
            let sender = thread::spawn(move || give(stream));
            let (stream, _) = listener.accept()?;
            take(stream)?;
            sender.join().ok().context("the sender panicked")?
        })?;
        ensure!(agent.count("Reply")? > 0);
        must_be_shut(&beyond.far, rig.server(family, 80))?;
    }
    Ok(())
}

#[test]
fn a_granted_client_beyond_a_narrow_link_downloads_through_a_gateway() -> Result<()> {
    download(Topology::Gateway)
}

#[test]
fn a_granted_client_beyond_a_narrow_link_downloads_from_a_host() -> Result<()> {
    download(Topology::Host)
}

#[test]
fn a_granted_client_beyond_a_narrow_link_downloads_over_a_bridge() -> Result<()> {
    download(Topology::Bridge)
}

#[test]
fn a_server_behind_a_gateway_uploads_over_a_narrow_link() -> Result<()> {
    upload(Topology::Gateway)
}

#[test]
fn a_host_uploads_over_a_narrow_link() -> Result<()> {
    upload(Topology::Host)
}

#[test]
fn a_server_behind_a_bridge_uploads_over_a_narrow_link() -> Result<()> {
    upload(Topology::Bridge)
}
