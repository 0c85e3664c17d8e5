//! The maps, by the names and layouts of `filter_abi`. Sizes of what grows with the grants are set
//! by the agent when it loads the object.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf},
};
use filter_abi::{
    AllowKey, Cpu, DenyValue, Destination, DestinationKey, ExactFamily, ExactV4, ExactV6, FlowKey,
    FlowRecord, FragmentKey, FragmentRecord, Grant, GrantKey, Impact, ImpactKey, Limit, LimitKey,
    Panel, SHEET_WORDS, Settings, Target, TargetKey, V4, V6, WORDS_MIN,
};
use filter_core::Sheet;

const PREFIXES: u32 = 65_536;
const TARGETS_LENGTH: u32 = 1_048_576;
const DENIES: u32 = 65_536;
const GRANTS: u32 = 262_144;
const RECORDS: u32 = 16_384;
const FLOWS: u32 = 65_536;
const SAMPLE_RING_BYTES: u32 = 1 << 20;

#[map]
static SETTINGS: Array<Panel> = Array::with_max_entries(1, 0);
#[map]
static CPUS: PerCpuArray<Cpu> = PerCpuArray::with_max_entries(1, 0);
/// The agent is taken for gone from this moment on.
#[map]
pub(crate) static HEARTBEAT: Array<u64> = Array::with_max_entries(1, 0);
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
pub(crate) static EXACT_V4: Array<ExactV4> =
    Array::with_max_entries(2 * <ExactV4 as ExactFamily>::BUCKETS, 0);
#[map]
pub(crate) static EXACT_V6: Array<ExactV6> =
    Array::with_max_entries(2 * <ExactV6 as ExactFamily>::BUCKETS, 0);
#[map]
pub(crate) static LIMITS: HashMap<LimitKey, Limit> = HashMap::with_max_entries(PREFIXES, 0);
#[map]
pub(crate) static ALLOWS_V4: LpmTrie<AllowKey<V4>, u32> = LpmTrie::with_max_entries(PREFIXES, 0);
#[map]
pub(crate) static ALLOWS_V6: LpmTrie<AllowKey<V6>, u32> = LpmTrie::with_max_entries(PREFIXES, 0);
#[map]
pub(crate) static DENIES_V4: LpmTrie<V4, DenyValue> = LpmTrie::with_max_entries(DENIES, 0);
#[map]
pub(crate) static DENIES_V6: LpmTrie<V6, DenyValue> = LpmTrie::with_max_entries(DENIES, 0);
#[map]
pub(crate) static SOURCES: Array<u64> = Array::with_max_entries(4 * WORDS_MIN, 0);
#[map]
pub(crate) static GRANTS_V4: HashMap<GrantKey<V4>, Grant> = HashMap::with_max_entries(GRANTS, 0);
#[map]
pub(crate) static GRANTS_V6: HashMap<GrantKey<V6>, Grant> = HashMap::with_max_entries(GRANTS, 0);
#[map]
pub(crate) static FRAGMENTS_V4: LruHashMap<FragmentKey<V4>, FragmentRecord> =
    LruHashMap::with_max_entries(RECORDS, 0);
#[map]
pub(crate) static FRAGMENTS_V6: LruHashMap<FragmentKey<V6>, FragmentRecord> =
    LruHashMap::with_max_entries(RECORDS, 0);
#[map]
pub(crate) static FLOWS_V4: LruHashMap<FlowKey<V4>, FlowRecord> =
    LruHashMap::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static FLOWS_V6: LruHashMap<FlowKey<V6>, FlowRecord> =
    LruHashMap::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static BUCKETS_V4: LruHashMap<GrantKey<V4>, u64> =
    LruHashMap::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static BUCKETS_V6: LruHashMap<GrantKey<V6>, u64> =
    LruHashMap::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static IMPACT: LruHashMap<ImpactKey, Impact> = LruHashMap::with_max_entries(RECORDS, 0);
#[map]
pub(crate) static SAMPLES: RingBuf = RingBuf::with_byte_size(SAMPLE_RING_BYTES, 0);

/// What a probe must show to be one.
#[map]
pub(crate) static PROBE: Array<u64> = Array::with_max_entries(1, 0);

/// The settings in force. `active` only ever holds 0 or 1, so a flip cannot be read half; what is
/// not in force is not written again before every packet that might still read it is through.
#[inline(always)]
pub(crate) fn settings() -> Option<&'static Settings> {
    let panel = SETTINGS.get(0)?;
    let [first, second] = &panel.halves;
    match panel.active {
        0 => Some(first),
        1 => Some(second),
        _ => None,
    }
}

/// What this CPU keeps for itself. XDP runs with preemption of itself excluded on a CPU, so plain
/// increments lose nothing.
#[inline(always)]
pub(crate) fn cpu() -> Option<*mut Cpu> {
    CPUS.get_ptr_mut(0)
}

/// Which of the two programs parses.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    In = 0,
    Out = 1,
}

/// Where this CPU parses packets into.
#[inline(always)]
pub(crate) fn sheet<'a>(cpu: *mut Cpu, way: Way) -> &'a mut Sheet {
    const { assert!(size_of::<Sheet>() <= SHEET_WORDS * 8 && align_of::<Sheet>() <= 8) };
    // SAFETY: `cpu` is this CPU's entry of `CPUS`, aligned and alive while the program runs.
    let sheet = unsafe { (&raw mut (*cpu).sheets).cast::<[u64; SHEET_WORDS]>() };
    // SAFETY: there are two, and `way` is 0 or 1.
    let sheet = unsafe { sheet.add(way as usize) };
    // SAFETY: large enough and aligned by the check above; all zeros, as the kernel makes it, is a
    // sheet, and so is what the last run of this program on this CPU left; programs of one way do
    // not interrupt each other.
    unsafe { &mut *sheet.cast::<Sheet>() }
}
