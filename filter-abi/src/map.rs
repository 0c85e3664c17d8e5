//! Keys and values of the maps. Integers only, padding written out, no niche, no enum.
//!
//! Times are nanoseconds of CLOCK_BOOTTIME: it runs on while the machine is suspended, so a grant
//! cannot outlive its deadline by sleeping, and nobody can set it back (clock_gettime(2),
//! `bpf_ktime_get_boot_ns` in bpf-helpers(7)). Addresses and ports are in network byte order,
//! every other integer is native.

use crate::COUNTERS;

/// Names of the maps in the kernel object and of their pins.
pub mod names {
    pub const SETTINGS: &str = "SETTINGS";
    pub const CPUS: &str = "CPUS";
    pub const HEARTBEAT: &str = "HEARTBEAT";
    pub const DESTINATIONS_V4: &str = "DESTINATIONS_V4";
    pub const DESTINATIONS_V6: &str = "DESTINATIONS_V6";
    pub const TARGETS: &str = "TARGETS";
    pub const EXACT_V4: &str = "EXACT_V4";
    pub const EXACT_V6: &str = "EXACT_V6";
    pub const LIMITS: &str = "LIMITS";
    pub const ALLOWS_V4: &str = "ALLOWS_V4";
    pub const ALLOWS_V6: &str = "ALLOWS_V6";
    pub const DENIES_V4: &str = "DENIES_V4";
    pub const DENIES_V6: &str = "DENIES_V6";
    pub const SOURCES: &str = "SOURCES";
    pub const GRANTS_V4: &str = "GRANTS_V4";
    pub const GRANTS_V6: &str = "GRANTS_V6";
    pub const FRAGMENTS_V4: &str = "FRAGMENTS_V4";
    pub const FRAGMENTS_V6: &str = "FRAGMENTS_V6";
    pub const FLOWS_V4: &str = "FLOWS_V4";
    pub const FLOWS_V6: &str = "FLOWS_V6";
    pub const BUCKETS_V4: &str = "BUCKETS_V4";
    pub const BUCKETS_V6: &str = "BUCKETS_V6";
    pub const IMPACT: &str = "IMPACT";
    pub const SAMPLES: &str = "SAMPLES";
    pub const PROBE: &str = "PROBE";
    /// All of them: each is pinned and must be found again at take-over.
    pub const ALL: [&str; 25] = [
        SETTINGS,
        CPUS,
        HEARTBEAT,
        DESTINATIONS_V4,
        DESTINATIONS_V6,
        TARGETS,
        EXACT_V4,
        EXACT_V6,
        LIMITS,
        ALLOWS_V4,
        ALLOWS_V6,
        DENIES_V4,
        DENIES_V6,
        SOURCES,
        GRANTS_V4,
        GRANTS_V6,
        FRAGMENTS_V4,
        FRAGMENTS_V6,
        FLOWS_V4,
        FLOWS_V6,
        BUCKETS_V4,
        BUCKETS_V6,
        IMPACT,
        SAMPLES,
        PROBE,
    ];
}

/// An IPv4 address, network byte order.
pub type V4 = [u8; 4];
/// An IPv6 address, network byte order.
pub type V6 = [u8; 16];

/// Key of a trie as the kernel reads it: how many leading bits of `data` count, then the data
/// (`struct bpf_lpm_trie_key_u8` in include/uapi/linux/bpf.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrieKey<K> {
    pub bits: u32,
    pub data: K,
}

/// The one entry of `SETTINGS`: two settings, and which of them is in force. The other one is
/// written in full before `active` flips, so no packet sees half of two.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Panel {
    /// 0 or 1.
    pub active: u32,
    pub zero: u32,
    pub halves: [Settings; 2],
}

/// What each packet is judged under: less than a cache line.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Which generation of destinations, targets, limits and allows is in force. Its lowest bit
    /// says which half of the `EXACT_*` tables.
    pub generation: u32,
    /// Bits of `Settings::OBSERVE` and its neighbours.
    pub flags: u32,
    /// EtherTypes beside the built-in ones that pass, native byte order; 0 is an empty place.
    pub ether_types: [u16; 4],
    /// Where the sources that may hold a grant stand in `SOURCES`.
    pub sources_v4: Sources,
    pub sources_v6: Sources,
    /// Multiplier of the hash over sources; random, so that nobody can aim at it.
    pub seed: u64,
    /// How much sooner than the rate says ICMP errors to one destination may come.
    pub icmp_tolerance_ns: u64,
    /// Time between two ICMP errors to one destination at the full rate; 0 = any rate.
    pub icmp_interval_ns: u32,
    /// Dropped packets that each CPU shows user space in a second (2^30 ns).
    pub samples: u32,
}

