//! Keys and values as the bytes a map holds, for user space. The program itself works on the
//! structs in place.

use crate::{
    AllowKey, DenyValue, Destination, DestinationKey, Grant, GrantKey, Settings, Target, TargetKey,
    TrieKey, V4, V6,
};

/// A value with a fixed number of bytes in a map.
pub trait Bytes: Sized {
    /// The array of the right size.
    type Array: AsRef<[u8]> + AsMut<[u8]> + Copy + Default;

    /// The bytes as the map holds them.
    fn to_bytes(&self) -> Self::Array;

    /// The value of bytes read from the map.
    fn from_bytes(bytes: &Self::Array) -> Self;
}

macro_rules! integers {
    ($($type:ty, $size:literal;)*) => {$(
        impl Bytes for $type {
            type Array = [u8; $size];

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
                    let mut array = <$kind as Bytes>::Array::default();
                    array.as_mut().copy_from_slice(field);
                    let $field = <$kind as Bytes>::from_bytes(&array);
                )*
                debug_assert!(rest.is_empty());
                Self { $($field),* }
            }
        }
    )*};
}

impl Bytes for [u16; 4] {
    type Array = [u8; 8];

    fn to_bytes(&self) -> Self::Array {
        let [a, b, c, d] = self.map(u16::to_ne_bytes);
        [a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]]
    }

    fn from_bytes(&[a, b, c, d, e, f, g, h]: &Self::Array) -> Self {
        [[a, b], [c, d], [e, f], [g, h]].map(u16::from_ne_bytes)
    }
}

structs! {
    Settings, 16, { generation: u32, flags: u32, ether_types: [u16; 4] };
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
        };
        assert_eq!(Settings::from_bytes(&settings.to_bytes()), settings);
        let key = GrantKey {
            source: [9; 16],
            service: 5,
        };
        assert_eq!(GrantKey::<V6>::from_bytes(&key.to_bytes()), key);
    }
}
