//! The kernel program loaded by itself, with a world in its maps and no agent: for the tests that
//! ask it about single frames. The object comes out of the `sekisho` binary, so what is tested is
//! what is shipped.

mod call;
mod out;
mod read;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    os::fd::{AsFd as _, AsRawFd as _, RawFd},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, HashMap, LpmTrie, Map, lpm_trie::Key},
    programs::Xdp,
};
use filter_abi::{
    Bytes, COUNTERS, Cpu, Destination, ExactFamily, ExactV4, ExactV6, GrantKey, Panel, Probe,
    Settings, Sources, Target, TrieKey, V4, V6, WORDS_MIN, mark, names,
};
use filter_core::fixtures::{Kept, Trie, World};
use out::Out;

pub use out::is_packet;
pub use read::{Sample, all, one, samples};

pub const XDP_DROP: u32 = 1;
pub const XDP_PASS: u32 = 2;
pub const XDP_TX: u32 = 3;

/// What a probe shows; any number but 0.
const PROBE_KEY: u64 = 0x5eed_0f0f_5eed_0f0f;
/// Multiplier of the hash over sources: odd.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const SOURCES_V4: Sources = Sources {
    base: 0,
    mask: WORDS_MIN - 1,
};
const SOURCES_V6: Sources = Sources {
    base: WORDS_MIN,
    mask: WORDS_MIN - 1,
};

/// The program in the kernel.
pub struct Loaded {
    pub ebpf: Ebpf,
    cpus: usize,
    program: RawFd,
    counters: RawFd,
    out: Out,
}

/// What became of a frame that was judged by a probe.
#[derive(Debug)]
pub struct Probed {
    pub returned: u32,
    pub answer: Probe,
    /// The frame as the program left it.
    pub frame: Vec<u8>,
}

/// The bytes of the object, as the binary under test carries them.
pub fn object() -> Result<Vec<u8>> {
    let output = Command::new(crate::tools::sekisho()?)
        .arg("kernel-object")
        .output()?;
    ensure!(output.status.success(), "sekisho kernel-object failed");
    Ok(output.stdout)
}

impl Loaded {
    /// With small tables that hold a world, its settings in force.
    pub fn with(object: &[u8], world: &World) -> Result<Self> {
        let ebpf = EbpfLoader::new()
            .map_max_entries(names::GRANTS_V4, 1_024)
            .map_max_entries(names::GRANTS_V6, 1_024)
            .map_max_entries(names::SOURCES, 4 * WORDS_MIN)
            .override_global("AYA_LOG_LEVEL", &0u8, false)
            .load(object)
            .context("loading needs root (CAP_BPF, CAP_NET_ADMIN)")?;
        let mut loaded = Self::of(ebpf)?;
        loaded.fill(world)?;
        Ok(loaded)
    }

    /// Forgets grants, denials and all that packets left behind, and holds those of a world. The
    /// configuration has to be the one that it was loaded with: to load takes seconds.
    pub fn renew(&mut self, world: &World) -> Result<()> {
        for name in [
            names::DENIES_V4,
            names::DENIES_V6,
            names::GRANTS_V4,
            names::GRANTS_V6,
            names::FRAGMENTS_V4,
            names::FRAGMENTS_V6,
            names::FLOWS_V4,
            names::FLOWS_V6,
            names::BUCKETS_V4,
            names::BUCKETS_V6,
            names::IMPACT,
        ] {
            let map = self.ebpf.map(name).with_context(|| name.to_owned())?;
            let data = match map {
                Map::LpmTrie(data) | Map::HashMap(data) | Map::LruHashMap(data) => data,
                _ => bail!("{name} is no table with keys"),
            };
            call::wipe(data.fd().as_fd().as_raw_fd(), data.info()?.key_size())
                .with_context(|| format!("cannot empty {name}"))?;
        }
        let words = (0..4 * WORDS_MIN).map(|word| (word, 0_u64));
        array(&mut self.ebpf, names::SOURCES, words)?;
        self.fill(world)
    }

