//! The filter on the outer port of a bridge: clients and server are neighbours of one network, and
//! nothing on either side knows that somebody stands between them.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    thread,
};

use anyhow::{Result, ensure};
use tests::{
    Agent, Rig,
    rig::{Family, must_be_open, must_be_shut},
    story,
};
use xtask::{
    command,
    lab::{BRIDGE, ETH},
    net::Namespace,
    traffic,
};

#[test]
fn bridge_opens_and_shuts_over_ipv4() -> Result<()> {
    story::opens_and_shuts(&Rig::bridge()?, Family::V4)
}

#[test]
fn bridge_opens_and_shuts_over_ipv6() -> Result<()> {
    story::opens_and_shuts(&Rig::bridge()?, Family::V6)
}

#[test]
fn a_running_connection_over_the_bridge_is_cut_by_revocation() -> Result<()> {
    story::revocation_cuts_a_running_connection(&Rig::bridge()?, Family::V4)
}

#[test]
fn a_running_connection_over_the_bridge_is_cut_over_ipv6() -> Result<()> {
    story::revocation_cuts_a_running_connection(&Rig::bridge()?, Family::V6)
}

#[test]
fn a_server_behind_the_bridge_fetches_from_a_host_it_is_shut_to() -> Result<()> {
    story::the_server_fetches_from_a_host_it_is_shut_to(&Rig::bridge()?, Family::V4)
}

#[test]
fn a_server_behind_the_bridge_fetches_over_ipv6() -> Result<()> {
    story::the_server_fetches_from_a_host_it_is_shut_to(&Rig::bridge()?, Family::V6)
}

#[test]
fn a_bridge_keeps_its_filter_while_the_agent_comes_and_goes() -> Result<()> {
    story::the_agent_comes_and_goes(&Rig::bridge()?)
}

/// The word behind another in what `ip` says inside.
fn said(at: &Namespace, arguments: &[&str], before: &str) -> Result<Option<String>> {
    let text = command::output(at.command("ip").args(arguments))?;
    let mut words = text.split_whitespace();
    Ok(words
        .find(|word| *word == before)
        .and_then(|_| words.next())
        .map(str::to_owned))
}

/// Whether `at` knows the card of `neighbour`, and knows it rightly.
fn knows(at: &Namespace, neighbour: &Namespace, address: IpAddr) -> Result<bool> {
    let address = address.to_string();
    let known = said(at, &["neighbour", "show", &address, "dev", ETH], "lladdr")?;
    Ok(known.is_some() && known == said(neighbour, &["link", "show", ETH], "link/ether")?)
}

/// ARP and neighbour discovery go through in both directions, so that nobody sees a machine that
/// is gone where there is a service that is shut.
#[test]
fn neighbours_find_each_other_while_everything_is_shut() -> Result<()> {
    let rig = Rig::bridge()?;
    let agent = Agent::start(&rig)?;
    let (client, server) = (&rig.layout.client, &rig.layout.server);
    for family in Family::BOTH {
        let (outside, inside) = (rig.source(family), rig.server(family, 80));
        must_be_shut(client, inside)?;
        ensure!(
            knows(client, server, inside.ip())?,
            "{family:?}: the client did not find the server"
        );
        server.ip([format!("neighbour flush dev {ETH}").as_str()])?;
        let before = agent.count("Control")?;
        // Nobody listens there: it is refused, which is an answer of the client's.
        let refused = server.connect(SocketAddr::new(outside, 9), tests::rig::OPEN)?;
        ensure!(refused.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused));
        ensure!(
            knows(server, client, outside)?,
            "{family:?}: the server did not find the client"
        );
        ensure!(
            agent.count("Control")? > before,
            "{family:?}: the client's answer passed by another row"
        );
    }
    Ok(())
}

/// Other machines behind the bridge, and the bridge itself, are reached as before.
#[test]
fn the_bridge_forwards_to_others_as_if_nobody_stood_there() -> Result<()> {
    let rig = Rig::bridge()?;
    let printer = rig.machine("printer")?;
    rig.layout.gate.cable("inner2", &printer, ETH)?;
    let port = format!("link set inner2 master {BRIDGE}");
    rig.layout.gate.ip([port.as_str()])?;
    printer.ip([
        "address add 192.0.2.30/24 dev eth0",
        "address add 2001:db8:1::30/64 dev eth0 nodad",
    ])?;
    for (machine, port) in [(&*printer, 631), (&rig.layout.gate, 8443)] {
        let any = IpAddr::from([0_u16; 8]);
        let listener = machine.inside(|| TcpListener::bind((any, port)))??;
        thread::spawn(move || traffic::echo_streams(&listener));
    }
    let agent = Agent::start(&rig)?;
    for family in Family::BOTH {
        let printing: IpAddr = match family {
            Family::V4 => "192.0.2.30".parse()?,
            Family::V6 => "2001:db8:1::30".parse()?,
        };
        must_be_open(&rig.layout.neighbour, SocketAddr::new(printing, 631))?;
        // And in the other direction, and between the two behind the bridge.
        let refused = printer.connect(SocketAddr::new(rig.source(family), 9), tests::rig::OPEN)?;
        ensure!(refused.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused));
        must_be_shut(&rig.layout.neighbour, rig.server(family, 80))?;
    }
    for portal in rig.layout.portal_endpoints() {
        must_be_open(&rig.layout.neighbour, portal)?;
    }
    ensure!(agent.count("NotProtected")? > 0 && agent.count("Public")? > 0);
    Ok(())
}
