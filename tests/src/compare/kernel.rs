//! The loaded program, asked by `BPF_PROG_TEST_RUN`. The reason is read off the counters: one of
//! them, and only one, has to go up by one.

mod left;
mod out;

use std::net::IpAddr;

use anyhow::{Context as _, Result, bail, ensure};
use filter_abi::{Action, DenyValue, GrantKey, TrieKey, V4, V6, names};
use filter_core::fixtures::World;

use super::{Memory, Reaction, Said, Subject, world};
use crate::{
    generate::{Change, destinations},
    loaded::{self, Loaded, Probed, XDP_DROP, XDP_PASS, XDP_TX},
    oracle::{Grant, Oracle, Reason, Verdict},
};

/// Shorter frames the kernel does not run a program on; longer ones than this no link carries.
const FRAMES: std::ops::RangeInclusive<usize> = 14..=9_100;

/// So many packets of each episode are asked about in pieces, too.
const IN_PIECES: usize = 1_000;
const ETHERNET: usize = 14;

/// What is shipped.
pub struct Kernel {
    object: Vec<u8>,
    loaded: Option<Loaded>,
    counters: Vec<u64>,
    /// The configuration again, to know whether it is another.
    world: Option<World>,
    /// Whether a frame may be cut anywhere.
    cuts: bool,
    judged: usize,
}

impl Kernel {
    pub fn new() -> Result<Self> {
        Ok(Self {
            object: loaded::object()?,
            loaded: None,
            counters: Vec::new(),
            world: None,
            cuts: false,
            judged: 0,
        })
    }

    fn loaded(&mut self) -> Result<&mut Loaded> {
        self.loaded.as_mut().context("no program")
    }

    fn grant(&mut self, source: IpAddr, service: u32, grant: Option<Grant>) -> Result<()> {
        let grant = grant.map(world::abi_grant);
        let ebpf = &mut self.loaded()?.ebpf;
        match source {
            IpAddr::V4(source) => {
                let source = source.octets();
                let key = GrantKey { source, service };
                match grant {
                    Some(grant) => loaded::grants_v4(ebpf, &[(key, grant)]),
                    None => loaded::revoke(ebpf, names::GRANTS_V4, &key),
                }
            }
            IpAddr::V6(source) => {
                let source = source.octets();
                let key = GrantKey { source, service };
                match grant {
                    Some(grant) => loaded::grants_v6(ebpf, &[(key, grant)]),
                    None => loaded::revoke(ebpf, names::GRANTS_V6, &key),
                }
            }
        }
    }

    /// What would become of the frame if it lay in several buffers. Nothing must come of asking:
    /// neither traces, which are looked for at the packet itself, nor an answer.
    fn foretell(&mut self, frame: &[u8], now_ns: u64) -> Result<Vec<Verdict>> {
        self.judged += 1;
        if self.judged > IN_PIECES || !self.cuts {
            return Ok(Vec::new());
        }
        let somewhere = ETHERNET + self.judged * 7 % (frame.len() + 1 - ETHERNET);
        let loaded = self.loaded.as_ref().context("no program")?;
        let mut verdicts = Vec::new();
        for linear in [ETHERNET, somewhere] {
            let probed = loaded.ask(frame, now_ns, 0, linear)?;
            let passes = probed.returned == XDP_PASS;
            ensure!(
                passes || probed.returned == XDP_DROP,
                "asked only, the program said {}",
                probed.returned
            );
            let reason = Reason::of_number(probed.answer.reason).context("an unknown reason")?;
            verdicts.push(Verdict { reason, passes });
        }
        Ok(verdicts)
    }

    /// The verdict as the counters show it.
    fn counted(&mut self, probed: &Probed) -> Result<Verdict> {
        let counters = self.loaded()?.counters()?;
        let counted = counters.iter().zip(&self.counters);
        let mut more = counted
            .enumerate()
            .filter(|(_, (new, old))| new != old)
            .map(|(at, (new, old))| (at, new - old));
        let (Some((at, 1)), None) = (more.next(), more.next()) else {
            bail!("not exactly one counter went up by one: {counters:?}");
        };
        self.counters = counters;
        let (number, opened) = split(u32::try_from(at)?);
        ensure!(
            number == probed.answer.reason,
            "counted as {number}, answered as {}",
            probed.answer.reason
        );
        let reason = Reason::of_number(number).context("an unknown counter")?;
        let passes = probed.returned == XDP_PASS;
        let theirs = filter_abi::Reason::ALL
            .get(reason as usize)
            .context("an unknown reason")?;
        let counted_as_passed = opened || theirs.action() == Action::Pass;
        ensure!(
            passes == counted_as_passed,
            "counted as {reason:?}, opened by observe: {opened}, but the program said {}",
            probed.returned
        );
        Ok(Verdict { reason, passes })
    }

