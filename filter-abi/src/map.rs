//! Keys and values of the maps. Integers only, padding written out, no niche, no enum.
//!
//! Times are nanoseconds of CLOCK_BOOTTIME: it runs on while the machine is suspended, so a grant
//! cannot outlive its deadline by sleeping, and nobody can set it back (clock_gettime(2),
//! `bpf_ktime_get_boot_ns` in bpf-helpers(7)). Addresses and ports are in network byte order,
//! every other integer is native.

/// Names of the maps in the kernel object and of their pins.
pub mod names {
    pub const ACTIVE: &str = "ACTIVE";
    pub const SETTINGS: &str = "SETTINGS";
    pub const COUNTERS: &str = "COUNTERS";
    pub const DESTINATIONS_V4: &str = "DESTINATIONS_V4";
    pub const DESTINATIONS_V6: &str = "DESTINATIONS_V6";
    pub const TARGETS: &str = "TARGETS";
    pub const ALLOWS_V4: &str = "ALLOWS_V4";
    pub const ALLOWS_V6: &str = "ALLOWS_V6";
    pub const DENIES_V4: &str = "DENIES_V4";
    pub const DENIES_V6: &str = "DENIES_V6";
    pub const GRANTS_V4: &str = "GRANTS_V4";
    pub const GRANTS_V6: &str = "GRANTS_V6";
    /// All of them: each is pinned and must be found again at take-over.
    pub const ALL: [&str; 12] = [
        ACTIVE,
        SETTINGS,
        COUNTERS,
        DESTINATIONS_V4,
        DESTINATIONS_V6,
        TARGETS,
        ALLOWS_V4,
        ALLOWS_V6,
        DENIES_V4,
        DENIES_V6,
        GRANTS_V4,
        GRANTS_V6,
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

/// One of the two entries of `SETTINGS`. `ACTIVE` says which one is in force; the other one is
/// written in full before `ACTIVE` flips, so no packet sees half of two settings.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Which generation of destinations, targets and allows is in force.
    pub generation: u32,
    /// Bits of `Settings::OBSERVE` and its neighbours.
    pub flags: u32,
    /// EtherTypes beside the built-in ones that pass, native byte order; 0 is an empty place.
    pub ether_types: [u16; 4],
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
    /// Stable over configurations: the agent's ledger gives each service name a number once.
    pub service: u32,
    pub flags: u32,
}

impl Target {
    /// The service is open to everybody.
    pub const PUBLIC: u32 = 1;
    /// The service has permanent allow prefixes; without the bit that table is not looked at.
    pub const HAS_ALLOWS: u32 = 1 << 1;
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

const _: () = {
    assert!(size_of::<Settings>() == 16);
    assert!(size_of::<DestinationKey<V4>>() == 8);
    assert!(size_of::<DestinationKey<V6>>() == 20);
    assert!(size_of::<Destination>() == 8);
    assert!(size_of::<TargetKey>() == 8);
    assert!(size_of::<Target>() == 8);
    assert!(size_of::<AllowKey<V4>>() == 12);
    assert!(size_of::<AllowKey<V6>>() == 24);
    assert!(size_of::<DenyValue>() == 8);
    assert!(size_of::<GrantKey<V4>>() == 8);
    assert!(size_of::<GrantKey<V6>>() == 20);
    assert!(size_of::<Grant>() == 32);
    assert!(align_of::<Grant>() == 8);
};