/// A stretch of `SOURCES`; its length is `mask + 1`, a power of two.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    pub base: u32,
    pub mask: u32,
}

impl Settings {
    /// Drops that observe mode may open pass and are counted as "would drop".
    pub const OBSERVE: u32 = 1;
    /// No grant admits a packet.
    pub const LOCKDOWN: u32 = 1 << 1;
    /// There are IPv4 deny prefixes; without the bit the table is not looked at.
    pub const DENIES_V4: u32 = 1 << 2;
    /// There are IPv6 deny prefixes.
    pub const DENIES_V6: u32 = 1 << 3;
    /// There are grants for whole IPv6 /64 prefixes.
    pub const PREFIX_GRANTS: u32 = 1 << 4;

    /// Whether all bits of `flag` are set.
    #[inline(always)]
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag == flag
    }
}

/// Data part of a key of `DESTINATIONS_*`, a trie. The generation is always matched in full.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestinationKey<A> {
    pub generation: u32,
    pub address: A,
}

/// What is known of a destination prefix.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// First part of the keys in `TARGETS`; unique over the living generations.
    pub prefix: u32,
    pub flags: u32,
}

impl Destination {
    /// The prefix is protected. Without the bit it is only the portal's own address.
    pub const PROTECTED: u32 = 1;
    /// Ports without a service pass (`other_ports = "pass"`).
    pub const OTHER_PORTS_PASS: u32 = 1 << 1;
}

/// Data part of a key of `TARGETS`, a trie: 32 bits of prefix, 8 of protocol, 8 of zero, 16 of
/// port. A match of 32 bits is "any protocol", of 48 "any port", of 49 to 63 a piece of a range,
/// of 64 one port; the longest match wins.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetKey {
    pub prefix: u32,
    /// IANA protocol number.
    pub protocol: u8,
    pub zero: u8,
    /// Destination port, network byte order; 0 for protocols without ports.
    pub port: [u8; 2],
}

/// The service that a target belongs to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// From 1, stable over configurations: the agent's ledger gives each service name a number
    /// once.
    pub service: u32,
    pub flags: u32,
}

impl Target {
    /// The service is open to everybody.
    pub const PUBLIC: u32 = 1;
    /// The service has permanent allow prefixes; without the bit that table is not looked at.
    pub const HAS_ALLOWS: u32 = 1 << 1;
    /// The public service has a rate per source, in `LIMITS`.
    pub const RATED: u32 = 1 << 2;
    /// Without a living agent no new TCP connection is admitted, and nothing else than TCP.
    pub const AGENT_DOWN_OLD_ONLY: u32 = 1 << 3;
    /// Without a living agent nothing is admitted.
    pub const AGENT_DOWN_CLOSED: u32 = 1 << 4;
    /// A packet that is dropped for want of a grant is answered: TCP with a reset, the rest with
    /// an ICMP error.
    pub const ANSWER_RESET: u32 = 1 << 5;
    /// The same, with "administratively prohibited" for TCP, too.
    pub const ANSWER_PROHIBITED: u32 = 1 << 6;
    /// Both ways to answer.
    pub const ANSWERS: u32 = Self::ANSWER_RESET | Self::ANSWER_PROHIBITED;
    /// Only in `EXACT_*`: the destination is protected, not only the portal's.
    pub const PROTECTED: u32 = 1 << 31;

    /// No target: services are numbered from 1.
    pub const NONE: Self = Self {
        service: 0,
        flags: 0,
    };

    /// Whether there is one.
    #[inline(always)]
    pub const fn exists(&self) -> bool {
        self.service != 0
    }

    /// Whether any bit of `flags` is set.
    #[inline(always)]
    pub const fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }
}

