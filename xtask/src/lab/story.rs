//! The story: what the product promises, one step after the other, each measured on real
//! packets. The first step that does not hold ends it.

mod outage;
mod revocation;
mod ways;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{config, person::Person, picture, record::Lab};
use crate::{clock, curl::Page, net::Namespace};

/// How long a connection attempt waits before the door counts as shut.
const SHUT: Duration = Duration::from_secs(1);
/// An open door answers at once; this much is allowed to a busy machine.
const OPEN: Duration = Duration::from_millis(900);

/// Everything a step needs.
struct Stage<'a> {
    lab: &'a Lab,
    client: Namespace,
    neighbour: Namespace,
    alice: Person,
    server: [IpAddr; 2],
}

type Step = fn(&mut Stage<'_>) -> Result<String>;

const STEPS: [(&str, Step); 13] = [
    ("everything is shut", shut),
    ("a wrong code is refused", wrong_code),
    ("a replayed code is refused", replayed_code),
    ("a wrong password is refused", wrong_password),
    ("password and code open the service", opened),
    ("the neighbour is still shut out", neighbour_shut),
    ("another service is still shut", other_service_shut),
    (
        "VLAN tags and another way in change nothing",
        ways::all_judged_alike,
    ),
    ("`sekisho revoke` cuts a running download", revocation::cut),
    (
        "opened again from the portal's page",
        revocation::opened_again,
    ),
    ("agent killed with -9: traffic goes on", outage::killed),
    ("agent restarted under traffic", outage::restarted),
    (
        "a short grant ends while the agent is stopped",
        outage::expiry,
    ),
];

pub(super) fn tell(lab: &mut Lab) -> Result<()> {
    let alice = Person::new(lab, "alice", lab.client(), &lab.portal.url_v4)?;
    let server = [
        lab.addresses.server_v4.parse()?,
        lab.addresses.server_v6.parse()?,
    ];
    let mut stage = Stage {
        lab,
        client: lab.client(),
        neighbour: lab.neighbour(),
        alice,
        server,
    };
    println!();
    for (number, (title, step)) in STEPS.iter().enumerate() {
        let start = clock::instant();
        let measured =
            step(&mut stage).with_context(|| format!("step {} ({title}) failed", number + 1))?;
        println!(
            "{:>2} ✓ {title}  ({:.1} s)",
            number + 1,
            start.elapsed().as_secs_f32()
        );
        for line in measured.lines() {
            println!("     {line}");
        }
    }
    println!("\n   packets by verdict and reason (bars are logarithmic)");
    print!("{}", picture::draw(&picture::counters(lab)?));
    println!();
    Ok(())
}

impl Stage<'_> {
    fn at(&self, version: usize, port: u16) -> Result<SocketAddr> {
        let address = self
            .server
            .get(version)
            .context("there are two IP versions")?;
        Ok(SocketAddr::new(*address, port))
    }

    /// An error unless the connection attempt is left without any answer.
    fn must_be_shut(&self, from: &Namespace, to: SocketAddr) -> Result<()> {
        match from.connect(to, SHUT)? {
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Ok(()),
            Err(error) => bail!("{} to {to}: answered with an error: {error}", from.name()),
            Ok(took) => bail!("{} reached {to} after {took:?}", from.name()),
        }
    }

    fn must_be_open(&self, from: &Namespace, to: SocketAddr) -> Result<Duration> {
        from.connect(to, OPEN)?
            .with_context(|| format!("{} did not reach {to}", from.name()))
    }

    fn sekisho(&self, arguments: &[&str]) -> Result<String> {
        crate::command::output(self.lab.sekisho().args(arguments))
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn shut(stage: &mut Stage<'_>) -> Result<String> {
    let before = picture::packets(stage.lab, "NoGrant")?;
    for version in [0, 1] {
        stage.must_be_shut(&stage.client, stage.at(version, config::WEB)?)?;
    }
    let dropped = picture::packets(stage.lab, "NoGrant")? - before;
    ensure!(
        dropped >= 2,
        "nothing was dropped for want of a grant, so what shut the door?"
    );
    Ok(format!(
        "IPv4 and IPv6: no answer within {SHUT:?}; {dropped} packets dropped in XDP"
    ))
}

fn refused(reply: &Page) -> Result<String> {
    ensure!(
        reply.status == 401,
        "the portal answered {}, expected 401",
        reply.status
    );
    Ok(format!("401 after {}", milliseconds(reply.took)))
}

fn wrong_code(stage: &mut Stage<'_>) -> Result<String> {
    let reply = stage.alice.log_in(&stage.alice.phone.wrong()?, &[])?;
    refused(&reply)
}

/// The first use opens nothing, so that all is still shut when the code is tried again.
fn replayed_code(stage: &mut Stage<'_>) -> Result<String> {
    let code = stage.alice.phone.fresh()?;
    let reply = stage.alice.log_in(&code, &[("services", "none")])?;
    ensure!(
        reply.status == 303,
        "the first use answered {}, expected 303",
        reply.status
    );
    stage.must_be_shut(&stage.client, stage.at(0, config::WEB)?)?;
    stage
        .alice
        .with_new_browser(stage.lab, stage.client.clone());
    let reply = stage.alice.log_in(&stage.alice.phone.last()?, &[])?;
    refused(&reply)
}

fn wrong_password(stage: &mut Stage<'_>) -> Result<String> {
    let code = stage.alice.phone.fresh()?;
    let reply = stage.alice.log_in_with("not the password", &code, &[])?;
    let refused = refused(&reply)?;
    stage.must_be_shut(&stage.client, stage.at(0, config::WEB)?)?;
    Ok(refused)
}

fn opened(stage: &mut Stage<'_>) -> Result<String> {
    let code = stage.alice.phone.fresh()?;
    let reply = stage.alice.log_in(&code, &[])?;
    ensure!(
        reply.status == 303,
        "the portal answered {}, expected 303",
        reply.status
    );
    let connected = stage.must_be_open(&stage.client, stage.at(0, config::WEB)?)?;
    let since = reply.at.elapsed();
    stage.must_be_shut(&stage.client, stage.at(1, config::WEB)?)?;
    // The other address is another source: bob proves himself over IPv6.
    let mut bob = Person::new(
        stage.lab,
        "bob",
        stage.lab.client(),
        &stage.lab.portal.url_v6,
    )?;
    let code = bob.phone.fresh()?;
    let second = bob.log_in(&code, &[])?;
    ensure!(
        second.status == 303,
        "bob over IPv6: {}, expected 303",
        second.status
    );
    stage.must_be_open(&stage.client, stage.at(1, config::SSH)?)?;
    Ok(format!(
        "IPv4: {} logged in within {}; first connection {} after the reply (handshake {})\n\
         IPv6: {} logged in within {}, ssh is open",
        stage.alice.name,
        milliseconds(reply.took),
        milliseconds(since),
        milliseconds(connected),
        bob.name,
        milliseconds(second.took),
    ))
}

fn neighbour_shut(stage: &mut Stage<'_>) -> Result<String> {
    for version in [0, 1] {
        stage.must_be_shut(&stage.neighbour, stage.at(version, config::WEB)?)?;
    }
    stage.must_be_shut(&stage.neighbour, stage.at(1, config::SSH)?)?;
    Ok("IPv4 and IPv6: no answer".into())
}

fn other_service_shut(stage: &mut Stage<'_>) -> Result<String> {
    stage.must_be_shut(&stage.client, stage.at(0, config::SSH)?)?;
    stage.must_be_shut(&stage.client, stage.at(1, config::WEB)?)?;
    Ok("alice's address does not reach ssh, bob's does not reach web".into())
}
