//! The same steps for the oracle and for everybody who claims to follow the same table. The first
//! packet on which somebody differs ends the run; what led to it is made as small as possible.

mod corpus;
mod difference;
mod flows;
mod host;
mod kernel;
mod reaction;
mod shrink;
mod world;

use anyhow::{Context as _, Result};

pub use corpus::{folder, keep, load};
pub use difference::Difference;
pub use host::Host;
pub use kernel::Kernel;
pub use shrink::shrink;
pub use world::entries;

use crate::{
    generate::{Change, Episode, Expected, Step, Stream, site},
    oracle::{Config, Living, Oracle, Report, SECOND, Sample, Verdict},
};

/// The clock at the first step of every episode.
pub const START: u64 = 1_000_000 * SECOND;
/// Packets of one episode. Then everybody begins anew.
pub const EPISODE: u64 = 20_000;

/// Steps between two looks at what everybody remembers; where there are few, it is each one.
const BETWEEN_LOOKS: usize = 256;

/// What somebody says of a packet that arrives.
#[derive(Clone, Debug)]
pub struct Said {
    pub verdict: Verdict,
    /// None: it only judges.
    pub reaction: Option<Reaction>,
}

/// What came out where the packet went in.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// Something goes on.
    Passed(Vec<u8>),
    Dropped,
    /// Something goes back.
    Answered(Vec<u8>),
}

/// What somebody remembers, as far as it remembers such things.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Those that still count.
    pub flows: Option<Living>,
    pub report: Option<Report>,
    /// Since the last look.
    pub samples: Option<Vec<Sample>>,
}

/// Somebody who judges packets.
pub trait Subject {
    fn name(&self) -> &'static str;

    /// Forgets everything and begins with the state of a fresh oracle.
    fn begin(&mut self, oracle: &Oracle, now_ns: u64) -> Result<()>;

    /// None: it cannot be asked about such a frame.
    fn judge(&mut self, frame: &[u8], now_ns: u64) -> Result<Option<Said>>;

    /// A frame leaves a protected host.
    fn outgoing(&mut self, frame: &[u8], now_ns: u64) -> Result<()>;

    /// `oracle` is in the state after the change already.
    fn set(&mut self, change: &Change, oracle: &Oracle, now_ns: u64) -> Result<()>;

    fn memory(&mut self, now_ns: u64) -> Result<Memory>;
}

/// Where somebody differs from the oracle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub who: &'static str,
    pub difference: Difference,
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
    let often = steps.len() <= BETWEEN_LOOKS;
    for (at, step) in steps.iter().enumerate() {
        let found = match step {
            Step::Advance(ns) => {
                now += ns;
                continue;
            }
            Step::Outgoing(frame) => {
                oracle.outgoing(frame, now);
                for subject in subjects.iter_mut() {
                    subject.outgoing(frame, now)?;
                }
                None
            }
            Step::Change(change) => {
                oracle.change(change, now);
                for subject in subjects.iter_mut() {
                    subject.set(change, &oracle, now)?;
                }
                continue;
            }
            Step::Packet(frame) => arrive(subjects, &mut oracle, frame, now)?,
        };
        let is_time = often || at % BETWEEN_LOOKS == 0 || at + 1 == steps.len();
        let found = match found {
            None if is_time => look(subjects, &mut oracle, now)?,
            found => found,
        };
        if let Some((who, difference)) = found {
            return Ok(Some(Mismatch {
                who,
                difference,
                at,
            }));
        }
    }
    Ok(None)
}

type Found = Option<(&'static str, Difference)>;

fn arrive(subjects: &mut Subjects, oracle: &mut Oracle, frame: &[u8], now: u64) -> Result<Found> {
    let expected = oracle.judge(frame, now);
    let reply = oracle.answer(frame, expected);
    for subject in subjects {
        let Some(Said { verdict, reaction }) = subject.judge(frame, now)? else {
            continue;
        };
        if verdict != expected {
            let said = verdict;
            return Ok(Some((
                subject.name(),
                Difference::Verdict { said, expected },
            )));
        }
        let Some(reaction) = reaction else { continue };
        if let Err(wrong) = reaction::check(frame, expected.passes, reply, &reaction) {
            return Ok(Some((
                subject.name(),
                Difference::Answer(format!("{wrong:#}")),
            )));
        }
    }
    Ok(None)
}

fn look(subjects: &mut Subjects, oracle: &mut Oracle, now: u64) -> Result<Found> {
    let samples = oracle.take_samples();
    for subject in subjects {
        let memory = subject.memory(now)?;
        if let Some(found) = difference::of_memory(&memory, oracle, &samples, now) {
            return Ok(Some((subject.name(), found)));
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
    let step = found.at;
    let upto = steps.get(..=step).unwrap_or(&steps);
    let (found, steps) = shrink(subjects, &site, found, upto)?;
    let head = format!(
        "{}: {:?} (found with seed {seed} at step {step}).",
        found.who, found.difference
    );
    let expected = match found.difference {
        Difference::Verdict { expected, .. } => Expected::Verdict(expected),
        _ => Expected::Agreement,
    };
    let episode = Episode {
        head,
        steps,
        expected,
    };
    Ok(Some((found, episode)))
}
