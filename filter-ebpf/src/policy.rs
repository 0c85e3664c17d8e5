//! The look-ups of `filter_core`, answered from the maps.

use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap, lpm_trie::Key};
use filter_abi::{
    AllowKey, Cpu, Destination, DestinationKey, ExactFamily, ExactV4, ExactV6, FlowKey, FlowRecord,
    FragmentKey, FragmentRecord, Grant, GrantKey, Impact, ImpactKey, Limit, LimitKey, Settings,
    Sources, Target, TargetKey, V4, V6, mark,
};
use filter_core::{GrantCell, Place, Policy, Tables};

use crate::{clock, maps};

/// `last_seen_ns` is written at most this often, so that a busy source does not pass its cache
/// line between CPUs for every packet's time.
const LAST_SEEN_STEP_NS: u64 = 1_000_000_000;

/// On whose behalf the maps are asked.
pub(crate) trait Mode {
    /// A moment that a probe asks about; 0 = now.
    fn at_ns(&self) -> u64;
    /// False for a probe that only asks.
    fn keeps(&self) -> bool;
}

/// A packet from a wire. A type of its own, so that its way is compiled without a trace of probes.
pub(crate) struct Live;

impl Mode for Live {
    #[inline(always)]
    fn at_ns(&self) -> u64 {
        0
    }

    #[inline(always)]
    fn keeps(&self) -> bool {
        true
    }
}

/// The maps as they are now.
pub(crate) struct Kernel<M> {
    pub(crate) cpu: *mut Cpu,
    pub(crate) mode: M,
}

impl<M: Mode> Policy for Kernel<M> {
    #[inline(always)]
    fn target(&self, prefix: u32, protocol: u8, port: u16) -> Option<Target> {
        #[inline(never)]
        fn ask(prefix: u32, protocol: u8, port: u16) -> u64 {
            let key = TargetKey {
                prefix,
                protocol,
                zero: 0,
                port: port.to_be_bytes(),
            };
            match maps::TARGETS.get(Key::new(64, key)) {
                Some(Target { service, flags }) => (*flags as u64) << 32 | *service as u64,
                None => 0,
            }
        }
        let word = ask(prefix, protocol, port);
        let target = Target {
            service: word as u32,
            flags: (word >> 32) as u32,
        };
        target.exists().then_some(target)
    }

    #[inline(always)]
    fn limit(&self, generation: u32, service: u32) -> Option<Limit> {
        let key = LimitKey {
            generation,
            service,
        };
        // SAFETY: entries of a generation in force are not written; see `Panel`.
        unsafe { maps::LIMITS.get(key) }.copied()
    }

    #[inline(always)]
    fn now_ns(&self) -> u64 {
        match self.mode.at_ns() {
            0 => clock::now_ns(self.cpu),
            at => at,
        }
    }

    #[inline(always)]
    fn alive_until_ns(&self) -> u64 {
        maps::HEARTBEAT.get(0).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn keep_impact(&self, key: &ImpactKey) {
        if !self.mode.keeps() {
            return;
        }
        let now = self.now_ns();
        if let Some(known) = maps::IMPACT.get_ptr_mut(key) {
            // SAFETY: the kernel returned the address of an aligned value that stays mapped while
            // the program runs; two CPUs may count at once, the loss is a count.
            unsafe { (*known).packets += 1 };
            // SAFETY: as above.
            unsafe { (*known).last_ns = now };
            return;
        }
        let first = Impact {
            first_ns: now,
            last_ns: now,
            packets: 1,
        };
        // What cannot be written down is not in the report; the packet passes all the same.
        let _ = maps::IMPACT.insert(key, first, 0);
    }
}

/// A value in a grant table.
pub(crate) struct Cell(*mut Grant);

impl GrantCell for Cell {
    #[inline(always)]
    fn deadline_ns(&self) -> u64 {
        // SAFETY: see `found`.
        unsafe { (*self.0).deadline_ns }
    }

    #[inline(always)]
    fn idle_ns(&self) -> u64 {
        // SAFETY: see `found`.
        unsafe { (*self.0).idle_ns }
    }

