//! Every fixture on the host, and what must hold for any bytes.

use std::collections::HashSet;

use filter_abi::{Action, Reason, Settings};
use proptest::prelude::*;

use crate::{
    Sheet, Slice, decide,
    fixtures::{self, Setting, World},
    quick, table,
};

const NOW: u64 = 100_000_000_000_000;

fn reason_of(frame: &[u8], world: &World) -> Reason {
    let mut sheet = Sheet::default();
    decide(&Slice(frame), &world.settings, world, &mut sheet).reason()
}

#[test]
fn every_fixture_gets_its_reason_under_every_setting() {
    for setting in Setting::ALL {
        let world = World::at(NOW, setting);
        for fixture in fixtures::all() {
            let reason = reason_of(&fixture.frame, &world);
            assert_eq!(
                reason,
                setting.reason(fixture.reason),
                "{setting:?}: {}",
                fixture.name
            );
        }
    }
}

#[test]
fn fixture_names_are_unique_and_every_reason_occurs() {
    let all = fixtures::all();
    let names: HashSet<&str> = all.iter().map(|fixture| fixture.name).collect();
    assert_eq!(names.len(), all.len());
    let seen: HashSet<Reason> = Setting::ALL
        .iter()
        .flat_map(|setting| all.iter().map(|fixture| setting.reason(fixture.reason)))
        .collect();
    let missing: Vec<&Reason> = Reason::ALL
        .iter()
        .filter(|reason| !seen.contains(reason))
        .collect();
    assert!(missing.is_empty(), "no fixture for {missing:?}");
}

#[test]
fn observe_opens_everything_but_what_an_operator_closed() {
    for reason in Reason::ALL {
        let closed_on_purpose = matches!(
            reason,
            Reason::Denied | Reason::Lockdown | Reason::RateLimited
        );
        let drops = reason.action() == Action::Drop;
        assert_eq!(
            reason.opened_by_observe(),
            drops && !closed_on_purpose,
            "{}",
            reason.name()
        );
    }
}

#[test]
fn the_short_way_says_what_the_table_says() {
    let mut quickly = 0;
    for setting in Setting::ALL {
        for fixture in fixtures::all() {
            for length in (0..=fixture.frame.len()).rev() {
                let mut world = World::at(NOW, setting);
                // Without what makes every packet take the long way.
                world.settings.flags &= Settings::OBSERVE | Settings::LOCKDOWN;
                let window = Slice(&fixture.frame[..length]);
                let Some(short) = quick(&window, &world.settings, &world) else {
                    continue;
                };
                quickly += 1;
                let long = table(&window, &world.settings, &world, &mut Sheet::default());
                assert_eq!(short.reason(), long.reason(), "{}", fixture.name);
                assert_eq!(short.target(), long.target(), "{}", fixture.name);
            }
        }
    }
    assert!(quickly > 20, "the short way was taken {quickly} times");
}

#[test]
fn a_grant_ends_exactly_at_its_deadline() {
    let granted = fixtures::all()
        .into_iter()
        .find(|f| f.name == "granted")
        .unwrap();
    let mut world = World::at(NOW, Setting::Enforce);
    let deadline = world.grants_v4[0].1.deadline_ns;
    world.grants_v4[0].1.idle_ns = 0;
    world.now_ns = deadline - 1;
    assert_eq!(reason_of(&granted.frame, &world), Reason::Granted);
    world.now_ns = deadline;
    assert_eq!(reason_of(&granted.frame, &world), Reason::Expired);
}

#[test]
fn a_frame_cut_anywhere_never_gains_anything() {
    for fixture in fixtures::all() {
        let world = World::at(NOW, Setting::Enforce);
        let whole = reason_of(&fixture.frame, &world);
        for length in 0..fixture.frame.len() {
            let reason = reason_of(&fixture.frame[..length], &world);
            let gained = reason.action() == Action::Pass && whole.action() == Action::Drop;
            assert!(
                !gained,
                "{} cut to {length}: {}",
                fixture.name,
                reason.name()
            );
        }
    }
}

proptest! {
    /// No bytes at all find a way to a granted service from a source without a grant.
    #[test]
    fn whatever_follows_a_strangers_addresses_is_not_admitted(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        which in 0usize..4,
        options in 0u8..11,
    ) {
        use fixtures::{Frame, V4Packet, V6Packet};
        let world = World::at(NOW, Setting::Enforce);
        let stranger4 = [192, 0, 2, 77];
        let stranger6 = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 77];
        let server6 = [0x20, 1, 0xd, 0xb8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99];
        let first = bytes.first().copied().unwrap_or(6);
        let frame = match which {
            // Towards an address whose every protocol belongs to one granted service.
            0 => Frame::v4(&V4Packet::new(stranger4, [198, 51, 100, 99], first, bytes)),
            1 => Frame::v6(&V6Packet::new(stranger6, server6, first, bytes)),
            2 => {
                let words = usize::from(options) * 4;
                let mut filled = bytes.clone();
                filled.resize(words, 1);
                let packet = V4Packet::new(stranger4, [198, 51, 100, 99], first, bytes);
                Frame::v4(&V4Packet { options: filled, ..packet })
            }
            _ => {
                let packet = V4Packet::new(stranger4, [198, 51, 100, 99], 6, bytes);
                Frame::v4(&V4Packet { fragment: u16::from(first) << 8, ..packet })
            }
        };
        let reason = reason_of(&frame, &world);
        // Discovery is the one thing that passes without a grant, and only with its hop limit.
        prop_assert!(reason.action() == Action::Drop, "{}", reason.name());
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let world = World::at(NOW, Setting::Enforce);
        reason_of(&bytes, &world);
    }
}
