//! What the program writes down by itself: fragments, flows, what observe mode let pass, samples of
//! what was dropped. All of it bounded; the oldest entries give way.

/// Key of `FRAGMENTS_*`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FragmentKey<A> {
    pub source: A,
    pub destination: A,
    /// The 16 bits of IPv4 or the 32 of IPv6, host byte order.
    pub id: u32,
    /// What the fragments are pieces of, an IANA protocol number.
    pub protocol: u32,
}

/// A first fragment that passed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentRecord {
    pub seen_ns: u64,
    /// How many bytes of the packet it held: no later fragment may begin before.
    pub end: u32,
    pub zero: u32,
}

/// Key of `FLOWS_*`. Ports in host byte order; an ICMP echo has its identifier as own port and 0
/// as the peer's.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey<A> {
    /// Address of the protected host.
    pub own: A,
    pub peer: A,
    pub own_port: u16,
    pub peer_port: u16,
    pub protocol: u32,
}

/// A flow that a protected host opened.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowRecord {
    /// Last packet either way, to the second.
    pub seen_ns: u64,
    /// One of `state`.
    pub state: u32,
    pub zero: u32,
}

/// How far a flow has come, which says how long it lives without a packet.
pub mod state {
    /// A datagram or an echo request went out.
    pub const ASKED: u32 = 1;
    /// A datagram came back.
    pub const ANSWERED: u32 = 2;
    /// A SYN went out.
    pub const SYN_SENT: u32 = 3;
    /// A SYN with ACK came back.
    pub const ESTABLISHED: u32 = 4;
    /// A FIN or RST was seen, either way.
    pub const CLOSING: u32 = 5;

    const SECOND: u64 = 1_000_000_000;

    /// Longest silence, in nanoseconds. Established: RFC 5382 REQ-5 (2 hours 4 minutes); closing:
    /// the same, transitory connections; UDP: RFC 4787 REQ-5 asks for two minutes at least.
    #[inline(always)]
    pub const fn age_ns(state: u32) -> u64 {
        match state {
            ASKED => 30 * SECOND,
            ANSWERED => 180 * SECOND,
            SYN_SENT => 60 * SECOND,
            ESTABLISHED => 7_440 * SECOND,
            CLOSING => 240 * SECOND,
            _ => 0,
        }
    }
}

/// Key of `IMPACT`: what observe mode let pass and enforce would not.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImpactKey {
    /// IPv4 as v4-mapped.
    pub source: [u8; 16],
    /// Number of the service, 0 for none.
    pub service: u32,
    /// `Reason as u8`.
    pub reason: u8,
    /// IANA protocol number, 0 where it could not be read.
    pub protocol: u8,
    /// Host byte order. Of the service or the protected host; or, with `answering`, the peer's.
    pub port: u16,
    /// 1: it looks like an answer to a connection that the protected host opened before anybody
    /// watched.
    pub answering: u32,
}

/// Value of `IMPACT`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Impact {
    pub first_ns: u64,
    pub last_ns: u64,
    /// A floor: the increment is not atomic.
    pub packets: u64,
}

/// Most bytes of a packet that a sample shows.
pub const SAMPLE_BYTES: usize = 128;

/// A dropped packet, as it comes out of the ring `SAMPLES`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub now_ns: u64,
    /// Interface it came in on.
    pub interface: u32,
    /// `Reason as u32`.
    pub reason: u32,
    /// Number of the service, 0 for none.
    pub service: u32,
    /// Bytes of the frame.
    pub length: u32,
    /// Bytes of `frame` that are filled.
    pub captured: u32,
    /// 1: observe mode let it pass.
    pub observed: u32,
    /// From the Ethernet header on.
    pub frame: [u8; SAMPLE_BYTES],
}

const _: () = {
    assert!(size_of::<FragmentKey<[u8; 4]>>() == 16);
    assert!(size_of::<FragmentKey<[u8; 16]>>() == 40);
    assert!(size_of::<FlowKey<[u8; 4]>>() == 16);
    assert!(size_of::<FlowKey<[u8; 16]>>() == 40);
    assert!(size_of::<ImpactKey>() == 28);
    assert!(size_of::<Sample>() == 32 + SAMPLE_BYTES);
};
