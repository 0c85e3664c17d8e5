//! Single addresses with single ports, answered by one look: a table of buckets in front of the
//! tries. What is not in it is asked of the tries, which know everything.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the halves of a number, and bits of a hash that fit by their shift"
)]

use crate::{Target, V4, V6};

/// Log2 of the buckets in one half of a table.
const BUCKETS_LOG: u32 = 13;
/// 2^64 divided by the golden ratio, odd (multiplicative hashing, Knuth 6.4).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
/// Set in every key that is in use: an empty place matches nothing.
const USED: u64 = 1 << 40;

/// One bucket: a cache line.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExactV4 {
    pub keys: [u64; Self::PLACES],
    pub targets: [Target; Self::PLACES],
}

/// One bucket: a cache line.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExactV6 {
    pub keys: [[u64; 3]; Self::PLACES],
    pub targets: [Target; Self::PLACES],
}

/// What the tables of both families have in common.
pub trait ExactFamily: Copy + Default {
    type Address;
    /// Compared in full.
    type Key: Copy + PartialEq;
    /// Entries of a bucket.
    const PLACES: usize;
    /// Buckets of one half; a table has two.
    const BUCKETS: u32 = 1 << BUCKETS_LOG;

    /// Protocol by IANA number, port in host byte order.
    fn key(address: Self::Address, protocol: u8, port: u16) -> Self::Key;
    /// Which bucket of the half that belongs to the generation.
    fn bucket(generation: u32, key: Self::Key) -> u32;
    /// Whether two keys are the same, word by word: the compiler makes of `==` on an array a
    /// comparison byte by byte, which costs more than the rest of a verdict.
    fn same(a: Self::Key, b: Self::Key) -> bool;
    /// Puts an entry into a free place. False: none is free.
    fn put(&mut self, key: Self::Key, target: Target) -> bool;
}

#[inline(always)]
const fn packed(protocol: u8, port: u16) -> u64 {
    USED | (protocol as u64) << 32 | (port as u64) << 48
}

#[inline(always)]
const fn place(generation: u32, hash: u64) -> u32 {
    ((generation & 1) << BUCKETS_LOG) | (hash >> (64 - BUCKETS_LOG)) as u32
}

impl ExactV4 {
    const PLACES: usize = 4;
}

impl ExactFamily for ExactV4 {
    type Address = V4;
    type Key = u64;
    const PLACES: usize = Self::PLACES;

    #[inline(always)]
    fn key(address: V4, protocol: u8, port: u16) -> u64 {
        packed(protocol, port) | u32::from_ne_bytes(address) as u64
    }

    #[inline(always)]
    fn bucket(generation: u32, key: u64) -> u32 {
        place(generation, (key ^ key >> 32).wrapping_mul(MULTIPLIER))
    }

    #[inline(always)]
    fn same(a: u64, b: u64) -> bool {
        a == b
    }

    fn put(&mut self, key: u64, target: Target) -> bool {
        let places = self.keys.iter_mut().zip(&mut self.targets);
        for (at, to) in places {
            if *at == 0 {
                (*at, *to) = (key, target);
                return true;
            }
        }
        false
    }
}

impl ExactV6 {
    const PLACES: usize = 2;
}

impl ExactFamily for ExactV6 {
    type Address = V6;
    type Key = [u64; 3];
    const PLACES: usize = Self::PLACES;

    #[inline(always)]
    fn key(address: V6, protocol: u8, port: u16) -> [u64; 3] {
        let [high, low] = halves(address);
        [packed(protocol, port), high, low]
    }

    #[inline(always)]
    fn bucket(generation: u32, key: [u64; 3]) -> u32 {
        let [ports, high, low] = key;
        let mixed = (ports ^ low).wrapping_mul(MULTIPLIER) ^ high;
        place(generation, (mixed ^ mixed >> 32).wrapping_mul(MULTIPLIER))
    }

    #[inline(always)]
    fn same([a, b, c]: [u64; 3], [x, y, z]: [u64; 3]) -> bool {
        (a ^ x) | (b ^ y) | (c ^ z) == 0
    }

    fn put(&mut self, key: [u64; 3], target: Target) -> bool {
        let places = self.keys.iter_mut().zip(&mut self.targets);
        for (at, to) in places {
            if *at == [0; 3] {
                (*at, *to) = (key, target);
                return true;
            }
        }
        false
    }
}

/// The two halves of an address, each as the little-endian number of its bytes.
#[inline(always)]
const fn halves(address: V6) -> [u64; 2] {
    let number = u128::from_le_bytes(address);
    [number as u64, (number >> 64) as u64]
}

const _: () = {
    assert!(size_of::<ExactV4>() == 64);
    assert!(size_of::<ExactV6>() == 64);
};
