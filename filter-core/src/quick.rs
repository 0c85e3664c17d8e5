//! The short way to the verdicts that almost all packets get: an untagged packet of TCP or UDP to
//! a single address and port of a plain granted service, or to nothing that is protected.
//!
//! It says what the table says, or nothing; then the table is read. Tests hold the two against
//! each other.

use filter_abi::{GrantKey, Reason, Settings, Target, V4, V6};

use crate::{
    Address, GrantCell, Tables, Window,
    decide::Decision,
    flow::{TCP, UDP},
    ipv6::address,
    window::halves,
};

const ETHER_TYPE: usize = 12;
const NETWORK: usize = 14;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Version 4, five words of header, in the upper byte.
const PLAIN: u16 = 0x45;
/// More fragments, and the offset.
const IN_PIECES: u16 = 0x3fff;
const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
const PORTS: usize = 4;

/// None: read the table.
#[inline(always)]
pub fn quick<W, P>(window: &W, settings: &Settings, policy: &P) -> Option<Decision>
where
    W: Window,
    P: Tables<V4> + Tables<V6>,
{
    match window.number(ETHER_TYPE)? {
        IPV4 => v4(window, settings, policy),
        IPV6 => Decision::from_word(v6_word(window, settings, policy)),
        _ => None,
    }
}

#[inline(always)]
fn v4<W: Window, P: Tables<V4>>(window: &W, settings: &Settings, policy: &P) -> Option<Decision> {
    let [first, pieces, living, source, destination, ports] = window.words(NETWORK)?;
    let (version, length) = halves(first);
    let (_, fragment) = halves(pieces);
    let [_, protocol, ..] = living.to_ne_bytes();
    let length = usize::from(length);
    if version >> 8 != PLAIN
        || fragment & IN_PIECES != 0
        || length < V4_HEADER + PORTS
        || !window.holds(NETWORK + length)
    {
        return None;
    }
    let (source, destination) = (source.to_ne_bytes(), destination.to_ne_bytes());
    judge(source, destination, protocol, ports, settings, policy)
}

/// A function of its own: so much fits a kernel program's stack. 0 is no decision.
#[inline(never)]
fn v6_word<W: Window, P: Tables<V6>>(window: &W, settings: &Settings, policy: &P) -> u64 {
    v6(window, settings, policy).map_or(0, Decision::word)
}

#[inline(always)]
fn v6<W: Window, P: Tables<V6>>(window: &W, settings: &Settings, policy: &P) -> Option<Decision> {
    let [first, second, s0, s1, s2, s3, d0, d1, d2, d3, ports] = window.words(NETWORK)?;
    let (version, _) = halves(first);
    let (length, _) = halves(second);
    let [_, _, protocol, _] = second.to_ne_bytes();
    let length = usize::from(length);
    if version >> 12 != 6 || length < PORTS || !window.holds(NETWORK + V6_HEADER + length) {
        return None;
    }
    let source = address([s0, s1, s2, s3]);
    let destination = address([d0, d1, d2, d3]);
    judge(source, destination, protocol, ports, settings, policy)
}

/// Rows 14 to 16, for a target that says nothing special.
#[inline(always)]
fn judge<A: Address, P: Tables<A>>(
    source: A,
    destination: A,
    protocol: u8,
    ports: u32,
    settings: &Settings,
    policy: &P,
) -> Option<Decision> {
    if !matches!(protocol, TCP | UDP) {
        return None;
    }
    let (_, port) = halves(ports);
    let target = policy.exact(settings.generation, destination, protocol, port);
    if !target.exists() {
        // What is not ours to judge passes whatever else holds; all others are read in full.
        return match policy.destination(settings.generation, destination) {
            None => Some(Decision::alone(Reason::NotProtected)),
            Some(_) => None,
        };
    }
    let special = Settings::OBSERVE | Settings::LOCKDOWN | Settings::PREFIX_GRANTS | A::DENIES;
    if settings.flags & special != 0 || target.flags & !Target::ANSWERS != 0 {
        return None;
    }
    Some(Decision::new(
        granted(source, target.service, settings, policy) as u32,
        target,
    ))
}

#[inline(always)]
fn granted<A: Address, P: Tables<A>>(
    source: A,
    service: u32,
    settings: &Settings,
    policy: &P,
) -> Reason {
    if !policy.may_hold(settings, source) {
        return Reason::NoGrant;
    }
    let Some(grant) = policy.grant(GrantKey { source, service }) else {
        return Reason::NoGrant;
    };
    let now = policy.now_ns();
    if now >= grant.deadline_ns() {
        return Reason::Expired;
    }
    let idle = grant.idle_ns();
    if idle != 0 && now.saturating_sub(grant.last_seen_ns()) > idle {
        return Reason::Idle;
    }
    policy.admit(&grant, now);
    Reason::Granted
}