    #[inline(always)]
    fn last_seen_ns(&self) -> u64 {
        // SAFETY: see `found`.
        unsafe { (*self.0).last_seen_ns }
    }
}

impl Cell {
    #[inline(always)]
    fn count(&self, now_ns: u64) {
        // SAFETY: see `found`. Two CPUs may count at once; the loss is a count, never a verdict.
        unsafe { (*self.0).packets += 1 };
        if now_ns.saturating_sub(self.last_seen_ns()) >= LAST_SEEN_STEP_NS {
            // SAFETY: see `found`; an aligned 8-byte store.
            unsafe { (*self.0).last_seen_ns = now_ns };
        }
    }
}

/// SAFETY of every use of `Cell`: the kernel returned the address of an aligned value that stays
/// mapped while the program runs (preallocated hash, RCU); a value that is replaced meanwhile is
/// still whole.
#[inline(always)]
fn found<K>(table: &HashMap<K, Grant>, key: &K) -> Option<Cell> {
    table.get_ptr_mut(key).map(Cell)
}

#[inline(always)]
fn value<K, V: Copy>(table: &LpmTrie<K, V>, bits: u32, key: K) -> Option<V> {
    table.get(Key::new(bits, key)).copied()
}

/// A destination in one word, because that is what a function of a kernel program can return:
/// the flags, of which two bits are in use, with `FOUND` above the prefix.
const FOUND: u64 = 1 << 63;

#[inline(always)]
const fn packed(destination: Option<Destination>) -> u64 {
    match destination {
        Some(Destination { prefix, flags }) => FOUND | (flags as u64) << 32 | prefix as u64,
        None => 0,
    }
}

#[inline(always)]
fn unpacked(word: u64) -> Option<Destination> {
    (word & FOUND != 0).then_some(Destination {
        prefix: word as u32,
        flags: (word >> 32) as u32 & 0x7fff_ffff,
    })
}

/// A copy of a record. It may be replaced at the same moment, by a newer one of the same flow.
#[inline(always)]
fn record<K, V: Copy>(table: &LruHashMap<K, V>, key: &K) -> Option<V> {
    // SAFETY: the value is aligned and stays mapped while the program runs; its fields are read
    // one by one, and each is meaningful by itself.
    unsafe { table.get(key) }.copied()
}

#[inline(always)]
fn may_hold(sources: Sources, settings: &Settings, source: u64) -> bool {
    let mark = mark(sources, settings.seed, source);
    maps::SOURCES
        .get(mark.word)
        .is_some_and(|word| word & mark.bits == mark.bits)
}

#[inline(always)]
fn exact<T: 'static>(table: &'static Array<T>, bucket: u32) -> Option<&'static T> {
    table.get(bucket)
}

/// What an entry of an `EXACT_*` table says.
#[inline(always)]
fn known(target: Target) -> Place {
    let protected = target.flags & Target::PROTECTED != 0;
    Place {
        flags: if protected { Destination::PROTECTED } else { 0 },
        target: Target {
            flags: target.flags & !Target::PROTECTED,
            ..target
        },
    }
}

/// The entry of an `EXACT_*` table, `Target::NONE` if there is none.
macro_rules! entry {
    ($exact:ident, $exacts:ident, $generation:ident, $address:ident, $protocol:ident, $port:ident) => {{
        let key = <$exact as ExactFamily>::key($address, $protocol, $port);
        let mut found = Target::NONE;
        if let Some(bucket) = exact(&maps::$exacts, $exact::bucket($generation, key)) {
            for (at, target) in bucket.keys.iter().zip(&bucket.targets) {
                if $exact::same(*at, key) {
                    found = *target;
                }
            }
        }
        found
    }};
}

