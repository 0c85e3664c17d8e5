//! The same steps for the oracle and for everybody who claims to follow the same table. The first
//! packet on which somebody differs ends the run; what led to it is made as small as possible.

mod corpus;
mod host;
mod kernel;
mod shrink;
mod world;

use anyhow::{Context as _, Result};

pub use corpus::{folder, keep, load};
pub use host::Host;
pub use kernel::Kernel;
pub use shrink::shrink;
pub use world::entries;

use crate::{
    generate::{Change, Episode, Step, Stream, site},
    oracle::{Config, Oracle, SECOND, Verdict},
};

/// The clock at the first step of every episode.
pub const START: u64 = 1_000_000 * SECOND;
/// Packets of one episode. Then everybody begins anew.
pub const EPISODE: u64 = 20_000;

/// Somebody who judges packets.
pub trait Subject {
    fn name(&self) -> &'static str;

    /// Forgets everything and begins with the state of a fresh oracle.
    fn begin(&mut self, oracle: &Oracle, now_ns: u64) -> Result<()>;

    /// None: it cannot be asked about such a frame.
    fn judge(&mut self, frame: &[u8], now_ns: u64) -> Result<Option<Verdict>>;

    /// A frame leaves a protected host.
    fn outgoing(&mut self, frame: &[u8], now_ns: u64) -> Result<()>;

    /// `oracle` is in the state after the change already.
    fn set(&mut self, change: &Change, oracle: &Oracle, now_ns: u64) -> Result<()>;
}

/// A packet that somebody judges otherwise than the oracle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub who: &'static str,
    pub said: Verdict,
    pub expected: Verdict,
    /// Index of the step.
    pub at: usize,
}

/// Those who are compared with the oracle.
pub type Subjects = Vec<Box<dyn Subject>>;

/// All there are.
pub fn everybody() -> Result<Subjects> {
    Ok(vec![Box::new(Host::default()), Box::new(Kernel::new()?)])
}

/// Plays steps at a site from a fresh start until somebody differs, or to the end.
pub fn play(subjects: &mut Subjects, site: &Config, steps: &[Step]) -> Result<Option<Mismatch>> {
    let mut oracle = Oracle::new(site.clone());
    let mut now = START;
    for subject in subjects.iter_mut() {
        subject
            .begin(&oracle, now)
            .with_context(|| format!("{} cannot begin", subject.name()))?;
    }
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Advance(ns) => now += ns,
            Step::Outgoing(frame) => {
                oracle.outgoing(frame, now);
                for subject in subjects.iter_mut() {
                    subject.outgoing(frame, now)?;
                }
            }
            Step::Change(change) => {
                oracle.change(change, now);
                for subject in subjects.iter_mut() {
                    subject.set(change, &oracle, now)?;
                }
            }
            Step::Packet(frame) => {
                let expected = oracle.judge(frame, now);
                for subject in subjects.iter_mut() {
                    if let Some(said) = subject.judge(frame, now)?
                        && said != expected
                    {
                        return Ok(Some(Mismatch {
                            who: subject.name(),
                            said,
                            expected,
                            at,
                        }));
                    }
                }
            }
        }
    }
    Ok(None)
}

/// Steps of one episode, up to and with its last packet.
pub fn episode(seed: u64, packets: u64) -> Vec<Step> {
    let mut left = packets;
    let mut steps = Vec::new();
    for step in Stream::new(seed) {
        let is_packet = matches!(step, Step::Packet(_));
        steps.push(step);
        if is_packet {
            left = left.saturating_sub(1);
        }
        if left == 0 {
            break;
        }
    }
    steps
}

/// Plays the episode of a seed. A mismatch comes back as small as it can be made.
pub fn run(
    subjects: &mut Subjects,
    seed: u64,
    packets: u64,
) -> Result<Option<(Mismatch, Episode)>> {
    let (site, steps) = (site(), episode(seed, packets));
    let Some(found) = play(subjects, &site, &steps)? else {
        return Ok(None);
    };
    let upto = steps.get(..=found.at).unwrap_or(&steps);
    let (found, steps) = shrink(subjects, &site, found, upto)?;
    let head = format!(
        "{} said {:?}, the oracle {:?} (found with seed {seed}).",
        found.who, found.said.reason, found.expected.reason
    );
    let episode = Episode {
        head,
        steps,
        expected: found.expected,
    };
    Ok(Some((found, episode)))
}
