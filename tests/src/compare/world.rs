//! From the oracle's plain configuration to the entries of the maps. It does by hand, for the one
//! site of the generator, what the agent does for any configuration.

use std::{collections::BTreeSet, net::IpAddr};

use filter_abi::{
    AllowKey, DenyValue, Destination, DestinationKey, Grant as AbiGrant, GrantKey, Limit, LimitKey,
    Settings, Target as AbiTarget, TargetKey, TrieKey, V4, V6,
};
use filter_core::fixtures::{Kept, Setting, Trie, World};

use crate::oracle::{
    AgentDown, Answer, Config, Grant, Kind, Oracle, OtherPorts, Prefix, Rate, Service, Target,
};

const GENERATION: u32 = 3;
/// More drops a second than there are: how many may be shown is tested on its own.
const SAMPLES: u32 = 1 << 30;

/// What the maps hold for the oracle's configuration, grants, denials and switches.
pub fn entries(oracle: &Oracle, now_ns: u64) -> World {
    let mut world = World::at(now_ns, Setting::Enforce);
    world.destinations_v4.clear();
    world.destinations_v6.clear();
    world.targets.clear();
    world.allows_v4.clear();
    world.allows_v6.clear();
    world.limits.clear();
    world.grants_v4.clear();
    world.grants_v6.clear();
    world.kept_v4 = Kept::default();
    world.kept_v6 = Kept::default();
    configuration(&mut world, &oracle.config);
    switches(&mut world, oracle);
    for ((source, service), held) in &oracle.grants {
        grant(&mut world, *source, *service, Some(*held));
    }
    for ((network, service), held) in &oracle.prefix_grants {
        grant(
            &mut world,
            (*network).into(),
            of_network(*service),
            Some(*held),
        );
    }
    world
}

/// The number of a service in the grant of a whole network.
pub(super) const fn of_network(service: u32) -> u32 {
    service | GrantKey::<V6>::PREFIX
}

/// Writes or takes away one grant.
pub(super) fn grant(world: &mut World, source: IpAddr, service: u32, held: Option<Grant>) {
    match source {
        IpAddr::V4(source) => {
            let source = source.octets();
            let key = GrantKey { source, service };
            world.grants_v4.retain(|(known, _)| *known != key);
            let held = held.map(|held| (key, abi_grant(held)));
            world.grants_v4.extend(held);
        }
        IpAddr::V6(source) => {
            let source = source.octets();
            let key = GrantKey { source, service };
            world.grants_v6.retain(|(known, _)| *known != key);
            let held = held.map(|held| (key, abi_grant(held)));
            world.grants_v6.extend(held);
        }
    }
}

/// Mode, lockdown, heartbeat and denials.
pub(super) fn switches(world: &mut World, oracle: &Oracle) {
    let flag = |on, flag| if on { flag } else { 0 };
    // What there is none of is not looked for, or no packet would take the short way.
    let denied = |family: fn(&IpAddr) -> bool| {
        let mut denies = oracle.denies.iter();
        denies.any(|(prefix, _)| family(&prefix.address))
    };
    world.settings.generation = GENERATION;
    world.settings.flags = flag(oracle.observe, Settings::OBSERVE)
        | flag(oracle.lockdown, Settings::LOCKDOWN)
        | flag(denied(IpAddr::is_ipv4), Settings::DENIES_V4)
        | flag(denied(IpAddr::is_ipv6), Settings::DENIES_V6)
        | flag(!oracle.prefix_grants.is_empty(), Settings::PREFIX_GRANTS);
    world.settings.samples = SAMPLES;
    world.settings.ether_types = [0; 4];
    let places = world.settings.ether_types.iter_mut();
    for (place, listed) in places.zip(&oracle.config.ether_types) {
        *place = *listed;
    }
    (world.denies_v4, world.denies_v6) = denies(oracle);
    world.alive_until_ns = oracle.alive_until_ns;
    let Rate { interval_ns, burst } = oracle.config.icmp_errors;
    world.settings.icmp_interval_ns = u32::try_from(interval_ns).unwrap_or(u32::MAX);
    world.settings.icmp_tolerance_ns = (burst - 1) * interval_ns;
}

/// As the map holds it.
pub(super) fn abi_grant(grant: Grant) -> AbiGrant {
    AbiGrant {
        deadline_ns: grant.deadline_ns,
        idle_ns: grant.idle_ns,
        last_seen_ns: grant.last_seen_ns,
        packets: 0,
    }
}

/// A denial inside another one lasts at least as long as that: the longest match is asked alone.
pub(super) fn denies(oracle: &Oracle) -> (Trie<V4, DenyValue>, Trie<V6, DenyValue>) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (prefix, _) in &oracle.denies {
        let around = oracle
            .denies
            .iter()
            .filter(|(other, _)| other.bits <= prefix.bits && other.contains(prefix.address));
        let deadline_ns = around.map(|(_, until)| *until).max().unwrap_or(0);
        let (bits, value) = (prefix.bits, DenyValue { deadline_ns });
        match prefix.address {
            IpAddr::V4(address) => v4.push((
                TrieKey {
                    bits,
                    data: address.octets(),
                },
                value,
            )),
            IpAddr::V6(address) => v6.push((
                TrieKey {
                    bits,
                    data: address.octets(),
                },
                value,
            )),
        }
    }
    (v4, v6)
}