    fn fill(&mut self, world: &World) -> Result<()> {
        let ebpf = &mut self.ebpf;
        trie(ebpf, names::DESTINATIONS_V4, &world.destinations_v4)?;
        trie(ebpf, names::DESTINATIONS_V6, &world.destinations_v6)?;
        trie(ebpf, names::TARGETS, &world.targets)?;
        trie(ebpf, names::ALLOWS_V4, &world.allows_v4)?;
        trie(ebpf, names::ALLOWS_V6, &world.allows_v6)?;
        trie(ebpf, names::DENIES_V4, &world.denies_v4)?;
        trie(ebpf, names::DENIES_V6, &world.denies_v6)?;
        grants_v4(ebpf, &world.grants_v4)?;
        grants_v6(ebpf, &world.grants_v6)?;
        hash(ebpf, names::LIMITS, &world.limits)?;
        self.kept(world)?;
        self.settings(&world.settings)?;
        self.heartbeat(world.alive_until_ns)
    }

    /// What earlier packets left behind.
    fn kept(&mut self, world: &World) -> Result<()> {
        let ebpf = &mut self.ebpf;
        let Kept {
            fragments,
            flows,
            due,
            ..
        } = &world.kept_v4;
        hash(ebpf, names::FRAGMENTS_V4, &list(fragments))?;
        hash(ebpf, names::FLOWS_V4, &list(flows))?;
        hash(ebpf, names::BUCKETS_V4, &list(due))?;
        let Kept {
            fragments,
            flows,
            due,
            ..
        } = &world.kept_v6;
        hash(ebpf, names::FRAGMENTS_V6, &list(fragments))?;
        hash(ebpf, names::FLOWS_V6, &list(flows))?;
        hash(ebpf, names::BUCKETS_V6, &list(due))
    }

    /// Answers for these single addresses by one look, as the agent has it for small prefixes.
    pub fn exact(&mut self, world: &World, v4: &[V4], v6: &[V6]) -> Result<()> {
        let generation = world.settings.generation;
        let mut buckets: BTreeMap<u32, ExactV4> = BTreeMap::new();
        for address in v4 {
            let found = longest(&world.destinations_v4, |key| key.data.address, address);
            for (protocol, port, target) in singles(world, found) {
                let key = ExactV4::key(*address, protocol, port);
                let bucket = buckets.entry(ExactV4::bucket(generation, key)).or_default();
                // What finds no place is left to the tries.
                let _ = bucket.put(key, target);
            }
        }
        array(&mut self.ebpf, names::EXACT_V4, buckets)?;
        let mut buckets: BTreeMap<u32, ExactV6> = BTreeMap::new();
        for address in v6 {
            let found = longest(&world.destinations_v6, |key| key.data.address, address);
            for (protocol, port, target) in singles(world, found) {
                let key = ExactV6::key(*address, protocol, port);
                let bucket = buckets.entry(ExactV6::bucket(generation, key)).or_default();
                let _ = bucket.put(key, target);
            }
        }
        array(&mut self.ebpf, names::EXACT_V6, buckets)
    }

    /// The agent is taken for gone from then on.
    pub fn heartbeat(&mut self, alive_until_ns: u64) -> Result<()> {
        array(&mut self.ebpf, names::HEARTBEAT, [(0, alive_until_ns)])
    }

    /// Loads the program of an object that is in the kernel already.
    pub fn of(mut ebpf: Ebpf) -> Result<Self> {
        let program = program(&mut ebpf)?;
        program.load()?;
        let program = program.fd()?.as_fd().as_raw_fd();
        let Some(Map::PerCpuArray(counters)) = ebpf.map(names::CPUS) else {
            bail!("the object holds no counters");
        };
        let counters = counters.fd().as_fd().as_raw_fd();
        let cpus = aya::util::nr_cpus().map_err(|(file, error)| {
            anyhow::Error::new(error).context(format!("cannot read {file}"))
        })?;
        Ok(Self {
            ebpf,
            cpus,
            program,
            counters,
            out: Out::default(),
        })
    }

    /// Puts settings in force.
    pub fn settings(&mut self, settings: &Settings) -> Result<()> {
        let settings = Settings {
            sources_v4: SOURCES_V4,
            sources_v6: SOURCES_V6,
            seed: SEED,
            ..*settings
        };
        let panel = Panel {
            active: 1,
            zero: 0,
            halves: [Settings::default(), settings],
        };
        array(&mut self.ebpf, names::PROBE, [(0, PROBE_KEY)])?;
        array(&mut self.ebpf, names::SETTINGS, [(0, panel)])
    }

    /// All counters, summed over the processors.
    pub fn counters(&self) -> Result<Vec<u64>> {
        let count = usize::try_from(COUNTERS)?;
        let values = call::first_value(self.counters, Cpu::WORDS, self.cpus)?;
        let mut sums = vec![0; count];
        for cpu in values.chunks(Cpu::WORDS) {
            for (sum, value) in sums.iter_mut().zip(cpu) {
                *sum += value;
            }
        }
        Ok(sums)
    }

