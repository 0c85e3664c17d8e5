//! Layer 3: the fixtures of filter-core through the loaded program, with `BPF_PROG_TEST_RUN`. The
//! object comes out of the `sekisho` binary, so what is tested is what is shipped. The whole
//! counter array is compared, not only the verdict.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader, Pod, TestRun as _, TestRunOptions,
    maps::{Array, HashMap, LpmTrie, PerCpuArray, lpm_trie::Key},
    programs::Xdp,
};
use filter_abi::{Bytes, COUNTERS, GrantKey, TrieKey, names};
use filter_core::fixtures::{self, Fixture, Setting, Trie, World};
use nix::time::{ClockId, clock_gettime};

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// The program in the kernel with a world in its maps.
struct Loaded {
    ebpf: Ebpf,
    setting: Setting,
}

fn object() -> Result<Vec<u8>> {
    let output = Command::new(tests::tools::sekisho()?)
        .arg("kernel-object")
        .output()?;
    ensure!(output.status.success(), "sekisho kernel-object failed");
    Ok(output.stdout)
}

fn boot_ns() -> Result<u64> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?);
    Ok(u64::try_from(now.as_nanos())?)
}

impl Loaded {
    fn new(object: &[u8], setting: Setting) -> Result<Self> {
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(names::GRANTS_V4, 1_024)
            .map_max_entries(names::GRANTS_V6, 1_024)
            .override_global("AYA_LOG_LEVEL", &0u8, false)
            .load(object)
            .context("loading needs root (CAP_BPF, CAP_NET_ADMIN)")?;
        let world = World::at(boot_ns()?, setting);
        trie(&mut ebpf, names::DESTINATIONS_V4, &world.destinations_v4)?;
        trie(&mut ebpf, names::DESTINATIONS_V6, &world.destinations_v6)?;
        trie(&mut ebpf, names::TARGETS, &world.targets)?;
        trie(&mut ebpf, names::ALLOWS_V4, &world.allows_v4)?;
        trie(&mut ebpf, names::ALLOWS_V6, &world.allows_v6)?;
        trie(&mut ebpf, names::DENIES_V4, &world.denies_v4)?;
        trie(&mut ebpf, names::DENIES_V6, &world.denies_v6)?;
        grants(&mut ebpf, names::GRANTS_V4, &world.grants_v4)?;
        grants(&mut ebpf, names::GRANTS_V6, &world.grants_v6)?;
        let mut settings: Array<_, [u8; 16]> = ebpf
            .map_mut(names::SETTINGS)
            .context("SETTINGS")?
            .try_into()?;
        settings.set(1, world.settings.to_bytes(), 0)?;
        let mut active: Array<_, u32> =
            ebpf.map_mut(names::ACTIVE).context("ACTIVE")?.try_into()?;
        active.set(0, 1, 0)?;
        program(&mut ebpf)?.load()?;
        Ok(Self { ebpf, setting })
    }

    fn counters(&self) -> Result<Vec<u64>> {
        let map: PerCpuArray<_, u64> = self
            .ebpf
            .map(names::COUNTERS)
            .context("COUNTERS")?
            .try_into()?;
        (0..COUNTERS)
            .map(|index| Ok(map.get(&index, 0)?.iter().sum()))
            .collect()
    }

    fn run(&mut self, frame: &[u8]) -> Result<u32> {
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        Ok(program(&mut self.ebpf)?.test_run(options)?.return_value)
    }

    /// None: as it must be.
    fn judge(&mut self, fixture: &Fixture) -> Result<Option<String>> {
        let (counter, passes) = self.setting.outcome(fixture.reason);
        let mut expected = self.counters()?;
        *expected.get_mut(counter as usize).context("counter")? += 1;
        let verdict = self.run(&fixture.frame)?;
        let found = self.counters()?;
        let wanted = if passes { XDP_PASS } else { XDP_DROP };
        Ok((verdict != wanted || found != expected).then(|| {
            format!(
                "{:?}: {}: verdict {verdict}, counters {found:?}",
                self.setting, fixture.name
            )
        }))
    }
}

