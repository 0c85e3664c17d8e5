//! A host that gets its address from the network keeps it: by DHCP, from a real server to a real
//! client, and by router advertisement. Neither opens a port to the world.

use std::{
    fs,
    net::Ipv6Addr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use etherparse::PacketBuilder;
use nix::sys::signal::Signal;
use tests::{
    Agent, Rig,
    packet::{self, IPV4, UDP, V4, udp},
    rig::{Family, must_be_open, must_be_shut, replaced},
    tools::{self, Daemon},
    wire::Wire,
};
use xtask::{
    command,
    lab::{ETH, OUTER},
};

/// The one address that is there to be had.
const LEASED: &str = "192.0.2.50";
const EVERYBODY: [u8; 6] = [0xff; 6];
const ALL_NODES: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// The rig's configuration, with more that is protected.
fn protecting(rig: &Rig, more: &str) -> Result<String> {
    let list = "protect = [";
    replaced(&rig.agent_config(), list, &format!("{list}\"{more}\", "))
}

/// Asks until it is so; ten seconds are enough for anything here.
fn until(what: &str, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    for _ in 0..200 {
        if so()? {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("not within ten seconds: {what}")
}

/// A server on the neighbour with one address to give away.
fn server(rig: &Rig) -> Result<Daemon> {
    let path = |name: &str| rig.path(name).display().to_string();
    fs::write(rig.path("leases"), "")?;
    let config = format!(
        "start {LEASED}\nend {LEASED}\ninterface {ETH}\nlease_file {}\npidfile {}\n\
         option subnet 255.255.255.0\noption lease 600\n",
        path("leases"),
        path("udhcpd.pid"),
    );
    fs::write(rig.path("udhcpd.conf"), config)?;
    let mut udhcpd = rig.layout.neighbour.command(tools::program("busybox")?);
    udhcpd
        .args(["udhcpd", "-f", "-a", "50"])
        .arg(rig.path("udhcpd.conf"));
    Daemon::start("udhcpd", udhcpd, rig.path("udhcpd.log"))
}

/// A client on the host, which writes down in `events` what happens to its address.
fn client(rig: &Rig, events: &Path) -> Result<Daemon> {
    let script = rig.path("udhcpc.sh");
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = bound ] && ip address add $ip/24 dev {OUTER}\n\
         echo \"$1 $ip\" >> {}\n",
        events.display()
    );
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let mut udhcpc = rig.layout.gate.command(tools::program("busybox")?);
    udhcpc
        .args(["udhcpc", "-f", "-i", OUTER, "-t", "8", "-T", "1", "-s"])
        .arg(script);
    Daemon::start("udhcpc", udhcpc, rig.path("udhcpc.log"))
}

#[test]
fn an_address_by_dhcp_is_got_and_renewed_and_its_port_is_shut_to_others() -> Result<()> {
    let rig = Rig::host()?;
    rig.serve()?;
    rig.layout
        .gate
        .ip([format!("address flush dev {OUTER} scope global").as_str()])?;
    let agent = Agent::start_with(&rig, &protecting(&rig, LEASED)?)?;

    let mut wire = Wire::open(&rig.layout.client, ETH)?;
    let mut refused = |from_port: u16, when: &str| -> Result<()> {
        let before = agent.count("NoService")?;
        let payload = udp(from_port, 68, b"an offer nobody asked for")?;
        let source = rig.layout.client_at.v4;
        let packet = V4::default().packet(source, LEASED.parse()?, UDP, &payload)?;
        wire.send(&packet::frame(EVERYBODY, IPV4, &packet))?;
        until(when, || Ok(agent.count("NoService")? == before + 1))
    };
    refused(67, "an offer is dropped before anything was asked")?;

    let events: PathBuf = rig.path("events");
    let happened = |what: &str| -> Result<bool> {
        let text = fs::read_to_string(&events).unwrap_or_default();
        Ok(text.lines().any(|line| line == format!("{what} {LEASED}")))
    };
    let _server = server(&rig)?;
    let host = client(&rig, &events)?;
    until("an address", || happened("bound")).with_context(|| host.log())?;
    let asked = agent.count("Reply")?;
    host.signal(Signal::SIGUSR1)?;
    until("the address again", || happened("renew")).with_context(|| host.log())?;
    ensure!(
        agent.count("Reply")? > asked,
        "the answer passed by another row"
    );
    refused(4_000, "what does not come from a server's port is dropped")?;
    let at = |port| -> Result<std::net::SocketAddr> {
        Ok((LEASED.parse::<std::net::Ipv4Addr>()?, port).into())
    };
    must_be_shut(&rig.layout.client, at(68)?)?;
    must_be_shut(&rig.layout.client, at(80)?)
}

/// A router advertisement (RFC 4861 §4.2) of a prefix (§4.6.2) for so many seconds.
fn advertisement(to: Ipv6Addr, hop_limit: u8, seconds: u32) -> Result<Vec<u8>> {
    let mut prefix = vec![3, 4, 64, 0xc0];
    prefix.extend(seconds.to_be_bytes());
    prefix.extend(seconds.to_be_bytes());
    prefix.extend([0; 4]);
    prefix.extend("2001:db8:9::".parse::<Ipv6Addr>()?.octets());
    // Reachable and retransmission times: as the host likes.
    let body = [vec![0; 8], prefix].concat();
    let router: Ipv6Addr = "fe80::fe".parse()?;
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(packet::FROM, ALL_NODES)
        .ipv6(router.octets(), to.octets(), hop_limit)
        .icmpv6_raw(134, 0, [64, 0, 7, 8])
        .write(&mut frame, &body)
        .context("the packet cannot be built")?;
    Ok(frame)
}

/// Address and seconds it has yet to live, of the prefix that is advertised.
fn advertised(rig: &Rig) -> Result<Option<(Ipv6Addr, u32)>> {
    let mut ip = rig.layout.gate.command("ip");
    let text = command::output(ip.args(["-6", "address", "show", "dev", OUTER, "dynamic"]))?;
    let words: Vec<_> = text.split_whitespace().collect();
    let after = |word: &str| {
        let at = words.iter().position(|found| *found == word);
        at.and_then(|at| words.get(at + 1))
    };
    let (Some(address), Some(seconds)) = (after("inet6"), after("valid_lft")) else {
        return Ok(None);
    };
    let (address, _) = address.split_once('/').context("no prefix length")?;
    let seconds = seconds.trim_end_matches("sec");
    Ok(Some((address.parse()?, seconds.parse()?)))
}

#[test]
fn an_address_by_router_advertisement_is_got_and_renewed() -> Result<()> {
    let rig = Rig::host()?;
    rig.serve()?;
    let accept = format!("net.ipv6.conf.{OUTER}.accept_ra");
    rig.layout.gate.sysctl(&[(accept.as_str(), "1")])?;
    let agent = Agent::start_with(&rig, &protecting(&rig, "2001:db8:9::/64")?)?;
    let mut wire = Wire::open(&rig.layout.neighbour, ETH)?;

    let all: Ipv6Addr = "ff02::1".parse()?;
    wire.send(&advertisement(all, 255, 3_000)?)?;
    until("an address", || Ok(advertised(&rig)?.is_some()))?;
    let (address, lifetime) = advertised(&rig)?.context("the address is gone")?;
    ensure!(lifetime <= 3_000);
    wire.send(&advertisement(all, 255, 6_000)?)?;
    let lives = |more: u32| Ok(advertised(&rig)?.is_some_and(|(_, seconds)| seconds > more));
    until("the address again", || lives(3_000))?;

    // To the protected address itself, as a router may answer a solicitation.
    let control = agent.count("Control")?;
    wire.send(&advertisement(address, 255, 9_000)?)?;
    until("counted as control", || {
        Ok(agent.count("Control")? > control)
    })?;
    until("the address once more", || lives(6_000))?;
    // From afar: a router has lowered the hop limit.
    let forged = agent.count("NoService")?;
    wire.send(&advertisement(address, 64, 20_000)?)?;
    until("dropped", || Ok(agent.count("NoService")? > forged))?;
    ensure!(!lives(9_000)?, "a forged advertisement was believed");

    // The new address is as shut as the old one, whose service a grant opens as before.
    rig.layout
        .client
        .ip(["route add 2001:db8:9::/64 dev eth0"])?;
    must_be_shut(&rig.layout.client, (address, 80).into())?;
    agent.grant(rig.source(Family::V6), "web", "alice", 300)?;
    must_be_open(&rig.layout.client, rig.server(Family::V6, 80))
}
