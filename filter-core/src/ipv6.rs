//! IPv6 (RFC 8200): the chain of extension headers, walked up to a bound.

use filter_abi::{EXTENSION_HEADERS_MAX, V6};

use crate::{Flow, Payload, Window, ipv4::upper};

const HEADER: usize = 40;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const ICMPV6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;

/// None: the header is short, of the wrong version, or contradicts the frame.
#[inline(always)]
pub(crate) fn parse(window: &impl Window, at: usize) -> Option<Flow<V6>> {
    let [version, _, _, _, l0, l1, next, hop_limit] = window.read::<8>(at)?;
    let source = window.read::<16>(at + 8)?;
    let destination = window.read::<16>(at + 24)?;
    let end = at + HEADER + usize::from(u16::from_be_bytes([l0, l1]));
    if version >> 4 != 6 || end > window.length() {
        return None;
    }
    let payload = walk(window, at + HEADER, end, next, hop_limit);
    Some(Flow {
        source,
        destination,
        payload,
    })
}

/// Every extension header has its successor in byte 0 and, but for the fragment header, its
/// length in byte 1. An unknown number is an upper protocol, never an extension (RFC 7045).
#[inline(always)]
fn walk<W: Window>(window: &W, start: usize, end: usize, first: u8, hop_limit: u8) -> Payload {
    let mut at = start;
    let mut next = first;
    let mut first_of_many = false;
    for _ in 0..=EXTENSION_HEADERS_MAX {
        at = W::forget(at);
        if !matches!(
            next,
            HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS
        ) {
            return last(window, W::forget(at), end, next, hop_limit, first_of_many);
        }
        let Some([successor, length, b2, b3]) = window.read::<4>(at) else {
            return Payload::TooDeep;
        };
        match next {
            // RFC 8200 §4.4: byte 3 is the number of segments left.
            ROUTING if b3 != 0 => return Payload::SourceRouted,
            // RFC 8200 §4.5: 13 bits of offset, two reserved, one that says more follow. Both
            // zero is an atomic fragment (RFC 6946), which is a whole packet.
            FRAGMENT => {
                let field = u16::from_be_bytes([b2, b3]);
                if field & 0xfff8 != 0 {
                    return Payload::Fragment;
                }
                first_of_many |= field & 1 != 0;
                at += 8;
            }
            // RFC 4302 §2.2: in 4-byte units, minus 2.
            AUTHENTICATION => at += (usize::from(length) + 2) * 4,
            // RFC 8200 §4.3: in 8-byte units, not counting the first.
            _ => at += (usize::from(length) + 1) * 8,
        }
        if at > end {
            return Payload::TooDeep;
        }
        next = successor;
    }
    Payload::TooDeep
}

#[inline(always)]
fn last(
    window: &impl Window,
    at: usize,
    end: usize,
    protocol: u8,
    hop_limit: u8,
    first_of_many: bool,
) -> Payload {
    if protocol == ICMPV6 && !first_of_many && at + 4 <= end {
        // Neighbour discovery counts only with hop limit 255, which no router can have left
        // (RFC 4861 §6.1, §7.1); listener discovery only with 1 (RFC 2710 §3, RFC 3810 §5).
        match window.read::<4>(at) {
            Some([133..=137, ..]) if hop_limit == 255 => return Payload::Discovery,
            Some([130..=132 | 143, ..]) if hop_limit == 1 => return Payload::Discovery,
            _ => {}
        }
    }
    upper(window, at, end.saturating_sub(at), protocol, first_of_many)
}
