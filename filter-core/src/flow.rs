//! What a packet says: source, destination, protocol, ports.

use filter_abi::{Settings, V4, V6};

/// An address of either family. The families never share a table: a v4-mapped IPv6 source on the
/// wire is not the IPv4 source.
pub trait Address: Copy + PartialEq {
    /// The bit of `Settings::flags` that says whether there are deny prefixes of this family.
    const DENIES: u32;
    /// Protocol number of the family's ICMP.
    const ICMP: u8;
    /// Types of echo request and reply.
    const ECHO: (u8, u8);
    /// All zeros: no address.
    const NONE: Self;

    /// Whether an ICMP type is an error that path MTU discovery and the like need.
    fn is_error(icmp_type: u8) -> bool;
    /// What a rate counts as one source: an IPv4 address, an IPv6 /64.
    fn customer(self) -> Self;
    /// As one family: IPv4 as v4-mapped (RFC 4291 §2.5.5.2).
    fn mapped(self) -> V6;
}

impl Address for V4 {
    const DENIES: u32 = Settings::DENIES_V4;
    const ICMP: u8 = 1;
    const ECHO: (u8, u8) = (8, 0);
    const NONE: Self = [0; 4];

    /// RFC 792: destination unreachable, time exceeded, parameter problem.
    #[inline(always)]
    fn is_error(icmp_type: u8) -> bool {
        matches!(icmp_type, 3 | 11 | 12)
    }

    #[inline(always)]
    fn customer(self) -> Self {
        self
    }

    #[inline(always)]
    fn mapped(self) -> V6 {
        let [a, b, c, d] = self;
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
    }
}

impl Address for V6 {
    const DENIES: u32 = Settings::DENIES_V6;
    const ICMP: u8 = 58;
    const ECHO: (u8, u8) = (128, 129);
    const NONE: Self = [0; 16];

    /// RFC 4443: destination unreachable, packet too big, time exceeded, parameter problem.
    #[inline(always)]
    fn is_error(icmp_type: u8) -> bool {
        matches!(icmp_type, 1..=4)
    }

    #[inline(always)]
    fn customer(self) -> Self {
        // As one number; taken to pieces, an address fills a kernel program's stack.
        (u128::from_le_bytes(self) & u128::from(u64::MAX)).to_le_bytes()
    }

    #[inline(always)]
    fn mapped(self) -> V6 {
        self
    }
}

/// A parsed packet of one family. Aligned, so that an address is copied by words.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow<A> {
    pub source: A,
    pub destination: A,
    pub payload: Payload,
}

/// Where packets are parsed into. The kernel program keeps it in a map: that is not counted to its
/// stack, and the verifier takes what is read back for any number, so that all ways through the
/// parser look alike to it and what follows is proven once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    pub(crate) v4: Flow<V4>,
    pub(crate) v6: Flow<V6>,
}

/// What stands behind the addresses. Every field always has a value, because the kernel's verifier
/// does not let a program carry along what may never have been written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    pub kind: Kind,
    /// Meaningful in a `Whole` packet and a `First` fragment.
    pub upper: Upper,
    /// Meaningful in a `First` and a `Later` fragment.
    pub piece: Piece,
}

/// What can be made of a packet behind its addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A protocol whose header is there.
    #[default]
    Whole,
    /// The same, in the first of many fragments.
    First,
    /// A later fragment.
    Later,
    /// Neighbour discovery or multicast listener discovery that cannot come from far away.
    Discovery,
    /// Loose or strict source route, or a routing header with segments left.
    SourceRouted,
    /// Extension headers that are too many, or one that runs past the packet.
    TooDeep,
    /// A first fragment too short to show its ports.
    Tiny,
    /// A protocol with ports whose packet ends before them.
    Truncated,
}

/// The start of an upper protocol. Ports are in host byte order, 0 for protocols without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upper {
    pub protocol: u8,
    pub source_port: u16,
    pub port: u16,
    /// Where its header starts and the packet ends, in bytes of the frame.
    pub at: usize,
    pub end: usize,
}

/// A fragment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    pub id: u32,
    /// IANA number of what is fragmented.
    pub protocol: u8,
    /// Where its bytes stand in the packet, and how many they are.
    pub offset: u32,
    pub bytes: u32,
}

impl Piece {
    /// Of a packet that is whole.
    pub(crate) const NONE: Self = Self {
        id: 0,
        protocol: 0,
        offset: 0,
        bytes: 0,
    };
}

impl Payload {
    /// One of which nothing but the kind counts.
    #[inline(always)]
    pub(crate) const fn bare(kind: Kind) -> Self {
        Self {
            kind,
            upper: Upper {
                protocol: 0,
                source_port: 0,
                port: 0,
                at: 0,
                end: 0,
            },
            piece: Piece::NONE,
        }
    }

    #[inline(always)]
    pub(crate) const fn later(piece: Piece) -> Self {
        Self {
            piece,
            ..Self::bare(Kind::Later)
        }
    }
}

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;

/// Whether the first four bytes of a protocol are source and destination port: TCP (RFC 9293),
/// UDP (RFC 768), SCTP (RFC 9260), UDP-Lite (RFC 3828).
#[inline(always)]
pub(crate) const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | SCTP | UDP_LITE)
}
