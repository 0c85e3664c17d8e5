//! The pinned maps behind [`Maps`].

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd as _, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use agent_api::Source;
use aya::maps::{MapData, MapError, PerCpuArray};
use filter_abi::{
    COUNTERS, Cpu, Grant, Impact, ImpactKey, LimitKey, Panel, Settings, Target, TargetKey, TrieKey,
    V4, V6, names,
};
use ipnet::IpNet;

use super::{
    GrantId, Judge, Maps, Probed, Show, Switches,
    barrier::wait_for_readers,
    error::KernelError,
    family::{Family, Key, Tables},
    layout::Layout,
    map::Map,
    pins::Pins,
    probe,
    sources::{SourceFilter, words_max},
};
use crate::policy::Policy;

/// Each generation's number goes into the upper half of its prefix numbers. Even, so that two
/// generations in a row never share a half of the `EXACT_*` tables.
const GENERATIONS: u32 = 1 << 16;

/// The maps of the running filter.
pub struct FilterMaps {
    capacity: u32,
    /// To ask it about packets: a descriptor from its number takes more rights than the agent has.
    program: OwnedFd,
    settings: Map<u32, Panel>,
    heartbeat: Map<u32, u64>,
    probe_key: u64,
    cpus: PerCpuArray<MapData, [u64; Cpu::WORDS]>,
    targets: Map<TrieKey<TargetKey>, Target>,
    limits: Map<LimitKey, filter_abi::Limit>,
    sources: Map<u32, u64>,
    impact: Map<ImpactKey, Impact>,
    v4: Tables<V4>,
    v6: Tables<V6>,
    /// What changes settings or sources: one at a time.
    changing: Mutex<Changing>,
}

struct Changing {
    v4: SourceFilter,
    v6: SourceFilter,
}

