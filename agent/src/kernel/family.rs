//! The tables of one address family, alike for both.

use std::{
    collections::HashSet,
    io,
    net::{IpAddr, Ipv6Addr},
};

use agent_api::Source;
use filter_abi::{
    AllowKey, Bytes, DenyValue, Destination, DestinationKey, ExactFamily, ExactV4, ExactV6, Grant,
    GrantKey, TrieKey, V4, V6, names,
};
use ipnet::IpNet;

use super::{GrantId, error::KernelError, map::Map};
use crate::policy::{ExactTarget, Policy};

/// An address family and what its tables are called.
pub(super) trait Family: Copy + Eq + std::hash::Hash + 'static {
    type Exact: ExactFamily<Address = Self> + Bytes;
    const NAMES: Names;

    fn of(address: IpAddr) -> Option<Self>;
    /// How the program finds a grant. None: it is of the other family.
    fn key(id: GrantId) -> Option<GrantKey<Self>>;
    /// The grant that is found so.
    fn id(key: &GrantKey<Self>) -> GrantId;
    /// What the filter of sources is keyed by, see `filter_abi::mark`.
    fn number(self) -> u64;
}

/// How the program finds a grant, whichever family it is of.
pub(super) enum Key {
    V4(GrantKey<V4>),
    V6(GrantKey<V6>),
}

impl From<GrantId> for Key {
    fn from(id: GrantId) -> Self {
        match id.source.address() {
            IpAddr::V4(address) => Self::V4(GrantKey {
                source: address.octets(),
                service: id.service,
            }),
            IpAddr::V6(address) => Self::V6(GrantKey {
                source: address.octets(),
                service: match id.source {
                    Source::Address(_) => id.service,
                    Source::Prefix(_) => id.service | GrantKey::<V6>::PREFIX,
                },
            }),
        }
    }
}

/// Names of a family's maps.
pub(super) struct Names {
    destinations: &'static str,
    exact: &'static str,
    allows: &'static str,
    denies: &'static str,
    grants: &'static str,
}

impl Family for V4 {
    type Exact = ExactV4;
    const NAMES: Names = Names {
        destinations: names::DESTINATIONS_V4,
        exact: names::EXACT_V4,
        allows: names::ALLOWS_V4,
        denies: names::DENIES_V4,
        grants: names::GRANTS_V4,
    };

    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => Some(address.octets()),
            IpAddr::V6(_) => None,
        }
    }

    fn key(id: GrantId) -> Option<GrantKey<Self>> {
        match Key::from(id) {
            Key::V4(key) => Some(key),
            Key::V6(_) => None,
        }
    }

    fn id(key: &GrantKey<Self>) -> GrantId {
        GrantId {
            source: Source::Address(key.source.into()),
            service: key.service,
        }
    }

    fn number(self) -> u64 {
        u32::from_ne_bytes(self).into()
    }
}

