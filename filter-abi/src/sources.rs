//! Which sources may hold a grant: a blocked Bloom filter in front of the grant tables, so that a
//! flood from random sources costs one look at one small table instead of a miss in a huge one.
//!
//! It only ever says "surely not" or "perhaps"; who is admitted is decided by the grant alone.

use crate::Sources;

/// Words of the smallest filter.
pub const WORDS_MIN: u32 = 1_024;

/// Where a source is marked: the word, and the bits in it that must all be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub word: u32,
    pub bits: u64,
}

/// The mark of a source: an IPv4 address as the native integer of its bytes, or the first 64 bits
/// of an IPv6 one as the little-endian integer of theirs. `seed` is odd; the upper bits of a product with a random odd number are
/// spread evenly whatever the sources are (multiplicative hashing).
#[inline(always)]
pub const fn mark(sources: Sources, seed: u64, source: u64) -> Mark {
    let hash = source.wrapping_mul(seed);
    let hash = (hash ^ (hash >> 32)).wrapping_mul(seed);
    Mark {
        word: sources.base + ((hash >> 40) as u32 & sources.mask),
        bits: (1 << (hash >> 34 & 63)) | (1 << (hash >> 28 & 63)) | (1 << (hash >> 22 & 63)),
    }
}
