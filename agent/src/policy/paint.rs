//! Which service owns which protocol and port of one prefix, and that as entries of a trie.

use std::collections::BTreeMap;

use filter_abi::Target;

use crate::config::Ports;

/// Later claims cover earlier ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Paint {
    /// Protocols that nobody claimed by number.
    any: Option<Target>,
    protocols: BTreeMap<u8, Ranges>,
}

/// For the first port of each run its owner; the run goes on to the next first port.
type Ranges = BTreeMap<u16, Option<Target>>;

impl Paint {
    /// Gives the ports to the target's service.
    pub(super) fn claim(&mut self, ports: Ports, target: Target) {
        match ports {
            Ports::Any => {
                self.any = Some(target);
                self.protocols.clear();
            }
            Ports::Protocol(protocol) => {
                self.protocols
                    .insert(protocol, Ranges::from([(0, Some(target))]));
            }
            Ports::Range {
                protocol,
                first,
                last,
            } => {
                let any = self.any;
                let ranges = self
                    .protocols
                    .entry(protocol)
                    .or_insert_with(|| Ranges::from([(0, any)]));
                cover(ranges, first, last, target);
            }
        }
    }

    /// Calls `entry(protocol, port, bits, target)` for each entry a trie needs.
    pub(super) fn entries(&self, mut entry: impl FnMut(u8, u16, u32, Target)) {
        if let Some(target) = self.any {
            entry(0, 0, 32, target);
        }
        for (&protocol, ranges) in &self.protocols {
            let ends = ranges
                .keys()
                .skip(1)
                .map(|&next| next - 1)
                .chain([u16::MAX]);
            for ((&first, owner), last) in ranges.iter().zip(ends) {
                if let Some(target) = owner {
                    blocks(first, last, |port, bits| {
                        entry(protocol, port, 48 + bits, *target)
                    });
                }
            }
        }
    }
}

fn cover(ranges: &mut Ranges, first: u16, last: u16, target: Target) {
    let owner_of = |ranges: &Ranges, port: u16| {
        ranges
            .range(..=port)
            .next_back()
            .and_then(|(_, owner)| *owner)
    };
    if let Some(after) = last.checked_add(1) {
        let owner = owner_of(ranges, after);
        ranges.insert(after, owner);
    }
    ranges.retain(|&start, _| start < first || start > last);
    ranges.insert(first, Some(target));
}

/// Splits `first..=last` into the fewest blocks that each are one prefix of the 16 port bits.
fn blocks(first: u16, last: u16, mut block: impl FnMut(u16, u32)) {
    let (mut at, end) = (u32::from(first), u32::from(last) + 1);
    while at < end {
        let aligned = if at == 0 { 16 } else { at.trailing_zeros() };
        let fits = (end - at).ilog2();
        let size = aligned.min(fits).min(16);
        if let Ok(port) = u16::try_from(at) {
            block(port, 16 - size);
        }
        at += 1 << size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_becomes_the_fewest_blocks() {
        let mut found = Vec::new();
        blocks(500, 510, |port, bits| found.push((port, bits)));
        assert_eq!(found, [(500, 14), (504, 14), (508, 15), (510, 16)]);
        found.clear();
        blocks(0, u16::MAX, |port, bits| found.push((port, bits)));
        assert_eq!(found, [(0, 0)]);
        found.clear();
        blocks(1, u16::MAX, |port, bits| found.push((port, bits)));
        assert_eq!(found.len(), 16);
    }
}
