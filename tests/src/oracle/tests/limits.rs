//! Rates, ICMP errors, prefix grants, idleness, and an agent that is not there.

use super::*;

const TENTH: Rate = Rate {
    interval_ns: SECOND / 10,
    burst: 3,
};

fn public(from: &str, to: &str) -> Vec<u8> {
    packet(from, to, TCP, &tcp(40_000, 80, SYN))
}

fn ssh(from: &str, to: &str) -> Vec<u8> {
    packet(from, to, TCP, &tcp(40_000, 22, SYN))
}

#[test]
fn a_burst_passes_then_one_for_each_interval() {
    let mut oracle = world(TENTH, Rate::NONE, AgentDown::Keep);
    let frame = public(STRANGER, SERVER);
    for _ in 0..3 {
        assert_eq!(oracle.says(&frame, NOW), Reason::Public);
    }
    assert_eq!(oracle.says(&frame, NOW), Reason::RateLimited);
    assert_eq!(
        oracle.says(&frame, NOW + SECOND / 10 - 1),
        Reason::RateLimited
    );
    assert_eq!(oracle.says(&frame, NOW + SECOND / 10), Reason::Public);
    assert_eq!(oracle.says(&frame, NOW + SECOND / 10), Reason::RateLimited);
    assert_eq!(oracle.says(&public(FRIEND, SERVER), NOW), Reason::Public);
}

#[test]
fn ipv6_is_counted_by_network_and_observe_opens_no_excess() {
    let mut oracle = world(TENTH, Rate::NONE, AgentDown::Keep);
    oracle.observe = true;
    for last in 1..=3 {
        let frame = public(&format!("2001:db8:1::{last}"), SERVER6);
        assert_eq!(oracle.says(&frame, NOW), Reason::Public);
    }
    let fourth = oracle.judge(&public("2001:db8:1::4", SERVER6), NOW);
    assert_eq!((fourth.reason, fourth.passes), (Reason::RateLimited, false));
    let elsewhere = public("2001:db8:1:1::4", SERVER6);
    assert_eq!(oracle.says(&elsewhere, NOW), Reason::Public);
}

#[test]
fn errors_pass_within_a_rate_for_each_destination() {
    let mut oracle = world(Rate::NONE, TENTH, AgentDown::Keep);
    for kind in [3, 11, 12] {
        let frame = packet(STRANGER, SERVER, 1, &[kind, 0, 0, 0]);
        assert_eq!(oracle.says(&frame, NOW), Reason::IcmpError);
    }
    let fourth = packet(FRIEND, SERVER, 1, &[3, 4, 0, 0, 0, 0]);
    assert_eq!(oracle.says(&fourth, NOW), Reason::RateLimited);
    let neighbour = packet(FRIEND, "198.51.100.11", 1, &[3, 4, 0, 0]);
    assert_eq!(oracle.says(&neighbour, NOW), Reason::IcmpError);
    let six = packet(FRIEND6, SERVER6, 58, &[2, 0, 0, 0]);
    assert_eq!(oracle.says(&six, NOW), Reason::IcmpError);
}

#[test]
fn what_is_no_error_or_is_cut_is_judged_as_any_packet() {
    let mut oracle = plain();
    for payload in [&[3, 0, 0][..], &[5, 0, 0, 0], &[8, 0, 0, 0], &[]] {
        let frame = packet(STRANGER, SERVER, 1, payload);
        assert_eq!(oracle.says(&frame, NOW), Reason::NoService, "{payload:?}");
    }
    let foreign = packet(STRANGER, SERVER, 58, &[2, 0, 0, 0]);
    assert_eq!(oracle.says(&foreign, NOW), Reason::NoService);
}

#[test]
fn a_network_holds_a_grant_unless_the_address_has_its_own() {
    let mut oracle = plain();
    let network = "2001:db8:1::".parse().unwrap();
    oracle.prefix_grants.insert((network, SSH), hour());
    assert_eq!(oracle.says(&ssh(STRANGER6, SERVER6), NOW), Reason::Granted);
    let own = Grant {
        deadline_ns: NOW,
        ..hour()
    };
    oracle.grants.insert((ip(STRANGER6), SSH), own);
    assert_eq!(oracle.says(&ssh(STRANGER6, SERVER6), NOW), Reason::Expired);
    let outside = ssh("2001:db8:1:1::77", SERVER6);
    assert_eq!(oracle.says(&outside, NOW), Reason::NoGrant);
}

#[test]
fn idleness_is_counted_from_what_was_admitted_to_the_second() {
    let mut oracle = plain();
    let grant = Grant {
        idle_ns: 10 * SECOND,
        ..hour()
    };
    oracle.grants.insert((ip(FRIEND), SSH), grant);
    let frame = ssh(FRIEND, SERVER);
    // Not written, since it is less than a second after the last time.
    assert_eq!(oracle.says(&frame, NOW + SECOND - 1), Reason::Granted);
    assert_eq!(oracle.says(&frame, NOW + 10 * SECOND + 1), Reason::Idle);
    assert_eq!(oracle.says(&frame, NOW + 10 * SECOND), Reason::Granted);
    assert_eq!(oracle.says(&frame, NOW + 20 * SECOND), Reason::Granted);
}

#[test]
fn a_silent_agent_shuts_what_the_service_says() {
    for (down, new, running) in [
        (AgentDown::Keep, Reason::Granted, Reason::Granted),
        (
            AgentDown::NoNewConnections,
            Reason::AgentDown,
            Reason::Granted,
        ),
        (AgentDown::Closed, Reason::AgentDown, Reason::AgentDown),
    ] {
        let mut oracle = world(Rate::NONE, Rate::NONE, down);
        oracle.alive_until_ns = NOW + SECOND;
        let established = packet(FRIEND, SERVER, TCP, &tcp(40_000, 22, ACK));
        let unreadable = packet(FRIEND, SERVER, TCP, &tcp(40_000, 22, ACK)[..13]);
        assert_eq!(oracle.says(&ssh(FRIEND, SERVER), NOW), Reason::Granted);
        let late = NOW + SECOND;
        assert_eq!(oracle.says(&ssh(FRIEND, SERVER), late), new);
        assert_eq!(oracle.says(&established, late), running);
        assert_eq!(oracle.says(&unreadable, late), new);
        assert_eq!(oracle.says(&ssh(STRANGER, SERVER), late), Reason::NoGrant);
    }
}

#[test]
fn lockdown_is_said_before_any_other_end_and_only_of_grants() {
    let mut oracle = plain();
    oracle.lockdown = true;
    oracle.observe = true;
    let late = NOW + 3_600 * SECOND;
    let verdict = oracle.judge(&ssh(FRIEND, SERVER), late);
    assert_eq!((verdict.reason, verdict.passes), (Reason::Lockdown, false));
    assert_eq!(oracle.says(&ssh(STRANGER, SERVER), late), Reason::NoGrant);
    assert_eq!(oracle.says(&public(STRANGER, SERVER), late), Reason::Public);
}