fn configuration(world: &mut World, config: &Config) {
    let mut prefixes = BTreeSet::new();
    let protected = config.protected.iter().map(|protected| protected.prefix);
    let services = config.services.iter();
    let targets = services.flat_map(|service| service.targets.iter().map(|target| target.prefix));
    for Prefix { address, bits } in protected.chain(targets) {
        prefixes.insert((address, bits));
    }
    for (number, (address, bits)) in (10..).zip(prefixes) {
        let flags = flags(config, address, bits);
        let destination = Destination {
            prefix: number,
            flags,
        };
        let generation = GENERATION;
        match address {
            IpAddr::V4(address) => {
                let address = address.octets();
                let data = DestinationKey {
                    generation,
                    address,
                };
                let key = TrieKey {
                    bits: 32 + bits,
                    data,
                };
                world.destinations_v4.push((key, destination));
            }
            IpAddr::V6(address) => {
                let address = address.octets();
                let data = DestinationKey {
                    generation,
                    address,
                };
                let key = TrieKey {
                    bits: 32 + bits,
                    data,
                };
                world.destinations_v6.push((key, destination));
            }
        }
        for (service, target) in claims(config, Prefix { address, bits }) {
            world
                .targets
                .extend(target_entries(number, service, target));
        }
    }
    for service in &config.services {
        if let Kind::Public(Rate { interval_ns, burst }) = service.kind
            && interval_ns > 0
        {
            let key = LimitKey {
                generation: GENERATION,
                service: service.id,
            };
            let tolerance_ns = (burst - 1) * interval_ns;
            let limit = Limit {
                interval_ns,
                tolerance_ns,
            };
            world.limits.push((key, limit));
        }
        for prefix in &service.allow {
            allow(world, service.id, *prefix);
        }
    }
}

fn flags(config: &Config, address: IpAddr, bits: u32) -> u32 {
    let around = config
        .protected
        .iter()
        .filter(|protected| protected.prefix.bits <= bits && protected.prefix.contains(address))
        .max_by_key(|protected| protected.prefix.bits);
    match around.map(|protected| protected.other_ports) {
        None => 0,
        Some(OtherPorts::Drop) => Destination::PROTECTED,
        Some(OtherPorts::Pass) => Destination::PROTECTED | Destination::OTHER_PORTS_PASS,
    }
}

/// Targets that count for a prefix: its own and those of wider ones that no narrower one hides.
fn claims(config: &Config, at: Prefix) -> Vec<(&Service, &Target)> {
    let services = config.services.iter();
    let all: Vec<_> = services
        .flat_map(|service| service.targets.iter().map(move |target| (service, target)))
        .filter(|(_, target)| target.prefix.bits <= at.bits && target.prefix.contains(at.address))
        .collect();
    let hides = |narrow: &Target, wide: &Target| {
        narrow.prefix.bits > wide.prefix.bits
            && (narrow.protocol.is_none()
                || (narrow.protocol == wide.protocol
                    && (narrow.ports.is_none() || narrow.ports == wide.ports)))
    };
    all.iter()
        .filter(|(_, wide)| !all.iter().any(|(_, narrow)| hides(narrow, wide)))
        .copied()
        .collect()
}

/// A range of ports becomes blocks of a power of two.
fn target_entries(
    prefix: u32,
    service: &Service,
    target: &Target,
) -> Vec<(TrieKey<TargetKey>, AbiTarget)> {
    let mut flags = match service.kind {
        Kind::Public(Rate { interval_ns: 0, .. }) => AbiTarget::PUBLIC,
        Kind::Public(_) => AbiTarget::PUBLIC | AbiTarget::RATED,
        Kind::Granted(AgentDown::Keep) => 0,
        Kind::Granted(AgentDown::NoNewConnections) => AbiTarget::AGENT_DOWN_OLD_ONLY,
        Kind::Granted(AgentDown::Closed) => AbiTarget::AGENT_DOWN_CLOSED,
    };
    if !service.allow.is_empty() {
        flags |= AbiTarget::HAS_ALLOWS;
    }
    flags |= match service.answer {
        Answer::Silence => 0,
        Answer::Reset => AbiTarget::ANSWER_RESET,
        Answer::Prohibited => AbiTarget::ANSWER_PROHIBITED,
    };
    let value = AbiTarget {
        service: service.id,
        flags,
    };
    let key = |bits: u32, protocol: u8, port: u16| {
        let data = TargetKey {
            prefix,
            protocol,
            zero: 0,
            port: port.to_be_bytes(),
        };
        (TrieKey { bits, data }, value)
    };
    let Some(protocol) = target.protocol else {
        return vec![key(32, 0, 0)];
    };
    let Some(ports) = &target.ports else {
        return vec![key(48, protocol, 0)];
    };
    let (mut from, last) = (u32::from(*ports.start()), u32::from(*ports.end()));
    let mut blocks = Vec::new();
    while from <= last {
        let fitting = (0..=16).rev().find(|size| {
            let block = 1_u32 << size;
            from % block == 0 && from + block - 1 <= last
        });
        let size = fitting.unwrap_or(0);
        blocks.push(key(64 - size, protocol, u16::try_from(from).unwrap_or(0)));
        from += 1 << size;
    }
    blocks
}

fn allow(world: &mut World, service: u32, prefix: Prefix) {
    let (generation, bits) = (GENERATION, 64 + prefix.bits);
    match prefix.address {
        IpAddr::V4(address) => {
            let source = address.octets();
            let data = AllowKey {
                generation,
                service,
                source,
            };
            world.allows_v4.push((TrieKey { bits, data }, 1));
        }
        IpAddr::V6(address) => {
            let source = address.octets();
            let data = AllowKey {
                generation,
                service,
                source,
            };
            world.allows_v6.push((TrieKey { bits, data }, 1));
        }
    }
}
