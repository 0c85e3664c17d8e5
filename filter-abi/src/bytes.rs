//! Keys and values as the bytes a map holds, for user space. The program itself works on the
//! structs in place.

use crate::{
    AllowKey, DenyValue, Destination, DestinationKey, ExactV4, ExactV6, FlowKey, FlowRecord,
    FragmentKey, FragmentRecord, Grant, GrantKey, Impact, ImpactKey, Limit, LimitKey, Panel, Probe,
    Settings, Sources, Target, TargetKey, TrieKey, V4, V6,
};

/// A value with a fixed number of bytes in a map.
pub trait Bytes: Sized {
    /// The array of the right size.
    type Array: AsRef<[u8]> + AsMut<[u8]> + Copy;

    /// The array full of zeros.
    const ZERO: Self::Array;

    /// The bytes as the map holds them.
    fn to_bytes(&self) -> Self::Array;

    /// The value of bytes read from the map.
    fn from_bytes(bytes: &Self::Array) -> Self;
}

macro_rules! integers {
    ($($type:ty, $size:literal;)*) => {$(
        impl Bytes for $type {
            type Array = [u8; $size];
            const ZERO: [u8; $size] = [0; $size];

            fn to_bytes(&self) -> Self::Array {
                self.to_ne_bytes()
            }

            fn from_bytes(bytes: &Self::Array) -> Self {
                Self::from_ne_bytes(*bytes)
            }
        }
    )*};
}

integers! { u8, 1; u16, 2; u32, 4; u64, 8; }

macro_rules! arrays {
    ($($type:ty, $size:literal;)*) => {$(
        impl Bytes for $type {
            type Array = [u8; $size];
            const ZERO: [u8; $size] = [0; $size];

            fn to_bytes(&self) -> Self::Array {
                *self
            }

            fn from_bytes(bytes: &Self::Array) -> Self {
                *bytes
            }
        }
    )*};
}

arrays! { [u8; 2], 2; V4, 4; V6, 16; }

/// The fields one after the other; the layouts have no implicit padding, which is asserted here.
macro_rules! structs {
    ($($type:ty, $size:literal, { $($field:ident: $kind:ty),* };)*) => {$(
        const _: () = assert!(
            $size == 0 $(+ size_of::<$kind>())* && $size == size_of::<$type>(),
            "a field is missing or padded"
        );

        impl Bytes for $type {
            type Array = [u8; $size];
            const ZERO: [u8; $size] = [0; $size];

            fn to_bytes(&self) -> Self::Array {
                let mut bytes = [0; $size];
                let mut rest = bytes.as_mut_slice();
                $({
                    let (field, behind) = rest.split_at_mut(size_of::<$kind>());
                    field.copy_from_slice(self.$field.to_bytes().as_ref());
                    rest = behind;
                })*
                debug_assert!(rest.is_empty());
                bytes
            }

            fn from_bytes(bytes: &Self::Array) -> Self {
                let rest = bytes.as_slice();
                $(
                    let (field, rest) = rest.split_at(size_of::<$kind>());
                    let mut array = <$kind as Bytes>::ZERO;
                    array.as_mut().copy_from_slice(field);
                    let $field = <$kind as Bytes>::from_bytes(&array);
                )*
                debug_assert!(rest.is_empty());
                Self { $($field),* }
            }
        }
    )*};
}

macro_rules! rows {
    ($($type:ty, $length:literal, $size:literal;)*) => {$(
        impl Bytes for [$type; $length] {
            type Array = [u8; $size];
            const ZERO: [u8; $size] = [0; $size];

            fn to_bytes(&self) -> Self::Array {
                let mut bytes = [0; $size];
                let places = bytes.chunks_exact_mut($size / $length);
                for (place, item) in places.zip(self) {
                    place.copy_from_slice(item.to_bytes().as_ref());
                }
                bytes
            }

            fn from_bytes(bytes: &Self::Array) -> Self {
                core::array::from_fn(|index| {
                    let mut array = <$type as Bytes>::ZERO;
                    let mut items = bytes.chunks_exact($size / $length);
                    if let Some(item) = items.nth(index) {
                        array.as_mut().copy_from_slice(item);
                    }
                    <$type as Bytes>::from_bytes(&array)
                })
            }
        }
    )*};
}

rows! {
    u16, 4, 8; u64, 3, 24; u64, 4, 32; [u64; 3], 2, 48; Target, 2, 16; Target, 4, 32;
    Settings, 2, 112;
}