impl FilterMaps {
    /// Opens the pinned maps, each checked against its layout, and makes the filter of sources
    /// anew from the grants that are in them.
    /// `program` is the one that was loaded with them.
    pub fn open(pins: &Pins, capacity: u32, program: OwnedFd) -> Result<Self, KernelError> {
        let open = |name: &'static str| -> Result<MapData, KernelError> {
            let layout = Layout::of(name)
                .ok_or_else(|| KernelError::Rejected(format!("there is no layout of {name}")))?;
            let path = pins.map(layout);
            let map = MapData::from_pin(&path).map_err(|error| {
                KernelError::io(
                    format!("opening {}", path.display()),
                    io::Error::other(error),
                )
            })?;
            layout.fits(&map, capacity).then_some(map).ok_or_else(|| {
                KernelError::Rejected(format!("{} is not the map of this version", path.display()))
            })
        };
        let settings = Map::new(names::SETTINGS, open(names::SETTINGS)?);
        let (_, current) = current(&settings)?;
        let words = words_max(capacity);
        let maps = Self {
            capacity,
            program,
            heartbeat: Map::new(names::HEARTBEAT, open(names::HEARTBEAT)?),
            probe_key: probe_key(&Map::new(names::PROBE, open(names::PROBE)?))?,
            cpus: PerCpuArray::try_from(aya::maps::Map::PerCpuArray(open(names::CPUS)?))
                .map_err(|error| KernelError::Rejected(error.to_string()))?,
            targets: Map::new(names::TARGETS, open(names::TARGETS)?),
            limits: Map::new(names::LIMITS, open(names::LIMITS)?),
            sources: Map::new(names::SOURCES, open(names::SOURCES)?),
            impact: Map::new(names::IMPACT, open(names::IMPACT)?),
            v4: Tables::open(open)?,
            v6: Tables::open(open)?,
            changing: Mutex::new(Changing {
                v4: SourceFilter::new(0, words, current.sources_v4),
                v6: SourceFilter::new(2 * words, words, current.sources_v6),
            }),
            settings,
        };
        maps.seed(current)?;
        maps.renew(&mut maps.changing(), [0, 0])?;
        Ok(maps)
    }

    /// Gives settings that never had one their random number.
    fn seed(&self, current: Settings) -> Result<(), KernelError> {
        if current.seed != 0 {
            return Ok(());
        }
        let seed = random()?;
        self.change(|settings| settings.seed = seed)
    }

    /// What a probe must show, to this program and to one that shares its map.
    pub(super) fn probe_key(&self) -> u64 {
        self.probe_key
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        // What a panic left behind is at worst a filter with marks nobody needs.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn full(&self, family: &'static str, error: io::Error) -> KernelError {
        if error.raw_os_error() == Some(libc::E2BIG) {
            return KernelError::Full {
                family,
                capacity: self.capacity,
            };
        }
        KernelError::io("writing a grant into the kernel map failed", error)
    }

    /// Writes the settings that are not in force, then flips which ones are.
    fn change(&self, change: impl FnOnce(&mut Settings)) -> Result<(), KernelError> {
        let (mut panel, mut next) = current(&self.settings)?;
        change(&mut next);
        let other = panel.active ^ 1;
        if let Some(half) = panel.halves.get_mut(other as usize) {
            *half = next;
        }
        self.settings.write(&0, &panel)?;
        // Every other byte stays what it is, and the kernel copies aligned words (`copy_map_value`
        // in include/linux/bpf.h), so a packet reads either number and one whole setting.
        self.settings.write(
            &0,
            &Panel {
                active: other,
                ..panel
            },
        )?;
        // Afterwards nobody reads the old settings any more, so they may be overwritten and the
        // tables that only they lead to may be emptied.
        wait_for_readers();
        Ok(())
    }

    /// Makes the filters of sources anew, with room for `more` grants, IPv4
    /// and IPv6.
    fn renew(&self, changing: &mut Changing, more: [usize; 2]) -> Result<(), KernelError> {
        let (_, settings) = current(&self.settings)?;
        let [more_v4, more_v6] = more;
        let mut numbers = Vec::new();
        self.v4
            .scan(|grants| numbers.extend(grants.iter().filter_map(number::<V4>)))?;
        let v4 = changing
            .v4
            .renew(&self.sources, settings.seed, &numbers, more_v4)?;
        numbers.clear();
        let mut prefixes = false;
        self.v6.scan(|grants| {
            numbers.extend(grants.iter().filter_map(number::<V6>));
            prefixes |= grants.iter().any(is_prefix);
        })?;
        let v6 = changing
            .v6
            .renew(&self.sources, settings.seed, &numbers, more_v6)?;
        self.change(|settings| {
            settings.sources_v4 = v4;
            settings.sources_v6 = v6;
            settings.flags &= !Settings::PREFIX_GRANTS;
            if prefixes {
                settings.flags |= Settings::PREFIX_GRANTS;
            }
        })
    }

    /// Marks the sources of grants that are about to be written, and says if there are prefixes
    /// among them: without these nobody looks for one.
    fn mark(&self, grants: &[(GrantId, Grant)]) -> Result<(), KernelError> {
        let mut changing = self.changing();
        let v4 = grants.iter().filter(|(id, _)| id.source.is_ipv4()).count();
        let v6 = grants.len() - v4;
        if !changing.v4.has_room(v4) || !changing.v6.has_room(v6) {
            self.renew(&mut changing, [v4, v6])?;
        }
        let (_, settings) = current(&self.settings)?;
        let v4 = grants.iter().filter_map(number::<V4>);
        changing.v4.add(&self.sources, settings.seed, v4)?;
        let v6 = grants.iter().filter_map(number::<V6>);
        changing.v6.add(&self.sources, settings.seed, v6)?;
        if grants.iter().any(is_prefix) && !settings.has(Settings::PREFIX_GRANTS) {
            self.change(|settings| settings.flags |= Settings::PREFIX_GRANTS)?;
        }
        Ok(())
    }

    fn fill(&self, policy: &Policy, generation: u32) -> Result<(), KernelError> {
        let number = |index: u16| (generation << 16) | u32::from(index);
        self.v4.fill(policy, generation, number)?;
        self.v6.fill(policy, generation, number)?;
        for entry in &policy.targets {
            let data = TargetKey {
                prefix: number(entry.destination),
                protocol: entry.protocol,
                zero: 0,
                port: entry.port.to_be_bytes(),
            };
            let bits = entry.bits;
            self.targets.write(&TrieKey { bits, data }, &entry.target)?;
        }
        for &(service, limit) in &policy.limits {
            let key = LimitKey {
                generation,
                service,
            };
            self.limits.write(&key, &limit)?;
        }
        Ok(())
    }

    /// Removes the entries of every other generation.
    fn sweep(&self, generation: u32) -> Result<(), KernelError> {
        self.v4.sweep(generation)?;
        self.v6.sweep(generation)?;
        self.targets
            .retain(|key| key.data.prefix >> 16 == generation)?;
        self.limits.retain(|key| key.generation == generation)
    }
}

/// What the filter of sources is keyed by, for a grant of this family.
fn number<A: Family>((id, _): &(GrantId, Grant)) -> Option<u64> {
    A::key(*id).map(|key| key.source.number())
}

fn is_prefix((id, _): &(GrantId, Grant)) -> bool {
    matches!(id.source, Source::Prefix(_))
}

/// The number in the map, which gets one if it has none.
fn probe_key(map: &Map<u32, u64>) -> Result<u64, KernelError> {
    if let Some(key) = map.read(&0)?.filter(|key| *key != 0) {
        return Ok(key);
    }
    let key = random()?;
    map.write(&0, &key)?;
    Ok(key)
}

/// An odd number, so never 0.
fn random() -> Result<u64, KernelError> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| KernelError::io("reading /dev/urandom", error))?;
    Ok(u64::from_ne_bytes(bytes) | 1)
}

fn current(settings: &Map<u32, Panel>) -> Result<(Panel, Settings), KernelError> {
    let mut panel = settings.read(&0)?.unwrap_or_default();
    panel.active &= 1;
    let half = panel.halves.get(panel.active as usize).copied();
    Ok((panel, half.unwrap_or_default()))
}

/// The bits of `Settings::flags` that are the operator's.
fn switched(flags: u32, switches: &Switches) -> u32 {
    let mut flags = flags & !(Settings::OBSERVE | Settings::LOCKDOWN);
    if switches.observe {
        flags |= Settings::OBSERVE;
    }
    if switches.lockdown {
        flags |= Settings::LOCKDOWN;
    }
    flags
}