    /// What the program returns for a frame.
    pub fn run(&self, frame: &[u8]) -> Result<u32> {
        let (returned, _) =
            call::test_run(self.program, frame, &[], &mut []).context("BPF_PROG_TEST_RUN")?;
        Ok(returned)
    }

    /// What becomes of a frame at a moment. The verdict leaves the same traces as if the packet
    /// had come from a wire.
    pub fn probe(&self, frame: &[u8], now_ns: u64) -> Result<Probed> {
        self.ask(frame, now_ns, Probe::COMMIT, frame.len())
    }

    /// The same with the probe's own flags. The frame lies in several buffers, the first of which
    /// holds `linear` bytes: from Linux 6.18 on any number, before that all, or as many as fit.
    pub fn ask(&self, frame: &[u8], now_ns: u64, flags: u32, linear: usize) -> Result<Probed> {
        let asked = Probe {
            key: PROBE_KEY,
            now_ns,
            flags,
            ..Probe::default()
        };
        let metadata = asked.to_bytes();
        let data = [metadata.as_slice(), frame].concat();
        // `struct xdp_md`: data, data_end, data_meta; the metadata is in front of the data.
        let start = u32::try_from(metadata.len())?;
        let end = start + u32::try_from(linear)?;
        let context = [start, end, 0, 0, 0, 0].map(u32::to_ne_bytes).concat();
        // An answer may be longer than what it is about.
        let mut out = vec![0; data.len().max(2_048)];
        let (returned, length) = call::test_run(self.program, &data, &context, &mut out)
            .context("BPF_PROG_TEST_RUN with metadata")?;
        out.truncate(length);
        let frame = out.split_off(metadata.len().min(length));
        let answer = Probe::from_bytes(out.as_slice().try_into()?);
        Ok(Probed {
            returned,
            answer,
            frame,
        })
    }
}

fn program(ebpf: &mut Ebpf) -> Result<&mut Xdp> {
    Ok(ebpf
        .program_mut("sekisho")
        .context("the object holds no program")?
        .try_into()?)
}

/// Writes entries of a trie.
pub fn trie<K: Bytes, V: Bytes>(ebpf: &mut Ebpf, name: &str, entries: &Trie<K, V>) -> Result<()>
where
    K::Array: Pod,
    V::Array: Pod,
{
    let mut map: LpmTrie<_, K::Array, V::Array> = ebpf
        .map_mut(name)
        .with_context(|| name.to_owned())?
        .try_into()?;
    for (TrieKey { bits, data }, value) in entries {
        map.insert(&Key::new(*bits, data.to_bytes()), value.to_bytes(), 0)?;
    }
    Ok(())
}

/// Takes entries out of a trie; one that is not there is fine.
pub fn out_of_trie<K: Bytes, V: Bytes>(ebpf: &mut Ebpf, name: &str, key: &TrieKey<K>) -> Result<()>
where
    K::Array: Pod,
    V::Array: Pod,
{
    let mut map: LpmTrie<_, K::Array, V::Array> = ebpf
        .map_mut(name)
        .with_context(|| name.to_owned())?
        .try_into()?;
    drop(map.remove(&Key::new(key.bits, key.data.to_bytes())));
    Ok(())
}

fn list<K: Copy, V: Copy>(map: &RefCell<std::collections::HashMap<K, V>>) -> Vec<(K, V)> {
    map.borrow()
        .iter()
        .map(|(key, value)| (*key, *value))
        .collect()
}

/// Writes entries of a hash.
pub fn hash<K: Bytes, V: Bytes>(ebpf: &mut Ebpf, name: &str, entries: &[(K, V)]) -> Result<()>
where
    K::Array: Pod,
    V::Array: Pod,
{
    let mut map: HashMap<_, K::Array, V::Array> = ebpf
        .map_mut(name)
        .with_context(|| name.to_owned())?
        .try_into()?;
    for (key, value) in entries {
        map.insert(key.to_bytes(), value.to_bytes(), 0)?;
    }
    Ok(())
}

