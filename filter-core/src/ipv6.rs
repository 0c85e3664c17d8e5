//! IPv6 (RFC 8200): the chain of extension headers, walked up to a bound.

use filter_abi::{EXTENSION_HEADERS_MAX, V6};

use crate::{
    Flow, Payload, Window,
    flow::{Kind, Piece},
    upper::upper,
    window::halves,
};

const HEADER: usize = 40;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const ICMPV6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;

/// False: the header is short, of the wrong version, or contradicts the frame.
#[inline(never)]
pub(crate) fn parse(window: &impl Window, at: u64, flow: &mut Flow<V6>) -> bool {
    match read(window, at as usize, &mut flow.payload) {
        None => false,
        Some((source, destination)) => {
            flow.source = source;
            flow.destination = destination;
            true
        }
    }
}

#[inline(always)]
fn read(window: &impl Window, at: usize, payload: &mut Payload) -> Option<(V6, V6)> {
    let [first, second, s0, s1, s2, s3, d0, d1, d2, d3] = window.words(at)?;
    let (version, _) = halves(first);
    let (length, _) = halves(second);
    let [_, _, next, hop_limit] = second.to_ne_bytes();
    let end = at + HEADER + usize::from(length);
    if version >> 12 != 6 || !window.holds(end) {
        return None;
    }
    // A number of its own: an offset from another one is one that the verifier does not follow.
    let behind = window.forget((at + HEADER) as u64) as usize;
    match next {
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS => {
            walk(
                window,
                behind,
                end,
                (next as u64) << 8 | hop_limit as u64,
                payload,
            );
        }
        _ => {
            *payload = last(
                window,
                behind,
                end,
                next,
                hop_limit,
                Kind::Whole,
                Piece::NONE,
            )
        }
    }
    Some((address([s0, s1, s2, s3]), address([d0, d1, d2, d3])))
}

/// The bytes of four words as they lie in memory.
#[inline(always)]
pub(crate) fn address([a, b, c, d]: [u32; 4]) -> V6 {
    let pair =
        |low: u32, high: u32| u128::from(u32::from_le(low)) | u128::from(u32::from_le(high)) << 32;
    (pair(a, b) | pair(c, d) << 64).to_le_bytes()
}

/// Every extension header has its successor in byte 0 and, but for the fragment header, its
/// length in byte 1. An unknown number is an upper protocol, never an extension (RFC 7045).
///
/// A function of its own, which few packets need; `ends` is the first number and, in the low byte,
/// the hop limit.
#[inline(never)]
fn walk(window: &impl Window, start: usize, end: usize, ends: u64, payload: &mut Payload) {
    *payload = chain(window, start, end, (ends >> 8) as u8, ends as u8);
}

#[inline(always)]
fn chain(window: &impl Window, start: usize, end: usize, first: u8, hop_limit: u8) -> Payload {
    let mut at = start;
    let mut next = first;
    let (mut kind, mut piece) = (Kind::Whole, Piece::NONE);
    for number in 0..=EXTENSION_HEADERS_MAX {
        at = window.forget(at as u64) as usize;
        if !matches!(
            next,
            HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS
        ) {
            return last(window, at, end, next, hop_limit, kind, piece);
        }
        // What stands behind the packet's end is nobody's header.
        if at + 4 > end {
            return Payload::bare(Kind::TooDeep);
        }
        let Some([word]) = window.words(at) else {
            return Payload::bare(Kind::TooDeep);
        };
        let [successor, length, _, segments_left] = word.to_ne_bytes();
        match next {
            // RFC 8200 §4.4: byte 3 is the number of segments left.
            ROUTING if segments_left != 0 => return Payload::bare(Kind::SourceRouted),
            _ if number == EXTENSION_HEADERS_MAX => return Payload::bare(Kind::TooDeep),
            // RFC 8200 §4.5: 13 bits of offset in units of 8, two reserved, one that says more
            // follow, then the identification. Offset and flag both zero is an atomic fragment
            // (RFC 6946), which is a whole packet.
            FRAGMENT => {
                let (_, field) = halves(word);
                if field & 0xfff9 != 0 {
                    let Some([id]) = window.words(at + 4) else {
                        return Payload::bare(Kind::TooDeep);
                    };
                    if at + 8 > end {
                        return Payload::bare(Kind::TooDeep);
                    }
                    piece = Piece {
                        id: u32::from_be(id),
                        protocol: successor,
                        offset: u32::from(field & 0xfff8),
                        bytes: (end - at - 8) as u32,
                    };
                    if piece.offset != 0 {
                        return Payload::later(piece);
                    }
                    kind = Kind::First;
                }
                at += 8;
            }
            // RFC 4302 §2.2: in 4-byte units, minus 2.
            AUTHENTICATION => at += (usize::from(length) + 2) * 4,
            // RFC 8200 §4.3: in 8-byte units, not counting the first.
            _ => at += (usize::from(length) + 1) * 8,
        }
        if at > end {
            return Payload::bare(Kind::TooDeep);
        }
        next = successor;
    }
    Payload::bare(Kind::TooDeep)
}

#[inline(always)]
fn last(
    window: &impl Window,
    at: usize,
    end: usize,
    protocol: u8,
    hop_limit: u8,
    kind: Kind,
    piece: Piece,
) -> Payload {
    if protocol == ICMPV6 && kind == Kind::Whole && at + 4 <= end {
        // Neighbour discovery counts only with hop limit 255, which no router can have left
        // (RFC 4861 §6.1, §7.1); listener discovery only with 1 (RFC 2710 §3, RFC 3810 §5).
        match window.words(at).map(|[word]: [u32; 1]| word.to_ne_bytes()) {
            Some([133..=137, ..]) if hop_limit == 255 => return Payload::bare(Kind::Discovery),
            Some([130..=132 | 143, ..]) if hop_limit == 1 => return Payload::bare(Kind::Discovery),
            _ => {}
        }
    }
    upper(window, at, end, protocol, kind, piece)
}
