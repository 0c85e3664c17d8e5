//! In what somebody and the oracle differ, after a packet that arrived or left.

use std::{collections::BTreeMap, fmt::Debug};

use super::Memory;
use crate::oracle::{Oracle, Sample, Verdict};

/// What is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    Verdict {
        said: Verdict,
        expected: Verdict,
    },
    /// The packet itself, or what was sent instead of it.
    Answer(String),
    /// What is remembered of flows.
    Flows(String),
    /// The report of observe mode.
    Report(String),
    /// What is shown of dropped packets.
    Samples(String),
}

impl Difference {
    /// Whether it is the same again, perhaps of other packets.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match self {
            Self::Verdict { .. } => self == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// One word for it.
    pub fn name(&self) -> String {
        match self {
            Self::Verdict { said, expected } => {
                format!("{:?}-instead-of-{:?}", said.reason, expected.reason)
            }
            Self::Answer(_) => "answer".into(),
            Self::Flows(_) => "flows".into(),
            Self::Report(_) => "report".into(),
            Self::Samples(_) => "samples".into(),
        }
    }
}

/// Whether what somebody remembers is what the oracle does. None: it is.
pub(super) fn of_memory(
    memory: &Memory,
    oracle: &Oracle,
    samples: &[Sample],
    now_ns: u64,
) -> Option<Difference> {
    if let Some(flows) = &memory.flows
        && let Some(text) = of_maps(flows, &oracle.flows(now_ns))
    {
        return Some(Difference::Flows(text));
    }
    if let Some(report) = &memory.report
        && let Some(text) = of_maps(report, oracle.report())
    {
        return Some(Difference::Report(text));
    }
    let seen = memory.samples.as_ref()?;
    // Nobody was asked about less than an Ethernet header.
    let due: Vec<_> = samples.iter().filter(|due| due.length >= 14).collect();
    let mut pairs = seen.iter().zip(&due);
    if let Some((theirs, ours)) = pairs.find(|(theirs, ours)| theirs != *ours) {
        return Some(Difference::Samples(format!("{theirs:?}, not {ours:?}")));
    }
    let counts = (seen.len(), due.len());
    (counts.0 != counts.1)
        .then(|| Difference::Samples(format!("{} shown, expected {}", counts.0, counts.1)))
}

/// The first entry that only one of them has, or that is another.
fn of_maps<K: Ord + Debug, V: PartialEq + Debug>(
    theirs: &BTreeMap<K, V>,
    ours: &BTreeMap<K, V>,
) -> Option<String> {
    let keys = theirs.keys().chain(ours.keys());
    let mut pairs = keys.map(|key| (key, theirs.get(key), ours.get(key)));
    let (key, theirs, ours) = pairs.find(|(_, theirs, ours)| theirs != ours)?;
    Some(format!("{key:?} is {theirs:?}, not {ours:?}"))
}