    fn denies(&mut self, oracle: &Oracle) -> Result<()> {
        let (v4, v6) = world::denies(oracle);
        let ebpf = &mut self.loaded()?.ebpf;
        loaded::trie(ebpf, names::DENIES_V4, &v4)?;
        loaded::trie(ebpf, names::DENIES_V6, &v6)
    }
}

impl Subject for Kernel {
    fn name(&self) -> &'static str {
        "the program in the kernel"
    }

    fn begin(&mut self, oracle: &Oracle, now_ns: u64) -> Result<()> {
        let world = world::entries(oracle, now_ns);
        let known = self.world.as_ref().is_some_and(|known| {
            known.destinations_v4 == world.destinations_v4 && known.targets == world.targets
        });
        let mut loaded = match self.loaded.take().filter(|_| known) {
            Some(mut loaded) => {
                loaded.renew(&world)?;
                loaded
            }
            None => {
                let mut loaded = Loaded::with(&self.object, &world)?;
                // Some answers come from the table in front of the tries, some from those.
                let (v4, v6) = addresses();
                loaded.exact(&world, &v4, &v6)?;
                loaded
            }
        };
        loaded::samples(&mut loaded.ebpf)?;
        let cut = loaded.ask(&[0; 64], now_ns, 0, ETHERNET);
        // Before Linux 6.18 the first buffer is as full as can be.
        self.cuts = cut.is_ok();
        self.judged = 0;
        self.counters = loaded.counters()?;
        self.loaded = Some(loaded);
        self.world = Some(world);
        Ok(())
    }

    fn judge(&mut self, frame: &[u8], now_ns: u64) -> Result<Option<Said>> {
        if !FRAMES.contains(&frame.len()) {
            return Ok(None);
        }
        let foretold = self.foretell(frame, now_ns)?;
        let loaded = self.loaded.as_ref().context("no program")?;
        let probed = loaded.probe(frame, now_ns)?;
        let verdict = self.counted(&probed)?;
        let reaction = match probed.returned {
            XDP_PASS => Reaction::Passed(probed.frame),
            XDP_DROP => Reaction::Dropped,
            XDP_TX => Reaction::Answered(probed.frame),
            other => bail!("the program said {other}"),
        };
        let other = foretold.into_iter().find(|foretold| *foretold != verdict);
        Ok(Some(Said {
            verdict: other.unwrap_or(verdict),
            reaction: Some(reaction),
        }))
    }

    fn outgoing(&mut self, frame: &[u8], now_ns: u64) -> Result<()> {
        out::leave(self.loaded()?, frame, now_ns)
    }

    fn memory(&mut self, now_ns: u64) -> Result<Memory> {
        left::memory(self.loaded()?, now_ns)
    }

    fn set(&mut self, change: &Change, oracle: &Oracle, _: u64) -> Result<()> {
        // Which tables are looked at at all is one of the settings.
        let world = self.world.as_mut().context("no world")?;
        world::switches(world, oracle);
        let settings = world.settings;
        self.loaded()?.settings(&settings)?;
        match change {
            Change::Grant {
                source, service, ..
            }
            | Change::Revoke { source, service } => {
                let grant = oracle.grants.get(&(*source, *service)).copied();
                self.grant(*source, *service, grant)
            }
            Change::Deny { .. } => self.denies(oracle),
            Change::LiftDeny { prefix } => {
                let bits = prefix.bits;
                let ebpf = &mut self.loaded()?.ebpf;
                match prefix.address {
                    IpAddr::V4(address) => {
                        let data = address.octets();
                        let key = TrieKey { bits, data };
                        loaded::out_of_trie::<_, DenyValue>(ebpf, names::DENIES_V4, &key)?;
                    }
                    IpAddr::V6(address) => {
                        let data = address.octets();
                        let key = TrieKey { bits, data };
                        loaded::out_of_trie::<_, DenyValue>(ebpf, names::DENIES_V6, &key)?;
                    }
                }
                self.denies(oracle)
            }
            Change::Observe(_) | Change::Lockdown(_) => Ok(()),
            Change::GrantNetwork {
                network, service, ..
            }
            | Change::RevokeNetwork { network, service } => {
                let grant = oracle.prefix_grants.get(&(*network, *service)).copied();
                self.grant((*network).into(), world::of_network(*service), grant)
            }
            Change::Heartbeat { .. } => self.loaded()?.heartbeat(oracle.alive_until_ns),
        }
    }
}

/// Those of the site that have an entry for themselves.
fn addresses() -> (Vec<V4>, Vec<V6>) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for address in destinations() {
        match address {
            IpAddr::V4(address) => v4.push(address.octets()),
            IpAddr::V6(address) => v6.push(address.octets()),
        }
    }
    v4.sort_unstable();
    v4.dedup();
    v6.sort_unstable();
    v6.dedup();
    (v4, v6)
}

/// The reason's number, and whether observe mode opened it.
fn split(counter: u32) -> (u32, bool) {
    let count = filter_abi::Reason::COUNT;
    (counter % count, counter >= count)
}