macro_rules! tables {
    (
        $family:ty, $exact:ident, $bits:literal,
        $destinations:ident, $exacts:ident, $denies:ident, $allows:ident, $grants:ident,
        $due:ident, $fragments:ident, $flows:ident, $sources:ident, $number:expr
    ) => {
        impl<M: Mode> Tables<$family> for Kernel<M> {
            type Grant = Cell;

            #[inline(always)]
            fn destination(&self, generation: u32, address: $family) -> Option<Destination> {
                #[inline(never)]
                fn ask(generation: u32, address: &$family) -> u64 {
                    let key = DestinationKey {
                        generation,
                        address: *address,
                    };
                    packed(value(&maps::$destinations, 32 + $bits, key))
                }
                unpacked(ask(generation, &address.clone()))
            }

            #[inline(always)]
            fn place(
                &self,
                generation: u32,
                address: $family,
                protocol: u8,
                port: u16,
            ) -> Option<Place> {
                let target = entry!($exact, $exacts, generation, address, protocol, port);
                if target.exists() {
                    return Some(known(target));
                }
                let destination = self.destination(generation, address)?;
                Some(Place {
                    flags: destination.flags,
                    target: self
                        .target(destination.prefix, protocol, port)
                        .unwrap_or(Target::NONE),
                })
            }

            #[inline(always)]
            fn exact(&self, generation: u32, address: $family, protocol: u8, port: u16) -> Target {
                known(entry!($exact, $exacts, generation, address, protocol, port)).target
            }

            #[inline(always)]
            fn denied_until_ns(&self, source: $family) -> Option<u64> {
                #[inline(never)]
                fn ask(source: &$family) -> u64 {
                    value(&maps::$denies, $bits, *source).map_or(0, |deny| deny.deadline_ns)
                }
                Some(ask(&source.clone())).filter(|deadline_ns| *deadline_ns != 0)
            }

            #[inline(always)]
            fn allowed(&self, generation: u32, service: u32, source: $family) -> bool {
                #[inline(never)]
                fn ask(generation: u32, service: u32, source: &$family) -> u64 {
                    let key = AllowKey {
                        generation,
                        service,
                        source: *source,
                    };
                    u64::from(value(&maps::$allows, 64 + $bits, key).is_some())
                }
                ask(generation, service, &source.clone()) != 0
            }

            #[inline(always)]
            fn may_hold(&self, settings: &Settings, source: $family) -> bool {
                may_hold(settings.$sources, settings, $number(source))
            }

            #[inline(always)]
            fn grant(&self, key: GrantKey<$family>) -> Option<Cell> {
                found(&maps::$grants, &key)
            }

            #[inline(always)]
            fn admit(&self, grant: &Cell, now_ns: u64) {
                if self.mode.keeps() {
                    grant.count(now_ns);
                }
            }

            #[inline(always)]
            fn due_ns(&self, key: GrantKey<$family>) -> u64 {
                record(&maps::$due, &key).unwrap_or(0)
            }

            #[inline(always)]
            fn keep_due(&self, key: GrantKey<$family>, due_ns: u64) {
                if self.mode.keeps() {
                    // A rate that cannot be written down is not kept to; the table is an LRU, so
                    // that does not happen.
                    let _ = maps::$due.insert(key, due_ns, 0);
                }
            }

            #[inline(always)]
            fn fragment(&self, key: &FragmentKey<$family>) -> Option<FragmentRecord> {
                record(&maps::$fragments, key)
            }

            #[inline(always)]
            fn keep_fragment(&self, key: &FragmentKey<$family>, record: FragmentRecord) {
                if self.mode.keeps() {
                    let _ = maps::$fragments.insert(key, record, 0);
                }
            }

            #[inline(always)]
            fn flow(&self, key: &FlowKey<$family>) -> Option<FlowRecord> {
                record(&maps::$flows, key)
            }

            #[inline(always)]
            fn keep_flow(&self, key: &FlowKey<$family>, record: FlowRecord) {
                if self.mode.keeps() {
                    let _ = maps::$flows.insert(key, record, 0);
                }
            }
        }
    };
}

tables!(
    V4,
    ExactV4,
    32,
    DESTINATIONS_V4,
    EXACT_V4,
    DENIES_V4,
    ALLOWS_V4,
    GRANTS_V4,
    BUCKETS_V4,
    FRAGMENTS_V4,
    FLOWS_V4,
    sources_v4,
    |source: V4| u64::from(u32::from_ne_bytes(source))
);
tables!(
    V6,
    ExactV6,
    128,
    DESTINATIONS_V6,
    EXACT_V6,
    DENIES_V6,
    ALLOWS_V6,
    GRANTS_V6,
    BUCKETS_V6,
    FRAGMENTS_V6,
    FLOWS_V6,
    sources_v6,
    |source: V6| { u128::from_le_bytes(source) as u64 }
);
