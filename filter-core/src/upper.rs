//! The upper protocol: its ports, and of TCP and ICMP what a few rows of the table ask for.

use crate::{
    Address, Payload, Window,
    flow::{Kind, Piece, TCP, Upper, has_ports},
    window::halves,
};

/// RFC 1858 §4.2.1: a first fragment must hold the TCP header up to its flags.
const TCP_FIRST_FRAGMENT: usize = 16;
const PORTS: usize = 4;
const FLAGS: usize = 13;

const FIN: u8 = 1;
const SYN: u8 = 1 << 1;
const RST: u8 = 1 << 2;
const ACK: u8 = 1 << 4;

/// Reads the ports of a protocol that has them; `end` is where the packet says it ends, so that
/// bytes behind it are never taken for a header.
#[inline(always)]
pub(crate) fn upper(
    window: &impl Window,
    at: usize,
    end: usize,
    protocol: u8,
    kind: Kind,
    piece: Piece,
) -> Payload {
    let payload = |kind, source_port, port| Payload {
        kind,
        upper: Upper {
            protocol,
            source_port,
            port,
            at,
            end,
        },
        piece,
    };
    if !has_ports(protocol) {
        return payload(kind, 0, 0);
    }
    let is_first = kind == Kind::First;
    let needed = if is_first && protocol == TCP {
        TCP_FIRST_FRAGMENT
    } else {
        PORTS
    };
    match window.words(at) {
        Some([ports]) if at + needed <= end => {
            let (source_port, port) = halves(ports);
            payload(kind, source_port, port)
        }
        _ if is_first => payload(Kind::Tiny, 0, 0),
        _ => payload(Kind::Truncated, 0, 0),
    }
}

/// The flags of a TCP header, if there is one: of a number that always has a value, because the
/// kernel's verifier lets no program carry along what was never written.
#[derive(Clone, Copy)]
pub(crate) struct Flags(u16);

impl Flags {
    /// Set in those that were read.
    const READ: u16 = 1 << 8;
    const NONE: Self = Self(0);

    #[inline(always)]
    const fn has(self, set: u8, of: u8) -> bool {
        self.0 & (Self::READ | of as u16) == Self::READ | set as u16
    }

    /// There are some.
    #[inline(always)]
    pub(crate) const fn are_there(self) -> bool {
        self.0 & Self::READ != 0
    }

    /// The first packet of a connection.
    #[inline(always)]
    pub(crate) const fn open(self) -> bool {
        self.has(SYN, SYN | ACK)
    }

    /// The second one.
    #[inline(always)]
    pub(crate) const fn accept(self) -> bool {
        self.has(SYN | ACK, SYN | ACK)
    }

    #[inline(always)]
    pub(crate) const fn acknowledge(self) -> bool {
        self.has(ACK, ACK)
    }

    #[inline(always)]
    pub(crate) const fn close(self) -> bool {
        self.has(FIN, FIN) || self.has(RST, RST)
    }
}

impl Upper {
    /// None are there: it is not TCP, or its packet ends before the flags.
    #[inline(always)]
    pub(crate) fn flags<W: Window>(&self, window: &W) -> Flags {
        if self.protocol != TCP || self.at + FLAGS >= self.end {
            return Flags::NONE;
        }
        match window.number(self.at + FLAGS - 1) {
            Some(both) => Flags(both & 0xff | Flags::READ),
            None => Flags::NONE,
        }
    }

    /// Type of an ICMP message.
    #[inline(always)]
    pub(crate) fn icmp_type<A: Address, W: Window>(&self, window: &W) -> Option<u8> {
        if self.protocol != A::ICMP || self.at + 4 > self.end {
            return None;
        }
        let both = window.number(self.at)?;
        Some((both >> 8) as u8)
    }

    /// Identifier of an ICMP echo of the given type (RFC 792, RFC 4443 §4).
    #[inline(always)]
    pub(crate) fn echo<A: Address, W: Window>(&self, window: &W, wanted: u8) -> Option<u16> {
        if self.protocol != A::ICMP || self.at + 8 > self.end {
            return None;
        }
        let [first, second] = window.words(self.at)?;
        let [icmp_type, ..] = first.to_ne_bytes();
        (icmp_type == wanted).then(|| halves(second).0)
    }
}
