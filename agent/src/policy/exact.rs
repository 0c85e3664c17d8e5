//! Single addresses with single ports, written out: what the tries would answer, found by one look.

use std::{collections::HashSet, net::IpAddr};

use filter_abi::{Destination, Target};
use ipnet::IpNet;

use super::{ExactTarget, Policy, TargetEntry};

/// Prefixes with more addresses are left to the tries.
const HOSTS_LOG_MAX: u8 = 8;
/// Enough to fill the tables; the rest is left to the tries, too.
const TARGETS_MAX: usize = 1 << 16;

/// Protocols with ports: TCP, UDP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 4] = [6, 17, 132, 136];

pub(super) fn targets(policy: &Policy) -> Vec<ExactTarget> {
    let prefixes: HashSet<IpNet> = policy
        .destinations
        .iter()
        .map(|(prefix, _)| *prefix)
        .collect();
    let mut exact = Vec::new();
    let mut entries = policy.targets.as_slice();
    for (index, (prefix, flags)) in (0u16..).zip(&policy.destinations) {
        let count = entries.partition_point(|entry| entry.destination <= index);
        let (own, rest) = entries.split_at(count);
        entries = rest;
        if prefix.max_prefix_len() - prefix.prefix_len() > HOSTS_LOG_MAX {
            continue;
        }
        let protected = match flags & Destination::PROTECTED {
            0 => 0,
            _ => Target::PROTECTED,
        };
        for address in addresses(*prefix).filter(|address| owner(&prefixes, *address) == *prefix) {
            for entry in own.iter().filter(|entry| is_single(entry)) {
                if exact.len() == TARGETS_MAX {
                    return exact;
                }
                let mut target = entry.target;
                target.flags |= protected;
                exact.push(ExactTarget {
                    address,
                    protocol: entry.protocol,
                    port: entry.port,
                    target,
                });
            }
        }
    }
    exact
}

/// One port, or a protocol that has none.
fn is_single(entry: &TargetEntry) -> bool {
    entry.bits == 64 || (entry.bits == 48 && !WITH_PORTS.contains(&entry.protocol))
}

/// Every address of a prefix, the first and last one included.
fn addresses(prefix: IpNet) -> impl Iterator<Item = IpAddr> {
    let hosts = 1u32 << (prefix.max_prefix_len() - prefix.prefix_len());
    (0..hosts).map(move |host| match prefix.network() {
        IpAddr::V4(first) => IpAddr::V4((u32::from(first) + host).into()),
        IpAddr::V6(first) => IpAddr::V6((u128::from(first) + u128::from(host)).into()),
    })
}

/// The most specific prefix around an address that is known to be inside one.
fn owner(prefixes: &HashSet<IpNet>, address: IpAddr) -> IpNet {
    let mut prefix = IpNet::from(address);
    while !prefixes.contains(&prefix) {
        match prefix.supernet() {
            Some(wider) => prefix = wider,
            None => break,
        }
    }
    prefix
}
