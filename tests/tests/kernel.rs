//! Layer 3: the fixtures of filter-core through the loaded program, with `BPF_PROG_TEST_RUN`. The
//! object comes out of the `sekisho` binary, so what is tested is what is shipped. The whole
//! counter array is compared, not only the verdict.

use anyhow::{Context as _, Result};
use aya::{Ebpf, maps::HashMap};
use filter_abi::{Bytes as _, Panel, names};
use filter_core::{
    Sheet, Slice, decide,
    fixtures::{self, Fixture, Setting, World},
};
use tests::loaded::{Loaded, XDP_DROP, XDP_PASS, array, boot_ns, object};

/// A moment that a probe is asked about: what is hours old has to fit in front of it, however
/// short the machine runs.
const LATE: u64 = 100_000_000_000_000;

/// The program in the kernel with the fixtures' world in its maps.
struct Fixtures {
    loaded: Loaded,
    setting: Setting,
    /// The moment all fixtures are judged at.
    now_ns: u64,
}

impl Fixtures {
    fn new(object: &[u8], setting: Setting, now_ns: u64) -> Result<Self> {
        let world = World::at(now_ns, setting);
        Ok(Self {
            loaded: Loaded::with(object, &world)?,
            setting,
            now_ns: world.now_ns,
        })
    }

    /// None: as it must be.
    fn judge(&mut self, fixture: &Fixture) -> Result<Option<String>> {
        let (counter, passes) = self.setting.outcome(fixture.reason);
        let mut expected = self.loaded.counters()?;
        *expected.get_mut(counter as usize).context("counter")? += 1;
        let verdict = self.loaded.probe(&fixture.frame, self.now_ns)?.returned;
        let found = self.loaded.counters()?;
        let wanted = if passes { XDP_PASS } else { XDP_DROP };
        Ok((verdict != wanted || found != expected).then(|| {
            format!(
                "{:?}: {}: verdict {verdict}, counters {found:?}",
                self.setting, fixture.name
            )
        }))
    }
}

#[test]
fn every_fixture_gets_its_reason_in_the_kernel_under_every_setting() -> Result<()> {
    let object = object()?;
    let mut wrong = Vec::new();
    for setting in Setting::ALL {
        let mut loaded = Fixtures::new(&object, setting, LATE)?;
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
    let mut loaded = Fixtures::new(&object, Setting::Enforce, LATE)?;
    let world = World::at(loaded.now_ns, Setting::Enforce);
    for fixture in fixtures::all() {
        // The kernel takes no frame shorter than its Ethernet header.
        for length in 14..fixture.frame.len() {
            let frame = fixture.frame.get(..length).context("length")?;
            let host = decide(
                &Slice(frame),
                &world.settings,
                &world,
                &mut Sheet::default(),
            );
            let cut = Fixture {
                frame: frame.to_vec(),
                reason: host.reason(),
                ..fixture.clone()
            };
            if let Some(wrong) = loaded.judge(&cut)? {
                anyhow::bail!(
                    "cut to {length}, host says {}: {wrong}",
                    host.reason().name()
                );
            }
        }
    }
    Ok(())
}

#[test]
fn an_admitted_packet_is_counted_on_its_grant_and_a_dropped_one_is_not() -> Result<()> {
    let object = object()?;
    let loaded = Fixtures::new(&object, Setting::Enforce, boot_ns()?)?;
    let named = |name: &str| fixtures::all().into_iter().find(|f| f.name == name);
    let granted = named("granted").context("fixture")?;
    let expired = named("past the deadline").context("fixture")?;
    for _ in 0..3 {
        loaded.loaded.run(&granted.frame)?;
        loaded.loaded.run(&expired.frame)?;
    }
    let map: HashMap<_, [u8; 8], [u8; 32]> = loaded
        .loaded
        .ebpf
        .map(names::GRANTS_V4)
        .context("GRANTS_V4")?
        .try_into()?;
    let mut packets: Vec<u64> = Vec::new();
    for entry in map.iter() {
        packets.push(filter_abi::Grant::from_bytes(&entry?.1).packets);
    }
    packets.sort_unstable();
    assert_eq!(packets, [0, 0, 0, 0, 0, 0, 0, 3]);
    Ok(())
}

#[test]
fn without_settings_nothing_passes() -> Result<()> {
    let object = object()?;
    let mut ebpf = Ebpf::load(&object)?;
    let panel = Panel {
        active: 9,
        ..Panel::default()
    };
    array(&mut ebpf, names::SETTINGS, [(0, panel)])?;
    let loaded = Loaded::of(ebpf)?;
    for fixture in fixtures::all() {
        assert_eq!(loaded.run(&fixture.frame)?, XDP_DROP, "{}", fixture.name);
    }
    Ok(())
}
