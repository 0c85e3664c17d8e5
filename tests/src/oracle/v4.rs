//! The IPv4 header (RFC 791) and its options.

use std::net::Ipv4Addr;

use super::packet::{Contents, First, Packet, Upper, u16_at};

/// Options that are looked at, the end of their list among them. More are nobody's.
const STEPS_MAX: usize = 16;
const LOOSE_ROUTE: u8 = 131;
const STRICT_ROUTE: u8 = 137;

/// None: short, or its lengths contradict the frame.
pub(super) fn read(frame: &[u8], at: usize) -> Option<Packet<'_>> {
    let bytes = frame.get(at..)?;
    let first = *bytes.first()?;
    let header = usize::from(first & 0x0f) * 4;
    let total = usize::from(u16_at(bytes, 2)?);
    if first >> 4 != 4 || header < 20 || total < header {
        return None;
    }
    let packet = bytes.get(..total)?;
    let source_routed = source_routed(packet.get(20..header)?)?;
    let id = u32::from(u16_at(packet, 4)?);
    let fragment = u16_at(packet, 6)?;
    let more = fragment & 0x2000 != 0;
    let offset = u64::from(fragment & 0x1fff) * 8;
    let protocol = *packet.get(9)?;
    let payload = packet.get(header..)?;
    let length = u64::try_from(payload.len()).ok()?;
    let contents = if offset > 0 {
        Contents::Later {
            protocol,
            id,
            offset,
            length,
        }
    } else {
        Contents::Upper(Upper {
            protocol,
            bytes: payload,
            within_reach: payload.len(),
            first: more.then_some(First {
                protocol,
                id,
                end: length,
            }),
        })
    };
    Some(Packet {
        source: address(packet, 12)?.into(),
        destination: address(packet, 16)?.into(),
        hops: *packet.get(8)?,
        source_routed,
        plain: header == 20,
        contents,
    })
}

fn address(packet: &[u8], at: usize) -> Option<Ipv4Addr> {
    let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
    Some(bytes.into())
}

/// Whether the options hold a source route; None if one cannot be read before one is found.
fn source_routed(options: &[u8]) -> Option<bool> {
    let mut rest = options;
    for _ in 0..STEPS_MAX {
        rest = match *rest {
            // The end of the header, or of the list.
            [] | [0, ..] => return Some(false),
            // No operation.
            [1, ref behind @ ..] => behind,
            [LOOSE_ROUTE | STRICT_ROUTE, ..] => return Some(true),
            [_, size, ..] if size >= 2 => rest.get(usize::from(size)..)?,
            _ => return None,
        };
    }
    None
}
