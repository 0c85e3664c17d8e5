//! IPv4 (RFC 791): the real header length, source-route options, fragments.

use filter_abi::V4;

use crate::{
    Flow, Payload, Window,
    flow::{Kind, Piece},
    upper::upper,
    window::halves,
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

/// False: the header is short, of the wrong version, or contradicts the frame.
#[inline(never)]
pub(crate) fn parse(window: &impl Window, at: u64, flow: &mut Flow<V4>) -> bool {
    match read(window, at as usize) {
        None => false,
        Some(parsed) => {
            *flow = parsed;
            true
        }
    }
}

#[inline(always)]
fn read(window: &impl Window, at: usize) -> Option<Flow<V4>> {
    let [first, pieces, living, source, destination] = window.words(at)?;
    let (version, total_length) = halves(first);
    let header_length = usize::from(version >> 8 & 0x0f) * 4;
    let total_length = usize::from(total_length);
    if version >> 12 != 4
        || header_length < HEADER
        || total_length < header_length
        || !window.holds(at + total_length)
    {
        return None;
    }
    let said = match header_length {
        HEADER => WALKED,
        _ => options(window, at, header_length),
    };
    let payload = match said {
        WALKED => {
            // A number of its own: see `Window::forget`.
            let behind = window.forget((at + header_length) as u64) as usize;
            let [_, protocol, ..] = living.to_ne_bytes();
            payload(window, pieces, protocol, behind, at + total_length)
        }
        ROUTED => Payload::bare(Kind::SourceRouted),
        _ => return None,
    };
    Some(Flow {
        source: source.to_ne_bytes(),
        destination: destination.to_ne_bytes(),
        payload,
    })
}

/// `pieces` is the word of identification, flags and offset.
#[inline(always)]
fn payload(window: &impl Window, pieces: u32, protocol: u8, at: usize, end: usize) -> Payload {
    let (id, fragment) = halves(pieces);
    if fragment & (FRAGMENT_OFFSET | MORE_FRAGMENTS) == 0 {
        return upper(window, at, end, protocol, Kind::Whole, Piece::NONE);
    }
    let piece = Piece {
        id: u32::from(id),
        protocol,
        offset: u32::from(fragment & FRAGMENT_OFFSET) * 8,
        bytes: (end - at) as u32,
    };
    if piece.offset != 0 {
        return Payload::later(piece);
    }
    upper(window, at, end, protocol, Kind::First, piece)
}

/// What the options say: nothing of a route, a source route, or what options cannot say.
const WALKED: u64 = 0;
const ROUTED: u64 = 1;
const BROKEN: u64 = 2;

/// Walks the options. A function of its own, which few packets need.
#[inline(never)]
fn options(window: &impl Window, at: usize, header_length: usize) -> u64 {
    match source_routed(window, at, header_length) {
        Some(false) => WALKED,
        Some(true) => ROUTED,
        None => BROKEN,
    }
}

/// None: one that cannot be an option, or too many.
#[inline(always)]
fn source_routed(window: &impl Window, at: usize, header_length: usize) -> Option<bool> {
    let mut option = HEADER;
    for _ in 0..OPTIONS_MAX {
        option = window.forget(option as u64) as usize;
        if option >= header_length {
            return Some(false);
        }
        match window.byte(at + option)? {
            END_OF_OPTIONS => return Some(false),
            NO_OPERATION => option += 1,
            LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => return Some(true),
            _ => {
                // The length counts type and length byte, and may not reach past the header.
                if option + 1 >= header_length {
                    return None;
                }
                let length = usize::from(window.byte(at + option + 1)?);
                if length < 2 || option + length > header_length {
                    return None;
                }
                option += length;
            }
        }
    }
    None
}
