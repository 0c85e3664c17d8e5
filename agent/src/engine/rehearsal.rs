//! Before a running program is replaced by another one: both judge the same packets, on the live
//! maps, at the same moment, and whatever they judge differently is said.
//!
//! The packets are one of every kind (`golden.rs`) towards the services that are configured, from a
//! stranger and from a source that holds a grant, and the first packet of each live grant. Nothing
//! is changed by asking.

mod golden;

use std::collections::BTreeSet;

use filter_abi::Reason;

use super::{Engine, ProblemBox, explain::named, packet::Packet};
use crate::kernel::{GrantId, Judge, KernelError, Probed};

/// Live grants that are asked about; of more, evenly spread ones.
const GRANTS_MAX: u64 = 10_000;
/// Services whose targets get a packet of every kind; what a service is for does not change how a
/// packet is read.
const SERVICES_MAX: usize = 64;
/// Traffic goes on between two questions, and may move a rate or an idle limit: what differs only
/// once is no difference.
const TRIES: usize = 3;

/// What this version judges otherwise on purpose, by reason before and after. A version that adds a
/// line here says in its notes why; nothing else gets past a rehearsal without the operator's word.
const ON_PURPOSE: &[(Reason, Reason)] = &[];

/// What was found.
#[derive(Debug, Default)]
pub struct Rehearsal {
    /// Packets that both programs judged.
    pub packets: u64,
    /// How many of these were live grants' own.
    pub grants: u64,
    /// Different reasons that were given.
    pub reasons: usize,
    pub differences: Vec<Difference>,
}

/// A packet that the two judge differently.
#[derive(Debug)]
pub struct Difference {
    /// What it is, in words.
    pub packet: String,
    pub before: Probed,
    pub after: Probed,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = |probed: &Probed| {
            let fate = if probed.passes { "passes" } else { "drops" };
            format!("{fate} ({})", named(probed.reason).name())
        };
        write!(
            f,
            "{}: the running program {}, this version {}",
            self.packet,
            said(&self.before),
            said(&self.after)
        )
    }
}

impl std::fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let judged = self.packets;
        match self.differences.len() {
            0 => write!(f, "{judged} packets judged alike"),
            many => write!(
                f,
                "{many} of {judged} packets judged differently, as accepted"
            ),
        }
    }
}

impl Engine {
    /// Asks the running program and the loaded one.
    pub fn rehearse(&self, running: &dyn Judge) -> Result<Rehearsal, ProblemBox> {
        let state = self.state();
        let mut stage = Stage {
            running,
            loaded: &*self.maps,
            at_ns: self.now().boot_ns,
            reasons: BTreeSet::new(),
            done: Rehearsal::default(),
        };
        let grants = self.some_grants()?;
        let services = state.config.services.iter().take(SERVICES_MAX);
        let strangers = services.flat_map(Packet::from_nobody);
        let granted: Vec<Packet> = grants
            .into_iter()
            .filter_map(|id| Packet::to(state.service_by_id(id.service)?, id.source.address()))
            .collect();
        for packet in strangers.chain(granted.iter().take(SERVICES_MAX).cloned()) {
            for (kind, frame) in golden::kinds(&packet) {
                stage.play(|| format!("{packet} ({kind})"), &frame)?;
            }
        }
        for packet in &granted {
            stage.play(|| packet.to_string(), &packet.frame())?;
        }
        stage.done.grants = granted.len() as u64;
        stage.done.reasons = stage.reasons.len();
        Ok(stage.done)
    }

    /// All live grants, or so many of them from all over the table.
    fn some_grants(&self) -> Result<Vec<GrantId>, KernelError> {
        let step = self.figures().used.iter().sum::<u64>() / GRANTS_MAX + 1;
        let (mut seen, mut some) = (0, Vec::new());
        self.maps.scan(&mut |entries| {
            for (id, _) in entries {
                if seen % step == 0 {
                    some.push(*id);
                }
                seen += 1;
            }
        })?;
        Ok(some)
    }
}

struct Stage<'a> {
    running: &'a dyn Judge,
    loaded: &'a dyn Judge,
    at_ns: u64,
    reasons: BTreeSet<u32>,
    done: Rehearsal,
}

impl Stage<'_> {
    fn play(&mut self, words: impl Fn() -> String, frame: &[u8]) -> Result<(), KernelError> {
        self.done.packets += 1;
        let mut last = None;
        for _ in 0..TRIES {
            let before = self.running.probe(frame, self.at_ns)?;
            let after = self.loaded.probe(frame, self.at_ns)?;
            self.reasons.insert(after.reason);
            if before == after || on_purpose(before, after) {
                return Ok(());
            }
            last = Some((before, after));
        }
        if let Some((before, after)) = last {
            self.done.differences.push(Difference {
                packet: words(),
                before,
                after,
            });
        }
        Ok(())
    }
}

fn on_purpose(before: Probed, after: Probed) -> bool {
    ON_PURPOSE
        .iter()
        .any(|(was, is)| (before.reason, after.reason) == (*was as u32, *is as u32))
}

#[cfg(test)]
mod tests;
