//! Layer 3: the fixtures of filter-core through the loaded program, with `BPF_PROG_TEST_RUN`. The
//! object comes out of the `sekisho` binary, so what is tested is what is shipped. The whole
//! counter array is compared, not only the verdict.

use std::net::Ipv6Addr;

use anyhow::{Context as _, Result};
use aya::{Ebpf, maps::HashMap};
use filter_abi::{Bytes as _, Panel, Reason, names};
use filter_core::{
    Sheet, Slice, decide,
    fixtures::{self, Fixture, Setting, World},
};
use tests::loaded::{Loaded, XDP_DROP, XDP_PASS, array, object};

/// A moment that a probe is asked about: what is hours old has to fit in front of it, however
/// short the machine runs.
const LATE: u64 = 100_000_000_000_000;

/// The program in the kernel with the fixtures' world in its maps.
struct Fixtures {
    loaded: Loaded,
    setting: Setting,
}

impl Fixtures {
    fn new(object: &[u8], setting: Setting) -> Result<Self> {
        let world = World::at(LATE, setting);
        Ok(Self {
            loaded: Loaded::with(object, &world)?,
            setting,
        })
    }

    /// None: as it must be.
    fn judge(&mut self, fixture: &Fixture) -> Result<Option<String>> {
        let (counter, passes) = self.setting.outcome(fixture.reason);
        let mut expected = self.loaded.counters()?;
        *expected.get_mut(counter as usize).context("counter")? += 1;
        let verdict = self.loaded.probe(&fixture.frame, LATE)?.returned;
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
        let mut loaded = Fixtures::new(&object, setting)?;
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

/// Probes and packets from wires are compiled apart. Whatever time it is for both: they agree.
#[test]
fn a_packet_from_a_wire_is_judged_as_a_probe_of_it_is() -> Result<()> {
    let object = object()?;
    for setting in Setting::ALL {
        let world = World::at(LATE, setting);
        let mut loaded = Loaded::with(&object, &world)?;
        let server: Ipv6Addr = "2001:db8:2::a".parse()?;
        loaded.exact(&world, &[[198, 51, 100, 10]], &[server.octets()])?;
        for fixture in fixtures::all() {
            let probed = loaded.ask(&fixture.frame, 0, 0, fixture.frame.len())?;
            let reason = Reason::ALL.get(probed.answer.reason as usize);
            let (counter, passes) = setting.outcome(*reason.context("reason")?);
            let mut expected = loaded.counters()?;
            *expected.get_mut(counter as usize).context("counter")? += 1;
            let returned = loaded.run(&fixture.frame)?;
            assert_eq!(returned == XDP_PASS, passes, "{}", fixture.name);
            assert_eq!(returned, probed.returned, "{}", fixture.name);
            assert_eq!(loaded.counters()?, expected, "{}", fixture.name);
        }
    }
    Ok(())
}

#[test]
fn a_frame_cut_anywhere_gets_the_same_verdict_in_the_kernel_as_on_the_host() -> Result<()> {
    let object = object()?;
    let mut loaded = Fixtures::new(&object, Setting::Enforce)?;
    let world = World::at(LATE, Setting::Enforce);
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
    let loaded = Fixtures::new(&object, Setting::Enforce)?;
    let named = |name: &str| fixtures::all().into_iter().find(|f| f.name == name);
    let granted = named("granted").context("fixture")?;
    let expired = named("past the deadline").context("fixture")?;
    for _ in 0..3 {
        loaded.loaded.probe(&granted.frame, LATE)?;
        loaded.loaded.probe(&expired.frame, LATE)?;
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