impl Family for V6 {
    type Exact = ExactV6;
    const NAMES: Names = Names {
        destinations: names::DESTINATIONS_V6,
        exact: names::EXACT_V6,
        allows: names::ALLOWS_V6,
        denies: names::DENIES_V6,
        grants: names::GRANTS_V6,
    };

    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(address.octets()),
        }
    }

    fn key(id: GrantId) -> Option<GrantKey<Self>> {
        match Key::from(id) {
            Key::V4(_) => None,
            Key::V6(key) => Some(key),
        }
    }

    fn id(key: &GrantKey<Self>) -> GrantId {
        let address = Ipv6Addr::from(key.source);
        let source = match key.service & GrantKey::<Self>::PREFIX {
            0 => Source::Address(address.into()),
            _ => Source::Prefix(address),
        };
        GrantId {
            source,
            service: key.service & !GrantKey::<Self>::PREFIX,
        }
    }

    fn number(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

/// The maps themselves.
pub(super) struct Tables<A: Family> {
    destinations: Map<TrieKey<DestinationKey<A>>, Destination>,
    exact: Map<u32, A::Exact>,
    allows: Map<TrieKey<AllowKey<A>>, u32>,
    denies: Map<TrieKey<A>, DenyValue>,
    grants: Map<GrantKey<A>, Grant>,
}

impl<A: Family> Tables<A>
where
    TrieKey<DestinationKey<A>>: Bytes,
    TrieKey<AllowKey<A>>: Bytes,
    TrieKey<A>: Bytes,
    GrantKey<A>: Bytes,
{
    pub(super) fn open(
        map: impl Fn(&'static str) -> Result<aya::maps::MapData, KernelError>,
    ) -> Result<Self, KernelError> {
        let names = A::NAMES;
        Ok(Self {
            destinations: Map::new(names.destinations, map(names.destinations)?),
            exact: Map::new(names.exact, map(names.exact)?),
            allows: Map::new(names.allows, map(names.allows)?),
            denies: Map::new(names.denies, map(names.denies)?),
            grants: Map::new(names.grants, map(names.grants)?),
        })
    }

    /// Writes a generation beside the one in force. `number` makes prefix numbers of places.
    pub(super) fn fill(
        &self,
        policy: &Policy,
        generation: u32,
        number: impl Fn(u16) -> u32,
    ) -> Result<(), KernelError> {
        for (index, (prefix, flags)) in (0u16..).zip(&policy.destinations) {
            let Some(address) = A::of(prefix.network()) else {
                continue;
            };
            let bits = 32 + u32::from(prefix.prefix_len());
            let data = DestinationKey {
                generation,
                address,
            };
            let value = Destination {
                prefix: number(index),
                flags: *flags,
            };
            self.destinations.write(&TrieKey { bits, data }, &value)?;
        }
        for &(service, prefix) in &policy.allows {
            let Some(source) = A::of(prefix.network()) else {
                continue;
            };
            let bits = 64 + u32::from(prefix.prefix_len());
            let data = AllowKey {
                generation,
                service,
                source,
            };
            self.allows.write(&TrieKey { bits, data }, &1)?;
        }
        self.fill_exact(&policy.exact, generation)
    }

    /// Writes the whole half of the table, so that nothing of two generations ago is left in it.
    fn fill_exact(&self, targets: &[ExactTarget], generation: u32) -> Result<(), KernelError> {
        let first = (generation & 1) * A::Exact::BUCKETS;
        let mut buckets: Vec<(u32, A::Exact)> = (first..first + A::Exact::BUCKETS)
            .map(|index| (index, A::Exact::default()))
            .collect();
        for target in targets {
            let Some(address) = A::of(target.address) else {
                continue;
            };
            let key = A::Exact::key(address, target.protocol, target.port);
            let place = A::Exact::bucket(generation, key) - first;
            if let Some((_, bucket)) = buckets.get_mut(place as usize) {
                // One that finds no place is answered by the tries.
                let _ = bucket.put(key, target.target);
            }
        }
        self.exact
            .write_many(&buckets)
            .map_err(|error| KernelError::io("writing the table of exact targets failed", error))
    }

    /// Removes the entries of every other generation.
    pub(super) fn sweep(&self, generation: u32) -> Result<(), KernelError> {
        self.destinations
            .retain(|key| key.data.generation == generation)?;
        self.allows.retain(|key| key.data.generation == generation)
    }

    /// Makes the deny table hold exactly the prefixes of this family. True: there are any.
    pub(super) fn deny<'a>(
        &self,
        denies: impl Iterator<Item = (&'a IpNet, &'a u64)>,
    ) -> Result<bool, KernelError> {
        let mut kept = HashSet::new();
        for (prefix, &deadline_ns) in denies {
            let Some(data) = A::of(prefix.network()) else {
                continue;
            };
            let bits = u32::from(prefix.prefix_len());
            self.denies
                .write(&TrieKey { bits, data }, &DenyValue { deadline_ns })?;
            kept.insert((bits, data));
        }
        self.denies
            .retain(|key| kept.contains(&(key.bits, key.data)))?;
        Ok(!kept.is_empty())
    }

    pub(super) fn read(&self, key: &GrantKey<A>) -> Result<Option<Grant>, KernelError> {
        self.grants.read(key)
    }

    /// The error is the kernel's own; E2BIG means that the map is full.
    pub(super) fn put(&self, key: &GrantKey<A>, grant: &Grant) -> io::Result<()> {
        self.grants.try_write(key, grant)
    }

    pub(super) fn put_many(&self, grants: &[(GrantId, Grant)]) -> io::Result<()> {
        let ours: Vec<(GrantKey<A>, Grant)> = grants
            .iter()
            .filter_map(|(id, grant)| Some((A::key(*id)?, *grant)))
            .collect();
        self.grants.write_many(&ours)
    }

    pub(super) fn remove(&self, key: &GrantKey<A>) -> Result<(), KernelError> {
        self.grants.delete(key)
    }

    pub(super) fn remove_many(&self, ids: &[GrantId]) -> Result<(), KernelError> {
        let ours: Vec<GrantKey<A>> = ids.iter().filter_map(|id| A::key(*id)).collect();
        self.grants.delete_many(&ours)
    }

    pub(super) fn scan(
        &self,
        mut show: impl FnMut(&[(GrantId, Grant)]),
    ) -> Result<(), KernelError> {
        self.grants.scan(|entries| {
            let entries: Vec<(GrantId, Grant)> = entries
                .into_iter()
                .map(|(key, grant)| (A::id(&key), grant))
                .collect();
            show(&entries);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_and_its_key_name_the_same() {
        for source in ["192.0.2.7", "2001:db8::7", "2001:db8:0:7::/64"] {
            let id = GrantId {
                source: source.parse().unwrap(),
                service: 5,
            };
            let found = match Key::from(id) {
                Key::V4(key) => V4::id(&key),
                Key::V6(key) => V6::id(&key),
            };
            assert_eq!(found, id, "{source}");
        }
    }
}
