//! Any bytes as a frame: `decide` and the oracle say the same, with nothing remembered but a few
//! grants. The first byte chooses enforce, observe or lockdown.
#![no_main]

use filter_core::{Sheet, Slice};
use libfuzzer_sys::fuzz_target;

#[path = "../../src"]
mod tests {
    #[allow(dead_code, unused_imports, reason = "only the verdict is of interest")]
    pub(super) mod oracle;
}
#[path = "../../src/generate"]
mod generate {
    #[allow(dead_code, reason = "some of it is the generator's alone")]
    mod site;

    use std::net::IpAddr;

    pub(super) use self::site::site;

    /// Who holds a grant for which service.
    pub(super) fn granted() -> impl Iterator<Item = (IpAddr, u32)> {
        let sources = site::SOURCES.concat().into_iter().step_by(3);
        sources.flat_map(|source| site::GRANTED.map(|service| (source, service)))
    }
}
#[path = "../../src/compare"]
mod compare {
    #[allow(dead_code, reason = "one of two ways to fill the world")]
    pub(super) mod world;
}

use tests::oracle;

const NOW: u64 = 1_000_000 * oracle::SECOND;

fn fresh(mode: u8) -> oracle::Oracle {
    let mut oracle = oracle::Oracle::new(generate::site());
    oracle.observe = mode & 3 == 1;
    oracle.lockdown = mode & 3 == 2;
    let grant = oracle::Grant {
        deadline_ns: NOW + 600 * oracle::SECOND,
        idle_ns: 0,
        last_seen_ns: NOW,
    };
    oracle
        .grants
        .extend(generate::granted().map(|key| (key, grant)));
    oracle
}

fuzz_target!(|input: &[u8]| {
    let Some((mode, frame)) = input.split_first() else {
        return;
    };
    let mut oracle = fresh(*mode);
    let world = compare::world::entries(&oracle, NOW);
    let expected = oracle.judge(frame, NOW);
    let said = filter_core::decide(
        &Slice(frame),
        &world.settings,
        &world,
        &mut Sheet::default(),
    );
    let said = said.reason();
    assert_eq!(
        said as u32,
        expected.reason as u32,
        "decide says {}, the oracle {:?}",
        said.name(),
        expected.reason
    );
});
