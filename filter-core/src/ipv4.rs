//! IPv4 (RFC 791): the real header length, source-route options, fragments.

use filter_abi::V4;

use crate::{
    Flow, Payload, Window,
    flow::{TCP, has_ports},
};

const HEADER: usize = 20;
/// More options than this are taken for an attempt to hide one. Real packets carry one or two.
const OPTIONS_MAX: usize = 16;
const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;
/// RFC 1858 §4.2.1: a first fragment must hold the TCP header up to its flags.
const TCP_FIRST_FRAGMENT: usize = 16;

/// None: the header is short, of the wrong version, or contradicts the frame.
#[inline(always)]
pub(crate) fn parse(window: &impl Window, at: usize) -> Option<Flow<V4>> {
    let header = window.read::<HEADER>(at)?;
    let [
        version,
        _,
        l0,
        l1,
        _,
        _,
        f0,
        f1,
        _,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = header;
    let header_length = usize::from(version & 0x0f) * 4;
    let total_length = usize::from(u16::from_be_bytes([l0, l1]));
    if version >> 4 != 4
        || header_length < HEADER
        || total_length < header_length
        || at + total_length > window.length()
    {
        return None;
    }
    let routed = header_length > HEADER && source_routed(window, at, header_length)?;
    let fragment = u16::from_be_bytes([f0, f1]);
    let payload = if routed {
        Payload::SourceRouted
    } else if fragment & FRAGMENT_OFFSET != 0 {
        Payload::Fragment
    } else {
        let space = total_length - header_length;
        upper(
            window,
            at + header_length,
            space,
            protocol,
            fragment & MORE_FRAGMENTS != 0,
        )
    };
    Some(Flow {
        source: [s0, s1, s2, s3],
        destination: [d0, d1, d2, d3],
        payload,
    })
}

/// Reads the destination port of a protocol that has ports; `space` is what the packet says is
/// left of it, so that bytes behind its end are never taken for a header.
#[inline(always)]
pub(crate) fn upper(
    window: &impl Window,
    at: usize,
    space: usize,
    protocol: u8,
    first_of_many: bool,
) -> Payload {
    if !has_ports(protocol) {
        return Payload::Upper { protocol, port: 0 };
    }
    let needed = if first_of_many && protocol == TCP {
        TCP_FIRST_FRAGMENT
    } else {
        4
    };
    match window.read::<4>(at) {
        Some([_, _, p0, p1]) if space >= needed => Payload::Upper {
            protocol,
            port: u16::from_be_bytes([p0, p1]),
        },
        _ if first_of_many => Payload::Fragment,
        _ => Payload::Truncated,
    }
}

/// Walks the options. None: one that cannot be an option, or too many.
#[inline(always)]
fn source_routed<W: Window>(window: &W, at: usize, header_length: usize) -> Option<bool> {
    let mut option = HEADER;
    for _ in 0..OPTIONS_MAX {
        option = W::forget(option);
        if option >= header_length {
            return Some(false);
        }
        match window.read::<1>(at + option)? {
            [END_OF_OPTIONS] => return Some(false),
            [NO_OPERATION] => option += 1,
            [LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE] => return Some(true),
            _ => {
                let [length] = window.read::<1>(at + option + 1)?;
                if length < 2 {
                    return None;
                }
                option += usize::from(length);
            }
        }
    }
    None
}
