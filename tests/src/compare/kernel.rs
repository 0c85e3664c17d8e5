//! The loaded program, asked by `BPF_PROG_TEST_RUN`. The reason is read off the counters: one of
//! them, and only one, has to go up by one.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use filter_abi::{Action, DenyValue, GrantKey, TrieKey, names};

use super::{Subject, world};
use crate::{
    generate::Change,
    loaded::{self, Loaded, XDP_DROP, XDP_PASS},
    oracle::{Grant, Oracle, Reason, Verdict},
};

/// Shorter and longer frames the kernel does not run a program on.
const FRAMES: std::ops::RangeInclusive<usize> = 14..=3_400;

/// What is shipped.
pub struct Kernel {
    object: Vec<u8>,
    loaded: Option<Loaded>,
    counters: Vec<u64>,
    /// From the episode's clock to the true one.
    offset_ns: u64,
}

impl Kernel {
    pub fn new() -> Result<Self> {
        Ok(Self {
            object: loaded::object()?,
            loaded: None,
            counters: Vec::new(),
            offset_ns: 0,
        })
    }

    fn loaded(&mut self) -> Result<&mut Loaded> {
        self.loaded.as_mut().context("no program")
    }

    fn shifted(&self, grant: Grant) -> filter_abi::Grant {
        world::abi_grant(Grant {
            deadline_ns: grant.deadline_ns.wrapping_add(self.offset_ns),
            idle_ns: grant.idle_ns,
            last_seen_ns: grant.last_seen_ns.wrapping_add(self.offset_ns),
        })
    }

    fn grant(&mut self, source: IpAddr, service: u32, grant: Option<Grant>) -> Result<()> {
        let grant = grant.map(|grant| self.shifted(grant));
        let ebpf = &mut self.loaded()?.ebpf;
        match source {
            IpAddr::V4(source) => {
                let source = source.octets();
                let key = GrantKey { source, service };
                match grant {
                    Some(grant) => loaded::grants(ebpf, names::GRANTS_V4, &[(key, grant)]),
                    None => loaded::revoke(ebpf, names::GRANTS_V4, &key),
                }
            }
            IpAddr::V6(source) => {
                let source = source.octets();
                let key = GrantKey { source, service };
                match grant {
                    Some(grant) => loaded::grants(ebpf, names::GRANTS_V6, &[(key, grant)]),
                    None => loaded::revoke(ebpf, names::GRANTS_V6, &key),
                }
            }
        }
    }

    fn denies(&mut self, oracle: &Oracle) -> Result<()> {
        let offset_ns = self.offset_ns;
        let (mut v4, mut v6) = world::denies(oracle);
        let shift = |value: &mut DenyValue| {
            value.deadline_ns = value.deadline_ns.wrapping_add(offset_ns);
        };
        v4.iter_mut().for_each(|(_, value)| shift(value));
        v6.iter_mut().for_each(|(_, value)| shift(value));
        let ebpf = &mut self.loaded()?.ebpf;
        loaded::trie(ebpf, names::DENIES_V4, &v4)?;
        loaded::trie(ebpf, names::DENIES_V6, &v6)
    }
}

impl Subject for Kernel {
    fn name(&self) -> &'static str {
        "the program in the kernel"
    }

    fn remembers(&self) -> bool {
        false
    }

    fn begin(&mut self, oracle: &Oracle, now_ns: u64) -> Result<()> {
        // Two at once would need twice the tables.
        self.loaded = None;
        self.offset_ns = loaded::boot_ns()?.wrapping_sub(now_ns);
        let loaded = Loaded::with(&self.object, &world::entries(oracle, now_ns))?;
        self.counters = loaded.counters()?;
        self.loaded = Some(loaded);
        Ok(())
    }

    fn judge(&mut self, frame: &[u8], _: u64) -> Result<Option<Verdict>> {
        if !FRAMES.contains(&frame.len()) {
            return Ok(None);
        }
        let loaded = self.loaded.as_ref().context("no program")?;
        let returned = loaded.run(frame)?;
        let counters = loaded.counters()?;
        let counted = counters.iter().zip(&self.counters);
        let mut more = counted
            .enumerate()
            .filter(|(_, (new, old))| new != old)
            .map(|(at, (new, old))| (at, new - old));
        let (Some((at, 1)), None) = (more.next(), more.next()) else {
            anyhow::bail!("not exactly one counter went up by one: {counters:?}");
        };
        self.counters = counters;
        let (reason, opened) = split(u32::try_from(at)?);
        let reason = Reason::of_number(reason).context("an unknown counter")?;
        let passes = returned == XDP_PASS;
        ensure!(
            passes || returned == XDP_DROP,
            "the program said {returned}"
        );
        let theirs = filter_abi::Reason::ALL
            .get(reason as usize)
            .context("an unknown reason")?;
        let counted_as_passed = opened || theirs.action() == Action::Pass;
        ensure!(
            passes == counted_as_passed,
            "counted as {reason:?}, opened by observe: {opened}, but the program said {returned}"
        );
        Ok(Some(Verdict { reason, passes }))
    }

    fn outgoing(&mut self, _: &[u8], _: u64) -> Result<()> {
        Ok(())
    }

    fn set(&mut self, change: &Change, oracle: &Oracle, now_ns: u64) -> Result<()> {
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
            Change::Observe(_) | Change::Lockdown(_) => {
                let settings = world::entries(oracle, now_ns).settings;
                self.loaded()?.settings(&settings)
            }
            Change::GrantNetwork { .. }
            | Change::RevokeNetwork { .. }
            | Change::Heartbeat { .. } => Ok(()),
        }
    }
}

/// The reason's number, and whether observe mode opened it.
fn split(counter: u32) -> (u32, bool) {
    let count = filter_abi::Reason::COUNT;
    (counter % count, counter >= count)
}