/// Key of `LIMITS`, a hash.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitKey {
    pub generation: u32,
    pub service: u32,
}

/// How often something may happen. The state it is applied to is one moment, the "theoretical
/// arrival time" of the next conforming packet (generic cell rate algorithm, ITU-T I.371).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Time between two packets at the full rate, at least 1.
    pub interval_ns: u64,
    /// How much sooner than that a packet may come; one less than the burst, times the interval.
    pub tolerance_ns: u64,
}

/// Data part of a key of `ALLOWS_*`, a trie. Generation and service are always matched in full.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowKey<A> {
    pub generation: u32,
    pub service: u32,
    pub source: A,
}

/// Value of `DENIES_*`, tries keyed by the source prefix alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DenyValue {
    /// The prefix is denied before this moment.
    pub deadline_ns: u64,
}

/// Key of `GRANTS_*`, preallocated hashes: nothing is ever evicted.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrantKey<A> {
    pub source: A,
    pub service: u32,
}

impl<A> GrantKey<A> {
    /// Set in `service` when the grant is for the /64 around `source`, whose last 64 bits are 0.
    pub const PREFIX: u32 = 1 << 31;
    /// In `BUCKETS_*`, in the place of a service: ICMP errors to the address.
    pub const ICMP_ERRORS: u32 = u32::MAX;
}

/// Value of `GRANTS_*`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Packets pass before this moment. There is no value that means "for ever".
    pub deadline_ns: u64,
    /// Longest silence; 0 = no idle limit.
    pub idle_ns: u64,
    /// When a packet was last admitted (to the second), or when the grant was opened.
    pub last_seen_ns: u64,
    /// Packets admitted; a floor, because the increment is not atomic.
    pub packets: u64,
}

/// What a CPU keeps for itself: one entry of `CPUS`, a per-CPU array.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// One per reason for verdicts carried out, then one per reason for what observe let pass; the
    /// rest stays 0.
    pub counters: [u64; Self::COUNTER_PLACES],
    /// Tick of the kernel (jiffies) that `now_ns` was read at.
    pub tick: u64,
    /// CLOCK_BOOTTIME at the first packet of that tick.
    pub now_ns: u64,
    /// Second (2^30 ns) that `samples` is counted in.
    pub sample_second: u64,
    /// Samples written in it.
    pub samples: u64,
    /// Dropped packets to go by before a sample is thought of again.
    pub sample_rest: u64,
    /// The same for answers sent.
    pub answer_second: u64,
    pub answers: u64,
    /// Where a program makes the verifier forget a number.
    pub scratch: u64,
    /// Where the programs parse packets into: of those that arrive, and of those that leave.
    pub sheets: [[u64; SHEET_WORDS]; 2],
}

/// Room for what a packet is parsed into, in 8-byte words.
pub const SHEET_WORDS: usize = 32;

impl Cpu {
    /// A power of two, so that a masked number is a place.
    pub const COUNTER_PLACES: usize = 64;
    /// Length of an entry in 8-byte words; the counters come first.
    pub const WORDS: usize = size_of::<Self>() / 8;
}

const _: () = {
    assert!(size_of::<Settings>() == 56);
    assert!(size_of::<Panel>() == 120);
    assert!(size_of::<DestinationKey<V4>>() == 8);
    assert!(size_of::<DestinationKey<V6>>() == 20);
    assert!(size_of::<Destination>() == 8);
    assert!(size_of::<TargetKey>() == 8);
    assert!(size_of::<Target>() == 8);
    assert!(size_of::<LimitKey>() == 8);
    assert!(size_of::<Limit>() == 16);
    assert!(size_of::<AllowKey<V4>>() == 12);
    assert!(size_of::<AllowKey<V6>>() == 24);
    assert!(size_of::<DenyValue>() == 8);
    assert!(size_of::<GrantKey<V4>>() == 8);
    assert!(size_of::<GrantKey<V6>>() == 20);
    assert!(size_of::<Grant>() == 32);
    assert!(align_of::<Grant>() == 8);
    assert!(size_of::<Cpu>() == Cpu::WORDS * 8);
    assert!(COUNTERS as usize <= Cpu::COUNTER_PLACES && Cpu::COUNTER_PLACES.is_power_of_two());
};
