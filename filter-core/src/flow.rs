//! What a packet says: source, destination, protocol, port.

use filter_abi::{Settings, V4, V6};

/// An address of either family. The families never share a table: a v4-mapped IPv6 source on the
/// wire is not the IPv4 source.
pub trait Address: Copy {
    /// The bit of `Settings::flags` that says whether there are deny prefixes of this family.
    const DENIES: u32;
}

impl Address for V4 {
    const DENIES: u32 = Settings::DENIES_V4;
}

impl Address for V6 {
    const DENIES: u32 = Settings::DENIES_V6;
}

/// A parsed packet of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow<A> {
    pub source: A,
    pub destination: A,
    pub payload: Payload,
}

/// What stands behind the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A protocol and its destination port, host byte order; port 0 for protocols without ports.
    Upper { protocol: u8, port: u16 },
    /// Neighbour discovery or multicast listener discovery that cannot come from far away.
    Discovery,
    /// Loose or strict source route, or a routing header with segments left.
    SourceRouted,
    /// Extension headers that are too many, or one that runs past the packet.
    TooDeep,
    /// A later fragment, or a first one too short to show its ports.
    Fragment,
    /// A protocol with ports whose packet ends before them.
    Truncated,
}

pub(crate) const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;

/// Whether the first four bytes of a protocol are source and destination port: TCP (RFC 9293),
/// UDP (RFC 768), SCTP (RFC 9260), UDP-Lite (RFC 3828).
#[inline(always)]
pub(crate) const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | SCTP | UDP_LITE)
}
