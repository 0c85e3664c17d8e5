//! The look-ups of `filter_core`, answered from the maps.

use aya_ebpf::maps::{HashMap, LpmTrie, lpm_trie::Key};
use filter_abi::{
    AllowKey, Destination, DestinationKey, Grant, GrantKey, Target, TargetKey, V4, V6,
};
use filter_core::{GrantCell, Policy, Tables};

use crate::{clock, maps};

/// `last_seen_ns` is written at most this often, so that a busy source does not pass its cache
/// line between CPUs for every packet's time.
const LAST_SEEN_STEP_NS: u64 = 1_000_000_000;

/// The maps as they are now.
pub(crate) struct Kernel;

impl Policy for Kernel {
    #[inline(always)]
    fn target(&self, prefix: u32, protocol: u8, port: u16) -> Option<Target> {
        let key = TargetKey {
            prefix,
            protocol,
            zero: 0,
            port: port.to_be_bytes(),
        };
        maps::TARGETS.get(Key::new(64, key)).copied()
    }

    #[inline(always)]
    fn now_ns(&self) -> u64 {
        clock::now_ns()
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

    #[inline(always)]
    fn admit(&self, now_ns: u64) {
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

impl Tables<V4> for Kernel {
    type Grant = Cell;

    #[inline(always)]
    fn destination(&self, generation: u32, address: V4) -> Option<Destination> {
        value(
            &maps::DESTINATIONS_V4,
            64,
            DestinationKey {
                generation,
                address,
            },
        )
    }

    #[inline(always)]
    fn denied_until_ns(&self, source: V4) -> Option<u64> {
        value(&maps::DENIES_V4, 32, source).map(|deny| deny.deadline_ns)
    }

    #[inline(always)]
    fn allowed(&self, generation: u32, service: u32, source: V4) -> bool {
        value(
            &maps::ALLOWS_V4,
            96,
            AllowKey {
                generation,
                service,
                source,
            },
        )
        .is_some()
    }

    #[inline(always)]
    fn grant(&self, service: u32, source: V4) -> Option<Cell> {
        found(&maps::GRANTS_V4, &GrantKey { source, service })
    }
}

impl Tables<V6> for Kernel {
    type Grant = Cell;

    #[inline(always)]
    fn destination(&self, generation: u32, address: V6) -> Option<Destination> {
        value(
            &maps::DESTINATIONS_V6,
            160,
            DestinationKey {
                generation,
                address,
            },
        )
    }

    #[inline(always)]
    fn denied_until_ns(&self, source: V6) -> Option<u64> {
        value(&maps::DENIES_V6, 128, source).map(|deny| deny.deadline_ns)
    }

    #[inline(always)]
    fn allowed(&self, generation: u32, service: u32, source: V6) -> bool {
        value(
            &maps::ALLOWS_V6,
            192,
            AllowKey {
                generation,
                service,
                source,
            },
        )
        .is_some()
    }

    #[inline(always)]
    fn grant(&self, service: u32, source: V6) -> Option<Cell> {
        found(&maps::GRANTS_V6, &GrantKey { source, service })
    }
}
