//! What each map must look like, so that a pinned one is opened only if it is exactly that.

use aya::maps::{MapData, MapType};
use filter_abi::{
    AllowKey, COUNTERS, DenyValue, Destination, DestinationKey, Grant, GrantKey, Settings, Target,
    TargetKey, V4, V6, names,
};

/// Sizes in bytes, for each map by name.
pub(super) struct Layout {
    pub(super) name: &'static str,
    kind: MapType,
    pub(super) key: usize,
    pub(super) value: usize,
    /// None: set by the capacity.
    entries: Option<u32>,
}

/// A trie's key starts with four bytes of prefix length.
const fn trie<K, V>(name: &'static str, entries: u32) -> Layout {
    let key = 4 + size_of::<K>();
    Layout {
        name,
        kind: MapType::LpmTrie,
        key,
        value: size_of::<V>(),
        entries: Some(entries),
    }
}

const fn array<V>(name: &'static str, entries: u32) -> Layout {
    Layout {
        name,
        kind: MapType::Array,
        key: 4,
        value: size_of::<V>(),
        entries: Some(entries),
    }
}

const fn grants<K>(name: &'static str) -> Layout {
    let (key, value) = (size_of::<K>(), size_of::<Grant>());
    Layout {
        name,
        kind: MapType::Hash,
        key,
        value,
        entries: None,
    }
}

pub(super) const LAYOUTS: [Layout; names::ALL.len()] = [
    array::<u32>(names::ACTIVE, 1),
    array::<Settings>(names::SETTINGS, 2),
    Layout {
        name: names::COUNTERS,
        kind: MapType::PerCpuArray,
        key: 4,
        value: 8,
        entries: Some(COUNTERS),
    },
    trie::<DestinationKey<V4>, Destination>(names::DESTINATIONS_V4, 65_536),
    trie::<DestinationKey<V6>, Destination>(names::DESTINATIONS_V6, 65_536),
    trie::<TargetKey, Target>(names::TARGETS, 1_048_576),
    trie::<AllowKey<V4>, u32>(names::ALLOWS_V4, 65_536),
    trie::<AllowKey<V6>, u32>(names::ALLOWS_V6, 65_536),
    trie::<V4, DenyValue>(names::DENIES_V4, 65_536),
    trie::<V6, DenyValue>(names::DENIES_V6, 65_536),
    grants::<GrantKey<V4>>(names::GRANTS_V4),
    grants::<GrantKey<V6>>(names::GRANTS_V6),
];

impl Layout {
    /// Whether an opened map is this one with this capacity.
    pub(super) fn fits(&self, map: &MapData, capacity: u32) -> bool {
        map.info().is_ok_and(|info| {
            info.map_type().is_ok_and(|kind| kind == self.kind)
                && usize::try_from(info.key_size()) == Ok(self.key)
                && usize::try_from(info.value_size()) == Ok(self.value)
                && info.max_entries() == self.entries.unwrap_or(capacity)
        })
    }
}
