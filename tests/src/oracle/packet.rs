//! What a frame says, read the plain way: take a slice, or find out that there is none. Nothing
//! is decided here but what cannot be read.

use std::net::IpAddr;

use super::{v4, v6};

/// What begins further into the frame cannot be read.
pub(super) const REACH: usize = 4_096;

const TAGS: [u16; 2] = [0x8100, 0x88a8];
/// ARP, slow protocols (LACP), EAPOL, LLDP.
const CONTROL: [u16; 4] = [0x0806, 0x8809, 0x888e, 0x88cc];
/// IEEE 802.3 clause 3.2.6: up to 1,500 the field is a length, from 1,536 on a type.
const LONGEST: u16 = 1_500;

/// What the frame carries.
#[derive(Clone, Debug)]
pub enum Link<'a> {
    Control,
    UnknownType,
    Malformed,
    Packet(Packet<'a>),
}

/// An IPv4 or IPv6 packet whose own header can be believed.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hops: u8,
    pub source_routed: bool,
    /// Neither options nor extension headers.
    pub plain: bool,
    pub contents: Contents<'a>,
}

/// What is behind the network headers.
#[derive(Clone, Debug)]
pub enum Contents<'a> {
    /// IPv6 extension headers that nobody wants to walk.
    TooDeep,
    /// A fragment that is not the first.
    Later {
        protocol: u8,
        id: u32,
        /// Bytes of the whole before this piece.
        offset: u64,
        /// Bytes of this piece.
        length: u64,
    },
    Upper(Upper<'a>),
}

/// The upper protocol, from its first byte to the packet's end.
#[derive(Clone, Debug)]
pub struct Upper<'a> {
    pub protocol: u8,
    /// Empty when it begins out of reach.
    pub bytes: &'a [u8],
    /// How many of them begin within reach.
    pub within_reach: usize,
    /// Set when more fragments follow.
    pub first: Option<First>,
}

/// What a first fragment tells of those to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    pub protocol: u8,
    pub id: u32,
    /// Bytes of the whole that are in this piece.
    pub end: u64,
}

/// Big-endian, at an offset.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let high = *bytes.get(at)?;
    let low = *bytes.get(at + 1)?;
    Some(u16::from_be_bytes([high, low]))
}

/// Reads a frame from its Ethernet header on. `listed` are the EtherTypes that pass.
pub fn read<'a>(frame: &'a [u8], listed: &[u16]) -> Link<'a> {
    let mut at = 12;
    for tags in 0..=2 {
        let Some(kind) = u16_at(frame, at) else {
            return Link::Malformed;
        };
        at += 2;
        if TAGS.contains(&kind) {
            if tags == 2 {
                return Link::UnknownType;
            }
            // The tag's own two bytes.
            at += 2;
            continue;
        }
        // RFC 1042 and IEEE 802.1H: an EtherType behind LLC, and so perhaps IP.
        let snap = frame.get(at..at + 8).unwrap_or_default();
        if kind <= LONGEST && snap.is_empty() {
            return Link::Malformed;
        }
        if kind <= LONGEST
            && (snap.starts_with(&[0xaa, 0xaa, 3, 0, 0, 0])
                || snap.starts_with(&[0xaa, 0xaa, 3, 0, 0, 0xf8]))
        {
            return Link::UnknownType;
        }
        if kind <= LONGEST || CONTROL.contains(&kind) || listed.contains(&kind) {
            return Link::Control;
        }
        let packet = match kind {
            0x0800 => v4::read(frame, at),
            0x86dd => v6::read(frame, at),
            _ => return Link::UnknownType,
        };
        return packet.map_or(Link::Malformed, Link::Packet);
    }
    Link::UnknownType
}

impl Upper<'_> {
    /// TCP, UDP, SCTP, UDP-Lite.
    pub fn has_ports(&self) -> bool {
        [6, 17, 132, 136].contains(&self.protocol)
    }

    /// Source and destination port.
    pub fn ports(&self) -> Option<(u16, u16)> {
        Some((u16_at(self.bytes, 0)?, u16_at(self.bytes, 2)?))
    }

    /// RFC 1858 and 3128: a first fragment shows the ports, and of TCP all up to the flags and
    /// the window.
    pub fn is_too_short_for_a_first_fragment(&self) -> bool {
        let least = match self.protocol {
            6 => 16,
            _ if self.has_ports() => 4,
            _ => 0,
        };
        self.bytes.len() < least
    }

    /// TCP's flags; None if they are not in the packet.
    pub fn flags(&self) -> Option<Flags> {
        let byte = *self.bytes.get(13)?;
        (self.protocol == 6 && self.within_reach > 13).then_some(Flags {
            fin: byte & 1 != 0,
            syn: byte & 2 != 0,
            rst: byte & 4 != 0,
            ack: byte & 16 != 0,
        })
    }
}

/// Those of TCP that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    pub fin: bool,
    pub syn: bool,
    pub rst: bool,
    pub ack: bool,
}

impl Flags {
    /// The first packet of a connection.
    pub fn opens(self) -> bool {
        self.syn && !self.ack
    }

    /// The last one.
    pub fn ends(self) -> bool {
        self.fin || self.rst
    }
}
