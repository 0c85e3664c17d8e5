//! The agent looks after itself: an interface that lost the filter gets it back, one that comes
//! late gets it, what is somebody else's stays, and what cannot be mended is said.

use std::{thread, time::Duration};

use agent_api::{AuditKind, AuditQuery, Status};
use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf,
    programs::{Xdp, xdp::XdpMode},
};
use tests::{
    Agent, Rig,
    bench::detach_link,
    rig::{Family, must_be_open, must_be_shut, replaced},
    tools::{self, block_on},
};
use xtask::lab::{ETH, OUTER};

/// Asks until the status is as wanted; five seconds are "a few".
fn until(agent: &Agent, what: &str, wanted: impl Fn(&Status) -> bool) -> Result<Status> {
    for _ in 0..50 {
        let status = agent.status()?;
        if wanted(&status) {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(100));
    }
    let status = agent.status()?;
    anyhow::bail!("not {what}: {status:?}\n{}", agent.daemon.log())
}

fn attached(status: &Status) -> bool {
    status.interfaces.iter().all(|interface| interface.attached)
}

fn warned(status: &Status, words: &str) -> bool {
    status
        .warnings
        .iter()
        .any(|warning| warning.contains(words))
}

/// Outcomes of the audit's records about interfaces.
fn outcomes(agent: &Agent) -> Result<Vec<String>> {
    let page = block_on(agent.client().audit(&AuditQuery::default()))??;
    let found = page
        .records
        .into_iter()
        .filter(|r| r.kind == AuditKind::Attach);
    Ok(found.map(|record| record.outcome).collect())
}

/// A program that is not ours, and not even a filter.
fn foreign(rig: &Rig, interface: &str) -> Result<Ebpf> {
    let object = std::process::Command::new(tools::sekisho()?)
        .arg("kernel-object")
        .output()?
        .stdout;
    rig.layout.gate.inside(|| {
        let mut ebpf = Ebpf::load(&object)?;
        let program: &mut Xdp = ebpf
            .program_mut("sekisho")
            .context("no program")?
            .try_into()?;
        program.load()?;
        program.attach(interface, XdpMode::Driver)?;
        Ok(ebpf)
    })?
}

/// The wire's end of the gate's cable goes, and with it the gate's; both come again.
fn made_anew(rig: &Rig) -> Result<()> {
    rig.layout.gate.ip([format!("link del {OUTER}").as_str()])?;
    come(rig)
}

fn come(rig: &Rig) -> Result<()> {
    let layout = &rig.layout;
    layout.wire.cable("to-gate", &layout.gate, OUTER)?;
    layout.wire.ip(["link set to-gate master switch"])?;
    layout.gate.ip([
        format!("address add {}/24 dev {OUTER}", layout.gate_at.v4).as_str(),
        format!("address add {}/64 dev {OUTER} nodad", layout.gate_at.v6).as_str(),
    ])?;
    // They know the old card's address.
    for side in [&layout.client, &layout.neighbour] {
        side.ip([format!("neighbour flush dev {ETH}").as_str()])?;
    }
    Ok(())
}

#[test]
fn an_interface_that_was_made_anew_gets_the_filter_back() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    let before = until(&agent, "attached", attached)?;
    ensure!(
        before.reattached == 0 && before.agreed.is_some(),
        "{before:?}"
    );
    made_anew(&rig)?;
    let after = until(&agent, "attached again", |status| {
        attached(status) && status.reattached > 0
    })?;
    ensure!(after.warnings.is_empty(), "{:?}", after.warnings);
    let index = |status: &Status| status.interfaces.first().map(|interface| interface.index);
    ensure!(
        index(&before) != index(&after),
        "the same interface: {after:?}"
    );
    let web = rig.server(Family::V4, 80);
    must_be_open(&rig.layout.client, web)?;
    must_be_shut(&rig.layout.neighbour, web)?;
    ensure!(outcomes(&agent)?.contains(&"ok".to_owned()));
    let metrics = agent_metrics(&agent)?;
    ensure!(metrics.contains("sekisho_reattached_total 1"), "{metrics}");
    ensure!(metrics.contains("sekisho_attached{interface=\"outer\",xdp_mode=\"native\"} 1"));
    // What leaves is watched, too: the server's own connections get their answers.
    must_be_open(&rig.layout.server, listening(&rig)?)
}

/// A listener of the client's, for the server to connect to.
fn listening(rig: &Rig) -> Result<std::net::SocketAddr> {
    let at = std::net::SocketAddr::new(rig.source(Family::V4), 8_000);
    let listener = rig
        .layout
        .client
        .inside(|| std::net::TcpListener::bind(at))??;
    thread::spawn(move || xtask::traffic::echo_streams(&listener));
    Ok(at)
}