/// Takes an entry out of a hash; one that is not there is fine.
pub fn out_of_hash<K: Bytes, V: Bytes>(ebpf: &mut Ebpf, name: &str, key: &K) -> Result<()>
where
    K::Array: Pod,
    V::Array: Pod,
{
    let mut map: HashMap<_, K::Array, V::Array> = ebpf
        .map_mut(name)
        .with_context(|| name.to_owned())?
        .try_into()?;
    drop(map.remove(&key.to_bytes()));
    Ok(())
}

/// Writes elements of an array.
pub fn array<V: Bytes>(
    ebpf: &mut Ebpf,
    name: &str,
    elements: impl IntoIterator<Item = (u32, V)>,
) -> Result<()>
where
    V::Array: Pod,
{
    let mut map: Array<_, V::Array> = ebpf
        .map_mut(name)
        .with_context(|| name.to_owned())?
        .try_into()?;
    for (index, value) in elements {
        map.set(index, value.to_bytes(), 0)?;
    }
    Ok(())
}

/// Marks sources in the filter in front of the grants.
fn mark_sources(ebpf: &mut Ebpf, place: Sources, sources: impl Iterator<Item = u64>) -> Result<()> {
    let mut map: Array<_, u64> = ebpf
        .map_mut(names::SOURCES)
        .context("SOURCES")?
        .try_into()?;
    for source in sources {
        let mark = mark(place, SEED, source);
        let word = map.get(&mark.word, 0)?;
        map.set(mark.word, word | mark.bits, 0)?;
    }
    Ok(())
}

/// Writes IPv4 grants, their sources first.
pub fn grants_v4(ebpf: &mut Ebpf, entries: &[(GrantKey<V4>, filter_abi::Grant)]) -> Result<()> {
    let numbers = entries
        .iter()
        .map(|(key, _)| u32::from_ne_bytes(key.source).into());
    mark_sources(ebpf, SOURCES_V4, numbers)?;
    hash(ebpf, names::GRANTS_V4, entries)
}

/// Writes IPv6 grants, their sources first.
pub fn grants_v6(ebpf: &mut Ebpf, entries: &[(GrantKey<V6>, filter_abi::Grant)]) -> Result<()> {
    let numbers = entries.iter().map(|(key, _)| {
        let [a, b, c, d, e, f, g, h, ..] = key.source;
        u64::from_ne_bytes([a, b, c, d, e, f, g, h])
    });
    mark_sources(ebpf, SOURCES_V6, numbers)?;
    hash(ebpf, names::GRANTS_V6, entries)
}

/// The most specific destination around an address.
fn longest<K, A: AsRef<[u8]>>(
    destinations: &Trie<K, Destination>,
    address: impl Fn(&TrieKey<K>) -> A,
    wanted: &A,
) -> Option<Destination> {
    let bit = |bytes: &[u8], at: u32| {
        let byte = bytes.get(at as usize / 8).copied().unwrap_or(0);
        byte >> (7 - at % 8) & 1
    };
    let around = destinations.iter().filter(|(key, _)| {
        let theirs = address(key);
        (0..key.bits - 32).all(|at| bit(theirs.as_ref(), at) == bit(wanted.as_ref(), at))
    });
    around
        .max_by_key(|(key, _)| key.bits)
        .map(|(_, found)| *found)
}

/// Single ports, and protocols that have none, of a destination.
fn singles(world: &World, of: Option<Destination>) -> Vec<(u8, u16, Target)> {
    let Some(destination) = of else {
        return Vec::new();
    };
    let protected = if destination.flags & Destination::PROTECTED == 0 {
        0
    } else {
        Target::PROTECTED
    };
    let own = world.targets.iter().filter(|(key, _)| {
        let with_ports = [6, 17, 132, 136].contains(&key.data.protocol);
        key.data.prefix == destination.prefix && (key.bits == 64 || (key.bits == 48 && !with_ports))
    });
    own.map(|(key, target)| {
        let mut target = *target;
        target.flags |= protected;
        (key.data.protocol, u16::from_be_bytes(key.data.port), target)
    })
    .collect()
}

/// Takes a grant out; one that is not there is fine.
pub fn revoke<A>(ebpf: &mut Ebpf, name: &str, key: &GrantKey<A>) -> Result<()>
where
    GrantKey<A>: Bytes,
    <GrantKey<A> as Bytes>::Array: Pod,
{
    let mut map: HashMap<_, <GrantKey<A> as Bytes>::Array, <filter_abi::Grant as Bytes>::Array> =
        ebpf.map_mut(name)
            .with_context(|| name.to_owned())?
            .try_into()?;
    drop(map.remove(&key.to_bytes()));
    Ok(())
}
