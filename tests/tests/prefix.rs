//! A grant for a whole IPv6 /64, on wires: the address that proved itself, the one it changes to
//! for privacy, and nobody else.

use anyhow::{Result, ensure};
use tests::{
    Rig,
    lane::{Fate, Lane},
    rig::replaced,
};

/// In the friend's /64, and in none that holds anything.
const CHANGED: &str = "2001:db8:1:0:a:b:c:d";
const ELSEWHERE: &str = "2001:db8:1:1::10";

fn lane() -> Result<Lane> {
    let rig = Rig::quiet()?;
    let echo = "name = \"echo\"";
    let config = replaced(
        &rig.agent_config(),
        echo,
        &format!("{echo}\nipv6_grants = \"prefix\""),
    )?;
    Lane::open_with(rig, &config)
}

fn expect(lane: &mut Lane, from: &str, reason: &str) -> Result<()> {
    let from: std::net::IpAddr = from.parse()?;
    let frame = lane.honest(from, 7)?;
    let fate = match reason {
        "Granted" => Fate::Passes,
        _ => Fate::Vanishes,
    };
    lane.expect(&frame, reason, fate)
}

#[test]
fn a_prefix_grant_follows_an_address_that_changes_within_its_prefix() -> Result<()> {
    let mut lane = lane()?;
    let (friend, stranger) = (lane.friend, lane.stranger);
    for (from, reason) in [
        (friend.1.to_string(), "Granted"),
        (CHANGED.into(), "Granted"),
        (ELSEWHERE.into(), "NoGrant"),
        (friend.0.to_string(), "Granted"),
        // IPv4 knows no such thing.
        (stranger.0.to_string(), "NoGrant"),
    ] {
        expect(&mut lane, &from, reason)?;
    }
    let listed = lane.agent.cli_ok(&["list"])?;
    ensure!(listed.contains("2001:db8:1::/64"), "{listed}");
    let server = lane.server.1.to_string();
    let said = lane.agent.cli_ok(&["explain", CHANGED, &server, "udp/7"])?;
    ensure!(said.contains("alice"), "does not name the holder:\n{said}");

    // Whoever revokes the address they see must not leave it open by the prefix.
    lane.agent.cli_ok(&["revoke", "--source", CHANGED])?;
    for from in [CHANGED.to_owned(), friend.1.to_string()] {
        expect(&mut lane, &from, "NoGrant")?;
    }
    expect(&mut lane, &friend.0.to_string(), "Granted")
}

#[test]
fn other_services_of_the_same_source_stay_shut() -> Result<()> {
    let mut lane = lane()?;
    let frame = lane.honest(lane.friend.1, 9)?;
    lane.expect(&frame, "NoService", Fate::Vanishes)?;
    let ssh = lane.agent.grant(CHANGED.parse()?, "ssh", "bob", 60)?;
    ensure!(ssh.source.to_string() == CHANGED, "{ssh:?}");
    Ok(())
}

/// The table outlives the agent, and the ledger the table.
#[test]
fn prefix_grants_hold_over_a_take_over_and_a_reboot() -> Result<()> {
    let mut lane = lane()?;
    lane.agent.daemon.kill()?;
    let config = std::fs::read_to_string(lane.rig.path("agent.toml"))?;
    lane.agent = tests::Agent::start_with(&lane.rig, &config)?;
    expect(&mut lane, CHANGED, "Granted")?;
    lane.agent.daemon.kill()?;
    nix::mount::umount(&lane.rig.path("bpf"))?;
    tests::rig::mount_bpf(&lane.rig.path("bpf"))?;
    lane.agent = tests::Agent::start_with(&lane.rig, &config)?;
    expect(&mut lane, CHANGED, "Granted")?;
    expect(&mut lane, ELSEWHERE, "NoGrant")
}