fn agent_metrics(agent: &Agent) -> Result<String> {
    let output = std::process::Command::new("curl")
        .args(["-sS", "--unix-socket"])
        .arg(&agent.socket)
        .arg("http://agent/v1/metrics")
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_filter_that_was_taken_off_by_hand_is_put_back() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let web = rig.server(Family::V4, 80);
    must_be_shut(&rig.layout.neighbour, web)?;
    let pins = rig.path(&format!("bpf/sekisho/v{}", agent.status()?.abi));
    // The kernel does not let `ip` take off what a link holds; who insists detaches the link.
    let refused = rig
        .layout
        .gate
        .ip([format!("link set {OUTER} xdp off").as_str()]);
    ensure!(refused.is_err(), "`ip` took the filter off");
    for (round, link) in ["links", "outgoing"].into_iter().enumerate() {
        detach_link(&pins.join(link).join(OUTER))?;
        let reattached = u64::try_from(round)? + 1;
        until(&agent, "attached again", |status| {
            attached(status) && status.reattached == reattached
        })?;
        must_be_shut(&rig.layout.neighbour, web)?;
        ensure!(
            outcomes(&agent)?.len() == round + 1,
            "{:?}",
            outcomes(&agent)?
        );
    }
    must_be_open(&rig.layout.server, listening(&rig)?)?;
    // The pins that were made anew are as good as the first ones.
    let mut agent = agent;
    agent.daemon.kill()?;
    must_be_shut(&rig.layout.neighbour, web)?;
    let agent = Agent::start(&rig)?;
    ensure!(agent.status()?.took_over);
    Ok(())
}

#[test]
fn a_foreign_program_is_left_alone_and_said_until_it_goes() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    until(&agent, "attached", attached)?;
    rig.layout.gate.ip([format!("link del {OUTER}").as_str()])?;
    until(&agent, "missed", |status| {
        warned(status, "there is no interface")
    })?;
    // Somebody is quicker than we are, on an interface that gets its name when it is there.
    rig.layout
        .wire
        .cable("to-gate", &rig.layout.gate, "other")?;
    let theirs = foreign(&rig, "other")?;
    rig.layout.gate.ip([
        "link set other down",
        format!("link set other name {OUTER}").as_str(),
        format!("link set {OUTER} up").as_str(),
    ])?;
    let status = until(&agent, "warned", |status| warned(status, "not ours"))?;
    ensure!(!attached(&status), "{status:?}");
    ensure!(agent.cli_ok(&["status"])?.contains("NOT FILTERED"));
    thread::sleep(Duration::from_secs(2));
    ensure!(
        outcomes(&agent)? == ["missing", "foreign"],
        "said once each"
    );
    drop(theirs);
    until(&agent, "attached", attached).map(drop)
}

#[test]
fn interfaces_that_are_not_there_yet_do_not_keep_the_agent() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    rig.layout.gate.ip([format!("link del {OUTER}").as_str()])?;
    let config = replaced(&rig.agent_config(), "[\"outer\"]", "[\"outer\", \"late0\"]")?;
    let agent = Agent::start_with(&rig, &config)?;
    let status = until(&agent, "warned", |status| {
        warned(status, "there is no interface `late0`")
    })?;
    ensure!(
        warned(&status, "none of the configured interfaces"),
        "{status:?}"
    );
    ensure!(agent.cli_ok(&["status"])?.contains("NOT THERE"));
    come(&rig)?;
    let outer = |status: &Status| {
        status
            .interfaces
            .iter()
            .any(|i| i.name == OUTER && i.attached)
    };
    until(&agent, "attached to the one that came", outer)?;
    must_be_shut(&rig.layout.neighbour, rig.server(Family::V4, 80))?;
    rig.layout
        .gate
        .ip(["link add late0 type veth peer name late1"])?;
    until(&agent, "attached to both", attached).map(drop)
}

#[test]
fn a_bpffs_that_is_unmounted_is_said_and_the_filter_stays_in_force() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    nix::mount::umount2(&rig.path("bpf"), nix::mount::MntFlags::MNT_DETACH)?;
    let status = until(&agent, "warned", |status| warned(status, "unmounted"))?;
    ensure!(attached(&status), "{status:?}");
    let web = rig.server(Family::V4, 80);
    must_be_open(&rig.layout.client, web)?;
    must_be_shut(&rig.layout.neighbour, web)?;
    // Opening and closing go on.
    agent.close_source(rig.source(Family::V4))?;
    must_be_shut(&rig.layout.client, web)?;
    // And the way out of it: mounted again and restarted.
    tests::rig::mount_bpf(&rig.path("bpf"))?;
    drop(agent);
    let agent = Agent::start(&rig)?;
    let status = until(&agent, "attached", attached)?;
    ensure!(status.warnings.is_empty(), "{:?}", status.warnings);
    must_be_shut(&rig.layout.neighbour, web)
}

/// The links are held by the agent as well as by their pins: both have to go.
#[test]
fn detached_on_purpose_nothing_stays_and_nothing_comes_back() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let web = rig.server(Family::V4, 80);
    must_be_shut(&rig.layout.neighbour, web)?;
    agent.cli_ok(&["detach", "--yes"])?;
    must_be_open(&rig.layout.neighbour, web)?;
    thread::sleep(Duration::from_secs(2));
    must_be_open(&rig.layout.neighbour, web)
}
