//! What each map must look like, so that a pinned one is opened only if it is exactly that.
//!
//! Each layout says in which version it came into being. That number is part of the pin's name, so
//! that an agent finds, beside its own maps, those of a later or an earlier version that mean the
//! same byte for byte.

use aya::maps::{MapData, MapType};
use filter_abi::{
    AllowKey, Cpu, DenyValue, Destination, DestinationKey, ExactFamily, ExactV4, ExactV6, FlowKey,
    FlowRecord, FragmentKey, FragmentRecord, Grant, GrantKey, Impact, ImpactKey, Limit, LimitKey,
    Panel, Target, TargetKey, V4, V6, names,
};

use super::sources::words_max;

/// Sizes in bytes, for each map by name.
pub(super) struct Layout {
    pub(super) name: &'static str,
    /// `ABI_VERSION` in which its bytes got the meaning they have. It grows with any change of the
    /// key's or the value's layout, and of what a field means.
    since: u32,
    pub(super) content: Content,
    kind: MapType,
    key: usize,
    value: usize,
    entries: Entries,
}

/// Where what is in a map comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The agent writes it anew whenever it starts. All such maps belong together: they are used
    /// as one, or none of them is.
    Tables,
    /// Traffic left it there, and nobody else knows it: each is kept for as long as it fits.
    Memory,
}

/// How many entries a map has.
enum Entries {
    Fixed(u32),
    /// As many as there may be grants.
    Grants,
    /// The filter of sources: two stretches for each family.
    Sources,
}

/// A trie's key starts with four bytes of prefix length.
const fn trie<K, V>(name: &'static str, entries: u32) -> Layout {
    let key = 4 + size_of::<K>();
    Layout {
        name,
        since: FIRST,
        content: Content::Tables,
        kind: MapType::LpmTrie,
        key,
        value: size_of::<V>(),
        entries: Entries::Fixed(entries),
    }
}

const fn array<V>(name: &'static str, entries: u32) -> Layout {
    Layout {
        name,
        since: FIRST,
        content: Content::Tables,
        kind: MapType::Array,
        key: 4,
        value: size_of::<V>(),
        entries: Entries::Fixed(entries),
    }
}

const fn hash<K, V>(name: &'static str, kind: MapType, entries: Entries) -> Layout {
    let (key, value) = (size_of::<K>(), size_of::<V>());
    Layout {
        name,
        since: FIRST,
        content: Content::Tables,
        kind,
        key,
        value,
        entries,
    }
}

const fn lru<K, V>(name: &'static str, entries: u32) -> Layout {
    hash::<K, V>(name, MapType::LruHash, Entries::Fixed(entries)).memory()
}

/// The version in which layouts began to be numbered one by one.
const FIRST: u32 = 3;

const RECORDS: u32 = 16_384;
const FLOWS: u32 = 65_536;

pub(super) const LAYOUTS: [Layout; names::ALL.len()] = [
    array::<Panel>(names::SETTINGS, 1),
    Layout {
        name: names::CPUS,
        since: FIRST,
        content: Content::Memory,
        kind: MapType::PerCpuArray,
        key: 4,
        value: size_of::<Cpu>(),
        entries: Entries::Fixed(1),
    },
    array::<u64>(names::HEARTBEAT, 1).memory(),
    trie::<DestinationKey<V4>, Destination>(names::DESTINATIONS_V4, 65_536),
    trie::<DestinationKey<V6>, Destination>(names::DESTINATIONS_V6, 65_536),
    trie::<TargetKey, Target>(names::TARGETS, 1_048_576),
    array::<ExactV4>(names::EXACT_V4, 2 * <ExactV4 as ExactFamily>::BUCKETS),
    array::<ExactV6>(names::EXACT_V6, 2 * <ExactV6 as ExactFamily>::BUCKETS),
    hash::<LimitKey, Limit>(names::LIMITS, MapType::Hash, Entries::Fixed(65_536)),
    trie::<AllowKey<V4>, u32>(names::ALLOWS_V4, 65_536),
    trie::<AllowKey<V6>, u32>(names::ALLOWS_V6, 65_536),
    trie::<V4, DenyValue>(names::DENIES_V4, 65_536),
    trie::<V6, DenyValue>(names::DENIES_V6, 65_536),
    Layout {
        entries: Entries::Sources,
        ..array::<u64>(names::SOURCES, 0)
    },
    hash::<GrantKey<V4>, Grant>(names::GRANTS_V4, MapType::Hash, Entries::Grants).memory(),
    hash::<GrantKey<V6>, Grant>(names::GRANTS_V6, MapType::Hash, Entries::Grants).memory(),
    lru::<FragmentKey<V4>, FragmentRecord>(names::FRAGMENTS_V4, RECORDS),
    lru::<FragmentKey<V6>, FragmentRecord>(names::FRAGMENTS_V6, RECORDS),
    lru::<FlowKey<V4>, FlowRecord>(names::FLOWS_V4, FLOWS),
    lru::<FlowKey<V6>, FlowRecord>(names::FLOWS_V6, FLOWS),
    lru::<GrantKey<V4>, u64>(names::BUCKETS_V4, FLOWS),
    lru::<GrantKey<V6>, u64>(names::BUCKETS_V6, FLOWS),
    lru::<ImpactKey, Impact>(names::IMPACT, RECORDS),
    Layout {
        name: names::SAMPLES,
        since: FIRST,
        content: Content::Memory,
        kind: MapType::RingBuf,
        key: 0,
        value: 0,
        entries: Entries::Fixed(1 << 20),
    },
    array::<u64>(names::PROBE, 1).memory(),
];

impl Layout {
    const fn memory(self) -> Self {
        Self {
            content: Content::Memory,
            ..self
        }
    }

    /// The layout of a map.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        LAYOUTS.iter().find(|layout| layout.name == name)
    }

    /// The name of its pin: a map of another meaning has another.
    pub(super) fn pin(&self) -> String {
        format!("{}@{}", self.name, self.since)
    }

    /// Entries with this capacity of grants.
    fn entries(&self, capacity: u32) -> u32 {
        match self.entries {
            Entries::Fixed(entries) => entries,
            Entries::Grants => capacity,
            Entries::Sources => 4 * words_max(capacity),
        }
    }

    /// What the loader must be told, for maps whose size depends on the capacity.
    pub(super) fn sized(&self, capacity: u32) -> Option<u32> {
        (!matches!(self.entries, Entries::Fixed(_))).then(|| self.entries(capacity))
    }

    /// Whether an opened map is this one with this capacity.
    pub(super) fn fits(&self, map: &MapData, capacity: u32) -> bool {
        map.info().is_ok_and(|info| {
            info.map_type().is_ok_and(|kind| kind == self.kind)
                && usize::try_from(info.key_size()) == Ok(self.key)
                && usize::try_from(info.value_size()) == Ok(self.value)
                && info.max_entries() == self.entries(capacity)
        })
    }
}
