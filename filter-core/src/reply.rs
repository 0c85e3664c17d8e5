//! Replies: flows that a protected host opens are written down on the way out, and what answers
//! them passes on the way in. Nothing else does: "not a SYN" makes no reply.

use filter_abi::{Destination, FlowKey, FlowRecord, Settings, V4, V6, state};

use crate::{
    Address, Flow, Sheet, Tables, Window,
    ethernet::{self, Network},
    flow::{Kind, TCP, UDP},
    ipv4, ipv6,
};

/// A record is written again at most this often, unless its state changes.
const STEP_NS: u64 = 1_000_000_000;
/// RFC 2131 §4.1: a client asks from 68 to 67, often by broadcast and before it has an address, so
/// the answer's addresses cannot be known.
const DHCP: (u16, u16) = (68, 67);

/// Row 17.
#[inline(never)]
pub(crate) fn is_reply<A, W, P>(window: &W, flow: &Flow<A>, policy: &P) -> bool
where
    A: Address,
    W: Window,
    P: Tables<A>,
{
    let upper = &flow.payload.upper;
    let (own_port, peer_port) = match upper.protocol {
        TCP | UDP => (upper.port, upper.source_port),
        _ => match upper.echo::<A, W>(window, A::ECHO.1) {
            Some(id) => (id, 0),
            None => return false,
        },
    };
    let flags = upper.flags(window);
    if upper.protocol == TCP && (!flags.are_there() || flags.open()) {
        return false;
    }
    let key = FlowKey {
        own: flow.destination,
        peer: flow.source,
        own_port,
        peer_port,
        protocol: u32::from(upper.protocol),
    };
    let now = policy.now_ns();
    if let Some(record) = alive(policy.flow(&key), now) {
        let next = match record.state {
            _ if flags.close() => state::CLOSING,
            state::SYN_SENT if flags.accept() => state::ESTABLISHED,
            state::ASKED if upper.protocol == UDP => state::ANSWERED,
            same => same,
        };
        refresh(&key, record, next, now, policy);
        return true;
    }
    let dhcp = upper.protocol == UDP && (own_port, peer_port) == DHCP;
    dhcp && alive(policy.flow(&dhcp_key()), now).is_some()
}

/// Writes down what a protected host sends, from a frame on its way out.
#[inline(always)]
pub fn outgoing<W, P>(window: &W, settings: &Settings, policy: &P, sheet: &mut Sheet)
where
    W: Window,
    P: Tables<V4> + Tables<V6>,
{
    let network = window.forget(ethernet::network(window, settings));
    match Network::of(network) {
        Network::V4(at) if ipv4::parse(window, at, &mut sheet.v4) => {
            record(window, &sheet.v4, settings, policy);
        }
        Network::V6(at) if ipv6::parse(window, at, &mut sheet.v6) => {
            record(window, &sheet.v6, settings, policy);
        }
        _ => {}
    }
}

#[inline(never)]
fn record<A, W, P>(window: &W, flow: &Flow<A>, settings: &Settings, policy: &P)
where
    A: Address,
    W: Window,
    P: Tables<A>,
{
    let (Kind::Whole | Kind::First) = flow.payload.kind else {
        return;
    };
    let upper = &flow.payload.upper;
    let (protocol, port) = (upper.protocol, upper.source_port);
    let protected = match policy.place(settings.generation, flow.source, protocol, port) {
        // What a service sends answers a client, who is judged as the service says.
        Some(place) if place.target.exists() => return,
        Some(place) => place.flags & Destination::PROTECTED != 0,
        None => false,
    };
    let asks_dhcp = protocol == UDP && (port, upper.port) == DHCP;
    if asks_dhcp && (protected || flow.source == A::NONE) {
        open(&dhcp_key(), state::ASKED, policy);
    }
    if !protected {
        return;
    }
    let flags = upper.flags(window);
    let (own_port, peer_port) = match protocol {
        TCP | UDP => (port, upper.port),
        _ => match upper.echo::<A, W>(window, A::ECHO.0) {
            Some(id) => (id, 0),
            None => return,
        },
    };
    let key = FlowKey {
        own: flow.source,
        peer: flow.destination,
        own_port,
        peer_port,
        protocol: u32::from(protocol),
    };
    // A segment without flags is none, and moves no connection on.
    if protocol == TCP && !flags.are_there() {
        return;
    }
    if flags.open() {
        open(&key, state::SYN_SENT, policy);
        return;
    }
    let now = policy.now_ns();
    match alive(policy.flow(&key), now) {
        Some(known) if flags.close() => refresh(&key, known, state::CLOSING, now, policy),
        Some(known) => refresh(&key, known, known.state, now, policy),
        // The middle of a connection that nobody saw begin.
        None if protocol == TCP => {}
        None => open(&key, state::ASKED, policy),
    }
}

#[inline(always)]
fn alive(record: Option<FlowRecord>, now: u64) -> Option<FlowRecord> {
    record.filter(|record| now.saturating_sub(record.seen_ns) < state::age_ns(record.state))
}

#[inline(always)]
fn open<A: Address, P: Tables<A>>(key: &FlowKey<A>, state: u32, policy: &P) {
    let record = FlowRecord {
        seen_ns: policy.now_ns(),
        state,
        zero: 0,
    };
    policy.keep_flow(key, record);
}

#[inline(always)]
fn refresh<A: Address, P: Tables<A>>(
    key: &FlowKey<A>,
    known: FlowRecord,
    state: u32,
    now: u64,
    policy: &P,
) {
    if state != known.state || now.saturating_sub(known.seen_ns) >= STEP_NS {
        let record = FlowRecord {
            seen_ns: now,
            state,
            zero: 0,
        };
        policy.keep_flow(key, record);
    }
}

#[inline(always)]
const fn dhcp_key<A: Address>() -> FlowKey<A> {
    FlowKey {
        own: A::NONE,
        peer: A::NONE,
        own_port: DHCP.0,
        peer_port: DHCP.1,
        protocol: UDP as u32,
    }
}
