//! The pinned maps behind [`Maps`].

use std::{
    collections::{BTreeMap, HashSet},
    io,
    net::IpAddr,
    sync::Mutex,
};

use aya::maps::{MapData, MapError, PerCpuArray};
use filter_abi::{
    AllowKey, COUNTERS, DenyValue, Destination, DestinationKey, Grant, GrantKey, Settings, Target,
    TargetKey, TrieKey, V4, V6, names,
};
use ipnet::IpNet;

use super::{
    GrantId, Maps, Show, Switches, barrier::wait_for_readers, error::KernelError, layout::LAYOUTS,
    map::Map, pins::Pins,
};
use crate::policy::Policy;

/// Each generation's number goes into the upper half of its prefix numbers.
const GENERATIONS: u32 = 1 << 16;

/// The maps of the running filter.
pub struct FilterMaps {
    capacity: u32,
    active: Map<u32, u32>,
    settings: Map<u32, Settings>,
    counters: PerCpuArray<MapData, u64>,
    destinations_v4: Map<TrieKey<DestinationKey<V4>>, Destination>,
    destinations_v6: Map<TrieKey<DestinationKey<V6>>, Destination>,
    targets: Map<TrieKey<TargetKey>, Target>,
    allows_v4: Map<TrieKey<AllowKey<V4>>, u32>,
    allows_v6: Map<TrieKey<AllowKey<V6>>, u32>,
    denies_v4: Map<TrieKey<V4>, DenyValue>,
    denies_v6: Map<TrieKey<V6>, DenyValue>,
    grants_v4: Map<GrantKey<V4>, Grant>,
    grants_v6: Map<GrantKey<V6>, Grant>,
    /// What changes the settings: one at a time.
    switching: Mutex<()>,
}