fn program(ebpf: &mut Ebpf) -> Result<&mut Xdp> {
    Ok(ebpf
        .program_mut("sekisho")
        .context("the object holds no program")?
        .try_into()?)
}

fn trie<K: Bytes, V: Bytes>(ebpf: &mut Ebpf, name: &str, entries: &Trie<K, V>) -> Result<()>
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

fn grants<A>(
    ebpf: &mut Ebpf,
    name: &str,
    entries: &[(GrantKey<A>, filter_abi::Grant)],
) -> Result<()>
where
    GrantKey<A>: Bytes,
    <GrantKey<A> as Bytes>::Array: Pod,
{
    let mut map: HashMap<_, <GrantKey<A> as Bytes>::Array, [u8; 32]> = ebpf
        .map_mut(name)
        .with_context(|| name.to_owned())?
        .try_into()?;
    for (key, grant) in entries {
        map.insert(key.to_bytes(), grant.to_bytes(), 0)?;
    }
    Ok(())
}

#[test]
fn every_fixture_gets_its_reason_in_the_kernel_under_every_setting() -> Result<()> {
    let object = object()?;
    let mut wrong = Vec::new();
    for setting in Setting::ALL {
        let mut loaded = Loaded::new(&object, setting)?;
        for fixture in fixtures::all() {
            wrong.extend(loaded.judge(&fixture)?);
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

#[test]
fn a_frame_cut_anywhere_gets_the_same_verdict_in_the_kernel_as_on_the_host() -> Result<()> {
    let object = object()?;
    let mut loaded = Loaded::new(&object, Setting::Enforce)?;
    let world = World::at(boot_ns()?, Setting::Enforce);
    for fixture in fixtures::all() {
        // The kernel takes no frame shorter than its Ethernet header.
        for length in 14..fixture.frame.len() {
            let frame = fixture.frame.get(..length).context("length")?;
            let host = filter_core::decide(&filter_core::Slice(frame), &world.settings, &world);
            let cut = Fixture {
                frame: frame.to_vec(),
                reason: host.reason,
                ..fixture.clone()
            };
            if let Some(wrong) = loaded.judge(&cut)? {
                anyhow::bail!("cut to {length}, host says {}: {wrong}", host.reason.name());
            }
        }
    }
    Ok(())
}

#[test]
fn an_admitted_packet_is_counted_on_its_grant_and_a_dropped_one_is_not() -> Result<()> {
    let object = object()?;
    let mut loaded = Loaded::new(&object, Setting::Enforce)?;
    let named = |name: &str| fixtures::all().into_iter().find(|f| f.name == name);
    let granted = named("granted").context("fixture")?;
    let expired = named("past the deadline").context("fixture")?;
    for _ in 0..3 {
        loaded.run(&granted.frame)?;
        loaded.run(&expired.frame)?;
    }
    let map: HashMap<_, [u8; 8], [u8; 32]> = loaded
        .ebpf
        .map(names::GRANTS_V4)
        .context("GRANTS_V4")?
        .try_into()?;
    let mut packets: Vec<u64> = Vec::new();
    for entry in map.iter() {
        packets.push(filter_abi::Grant::from_bytes(&entry?.1).packets);
    }
    packets.sort_unstable();
    assert_eq!(packets, [0, 0, 0, 0, 0, 3]);
    Ok(())
}

#[test]
fn without_settings_nothing_passes() -> Result<()> {
    let object = object()?;
    let mut ebpf = EbpfLoader::new().load(&object)?;
    let mut active: Array<_, u32> = ebpf.map_mut(names::ACTIVE).context("ACTIVE")?.try_into()?;
    active.set(0, 9, 0)?;
    program(&mut ebpf)?.load()?;
    let mut loaded = Loaded {
        ebpf,
        setting: Setting::Enforce,
    };
    for fixture in fixtures::all() {
        assert_eq!(loaded.run(&fixture.frame)?, XDP_DROP, "{}", fixture.name);
    }
    Ok(())
}
