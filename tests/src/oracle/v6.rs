//! The IPv6 header and its extension headers (RFC 8200, RFC 4302).

use std::net::Ipv6Addr;

use super::packet::{Contents, First, Packet, REACH, Upper, u16_at};

const HEADER: usize = 40;
/// More extension headers are too deep.
const EXTENSIONS_MAX: usize = 6;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const EXTENSIONS: [u8; 5] = [
    HOP_BY_HOP,
    ROUTING,
    FRAGMENT,
    AUTHENTICATION,
    DESTINATION_OPTIONS,
];

/// None: short, or its length contradicts the frame.
pub(super) fn read(frame: &[u8], at: usize) -> Option<Packet<'_>> {
    let bytes = frame.get(at..)?;
    if bytes.first()? >> 4 != 6 {
        return None;
    }
    let payload = usize::from(u16_at(bytes, 4)?);
    let packet = bytes.get(..HEADER + payload)?;
    let mut chain = Chain {
        frame: frame.get(..at + HEADER + payload)?,
        routed: false,
    };
    let contents = chain.walk(*packet.get(6)?, at + HEADER);
    Some(Packet {
        source: address(packet, 8)?.into(),
        destination: address(packet, 24)?.into(),
        hops: *packet.get(7)?,
        source_routed: chain.routed,
        plain: !EXTENSIONS.contains(packet.get(6)?),
        contents: contents.unwrap_or(Contents::TooDeep),
    })
}

fn address(packet: &[u8], at: usize) -> Option<Ipv6Addr> {
    let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
    Some(bytes.into())
}

/// A walk from header to header.
struct Chain<'a> {
    /// Up to the packet's end.
    frame: &'a [u8],
    /// A routing header with segments left was met.
    routed: bool,
}

impl<'a> Chain<'a> {
    /// From the header of this number that begins at `at`; None is too deep.
    fn walk(&mut self, mut number: u8, mut at: usize) -> Option<Contents<'a>> {
        let mut first = None;
        for _ in 0..EXTENSIONS_MAX {
            if !EXTENSIONS.contains(&number) {
                return Some(self.upper(number, at, first));
            }
            if at > REACH {
                return None;
            }
            let header = self.frame.get(at..)?;
            let next = *header.first()?;
            let length = usize::from(*header.get(1)?);
            let size = match number {
                FRAGMENT => 8,
                AUTHENTICATION => (length + 2) * 4,
                _ => (length + 1) * 8,
            };
            if number == ROUTING && *header.get(3)? > 0 {
                self.routed = true;
            }
            let behind = header.get(size..)?;
            if number == FRAGMENT {
                let field = u16_at(header, 2)?;
                let id = u32::from(u16_at(header, 4)?) << 16 | u32::from(u16_at(header, 6)?);
                let offset = u64::from(field & 0xfff8);
                // A fragment is told by its identification, which must be within reach, too.
                if (offset > 0 || field & 1 == 1) && at + 4 > REACH {
                    return None;
                }
                let length = u64::try_from(behind.len()).ok()?;
                if offset > 0 {
                    return Some(Contents::Later {
                        protocol: next,
                        id,
                        offset,
                        length,
                    });
                }
                if field & 1 == 1 {
                    first = Some(First {
                        protocol: next,
                        id,
                        end: length,
                    });
                }
            }
            number = next;
            at += size;
        }
        // Row 5 stands before row 7: one header too many may still be a source route.
        if number == ROUTING && at <= REACH && *self.frame.get(at + 3)? > 0 {
            self.routed = true;
        }
        (!EXTENSIONS.contains(&number)).then(|| self.upper(number, at, first))
    }

    fn upper(&self, protocol: u8, at: usize, first: Option<First>) -> Contents<'a> {
        let bytes = if at > REACH {
            &[]
        } else {
            self.frame.get(at..).unwrap_or_default()
        };
        Contents::Upper(Upper {
            protocol,
            bytes,
            within_reach: (REACH + 1).saturating_sub(at),
            first,
        })
    }
}