impl FilterMaps {
    /// Opens the pinned maps, each checked against its layout.
    pub fn open(pins: &Pins, capacity: u32) -> Result<Self, KernelError> {
        let open = |name: &'static str| -> Result<MapData, KernelError> {
            let path = pins.map(name);
            let map = MapData::from_pin(&path).map_err(|error| {
                KernelError::io(
                    format!("opening {}", path.display()),
                    io::Error::other(error),
                )
            })?;
            let fits = LAYOUTS
                .iter()
                .any(|l| l.name == name && l.fits(&map, capacity));
            fits.then_some(map).ok_or_else(|| {
                KernelError::Rejected(format!("{} is not the map of this version", path.display()))
            })
        };
        Ok(Self {
            capacity,
            active: Map::new(names::ACTIVE, open(names::ACTIVE)?),
            settings: Map::new(names::SETTINGS, open(names::SETTINGS)?),
            counters: PerCpuArray::try_from(aya::maps::Map::PerCpuArray(open(names::COUNTERS)?))
                .map_err(|error| KernelError::Rejected(error.to_string()))?,
            destinations_v4: Map::new(names::DESTINATIONS_V4, open(names::DESTINATIONS_V4)?),
            destinations_v6: Map::new(names::DESTINATIONS_V6, open(names::DESTINATIONS_V6)?),
            targets: Map::new(names::TARGETS, open(names::TARGETS)?),
            allows_v4: Map::new(names::ALLOWS_V4, open(names::ALLOWS_V4)?),
            allows_v6: Map::new(names::ALLOWS_V6, open(names::ALLOWS_V6)?),
            denies_v4: Map::new(names::DENIES_V4, open(names::DENIES_V4)?),
            denies_v6: Map::new(names::DENIES_V6, open(names::DENIES_V6)?),
            grants_v4: Map::new(names::GRANTS_V4, open(names::GRANTS_V4)?),
            grants_v6: Map::new(names::GRANTS_V6, open(names::GRANTS_V6)?),
            switching: Mutex::new(()),
        })
    }

    fn full(&self, id: GrantId, error: io::Error) -> KernelError {
        if error.raw_os_error() == Some(libc::E2BIG) {
            let family = if id.source.is_ipv4() { "IPv4" } else { "IPv6" };
            return KernelError::Full {
                family,
                capacity: self.capacity,
            };
        }
        KernelError::io("writing a grant into the kernel map failed", error)
    }

    fn current(&self) -> Result<(u32, Settings), KernelError> {
        let active = self.active.read(&0)?.unwrap_or(0) & 1;
        Ok((active, self.settings.read(&active)?.unwrap_or_default()))
    }

    /// Writes the settings that are not in force, then flips which ones are.
    fn flip(&self, active: u32, settings: &Settings) -> Result<(), KernelError> {
        let other = active ^ 1;
        self.settings.write(&other, settings)?;
        self.active.write(&0, &other)?;
        // Afterwards nobody reads the old settings any more, so they may be overwritten and the
        // tables that only they lead to may be emptied.
        wait_for_readers();
        Ok(())
    }

    fn flags(&self, switches: &Switches, keep: u32) -> u32 {
        let mut flags = keep & (Settings::DENIES_V4 | Settings::DENIES_V6);
        if switches.observe {
            flags |= Settings::OBSERVE;
        }
        if switches.lockdown {
            flags |= Settings::LOCKDOWN;
        }
        flags
    }

    fn fill(&self, policy: &Policy, generation: u32) -> Result<(), KernelError> {
        let number = |index: u16| (generation << 16) | u32::from(index);
        for (index, (prefix, flags)) in (0u16..).zip(&policy.destinations) {
            let value = Destination {
                prefix: number(index),
                flags: *flags,
            };
            let bits = 32 + u32::from(prefix.prefix_len());
            match prefix.network() {
                IpAddr::V4(address) => {
                    let data = DestinationKey {
                        generation,
                        address: address.octets(),
                    };
                    self.destinations_v4
                        .write(&TrieKey { bits, data }, &value)?;
                }
                IpAddr::V6(address) => {
                    let data = DestinationKey {
                        generation,
                        address: address.octets(),
                    };
                    self.destinations_v6
                        .write(&TrieKey { bits, data }, &value)?;
                }
            }
        }
        for entry in &policy.targets {
            let data = TargetKey {
                prefix: number(entry.destination),
                protocol: entry.protocol,
                zero: 0,
                port: entry.port.to_be_bytes(),
            };
            self.targets.write(
                &TrieKey {
                    bits: entry.bits,
                    data,
                },
                &entry.target,
            )?;
        }
        for &(service, prefix) in &policy.allows {
            let bits = 64 + u32::from(prefix.prefix_len());
            match prefix.network() {
                IpAddr::V4(source) => {
                    let data = AllowKey {
                        generation,
                        service,
                        source: source.octets(),
                    };
                    self.allows_v4.write(&TrieKey { bits, data }, &1)?;
                }
                IpAddr::V6(source) => {
                    let data = AllowKey {
                        generation,
                        service,
                        source: source.octets(),
                    };
                    self.allows_v6.write(&TrieKey { bits, data }, &1)?;
                }
            }
        }
        Ok(())
    }

    /// Removes the entries of every other generation.
    fn sweep(&self, generation: u32) -> Result<(), KernelError> {
        fn stale<K: filter_abi::Bytes, V: filter_abi::Bytes>(
            map: &Map<K, V>,
            is_stale: impl Fn(&K) -> bool,
        ) -> Result<(), KernelError> {
            for key in map.keys()?.iter().filter(|key| is_stale(key)) {
                map.delete(key)?;
            }
            Ok(())
        }
        stale(&self.destinations_v4, |key| {
            key.data.generation != generation
        })?;
        stale(&self.destinations_v6, |key| {
            key.data.generation != generation
        })?;
        stale(&self.targets, |key| key.data.prefix >> 16 != generation)?;
        stale(&self.allows_v4, |key| key.data.generation != generation)?;
        stale(&self.allows_v6, |key| key.data.generation != generation)
    }
}

impl Maps for FilterMaps {
    fn read(&self, GrantId { source, service }: GrantId) -> Result<Option<Grant>, KernelError> {
        match source {
            IpAddr::V4(source) => self.grants_v4.read(&GrantKey {
                source: source.octets(),
                service,
            }),
            IpAddr::V6(source) => self.grants_v6.read(&GrantKey {
                source: source.octets(),
                service,
            }),
        }
    }

    fn put(&self, id: GrantId, grant: Grant) -> Result<(), KernelError> {
        let GrantId { source, service } = id;
        match source {
            IpAddr::V4(source) => self.grants_v4.try_write(
                &GrantKey {
                    source: source.octets(),
                    service,
                },
                &grant,
            ),
            IpAddr::V6(source) => self.grants_v6.try_write(
                &GrantKey {
                    source: source.octets(),
                    service,
                },
                &grant,
            ),
        }
        .map_err(|error| self.full(id, error))
    }

    fn remove(&self, GrantId { source, service }: GrantId) -> Result<(), KernelError> {
        match source {
            IpAddr::V4(source) => self.grants_v4.delete(&GrantKey {
                source: source.octets(),
                service,
            }),
            IpAddr::V6(source) => self.grants_v6.delete(&GrantKey {
                source: source.octets(),
                service,
            }),
        }
    }