impl Maps for FilterMaps {
    fn read(&self, id: GrantId) -> Result<Option<Grant>, KernelError> {
        match Key::from(id) {
            Key::V4(key) => self.v4.read(&key),
            Key::V6(key) => self.v6.read(&key),
        }
    }

    fn put(&self, id: GrantId, grant: Grant) -> Result<(), KernelError> {
        self.mark(&[(id, grant)])?;
        match Key::from(id) {
            Key::V4(key) => self
                .v4
                .put(&key, &grant)
                .map_err(|error| self.full("IPv4", error)),
            Key::V6(key) => self
                .v6
                .put(&key, &grant)
                .map_err(|error| self.full("IPv6", error)),
        }
    }

    fn make_room(&self, grants: [u64; 2]) -> Result<(), KernelError> {
        let more = grants.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        self.renew(&mut self.changing(), more)
    }

    fn remove(&self, id: GrantId) -> Result<(), KernelError> {
        match Key::from(id) {
            Key::V4(key) => self.v4.remove(&key),
            Key::V6(key) => self.v6.remove(&key),
        }
    }

    fn put_many(&self, grants: &[(GrantId, Grant)]) -> Result<(), KernelError> {
        self.mark(grants)?;
        self.v4
            .put_many(grants)
            .map_err(|error| self.full("IPv4", error))?;
        self.v6
            .put_many(grants)
            .map_err(|error| self.full("IPv6", error))
    }

    fn remove_many(&self, ids: &[GrantId]) -> Result<(), KernelError> {
        self.v4.remove_many(ids)?;
        self.v6.remove_many(ids)
    }

    fn scan(&self, show: Show<'_>) -> Result<(), KernelError> {
        self.v4.scan(&mut *show)?;
        self.v6.scan(&mut *show)
    }

    fn apply(&self, policy: &Policy, switches: &Switches) -> Result<(), KernelError> {
        let _one_at_a_time = self.changing();
        let (_, settings) = current(&self.settings)?;
        // A change that was cut short may have left half of the next generation behind.
        self.sweep(settings.generation)?;
        let generation = (settings.generation + 1) % GENERATIONS;
        self.fill(policy, generation)?;
        self.change(|settings| {
            settings.generation = generation;
            settings.flags = switched(settings.flags, switches);
            settings.ether_types = [0; 4];
            for (place, ether_type) in settings.ether_types.iter_mut().zip(&switches.ether_types) {
                *place = *ether_type;
            }
            settings.icmp_interval_ns = policy
                .icmp_errors
                .interval_ns
                .try_into()
                .unwrap_or(u32::MAX);
            settings.icmp_tolerance_ns = policy.icmp_errors.tolerance_ns;
            settings.samples = policy.drop_samples;
        })?;
        self.sweep(generation)
    }

    fn switch(&self, switches: &Switches) -> Result<(), KernelError> {
        let _one_at_a_time = self.changing();
        self.change(|settings| settings.flags = switched(settings.flags, switches))
    }

    fn deny(&self, denies: &BTreeMap<IpNet, u64>) -> Result<(), KernelError> {
        let _one_at_a_time = self.changing();
        let mut wanted = 0;
        if self.v4.deny(denies.iter())? {
            wanted |= Settings::DENIES_V4;
        }
        if self.v6.deny(denies.iter())? {
            wanted |= Settings::DENIES_V6;
        }
        let (_, settings) = current(&self.settings)?;
        let flags = settings.flags & !(Settings::DENIES_V4 | Settings::DENIES_V6) | wanted;
        if flags == settings.flags {
            return Ok(());
        }
        self.change(|settings| settings.flags = flags)
    }

    fn impact(&self) -> Result<Vec<(ImpactKey, Impact)>, KernelError> {
        let mut all = Vec::new();
        self.impact.scan(|entries| all.extend(entries))?;
        Ok(all)
    }

    fn clear_impact(&self) -> Result<(), KernelError> {
        self.impact.delete_many(&self.impact.keys()?)
    }

    fn heartbeat(&self, alive_until_ns: u64) -> Result<(), KernelError> {
        self.heartbeat.write(&0, &alive_until_ns)
    }

    fn counters(&self) -> Result<Vec<u64>, KernelError> {
        let failed = |error: MapError| {
            KernelError::io("reading the counters failed", io::Error::other(error))
        };
        let cpus = self.cpus.get(&0, 0).map_err(failed)?;
        let mut sums = vec![0; COUNTERS as usize];
        for cpu in cpus.iter() {
            for (sum, counter) in sums.iter_mut().zip(cpu) {
                *sum += counter;
            }
        }
        Ok(sums)
    }
}

impl Judge for FilterMaps {
    fn probe(&self, frame: &[u8], at_ns: u64) -> Result<Probed, KernelError> {
        let answer = probe::ask(self.program.as_fd(), self.probe_key, frame, at_ns)?;
        answer.ok_or_else(|| KernelError::Rejected("the program does not answer probes".into()))
    }
}
