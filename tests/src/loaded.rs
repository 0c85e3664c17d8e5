//! The kernel program loaded by itself, with a world in its maps and no agent: for the tests that
//! ask it about single frames. The object comes out of the `sekisho` binary, so what is tested is
//! what is shipped.

mod call;

use std::{
    os::fd::{AsFd as _, AsRawFd as _, RawFd},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, HashMap, LpmTrie, Map, lpm_trie::Key},
    programs::Xdp,
};
use filter_abi::{Bytes, COUNTERS, GrantKey, Settings, TrieKey, names};
use filter_core::fixtures::{Trie, World};
use nix::time::{ClockId, clock_gettime};

pub const XDP_DROP: u32 = 1;
pub const XDP_PASS: u32 = 2;

/// The program in the kernel.
pub struct Loaded {
    pub ebpf: Ebpf,
    cpus: usize,
    program: RawFd,
    counters: RawFd,
}

/// The bytes of the object, as the binary under test carries them.
pub fn object() -> Result<Vec<u8>> {
    let output = Command::new(crate::tools::sekisho()?)
        .arg("kernel-object")
        .output()?;
    ensure!(output.status.success(), "sekisho kernel-object failed");
    Ok(output.stdout)
}

/// The clock that deadlines are compared with, now.
pub fn boot_ns() -> Result<u64> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?);
    Ok(u64::try_from(now.as_nanos())?)
}

impl Loaded {
    /// With small tables that hold a world, its settings in force.
    pub fn with(object: &[u8], world: &World) -> Result<Self> {
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(names::GRANTS_V4, 1_024)
            .map_max_entries(names::GRANTS_V6, 1_024)
            .override_global("AYA_LOG_LEVEL", &0u8, false)
            .load(object)
            .context("loading needs root (CAP_BPF, CAP_NET_ADMIN)")?;
        trie(&mut ebpf, names::DESTINATIONS_V4, &world.destinations_v4)?;
        trie(&mut ebpf, names::DESTINATIONS_V6, &world.destinations_v6)?;
        trie(&mut ebpf, names::TARGETS, &world.targets)?;
        trie(&mut ebpf, names::ALLOWS_V4, &world.allows_v4)?;
        trie(&mut ebpf, names::ALLOWS_V6, &world.allows_v6)?;
        trie(&mut ebpf, names::DENIES_V4, &world.denies_v4)?;
        trie(&mut ebpf, names::DENIES_V6, &world.denies_v6)?;
        grants(&mut ebpf, names::GRANTS_V4, &world.grants_v4)?;
        grants(&mut ebpf, names::GRANTS_V6, &world.grants_v6)?;
        let mut loaded = Self::of(ebpf)?;
        loaded.settings(&world.settings)?;
        Ok(loaded)
    }

    /// Loads the program of an object that is in the kernel already.
    pub fn of(mut ebpf: Ebpf) -> Result<Self> {
        let program = program(&mut ebpf)?;
        program.load()?;
        let program = program.fd()?.as_fd().as_raw_fd();
        let Some(Map::PerCpuArray(counters)) = ebpf.map(names::COUNTERS) else {
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
        })
    }

    /// Puts settings in force.
    pub fn settings(&mut self, settings: &Settings) -> Result<()> {
        let mut map: Array<_, <Settings as Bytes>::Array> = self
            .ebpf
            .map_mut(names::SETTINGS)
            .context("SETTINGS")?
            .try_into()?;
        map.set(1, settings.to_bytes(), 0)?;
        let mut active: Array<_, u32> = self
            .ebpf
            .map_mut(names::ACTIVE)
            .context("ACTIVE")?
            .try_into()?;
        active.set(0, 1, 0)?;
        Ok(())
    }

    /// All counters, summed over the processors.
    pub fn counters(&self) -> Result<Vec<u64>> {
        let count = usize::try_from(COUNTERS)?;
        let values = call::all_values(self.counters, count, self.cpus)?;
        Ok(values
            .chunks(self.cpus)
            .map(|cpus| cpus.iter().sum())
            .collect())
    }

    /// What the program returns for a frame.
    pub fn run(&self, frame: &[u8]) -> Result<u32> {
        call::test_run(self.program, frame, &[]).context("BPF_PROG_TEST_RUN")
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

/// Writes grants.
pub fn grants<A>(
    ebpf: &mut Ebpf,
    name: &str,
    entries: &[(GrantKey<A>, filter_abi::Grant)],
) -> Result<()>
where
    GrantKey<A>: Bytes,
    <GrantKey<A> as Bytes>::Array: Pod,
{
    let mut map: HashMap<_, <GrantKey<A> as Bytes>::Array, <filter_abi::Grant as Bytes>::Array> =
        ebpf.map_mut(name)
            .with_context(|| name.to_owned())?
            .try_into()?;
    for (key, grant) in entries {
        map.insert(key.to_bytes(), grant.to_bytes(), 0)?;
    }
    Ok(())
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
