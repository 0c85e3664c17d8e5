//! The maps, by the names and layouts of `filter_abi`. Sizes of the grant tables are set by the
//! agent when it loads the object.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LpmTrie, PerCpuArray},
};
use filter_abi::{
    AllowKey, COUNTERS as COUNTERS_LENGTH, DenyValue, Destination, DestinationKey, Grant, GrantKey,
    Settings, Target, TargetKey, V4, V6,
};

const PREFIXES: u32 = 65_536;
const TARGETS_LENGTH: u32 = 1_048_576;
const DENIES: u32 = 65_536;
const GRANTS: u32 = 262_144;

#[map]
static ACTIVE: Array<u32> = Array::with_max_entries(1, 0);
#[map]
static SETTINGS: Array<Settings> = Array::with_max_entries(2, 0);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTERS_LENGTH, 0);
#[map]
pub(crate) static DESTINATIONS_V4: LpmTrie<DestinationKey<V4>, Destination> =
    LpmTrie::with_max_entries(PREFIXES, 0);
#[map]
pub(crate) static DESTINATIONS_V6: LpmTrie<DestinationKey<V6>, Destination> =
    LpmTrie::with_max_entries(PREFIXES, 0);
#[map]
pub(crate) static TARGETS: LpmTrie<TargetKey, Target> =
    LpmTrie::with_max_entries(TARGETS_LENGTH, 0);
#[map]
pub(crate) static ALLOWS_V4: LpmTrie<AllowKey<V4>, u32> = LpmTrie::with_max_entries(PREFIXES, 0);
#[map]
pub(crate) static ALLOWS_V6: LpmTrie<AllowKey<V6>, u32> = LpmTrie::with_max_entries(PREFIXES, 0);
#[map]
pub(crate) static DENIES_V4: LpmTrie<V4, DenyValue> = LpmTrie::with_max_entries(DENIES, 0);
#[map]
pub(crate) static DENIES_V6: LpmTrie<V6, DenyValue> = LpmTrie::with_max_entries(DENIES, 0);
#[map]
pub(crate) static GRANTS_V4: HashMap<GrantKey<V4>, Grant> = HashMap::with_max_entries(GRANTS, 0);
#[map]
pub(crate) static GRANTS_V6: HashMap<GrantKey<V6>, Grant> = HashMap::with_max_entries(GRANTS, 0);

/// The settings in force. `ACTIVE` only ever holds 0 or 1, so a flip cannot be read half.
#[inline(always)]
pub(crate) fn settings() -> Option<Settings> {
    SETTINGS.get(*ACTIVE.get(0)?).copied()
}

/// Adds one to a counter of this CPU. XDP runs with preemption of itself excluded on a CPU, so a
/// plain increment loses nothing.
#[inline(always)]
pub(crate) fn count(index: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: the kernel returned the address of this CPU's 8-byte value, which is aligned and
        // lives as long as the program.
        unsafe { *counter += 1 };
    }
}
