//! The loaded program, asked by `BPF_PROG_TEST_RUN`. The reason is read off the counters: one of
//! them, and only one, has to go up by one.

use std::net::IpAddr;

use anyhow::{Context as _, Result, bail, ensure};
use filter_abi::{Action, DenyValue, FlowKey, GrantKey, TrieKey, V4, V6, names};
use filter_core::{Sheet, Slice, fixtures::World};

use super::{Subject, world};
use crate::{
    generate::{Change, destinations},
    loaded::{self, Loaded, XDP_DROP, XDP_PASS},
    oracle::{Contents, Grant, Link, Oracle, Reason, Verdict, read},
};

/// Shorter and longer frames the kernel does not run a program on.
const FRAMES: std::ops::RangeInclusive<usize> = 14..=3_400;

/// What is shipped.
pub struct Kernel {
    object: Vec<u8>,
    loaded: Option<Loaded>,
    counters: Vec<u64>,
    /// The configuration again, for what goes out.
    world: Option<World>,
}

impl Kernel {
    pub fn new() -> Result<Self> {
        Ok(Self {
            object: loaded::object()?,
            loaded: None,
            counters: Vec::new(),
            world: None,
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
        let loaded = match self.loaded.take().filter(|_| known) {
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
        self.counters = loaded.counters()?;
        self.loaded = Some(loaded);
        self.world = Some(world);
        Ok(())
    }

    fn judge(&mut self, frame: &[u8], now_ns: u64) -> Result<Option<Verdict>> {
        if !FRAMES.contains(&frame.len()) {
            return Ok(None);
        }
        let loaded = self.loaded.as_ref().context("no program")?;
        let (returned, answer) = loaded.probe(frame, now_ns)?;
        let counters = loaded.counters()?;
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
            number == answer.reason,
            "counted as {number}, answered as {}",
            answer.reason
        );
        let reason = Reason::of_number(number).context("an unknown counter")?;
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

    /// The program on the way out knows only the true clock: what it would write down at another
    /// moment is worked out on the host, from what the kernel remembers.
    fn outgoing(&mut self, frame: &[u8], now_ns: u64) -> Result<()> {
        let ebpf = &mut self.loaded.as_mut().context("no program")?.ebpf;
        let world = self.world.as_mut().context("no world")?;
        world.now_ns = now_ns;
        for (own, peer, ports, protocol) in conversations(frame) {
            let (own_port, peer_port) = ports;
            match (own, peer) {
                (IpAddr::V4(own), IpAddr::V4(peer)) => {
                    let (own, peer) = (own.octets(), peer.octets());
                    let key = FlowKey {
                        own,
                        peer,
                        own_port,
                        peer_port,
                        protocol,
                    };
                    let known = loaded::one(ebpf, names::FLOWS_V4, &key)?;
                    let known = known.map(|record| (key, record));
                    world.kept_v4.flows.borrow_mut().extend(known);
                }
                (IpAddr::V6(own), IpAddr::V6(peer)) => {
                    let (own, peer) = (own.octets(), peer.octets());
                    let key = FlowKey {
                        own,
                        peer,
                        own_port,
                        peer_port,
                        protocol,
                    };
                    let known = loaded::one(ebpf, names::FLOWS_V6, &key)?;
                    let known = known.map(|record| (key, record));
                    world.kept_v6.flows.borrow_mut().extend(known);
                }
                _ => {}
            }
        }
        filter_core::outgoing(
            &Slice(frame),
            &world.settings,
            &*world,
            &mut Sheet::default(),
        );
        let v4: Vec<_> = world.kept_v4.flows.borrow_mut().drain().collect();
        let v6: Vec<_> = world.kept_v6.flows.borrow_mut().drain().collect();
        loaded::hash(ebpf, names::FLOWS_V4, &v4)?;
        loaded::hash(ebpf, names::FLOWS_V6, &v6)
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

/// Own address, peer, their ports, protocol.
type Conversation = (IpAddr, IpAddr, (u16, u16), u32);

/// What a frame on its way out could be remembered as.
fn conversations(frame: &[u8]) -> Vec<Conversation> {
    let Link::Packet(packet) = read(frame, &[]) else {
        return Vec::new();
    };
    let Contents::Upper(upper) = &packet.contents else {
        return Vec::new();
    };
    let echo = match upper.bytes {
        [_, _, _, _, high, low, ..] => Some((u16::from_be_bytes([*high, *low]), 0)),
        _ => None,
    };
    let protocol = u32::from(upper.protocol);
    let nobody = IpAddr::from([0; 4]);
    let lease = (nobody, nobody, (68, 67), 17);
    let own = [upper.ports(), echo].into_iter().flatten();
    own.map(|ports| (packet.source, packet.destination, ports, protocol))
        .chain([lease])
        .collect()
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
