//! What observe mode let pass, in the words that an operator needs to decide: who, to which
//! service; or which peer of the protected host's own connections.

use filter_abi::{ImpactKey, Target};

use crate::{
    Address, Flow, Window,
    flow::{TCP, UDP},
};

/// Ports below are servers' (RFC 6335 §6).
const FIRST_USER_PORT: u16 = 1_024;

#[inline(never)]
pub(crate) fn key<A: Address, W: Window>(
    window: &W,
    flow: &Flow<A>,
    target: Target,
    number: u32,
) -> ImpactKey {
    let upper = &flow.payload.upper;
    let answering = !target.exists()
        && match upper.protocol {
            TCP => upper.flags(window).acknowledge(),
            UDP => upper.source_port < FIRST_USER_PORT && upper.port >= FIRST_USER_PORT,
            _ => false,
        };
    ImpactKey {
        source: flow.source.mapped(),
        service: target.service,
        reason: number as u8,
        protocol: upper.protocol,
        port: if answering {
            upper.source_port
        } else {
            upper.port
        },
        answering: u32::from(answering),
    }
}
