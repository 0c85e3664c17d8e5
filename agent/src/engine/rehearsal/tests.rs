//! Every kind of packet is asked about, and no difference gets through.

use std::collections::HashSet;

use filter_abi::Reason;
use filter_core::{
    Sheet, Slice,
    fixtures::{Setting, World as Judged},
};

use super::*;
use crate::{
    engine::tests::world::{PORTAL, World, ask},
    kernel::Probed,
};

/// Says the same of everything but of some packets.
struct Other {
    usually: Probed,
    otherwise: Probed,
    of: fn(&[u8]) -> bool,
    /// How often it says something else before it changes its mind.
    times: std::cell::Cell<u32>,
}

impl Judge for Other {
    fn probe(&self, frame: &[u8], at_ns: u64) -> Result<Probed, KernelError> {
        assert!(at_ns > 0, "two moments are no comparison");
        if (self.of)(frame) && self.times.get() > 0 {
            self.times.set(self.times.get() - 1);
            return Ok(self.otherwise);
        }
        Ok(self.usually)
    }
}

const DROPS: Probed = Probed {
    passes: false,
    reason: Reason::NoGrant as u32,
    service: 1,
};

fn other(of: fn(&[u8]) -> bool, times: u32) -> Other {
    Other {
        usually: DROPS,
        otherwise: Probed {
            passes: true,
            reason: Reason::NotProtected as u32,
            service: 0,
        },
        of,
        times: std::cell::Cell::new(times),
    }
}

fn is_tagged(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[0x81, 0])
}

#[tokio::test]
async fn programs_that_agree_are_said_to_agree() {
    let world = World::new().await;
    world.maps.table().answer = DROPS;
    let grant = ask("192.0.2.7", "web", "alice", 60);
    world.engine.open(&PORTAL, grant).await.unwrap();
    let rehearsal = world.engine.rehearse(&other(|_| false, 0)).unwrap();
    assert!(rehearsal.differences.is_empty(), "{rehearsal:?}");
    assert_eq!(rehearsal.grants, 1);
    assert!(rehearsal.packets > 100, "{rehearsal:?}");
}

#[tokio::test]
async fn a_difference_names_the_packet_and_both_verdicts() {
    let world = World::new().await;
    world.maps.table().answer = DROPS;
    let rehearsal = world.engine.rehearse(&other(is_tagged, u32::MAX)).unwrap();
    let said: Vec<String> = rehearsal
        .differences
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        said.iter().any(|line| line.contains("one tag")
            && line.contains("passes (NotProtected)")
            && line.contains("drops (NoGrant)")),
        "{said:?}"
    );
}

#[tokio::test]
async fn what_traffic_changed_in_between_is_no_difference() {
    let world = World::new().await;
    world.maps.table().answer = DROPS;
    let rehearsal = world.engine.rehearse(&other(is_tagged, 1)).unwrap();
    assert!(rehearsal.differences.is_empty(), "{rehearsal:?}");
}

/// The kinds are worth something only if they take different ways through the filter.
#[tokio::test]
async fn the_kinds_reach_the_rows_of_the_verdict_table() {
    let mut reasons = HashSet::new();
    let world = World::new().await;
    let state = world.engine.state();
    let mut service = state.config.services.first().unwrap().clone();
    service.targets = vec![
        "198.51.100.10 tcp/80".parse().unwrap(),
        "2001:db8:2::10 tcp/80".parse().unwrap(),
    ];
    let judged = Judged::at(5_000_000_000_000, Setting::Enforce);
    for packet in Packet::from_nobody(&service) {
        for (_, frame) in golden::kinds(&packet) {
            let decision = filter_core::decide(
                &Slice(&frame),
                &judged.settings,
                &judged,
                &mut Sheet::default(),
            );
            reasons.insert(decision.reason());
        }
    }
    for reason in [
        Reason::Control,
        Reason::EtherType,
        Reason::Malformed,
        Reason::SourceRouted,
        Reason::NotProtected,
        Reason::TooDeep,
        Reason::FragmentUnknown,
        Reason::IcmpError,
        Reason::NoGrant,
        Reason::NoService,
    ] {
        assert!(
            reasons.contains(&reason),
            "{reason:?} is missing: {reasons:?}"
        );
    }
}