    fn put_many(&self, grants: &[(GrantId, Grant)]) -> Result<(), KernelError> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (GrantId { source, service }, grant) in grants {
            match source {
                IpAddr::V4(source) => {
                    v4.push((
                        GrantKey {
                            source: source.octets(),
                            service: *service,
                        },
                        *grant,
                    ));
                }
                IpAddr::V6(source) => {
                    v6.push((
                        GrantKey {
                            source: source.octets(),
                            service: *service,
                        },
                        *grant,
                    ));
                }
            }
        }
        let unspecified = |source: IpAddr| GrantId { source, service: 0 };
        self.grants_v4
            .write_many(&v4)
            .map_err(|error| self.full(unspecified([0; 4].into()), error))?;
        self.grants_v6
            .write_many(&v6)
            .map_err(|error| self.full(unspecified([0; 16].into()), error))
    }

    fn remove_many(&self, ids: &[GrantId]) -> Result<(), KernelError> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for &GrantId { source, service } in ids {
            match source {
                IpAddr::V4(source) => v4.push(GrantKey {
                    source: source.octets(),
                    service,
                }),
                IpAddr::V6(source) => v6.push(GrantKey {
                    source: source.octets(),
                    service,
                }),
            }
        }
        self.grants_v4.delete_many(&v4)?;
        self.grants_v6.delete_many(&v6)
    }

    fn scan(&self, show: Show<'_>) -> Result<(), KernelError> {
        self.grants_v4.scan(|entries| {
            let entries: Vec<(GrantId, Grant)> = entries
                .into_iter()
                .map(|(key, grant)| {
                    (
                        GrantId {
                            source: key.source.into(),
                            service: key.service,
                        },
                        grant,
                    )
                })
                .collect();
            show(&entries);
        })?;
        self.grants_v6.scan(|entries| {
            let entries: Vec<(GrantId, Grant)> = entries
                .into_iter()
                .map(|(key, grant)| {
                    (
                        GrantId {
                            source: key.source.into(),
                            service: key.service,
                        },
                        grant,
                    )
                })
                .collect();
            show(&entries);
        })
    }

    fn apply(&self, policy: &Policy, switches: &Switches) -> Result<(), KernelError> {
        let _one_at_a_time = self.switching.lock();
        let (active, current) = self.current()?;
        // A change that was cut short may have left half of the next generation behind.
        self.sweep(current.generation)?;
        let generation = (current.generation + 1) % GENERATIONS;
        self.fill(policy, generation)?;
        let mut settings = Settings {
            generation,
            flags: self.flags(switches, current.flags),
            ..Settings::default()
        };
        for (place, ether_type) in settings.ether_types.iter_mut().zip(&switches.ether_types) {
            *place = *ether_type;
        }
        self.flip(active, &settings)?;
        self.sweep(generation)
    }

    fn switch(&self, switches: &Switches) -> Result<(), KernelError> {
        let _one_at_a_time = self.switching.lock();
        let (active, current) = self.current()?;
        self.flip(
            active,
            &Settings {
                flags: self.flags(switches, current.flags),
                ..current
            },
        )
    }

    fn deny(&self, denies: &BTreeMap<IpNet, u64>) -> Result<(), KernelError> {
        let _one_at_a_time = self.switching.lock();
        let (mut v4, mut v6) = (HashSet::new(), HashSet::new());
        for (prefix, &deadline_ns) in denies {
            let bits = u32::from(prefix.prefix_len());
            match prefix.network() {
                IpAddr::V4(address) => {
                    let key = TrieKey {
                        bits,
                        data: address.octets(),
                    };
                    self.denies_v4.write(&key, &DenyValue { deadline_ns })?;
                    v4.insert((bits, key.data));
                }
                IpAddr::V6(address) => {
                    let key = TrieKey {
                        bits,
                        data: address.octets(),
                    };
                    self.denies_v6.write(&key, &DenyValue { deadline_ns })?;
                    v6.insert((bits, key.data));
                }
            }
        }
        for key in self.denies_v4.keys()? {
            if !v4.contains(&(key.bits, key.data)) {
                self.denies_v4.delete(&key)?;
            }
        }
        for key in self.denies_v6.keys()? {
            if !v6.contains(&(key.bits, key.data)) {
                self.denies_v6.delete(&key)?;
            }
        }
        let (active, current) = self.current()?;
        let mut flags = current.flags & !(Settings::DENIES_V4 | Settings::DENIES_V6);
        if !v4.is_empty() {
            flags |= Settings::DENIES_V4;
        }
        if !v6.is_empty() {
            flags |= Settings::DENIES_V6;
        }
        if flags == current.flags {
            return Ok(());
        }
        self.flip(active, &Settings { flags, ..current })
    }

    fn counters(&self) -> Result<Vec<u64>, KernelError> {
        let failed = |error: MapError| {
            KernelError::io("reading the counters failed", io::Error::other(error))
        };
        (0..COUNTERS)
            .map(|index| {
                self.counters
                    .get(&index, 0)
                    .map(|cpus| cpus.iter().sum())
                    .map_err(failed)
            })
            .collect()
    }
}
