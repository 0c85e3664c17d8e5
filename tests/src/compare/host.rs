//! `filter_core::decide` on the host, over a world in memory.

use anyhow::{Context as _, Result};
use filter_abi::{Grant, GrantKey};
use filter_core::{
    Sheet, Slice,
    fixtures::{Kept, World},
};

use super::{Memory, Said, Subject, flows, world};
use crate::{
    generate::Change,
    oracle::{Oracle, Reason, SECOND, Verdict},
};

/// The function that the kernel program is made of.
#[derive(Default)]
pub struct Host(Option<World>);

impl Subject for Host {
    fn name(&self) -> &'static str {
        "decide on the host"
    }

    fn begin(&mut self, oracle: &Oracle, now_ns: u64) -> Result<()> {
        self.0 = Some(world::entries(oracle, now_ns));
        Ok(())
    }

    fn judge(&mut self, frame: &[u8], now_ns: u64) -> Result<Option<Said>> {
        let world = self.0.as_mut().context("no world")?;
        world.now_ns = now_ns;
        let decision = filter_core::decide(
            &Slice(frame),
            &world.settings,
            &*world,
            &mut Sheet::default(),
        );
        let reason = decision.reason();
        used(&world.kept_v4, &mut world.grants_v4);
        used(&world.kept_v6, &mut world.grants_v6);
        let observe = world.settings.has(filter_abi::Settings::OBSERVE);
        let passes = matches!(reason.action(), filter_abi::Action::Pass);
        let verdict = Verdict {
            reason: Reason::of_number(reason as u32).context("an unknown reason")?,
            passes: passes || (observe && reason.opened_by_observe()),
        };
        Ok(Some(Said {
            verdict,
            reaction: None,
        }))
    }

    fn outgoing(&mut self, frame: &[u8], now_ns: u64) -> Result<()> {
        let world = self.0.as_mut().context("no world")?;
        world.now_ns = now_ns;
        filter_core::outgoing(
            &Slice(frame),
            &world.settings,
            &*world,
            &mut Sheet::default(),
        );
        Ok(())
    }

    fn memory(&mut self, now_ns: u64) -> Result<Memory> {
        let world = self.0.as_ref().context("no world")?;
        let mut flows = flows::living(world.kept_v4.flows.borrow().clone(), now_ns)?;
        flows.extend(flows::living(world.kept_v6.flows.borrow().clone(), now_ns)?);
        Ok(Memory {
            flows: Some(flows),
            ..Memory::default()
        })
    }

    fn set(&mut self, change: &Change, oracle: &Oracle, _: u64) -> Result<()> {
        let world = self.0.as_mut().context("no world")?;
        world::switches(world, oracle);
        match change {
            Change::Grant {
                source, service, ..
            }
            | Change::Revoke { source, service } => {
                let held = oracle.grants.get(&(*source, *service)).copied();
                world::grant(world, *source, *service, held);
            }
            Change::GrantNetwork {
                network, service, ..
            }
            | Change::RevokeNetwork { network, service } => {
                let held = oracle.prefix_grants.get(&(*network, *service)).copied();
                let source = (*network).into();
                world::grant(world, source, world::of_network(*service), held);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The world on the host only lists who was admitted. Times of use are written by those who own
/// the table: at most once a second.
fn used<A: PartialEq>(kept: &Kept<A>, grants: &mut [(GrantKey<A>, Grant)]) {
    for (key, now_ns) in kept.admitted.borrow_mut().drain(..) {
        for (_, grant) in grants.iter_mut().filter(|(known, _)| *known == key) {
            if now_ns.saturating_sub(grant.last_seen_ns) >= SECOND {
                grant.last_seen_ns = now_ns;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        compare::{START, episode},
        generate::{Step, site},
    };

    /// Most packets of real filters take the short way, so many of these have to.
    #[test]
    fn a_fair_share_of_packets_takes_the_short_way() {
        let (mut quickly, mut passed, mut packets) = (0, 0, 0);
        for seed in 0..8 {
            let mut oracle = Oracle::new(site());
            let mut now = START;
            let mut host = Host::default();
            host.begin(&oracle, now).unwrap();
            for step in episode(seed, 2_000) {
                match step {
                    Step::Packet(frame) => {
                        let world = host.0.as_ref().unwrap();
                        packets += 1;
                        let short = filter_core::quick(&Slice(&frame), &world.settings, world);
                        quickly += u32::from(short.is_some());
                        let said = host.judge(&frame, now).unwrap().unwrap().verdict;
                        passed += u32::from(short.is_some() && said.passes);
                    }
                    Step::Outgoing(_) => {}
                    Step::Advance(ns) => now += ns,
                    Step::Change(change) => {
                        oracle.change(&change, now);
                        host.set(&change, &oracle, now).unwrap();
                    }
                }
            }
        }
        assert!(quickly * 100 > packets, "{quickly} of {packets}");
        assert!(passed > 30, "{passed}");
    }

    /// The seeds of the fuzz target, and whatever it found. The first byte is the mode.
    #[test]
    fn inputs_of_the_fuzz_target_are_judged_alike() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/decide");
        let mut count = 0;
        for entry in std::fs::read_dir(seeds).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let Some((mode, frame)) = bytes.split_first() else {
                continue;
            };
            let mut oracle = Oracle::new(site());
            oracle.observe = mode & 3 == 1;
            oracle.lockdown = mode & 3 == 2;
            let mut host = Host::default();
            host.begin(&oracle, START).unwrap();
            let said = host.judge(frame, START).unwrap().map(|said| said.verdict);
            let name = path.display();
            assert_eq!(said, Some(oracle.judge(frame, START)), "{name}");
            count += 1;
        }
        assert!(count >= 30, "only {count} seeds");
    }
}