structs! {
    Sources, 8, { base: u32, mask: u32 };
    Settings, 56, {
        generation: u32, flags: u32, ether_types: [u16; 4], sources_v4: Sources,
        sources_v6: Sources, seed: u64, icmp_tolerance_ns: u64, icmp_interval_ns: u32,
        samples: u32
    };
    Panel, 120, { active: u32, zero: u32, halves: [Settings; 2] };
    LimitKey, 8, { generation: u32, service: u32 };
    Limit, 16, { interval_ns: u64, tolerance_ns: u64 };
    ExactV4, 64, { keys: [u64; 4], targets: [Target; 4] };
    ExactV6, 64, { keys: [[u64; 3]; 2], targets: [Target; 2] };
    Probe, 32, { key: u64, now_ns: u64, flags: u32, reason: u32, service: u32, target: u32 };
    FragmentKey<V4>, 16, { source: V4, destination: V4, id: u32, protocol: u32 };
    FragmentKey<V6>, 40, { source: V6, destination: V6, id: u32, protocol: u32 };
    FragmentRecord, 16, { seen_ns: u64, end: u32, zero: u32 };
    FlowKey<V4>, 16, { own: V4, peer: V4, own_port: u16, peer_port: u16, protocol: u32 };
    FlowKey<V6>, 40, { own: V6, peer: V6, own_port: u16, peer_port: u16, protocol: u32 };
    FlowRecord, 16, { seen_ns: u64, state: u32, zero: u32 };
    ImpactKey, 28, {
        source: V6, service: u32, reason: u8, protocol: u8, port: u16, answering: u32
    };
    Impact, 24, { first_ns: u64, last_ns: u64, packets: u64 };
    DestinationKey<V4>, 8, { generation: u32, address: V4 };
    DestinationKey<V6>, 20, { generation: u32, address: V6 };
    Destination, 8, { prefix: u32, flags: u32 };
    TargetKey, 8, { prefix: u32, protocol: u8, zero: u8, port: [u8; 2] };
    Target, 8, { service: u32, flags: u32 };
    AllowKey<V4>, 12, { generation: u32, service: u32, source: V4 };
    AllowKey<V6>, 24, { generation: u32, service: u32, source: V6 };
    TrieKey<V4>, 8, { bits: u32, data: V4 };
    TrieKey<V6>, 20, { bits: u32, data: V6 };
    TrieKey<DestinationKey<V4>>, 12, { bits: u32, data: DestinationKey<V4> };
    TrieKey<DestinationKey<V6>>, 24, { bits: u32, data: DestinationKey<V6> };
    TrieKey<TargetKey>, 12, { bits: u32, data: TargetKey };
    TrieKey<AllowKey<V4>>, 16, { bits: u32, data: AllowKey<V4> };
    TrieKey<AllowKey<V6>>, 28, { bits: u32, data: AllowKey<V6> };
    DenyValue, 8, { deadline_ns: u64 };
    GrantKey<V4>, 8, { source: V4, service: u32 };
    GrantKey<V6>, 20, { source: V6, service: u32 };
    Grant, 32, { deadline_ns: u64, idle_ns: u64, last_seen_ns: u64, packets: u64 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_lies_where_the_program_looks() {
        let grant = Grant {
            deadline_ns: 1,
            idle_ns: 2,
            last_seen_ns: 3,
            packets: u64::MAX,
        };
        assert_eq!(Grant::from_bytes(&grant.to_bytes()), grant);
        assert_eq!(grant.to_bytes()[8..16], 2u64.to_ne_bytes());
        let key = TargetKey {
            prefix: 7,
            protocol: 6,
            zero: 0,
            port: 443u16.to_be_bytes(),
        };
        assert_eq!(key.to_bytes()[4..], [6, 0, 1, 0xbb]);
        assert_eq!(TargetKey::from_bytes(&key.to_bytes()), key);
        let settings = Settings {
            generation: 9,
            flags: 3,
            ether_types: [1, 2, 3, 0x88b5],
            seed: 77,
            ..Settings::default()
        };
        let panel = Panel {
            active: 1,
            zero: 0,
            halves: [Settings::default(), settings],
        };
        assert_eq!(Panel::from_bytes(&panel.to_bytes()), panel);
        assert_eq!(Settings::from_bytes(&settings.to_bytes()), settings);
        let key = GrantKey {
            source: [9; 16],
            service: 5,
        };
        assert_eq!(GrantKey::<V6>::from_bytes(&key.to_bytes()), key);
    }
}
