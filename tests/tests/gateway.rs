//! The whole way on real packets, IPv4 and IPv6, on a gateway, and all that a grant is. Each is a
//! sandwich: shut, opened, the neighbour still shut, the other service still shut, closed, shut.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    rig::{Family, must_be_open, must_be_shut},
    story,
};
use xtask::traffic;

#[test]
fn gateway_opens_and_shuts_over_ipv4() -> Result<()> {
    story::opens_and_shuts(&Rig::gateway()?, Family::V4)
}

#[test]
fn gateway_opens_and_shuts_over_ipv6() -> Result<()> {
    story::opens_and_shuts(&Rig::gateway()?, Family::V6)
}

/// A grant of one family says nothing about the other: they are two sources.
#[test]
fn an_ipv4_grant_does_not_open_ipv6() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    must_be_open(&rig.layout.client, rig.server(Family::V4, 80))?;
    must_be_shut(&rig.layout.client, rig.server(Family::V6, 80))
}

/// A port nobody named is shut, whatever the client holds.
#[test]
fn a_port_without_service_is_shut_to_everybody() -> Result<()> {
    let rig = Rig::gateway()?;
    let agent = Agent::start(&rig)?;
    for service in ["web", "ssh", "echo"] {
        agent.grant(rig.source(Family::V4), service, "alice", 300)?;
    }
    must_be_shut(&rig.layout.client, rig.server(Family::V4, 8080))?;
    ensure!(agent.count("NoService")? > 0);
    Ok(())
}

#[test]
fn a_running_connection_is_cut_by_revocation() -> Result<()> {
    story::revocation_cuts_a_running_connection(&Rig::gateway()?, Family::V4)
}

#[test]
fn a_short_grant_ends_by_itself() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 2)?;
    let web = rig.server(Family::V4, 80);
    must_be_open(&rig.layout.client, web)?;
    thread::sleep(Duration::from_millis(2100));
    must_be_shut(&rig.layout.client, web)
}

/// Two people behind one address hold one grant; who leaves first does not shut out the other.
#[test]
fn two_holders_of_one_address_close_apart() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let source = rig.source(Family::V4);
    agent.grant(source, "web", "alice", 100)?;
    let grant = agent.grant(source, "web", "bob", 300)?;
    let users: Vec<_> = grant
        .holders
        .iter()
        .map(|holder| holder.user.as_str())
        .collect();
    ensure!(users == ["alice", "bob"], "{users:?}");
    ensure!(
        grant.remaining_seconds > 290,
        "the deadline is the latest holder's: {grant:?}"
    );

    let web = rig.server(Family::V4, 80);
    agent.cli_ok(&["revoke", "--user", "bob"])?;
    must_be_open(&rig.layout.client, web)?;
    agent.cli_ok(&["revoke", "--user", "alice"])?;
    must_be_shut(&rig.layout.client, web)
}

#[test]
fn lockdown_shuts_everything_and_lifts_again() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    let web = rig.server(Family::V4, 80);
    agent.cli_ok(&["lockdown", "on"])?;
    must_be_shut(&rig.layout.client, web)?;
    ensure!(agent.count("Lockdown")? > 0);
    agent.cli_ok(&["lockdown", "off"])?;
    must_be_open(&rig.layout.client, web)
}

#[test]
fn a_denied_prefix_is_shut_out_although_it_holds_a_grant() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    let web = rig.server(Family::V4, 80);
    agent.cli_ok(&["deny", "192.0.2.8/29", "--for", "1h", "--reason", "a test"])?;
    must_be_shut(&rig.layout.client, web)?;
    ensure!(agent.count("Denied")? > 0);
    agent.cli_ok(&["lift", "192.0.2.8/29"])?;
    must_be_open(&rig.layout.client, web)
}

/// An idle limit counts from the last packet, and every packet starts it anew.
#[test]
fn a_silent_grant_goes_idle_and_a_busy_one_does_not() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let config = format!("{}\n[grants]\nidle = \"2s\"\n", rig.agent_config());
    let agent = Agent::start_with(&rig, &config)?;
    agent.grant(rig.source(Family::V4), "echo", "alice", 300)?;
    let echo = rig.server(Family::V4, 7);
    let busy = rig
        .layout
        .client
        .inside(|| traffic::flow(echo, 20, Duration::from_secs(3)))??;
    ensure!(busy.lost() == 0, "{busy:?}");
    thread::sleep(Duration::from_millis(2600));
    must_be_shut(&rig.layout.client, echo)?;
    ensure!(agent.count("Idle")? > 0);
    Ok(())
}

#[test]
fn permanent_allow_prefixes_need_no_grant() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let config = tests::rig::replaced(
        &rig.agent_config(),
        "groups = [\"admins\"]\n",
        "groups = [\"admins\"]\nallow = [\"192.0.2.10/32\"]\n",
    )?;
    let agent = Agent::start_with(&rig, &config)?;
    must_be_open(&rig.layout.client, rig.server(Family::V4, 22))?;
    must_be_shut(&rig.layout.neighbour, rig.server(Family::V4, 22))?;
    ensure!(agent.count("AlwaysAllowed")? > 0);
    Ok(())
}

/// From the API's call to the kernel's map: the promise is under a millisecond at the median.
#[test]
fn revocation_reaches_the_map_within_a_millisecond() -> Result<()> {
    let rig = Rig::gateway()?;
    let agent = Agent::start(&rig)?;
    let source = rig.source(Family::V4);
    let mut times = Vec::new();
    for _ in 0..21 {
        agent.grant(source, "web", "alice", 300)?;
        let reply = agent.cli_json(&["revoke", "--source", &source.to_string()])?;
        let micros = reply
            .get("map_changed_after_us")
            .and_then(serde_json::Value::as_u64);
        times.push(micros.context("no map_changed_after_us")?);
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().context("no times")?;
    // A debug build beside other tests gets five times the promise before it counts as broken.
    ensure!(median < 5_000, "{times:?}");
    Ok(())
}

/// Traffic is never lost while grants come and go around it.
#[test]
fn a_granted_flow_is_not_disturbed_by_its_neighbours() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "echo", "alice", 300)?;
    let to: SocketAddr = rig.server(Family::V4, 7);
    let client = rig.layout.client.clone();
    let flow =
        thread::spawn(move || client.inside(|| traffic::flow(to, 500, Duration::from_secs(2))));
    let start = clock();
    while start.elapsed() < Duration::from_millis(1500) {
        agent.grant(rig.neighbour_source(Family::V4), "echo", "bob", 300)?;
        agent.cli_ok(&["revoke", "--user", "bob"])?;
    }
    let report = flow.join().ok().context("the flow panicked")???;
    ensure!(report.lost() == 0, "{report:?}");
    Ok(())
}

fn clock() -> Instant {
    xtask::clock::instant()
}
