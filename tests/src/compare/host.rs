//! `filter_core::decide` on the host, over a world in memory.

use anyhow::{Context as _, Result};
use filter_core::{Slice, fixtures::World};

use super::{Subject, world};
use crate::{
    generate::Change,
    oracle::{Oracle, Reason, Verdict},
};

/// The function that the kernel program is made of.
#[derive(Default)]
pub struct Host(Option<World>);

impl Subject for Host {
    fn name(&self) -> &'static str {
        "decide on the host"
    }

    fn remembers(&self) -> bool {
        false
    }

    fn begin(&mut self, oracle: &Oracle, now_ns: u64) -> Result<()> {
        self.0 = Some(world::entries(oracle, now_ns));
        Ok(())
    }

    fn judge(&mut self, frame: &[u8], now_ns: u64) -> Result<Option<Verdict>> {
        let world = self.0.as_mut().context("no world")?;
        world.now_ns = now_ns;
        let decision = filter_core::decide(&Slice(frame), &world.settings, &*world);
        let reason = Reason::of_number(decision.reason as u32).context("an unknown reason")?;
        let observe = world.settings.has(filter_abi::Settings::OBSERVE);
        let passes = matches!(decision.reason.action(), filter_abi::Action::Pass);
        Ok(Some(Verdict {
            reason,
            passes: passes || (observe && decision.reason.opened_by_observe()),
        }))
    }

    fn outgoing(&mut self, _: &[u8], _: u64) -> Result<()> {
        Ok(())
    }

    fn set(&mut self, _: &Change, oracle: &Oracle, now_ns: u64) -> Result<()> {
        world::update(self.0.as_mut().context("no world")?, oracle, now_ns);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{compare::START, generate::site};

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
            let said = host.judge(frame, START).unwrap();
            let name = path.display();
            assert_eq!(said, Some(oracle.judge(frame, START)), "{name}");
            count += 1;
        }
        assert!(count >= 30, "only {count} seeds");
    }
}
